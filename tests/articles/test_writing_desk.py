"""Where texts are written: nothing that was typed gets lost."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from articles.editing import revise
from articles.models import Article, Draft, Revision
from tests.articles.test_desk import browser, desk, filled, writing
from tests.articles.test_publishing import TEXT, make_article
from tests.people import carla, edith, person

__all__ = ["desk"]


def test_what_was_written_becomes_a_revision(desk: Client) -> None:
    article = make_article()

    answer = desk.post(writing(article, edith()), filled("_save"))

    revision = Revision.objects.get()
    assert answer["Location"] == revision.get_admin_url()
    assert revision.content["key_points"] == ["One.", "Two."]
    assert revision.content["care_cards"][0]["items"] == ["it spreads", "it stays"]
    assert "\r" not in revision.content["body"]


def test_saving_the_page_unchanged_makes_no_revision(desk: Client) -> None:
    article = make_article()
    desk.post(writing(article, edith()), filled("_save"))

    answer = desk.post(writing(article, edith()), filled("_save"), follow=True)

    assert "Nothing had changed" in answer.content.decode()
    assert Revision.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("<p>x</p><script>alert(1)</script>", "script"),
        ('<a href="javascript:alert(1)">x</a>', "must start with https://"),
        ('<p class="MsoNormal">word</p>' * 70_000, "200,000 characters"),
        ('<img src="/pictures/' + "0" * 64 + '.jpg">', "picture"),
    ],
)
def test_a_refused_body_is_said_why_and_kept(
    desk: Client, body: str, sentence: str
) -> None:
    answer = desk.post(writing(make_article(), edith()), filled("_save", body=body))

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "kept below" in page
    assert sentence in page
    assert Draft.objects.get().content["body"] == body
    assert not Revision.objects.exists()


def test_a_field_that_makes_no_sense_keeps_the_whole_page(desk: Client) -> None:
    sent = filled("_save", **{"care-0-cites": "one and three"})

    page = desk.post(writing(make_article(), edith()), sent).content.decode()

    assert "Write numbers with commas" in page
    assert "one and three" in page
    assert "Take 5 mg." in page


def test_the_draft_is_kept_while_it_is_written(desk: Client) -> None:
    url = writing(make_article(), edith())

    answer = desk.post(url, filled("_autosave", title="Half a ti"))

    assert "kept_at" in json.loads(answer.content)
    assert Draft.objects.get().content["title"] == "Half a ti"


def shown(page: str, name: str) -> str:
    """The value of a hidden field on the page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


def test_the_second_editor_is_shown_the_difference(desk: Client) -> None:
    article = make_article()
    revise(article, TEXT, by=None)
    bob = person("bob", "editor")
    mine, his = writing(article, edith()), writing(article, bob)
    desk.post(mine, filled("_save", summary="Hers."))

    page = browser(bob).post(his, filled("_save", summary="His.")).content.decode()

    assert "edith saved revision 2 while you were writing" in page
    assert "<del" in page
    assert "<ins" in page
    assert Draft.objects.get(editor=bob).content["summary"] == "His."
    sent = filled("_save", summary="His.", seen=shown(page, "seen"))
    browser(bob).post(his, sent)
    assert Revision.objects.get(number=3).content["summary"] == "His."


def test_a_second_press_on_the_same_page_saves_over_nobody(desk: Client) -> None:
    """The first answer was never seen: a double click, a lost connection."""
    article = make_article()
    revise(article, TEXT, by=None)
    bob = person("bob", "editor")
    mine, his = writing(article, edith()), writing(article, bob)
    desk.post(mine, filled("_save", summary="Hers."))

    for _ in range(2):
        page = browser(bob).post(his, filled("_save", summary="His."))
        assert "while you were writing" in page.content.decode()

    assert not Revision.objects.filter(number=3).exists()


def test_a_second_window_on_the_same_draft_shows_what_the_first_kept(
    desk: Client,
) -> None:
    url = writing(make_article(), edith())
    version = shown(desk.get(url).content.decode(), "version")
    desk.post(url, filled("_autosave", summary="First window.", version=version))

    late = desk.post(url, filled("_autosave", summary="Second.", version=version))
    page = desk.post(url, filled("_keep", summary="Second.", version=version))

    assert late.status_code == 409
    assert "another window" in page.content.decode()
    assert Draft.objects.get().content["summary"] == "First window."
    version = shown(page.content.decode(), "version")
    desk.post(url, filled("_keep", summary="Second.", version=version))
    assert Draft.objects.get().content["summary"] == "Second."


def saved_elsewhere(desk: Client) -> tuple[str, dict[str, Any]]:
    """A page whose draft another window saved: its address, what it sends along."""
    article = make_article()
    url = writing(article, edith())
    page = desk.get(url).content.decode()
    names = ("article", "version")
    desk.post(url, filled("_save"))
    return url, {name: shown(page, name) for name in names}


