"""The library's articles and policies, as a careful editor would go through them."""

import re
from pathlib import Path

import pytest

from articles.body import contents
from articles.content import checked
from articles.library_files import read_article
from review import reading
from review.readability import READING_AGES
from tests import library
from tests.library import ARTICLES, LIBRARY, POLICIES

EMERGENCY_NUMBERS = "999, 112 or 911"
LEVELS = ["emergency", "urgent", "non-urgent"]
OUTLINE = ["Overview", "Symptoms", "Causes", "Diagnosis", "Treatment", "Prevention"]
SMALLEST_TEXT = 12
NARROWEST = 320
MARGINS = 32
SHOWN = {"muscle-twitching", "eyelid-twitch", "hemifacial-spasm"}
SHOWN |= {"magnesium-deficiency", "vagus-nerve"}
EACH_ARTICLE = pytest.mark.parametrize("path", ARTICLES, ids=lambda p: p.stem)
EACH_PAGE = pytest.mark.parametrize(
    "path", [*ARTICLES, *POLICIES], ids=lambda p: p.stem
)


def test_the_ten_articles_and_the_seven_policies_are_there() -> None:
    assert {path.stem for path in ARTICLES} == {
        *("muscle-twitching", "eyelid-twitch", "hemifacial-spasm"),
        *("magnesium-deficiency", "lip-twitching", "vagus-nerve", "parosmia"),
        *("twitch-spasm-spasticity", "everyday-triggers", "aadc-gene-therapy"),
    }
    assert {path.stem for path in POLICIES} == {
        *("terms", "privacy", "editorial-policy", "disclaimer"),
        *("accessibility", "funding", "contact"),
    }


@EACH_ARTICLE
def test_an_article_is_as_long_as_people_read(path: Path) -> None:
    assert 900 <= reading(checked(read_article(path).content)).words <= 1800


@EACH_ARTICLE
def test_an_article_can_be_read_at_11_to_13(path: Path) -> None:
    assert reading(checked(read_article(path).content)).age in READING_AGES


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.stem)
def test_a_policy_asks_no_more_of_its_readers(path: Path) -> None:
    assert reading(checked(read_article(path).content)).age <= max(READING_AGES)


@EACH_ARTICLE
def test_an_article_has_every_part(path: Path) -> None:
    given = library.fields(path)

    assert all(given[name] for name in ("summary", "key_points", "aliases", "codes"))
    assert len(given["read_next"]) == 4
    assert library.headings(path)[0] == "Overview"
    if given["kind"] in ("condition", "symptom"):
        assert library.headings(path) == OUTLINE


@EACH_ARTICLE
def test_help_begins_with_the_emergency_and_its_numbers(path: Path) -> None:
    cards = library.fields(path)["care"]
    levels = [card["level"] for card in cards]

    assert levels[0] == "emergency"
    assert levels == sorted(levels, key=LEVELS.index)
    assert EMERGENCY_NUMBERS in cards[0]["heading"]


@EACH_PAGE
def test_a_link_is_relative_and_leads_to_a_text(path: Path) -> None:
    known = {f"/articles/{one.stem}/" for one in ARTICLES}
    known |= {f"/about/{one.stem}/" for one in POLICIES} | {"/trust/"}

    for link in library.links(path):
        address, _, fragment = link.partition("#")
        assert address in known, link
        if fragment:
            target = LIBRARY / f"{address.strip('/').split('/')[1]}.md"
            body = checked(read_article(target).content)["body"]
            assert fragment in [part["id"] for part in contents(body)], link


@EACH_PAGE
def test_what_to_read_next_is_another_text(path: Path) -> None:
    known = {one.stem for one in [*ARTICLES, *POLICIES]}

    following = library.fields(path)["read_next"]

    assert set(following) <= known - {path.stem}
    assert len(following) == len(set(following))


def test_what_is_confused_stands_side_by_side() -> None:
    lids = library.markdown(LIBRARY / "eyelid-twitch.md")
    words = library.markdown(LIBRARY / "twitch-spasm-spasticity.md")

    for name in ("Eyelid myokymia", "Blepharospasm", "Hemifacial spasm", "Tic"):
        assert re.search(rf"^\| \*\*\[?{name}", lids, re.MULTILINE), name
    assert re.search(r"^\|.*Twitch \| Spasm .*Spasticity \|$", words, re.MULTILINE)


@pytest.mark.parametrize(
    ("slug", "correction"),
    [
        ("everyday-triggers", "works on ADP"),
        ("everyday-triggers", "pours chemical messengers"),
        ("everyday-triggers", "upset hormones"),
        ("everyday-triggers", "dehydration causes twitching"),
        ("everyday-triggers", "mostly water"),
        ("muscle-twitching", "sign of myositis or lupus"),
        ("muscle-twitching", "Dehydration causes twitches"),
        ("muscle-twitching", "Vitamin D stops twitches"),
        ("muscle-twitching", "one part of one muscle"),
        ("muscle-twitching", "for every 5 with ALS"),
        ("twitch-spasm-spasticity", "described under ALS"),
        ("twitch-spasm-spasticity", "not a typical sign of MS"),
        ("twitch-spasm-spasticity", "only half of the story"),
        ("twitch-spasm-spasticity", "does not take an accident"),
        ("magnesium-deficiency", "how seldom it is the answer"),
        ("lip-twitching", "takes calcium out of the blood"),
        ("parosmia", "only fainter is not parosmia"),
        ("vagus-nerve", "Twelve pairs"),
        ("aadc-gene-therapy", "name of a different medicine"),
    ],
)
def test_a_common_wrong_claim_is_put_right_where_it_is_looked_for(
    slug: str, correction: str
) -> None:
    assert correction in library.plain(library.markdown(LIBRARY / f"{slug}.md"))


@pytest.mark.parametrize("slug", sorted(SHOWN))
def test_a_drawing_helps_where_words_are_not_enough(slug: str) -> None:
    (figure,) = library.figures(LIBRARY / f"{slug}.md")

    assert len(figure.alt) > 60
    assert figure.caption


@pytest.mark.parametrize(
    "drawing", sorted((LIBRARY / "figures").glob("*.svg")), ids=lambda p: p.stem
)
def test_a_drawing_can_be_read_on_a_small_phone_in_the_dark_and_on_paper(
    drawing: Path,
) -> None:
    text = drawing.read_text()
    width = re.search(r'viewBox="0 0 ([0-9.]+)', text)
    sizes = re.findall(r'font-size="([0-9.]+)|font:\d+ ([0-9.]+)px', text)
    assert width

    shrunk = (NARROWEST - MARGINS) / float(width[1])

    assert sizes
    assert min(float(a or b) for a, b in sizes) * shrunk >= SMALLEST_TEXT
    assert "@media screen and (prefers-color-scheme: dark)" in text
    assert "<title" in text
    assert "href" not in text


def test_policies_wait_for_the_operators_own_facts() -> None:
    open_places = {
        path.stem: re.findall(r"\{\{operator: ([^}]+)\}\}", library.markdown(path))
        for path in POLICIES
    }

    assert all(places for slug, places in open_places.items() if slug != "disclaimer")
    assert {"legal name", "postal address", "contact e-mail"} <= {
        *open_places["privacy"]
    }
