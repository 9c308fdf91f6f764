"""Nothing typed is lost, nothing saved is changed."""

from typing import Any

import pytest
from django.db import DatabaseError, transaction

from articles.content import BadContent
from articles.editing import (
    ChangedElsewhere,
    DraftInTheWay,
    NewerRevision,
    NothingToSave,
    Written,
    bring_back,
    discard,
    keep,
    revise,
    save,
    start_draft,
)
from articles.models import Article, Draft
from tests.articles.test_publishing import TEXT, make_article
from tests.people import edith, person


def typed(draft: Draft, **changes: Any) -> Written:
    return Written(content={**TEXT, **changes})


def test_a_draft_begins_with_the_newest_text(db: None) -> None:
    article = make_article()
    revise(article, TEXT, by=None, byline="Edith", machine_assisted=True)

    draft = start_draft(article, by=edith())

    assert draft.content["title"] == "Muscle twitching"
    assert (draft.byline, draft.machine_assisted) == ("Edith", True)


def test_a_refused_text_stays_in_the_draft_as_it_was_typed(db: None) -> None:
    by = edith()
    draft = start_draft(make_article(), by=by)
    keep(draft, typed(draft, body="<p>x</p><script>alert(1)</script>"), by=by)

    with pytest.raises(BadContent, match="script"):
        save(draft, by=by)

    draft.refresh_from_db()
    assert "<script>" in draft.content["body"]


def test_a_2_mb_paste_is_refused_in_a_sentence_and_kept(db: None) -> None:
    by = edith()
    draft = start_draft(make_article(), by=by)
    paste = '<p class="MsoNormal" style="mso-x:y">word</p>' * 45_000
    keep(draft, typed(draft, body=paste), by=by)

    with pytest.raises(BadContent, match="200,000 characters"):
        save(draft, by=by)

    draft.refresh_from_db()
    assert len(draft.content["body"]) == len(paste)


def test_saving_without_a_change_makes_no_revision(db: None) -> None:
    by, article = edith(), make_article()
    first, _ = revise(article, TEXT, by=None)
    draft = start_draft(article, by=by)

    again, made = save(draft, by=by)

    assert (again.pk, made) == (first.pk, False)
    assert not Draft.objects.exists()


def test_the_second_editor_sees_the_first_ones_text_and_keeps_their_own(
    db: None,
) -> None:
    article = make_article()
    revise(article, TEXT, by=None)
    ada, bob = person("ada", "editor"), person("bob", "editor")
    hers, his = start_draft(article, by=ada), start_draft(article, by=bob)
    keep(hers, typed(hers, summary="Hers."), by=ada)
    keep(his, typed(his, summary="His."), by=bob)
    save(hers, by=ada)

    with pytest.raises(NewerRevision, match="ada saved revision 2"):
        save(his, by=bob)

    his.refresh_from_db()
    assert his.content["summary"] == "His."
    newest = article.revisions.get(number=2)
    revision, made = save(his, by=bob, seen=newest.pk)
    assert (revision.number, made, revision.content["summary"]) == (3, True, "His.")


def test_m2_everybody_who_typed_is_an_author(db: None) -> None:
    article = make_article()
    ada, bob = person("ada", "author"), edith()
    draft = start_draft(article, by=ada)
    keep(draft, typed(draft, summary="Ada's."), by=ada)
    keep(draft, typed(draft, summary="Ada's, mended by Edith."), by=bob)

    revision, _ = save(draft, by=ada)

    assert revision.author_ids == sorted([ada.pk, bob.pk])


def test_a_text_brought_back_has_its_own_authors_and_standing(db: None) -> None:
    article = make_article()
    ada, by = person("ada", "author"), edith()
    first, _ = revise(article, TEXT, by=ada)
    revise(article, {**TEXT, "summary": "Worse."}, by=by)

    draft = bring_back(first, by=by)
    third, made = save(draft, by=by)

    assert (third.number, made) == (3, True)
    assert third.digest == first.digest
    assert third.author_ids == [ada.pk]


def test_bringing_back_replaces_no_unfinished_text(db: None) -> None:
    article, by = make_article(), edith()
    first, _ = revise(article, TEXT, by=None)
    draft = start_draft(article, by=by)
    keep(draft, typed(draft, summary="Unfinished."), by=by)

    with pytest.raises(DraftInTheWay, match="Save or discard"):
        bring_back(first, by=by)

    draft.refresh_from_db()
    assert draft.content["summary"] == "Unfinished."


def test_a_draft_that_is_gone_says_so(db: None) -> None:
    by = edith()
    draft = start_draft(make_article(), by=by)
    discard(draft)

    with pytest.raises(NothingToSave, match="another window"):
        keep(draft, typed(draft), by=by)
    with pytest.raises(NothingToSave):
        save(draft, by=by)


def test_an_articles_kind_never_changes(db: None) -> None:
    article = make_article()

    with pytest.raises(DatabaseError, match="kind"), transaction.atomic():
        Article.objects.filter(pk=article.pk).update(kind=Article.Kind.NEWS)


def test_m2_going_back_and_forth_washes_no_author_away(db: None) -> None:
    article, ada, bob = make_article(), person("ada", "author"), edith()
    first, _ = revise(article, TEXT, by=ada)
    mine = {**TEXT, "summary": "Bob's words."}
    revise(article, mine, by=bob)
    revise(article, dict(first.content), by=bob)

    again, _ = revise(article, {**mine, "title": "Bob's words in Ada's name"}, by=ada)

    assert again.author_ids == sorted([ada.pk, bob.pk])


def test_a_stale_window_replaces_nothing_that_was_kept_elsewhere(db: None) -> None:
    by = edith()
    draft = start_draft(make_article(), by=by)
    opened = draft.version
    keep(draft, typed(draft, summary="From the first window."), by=by, version=opened)

    with pytest.raises(ChangedElsewhere, match="another window"):
        keep(draft, typed(draft, summary="From the second."), by=by, version=opened)

    draft.refresh_from_db()
    assert draft.content["summary"] == "From the first window."
    keep(draft, typed(draft, summary="Seen."), by=by, version=draft.version)
