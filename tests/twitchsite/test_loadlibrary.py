"""`manage.py loadlibrary`: progress, no second copy, never over an editor's text."""

from io import StringIO
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from articles import loading
from articles.editing import revise
from articles.models import Article, Revision
from articles.publishing import UnfilledPlace, publish
from newsletter import composing
from newsletter.models import HealthTip, TipRevision
from tests.articles.cast import TEXT

ARTICLE = """+++
title = 'Guide'
summary = 'Short.'
section = 'plan'
kind = 'guide'
+++
## Overview

{}
"""
TIP = """+++
subject = 'A tip for you'
preheader = 'Short.'
article = 'guide'
+++
{} [More](/articles/guide/)
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one article and one tip, in folders of its own."""
    for name, module in (("articles", loading), ("tips", composing)):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(module, "LIBRARY", tmp_path / name)
    write(tmp_path, article="One.", tip="Sleep well.")
    return tmp_path


def write(small: Path, *, article: str = "", tip: str = "") -> None:
    if article:
        (small / "articles/guide.md").write_text(ARTICLE.format(article))
    if tip:
        (small / "tips/01-tip.md").write_text(TIP.format(tip))


def load() -> str:
    said = StringIO()
    call_command("loadlibrary", stdout=said)
    return said.getvalue()


def test_the_whole_library_becomes_drafts_that_await_review(db: None) -> None:
    said = load()

    assert "muscle-twitching: revision 1 made" in said
    assert "12-strange-smells: revision 1 made" in said
    assert said.endswith("29 new revisions. Nothing is published.\n")
    assert not Article.objects.published().exists()
    assert TipRevision.objects.count() == 12


def test_a_second_time_finds_everything_as_it_was(db: None, small: Path) -> None:
    load()

    assert load().splitlines() == [
        "guide: as it was",
        "01-tip: as it was",
        "0 new revisions. Nothing is published.",
    ]


def test_a_changed_file_makes_a_new_revision(db: None, small: Path) -> None:
    load()
    write(small, article="Two.", tip="Sleep better.")

    said = load()

    assert "guide: revision 2 made" in said
    assert "01-tip: revision 2 made" in said


def test_a_text_that_an_editor_wrote_stays(db: None, small: Path) -> None:
    load()
    edith = User.objects.create(username="edith")
    mine, _ = revise(Article.objects.get(slug="guide"), TEXT, by=edith)
    tip = HealthTip.objects.get(slug="01-tip")
    content = composing.from_html("Mine", "Mine", "<p>Mine.</p>")
    ours, _ = composing.revise(tip, content, cites=["guide"], by=edith)
    write(small, article="Two.", tip="Sleep better.")

    said = load()

    assert said.count("left alone. An editor wrote the newest text.") == 2
    assert Revision.objects.latest("number") == mine
    assert TipRevision.objects.latest("number") == ours


def test_what_an_editor_put_around_a_text_stays(db: None, small: Path) -> None:
    load()
    Article.objects.filter(slug="guide").update(aliases=["manual"])
    write(small, article="Two.")

    load()

    assert Article.objects.get(slug="guide").aliases == ["manual"]


def test_a_file_that_cannot_be_read_is_named_and_the_rest_can_follow(
    db: None, small: Path
) -> None:
    (small / "tips/01-tip.md").write_text("no front matter")

    with pytest.raises(CommandError, match=r"01-tip\.md.*front matter"):
        load()
    write(small, tip="Sleep well.")

    assert load().splitlines()[:2] == ["guide: as it was", "01-tip: revision 1 made"]


@pytest.mark.parametrize("missing", ["subject", "article"])
def test_a_tip_without_a_part_is_named(db: None, small: Path, missing: str) -> None:
    whole = TIP.format("Sleep well.").splitlines(keepends=True)
    part = [line for line in whole if not line.startswith(missing)]
    (small / "tips/01-tip.md").write_text("".join(part))

    with pytest.raises(CommandError, match=rf"01-tip\.md: '{missing}' is missing"):
        load()


def test_an_article_that_would_be_refused_is_named(db: None, small: Path) -> None:
    write(small, article="![](https://elsewhere.example/x.png)")

    with pytest.raises(CommandError, match=r"guide\.md.*own pictures"):
        load()


def test_two_at_once_make_one_revision_each(cloned_database: str, small: Path) -> None:
    start = Barrier(2)

    def run() -> None:
        start.wait()
        load()
        connections.close_all()

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Revision.objects.count() == 1
    assert TipRevision.objects.count() == 1


def test_in_production_a_policy_waits_for_the_operators_facts(
    db: None, settings: Settings
) -> None:
    load()
    privacy = Revision.objects.get(article__slug="privacy")

    with pytest.raises(UnfilledPlace):
        publish(privacy)


def test_the_demonstration_fills_them_as_its_start_does(
    db: None, settings: Settings
) -> None:
    settings.DEMO = True

    load()

    privacy = Revision.objects.get(article__slug="privacy")
    assert "{{operator" not in privacy.content["body"]


def test_it_is_said_that_a_machine_helped_and_no_person_is_named(
    db: None, small: Path
) -> None:
    load()

    revision = Revision.objects.get()
    assert revision.machine_assisted
    assert revision.byline == "The twitchsite editors"
    assert not User.objects.get(username="library").has_usable_password()
