"""The library's twelve tips, as mails."""

import re
from pathlib import Path
from typing import Any

import pytest

from articles.library_files import split
from newsletter.composing import content_of
from review import reading
from review.readability import READING_AGES
from tests import library
from tests.library import ARTICLES, TIPS

EACH = pytest.mark.parametrize("path", TIPS, ids=lambda p: p.stem)


def mailed(path: Path) -> dict[str, Any]:
    fields, markdown = split(path)
    return content_of(fields["subject"], fields["preheader"], markdown)


def test_there_are_twelve_for_twelve_weeks() -> None:
    assert [path.stem[:2] for path in TIPS] == [f"{n:02}" for n in range(1, 13)]
    assert len({library.fields(path)["subject"] for path in TIPS}) == 12


@EACH
def test_a_tip_is_read_in_a_minute(path: Path) -> None:
    preheader = re.findall(r"\w+", library.fields(path)["preheader"])

    words = reading(mailed(path)).words - len(preheader)

    assert 80 <= words <= 180


@EACH
def test_a_tip_is_no_harder_than_an_article(path: Path) -> None:
    assert reading(mailed(path)).age <= max(READING_AGES)


@EACH
def test_subject_and_preheader_fit_a_list_of_mails(path: Path) -> None:
    mail = mailed(path)

    assert 10 <= len(mail["subject"]) <= 50
    assert 30 <= len(mail["preheader"]) <= 100


@EACH
def test_a_tip_asks_for_one_thing(path: Path) -> None:
    assert mailed(path)["html"].count("<strong>") == 1


@EACH
def test_a_tip_has_one_link_to_the_article_it_relies_on(path: Path) -> None:
    article = library.fields(path)["article"]

    assert article in {one.stem for one in ARTICLES}
    assert library.links(path) == [f"/articles/{article}/"]


@EACH
def test_both_forms_of_a_tip_say_the_same(path: Path) -> None:
    mail = mailed(path)
    html = re.sub(r"<[^>]+>", " ", mail["html"])
    text = re.sub(r"\(https?://\S+\)", " ", mail["text"])

    assert re.findall(r"\w+", html) == re.findall(r"\w+", text)


@EACH
def test_a_tip_that_names_an_emergency_says_whom_to_call(path: Path) -> None:
    said = mailed(path)["text"]
    names_one = re.search(r"\b(?:emergency|urgent help|a fit|suddenly droops)\b", said)

    assert not names_one or "999, 112 or 911" in re.sub(r"\s+", " ", said)
