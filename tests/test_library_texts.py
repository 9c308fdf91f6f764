"""Claims, sources and words of every library text: articles, tips and policies."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from breame.spelling import american_spelling_exists

from tests import library
from tests.library import ARTICLES, POLICIES, TIPS, Sentence

OWN_WORDS = Path(__file__).parent / "library_words.txt"
# American for breame, and British as well: a kilogram of drafts, a mail program.
BRITISH_TOO = {"connection", "draft", "drafts", "program", "programs"}
BRITISH_TOO |= {"kilogram", "milligrams"}
IDENTIFIERS = ("doi", "pmid")
EACH = pytest.mark.parametrize("path", [*ARTICLES, *TIPS], ids=lambda p: p.stem)
EVERY = pytest.mark.parametrize(
    "path", [*ARTICLES, *TIPS, *POLICIES], ids=lambda p: p.stem
)


def said(path: Path) -> dict[str, Sentence]:
    return {sentence.text: sentence for sentence in library.sentences(path)}


def references(path: Path) -> dict[str, dict[str, str]]:
    return {one["tag"]: one for one in library.fields(path)["references"]}


@EACH
def test_every_claim_has_a_reference_and_every_reference_a_claim(path: Path) -> None:
    claims = library.claim_map(path)["claims"]

    assert [one["text"] for one in claims if not one["tags"]] == []
    assert {tag for one in claims for tag in one["tags"]} == references(path).keys()


@EACH
def test_a_claim_is_said_word_for_word_and_cites_what_supports_it(path: Path) -> None:
    sentences = said(path)

    for claim in library.claim_map(path)["claims"]:
        assert claim["text"] in sentences
        cited = sentences[claim["text"]].tags
        assert not cited or cited == {*claim["tags"]}, claim["text"]


@EACH
def test_nothing_cited_and_no_figure_is_missing_from_the_claim_map(path: Path) -> None:
    mapped = library.claim_map(path)
    known = {
        one["text"] for kind in ("claims", "common") for one in mapped.get(kind, [])
    }

    missing = [
        one.text
        for one in library.sentences(path)
        if one.text not in known
        and (one.tags or (one.place == "body" and any(map(str.isdigit, one.text))))
    ]

    assert missing == []


@EACH
def test_common_knowledge_is_said_and_has_no_reference(path: Path) -> None:
    sentences = said(path)

    for one in library.claim_map(path).get("common", []):
        assert one.keys() == {"text"}
        assert not sentences[one["text"]].tags


@EACH
def test_a_reference_can_be_looked_up(path: Path) -> None:
    for one in references(path).values():
        assert one["publisher"]
        assert one["title"]
        assert one["url"].startswith("https://")
        assert not one["doi"] or one["url"].endswith(one["doi"])


@EACH
def test_no_identifier_was_invented(path: Path) -> None:
    for one in references(path).values():
        shown = [one[name] for name in IDENTIFIERS if one[name]]
        shown += library.DOI.findall(one["url"])
        for identifier in shown:
            assert library.hashed(identifier) in library.collected(), identifier


def test_a_source_is_named_the_same_everywhere() -> None:
    first: dict[str, dict[str, str]] = {}

    for path in [*ARTICLES, *TIPS]:
        for tag, one in references(path).items():
            assert first.setdefault(tag, one) == one, f"{path.stem}: {tag}"


@EVERY
def test_no_ten_words_in_a_row_come_from_the_collected_facts(path: Path) -> None:
    text = " ".join(sentence.text for sentence in library.sentences(path))
    text += " ".join(figure.alt for figure in library.figures(path))

    copied = [
        ten
        for ten in library.windows(text)
        if library.hashed(ten) in library.collected()
    ]

    assert copied == []


def test_the_comparison_finds_what_was_copied() -> None:
    facts = "Small flickers in a muscle are common and nearly always harmless, he said."

    (window, *_) = library.windows(facts)

    assert library.hashed(window) in library.collect(facts)
    assert len(library.collected()) > 10_000


@cache
def dictionary() -> set[str]:
    """English words, British and American: SCOWL's, as far as books use them."""
    path = files("symspellpy") / "frequency_dictionary_en_82_765.txt"
    listed = path.read_text(encoding="utf-8-sig").splitlines()
    return {line.split()[0] for line in listed}


def own_words() -> set[str]:
    return set(OWN_WORDS.read_text(encoding="utf-8").split())


def unknown(words: set[str]) -> list[str]:
    """A name on our own list keeps its capitals; other words may begin a sentence."""
    known = dictionary() | own_words()
    return sorted(
        word
        for word in words
        if len(word) > 1
        and not {word, owner(word), word.lower(), owner(word).lower()} & known
    )


def owner(word: str) -> str:
    """Whom or what a possessive names."""
    return word.replace("’", "'").removesuffix("'s")


@EVERY
def test_every_word_is_spelled_as_a_dictionary_or_our_own_list_has_it(
    path: Path,
) -> None:
    assert unknown(set(library.words(path))) == []


@pytest.mark.parametrize("slip", ["musle", "occured", "hemifacail", "magnesum"])
def test_a_slip_is_found(slip: str) -> None:
    assert unknown({slip}) == [slip]


def test_the_own_list_holds_only_words_that_a_text_uses() -> None:
    used = {
        owner(word)
        for path in [*ARTICLES, *TIPS, *POLICIES]
        for word in library.words(path)
    }

    assert own_words() - used - {word.lower() for word in used} == set()


@EVERY
def test_words_are_spelled_the_british_way(path: Path) -> None:
    words = {word.lower() for word in library.words(path)} - BRITISH_TOO

    assert sorted(filter(american_spelling_exists, words)) == []