def test_what_is_typed_in_a_draft_that_is_gone_stands_in_a_new_one(
    desk: Client,
) -> None:
    url, hidden = saved_elsewhere(desk)

    page = desk.post(url, filled("_save", summary="Typed since.", **hidden))
    said = page.content.decode()

    assert page.status_code == 200
    assert "saved or discarded in another window" in said
    assert "Typed since.</textarea>" in said
    assert "<ins" in said
    assert Revision.objects.count() == 1
    action = re.search(r'<form method="post" action="([^"]+)"', said)
    assert action is not None
    sent = {name: shown(said, name) for name in ("article", "version", "seen")}
    desk.post(action[1], filled("_save", summary="Typed since.", **sent))
    assert Revision.objects.get(number=2).content["summary"] == "Typed since."


def test_a_gone_draft_takes_no_other_drafts_place_unseen(desk: Client) -> None:
    url, hidden = saved_elsewhere(desk)
    other = writing(Article.objects.get(), edith())
    desk.post(other, filled("_keep", summary="In the other window."))

    page = desk.post(url, filled("_save", summary="Here.", **hidden)).content.decode()

    assert "Here.</textarea>" in page
    assert f'action="{other}"' in page
    assert Draft.objects.get().content["summary"] == "In the other window."


def test_a_field_without_sense_in_a_gone_draft_keeps_the_whole_page(
    desk: Client,
) -> None:
    url, hidden = saved_elsewhere(desk)
    sent = filled("_save", **{"care-0-cites": "one and three"}, **hidden)

    page = desk.post(url, sent).content.decode()

    assert "one and three" in page
    assert "Write numbers with commas" in page
    assert "saved or discarded in another window" in page


def test_a_gone_draft_is_said_while_typing_too(desk: Client) -> None:
    url, hidden = saved_elsewhere(desk)

    answer = desk.post(url, filled("_autosave", summary="Typed since.", **hidden))

    assert answer.status_code == 409
    (problem,) = json.loads(answer.content)["problems"]
    assert "in another window" in problem
    assert not Draft.objects.exists()


def test_a_gone_draft_is_discarded_without_a_word_of_trouble(desk: Client) -> None:
    url, hidden = saved_elsewhere(desk)

    answer = desk.post(url, {"_discard": "1", "sure": "1", **hidden}, follow=True)

    assert "The draft is gone already." in answer.content.decode()


def test_nobody_else_gets_a_draft_by_sending_to_a_gone_one(desk: Client) -> None:
    url, hidden = saved_elsewhere(desk)
    doctor = browser(carla().user)

    refused = doctor.post(url, filled("_save", **hidden))
    nowhere = desk.post(url, filled("_save", article="9" * 30))

    assert (refused.status_code, nowhere.status_code) == (403, 404)
    assert not Draft.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"care-0-level": ""}, "level"),
        (
            {
                "references-TOTAL_FORMS": "1",
                "references-0-number": "1",
                "references-0-publisher": "NHS",
            },
            "title",
        ),
    ],
)
def test_half_a_card_or_reference_is_kept_and_asked_about(
    desk: Client, changes: dict[str, str], sentence: str
) -> None:
    url = writing(make_article(), edith())

    page = desk.post(url, filled("_save", **changes)).content.decode()

    assert sentence in page
    content = Draft.objects.get().content
    assert content["care_cards"] or content["references"]
    assert not Revision.objects.exists()


def test_discarding_is_asked_once_more(desk: Client) -> None:
    url = writing(make_article(), edith())

    page = desk.post(url, filled("_discard")).content.decode()
    assert "is gone then" in page
    assert Draft.objects.exists()

    desk.post(url, {"_discard": "1", "sure": "1"})
    assert not Draft.objects.exists()


def test_a_preview_shows_no_badge_and_is_nobody_elses(desk: Client) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)

    answer = desk.get(reverse("admin:articles_revision_preview", args=[revision.pk]))

    page = answer.content.decode()
    assert "This text is not medically reviewed" in page
    assert "ld+json" not in page
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "byline",
    [
        *("Prof. X. Medically checked", "MD reviewed", "Approved by the board"),
        *("Jo; peer-reviewed", "Ｒeviewed"),
    ],
)
def test_a_byline_claims_no_review(desk: Client, byline: str) -> None:
    url = writing(make_article(), edith())

    page = desk.post(url, filled("_save", byline=byline)).content.decode()

    assert "said by a clinician’s signature alone" in page
    assert not Revision.objects.exists()


def test_what_can_not_be_kept_while_it_is_typed_says_which_field(desk: Client) -> None:
    url = writing(make_article(), edith())

    answer = desk.post(url, filled("_autosave", note="x" * 201))

    (problem,) = json.loads(answer.content)["problems"]
    assert problem.startswith("Note: ")


@pytest.mark.parametrize("button", ["_autosave", "_keep"])
def test_half_a_page_says_so(desk: Client, button: str) -> None:
    url = writing(make_article(), edith())

    answer = desk.post(url, {"title": "x", "body": "<p>long</p>", button: "1"})

    assert "arrived without some of its parts" in answer.content.decode()
    assert "long" in (answer.content.decode() + "long" * (button == "_autosave"))
