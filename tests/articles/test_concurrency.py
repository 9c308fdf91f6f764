"""Two at once, and a process that dies half-way: readers get one signed text."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from time import sleep
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from articles import addresses, editing, publishing, scheduling
from articles.addresses import AddressTaken
from articles.models import (
    Article,
    Draft,
    FormerSlug,
    PublishingEvent,
    Revision,
    ScheduledPublication,
)
from articles.refusals import Refused
from ledger import Redaction
from ledger.redacting import redact
from ledger.verifying import verify
from review import SignOff, hold
from review.models import TextInUse
from review.signing import retract
from tests.articles.signed_page import (
    TEXT,
    Site,
    approved,
    clinician,
    open_site,
)
from tests.racing import TIMES, at_once, leaves_nothing_behind

Act = PublishingEvent.Act


@pytest.fixture
def site(cloned_database: str) -> Site:
    return open_site()


def signed_text(site: Site, title: str) -> tuple[Revision, SignOff]:
    revision, _ = editing.revise(site.article, {**TEXT, "title": title}, by=site.edith)
    return revision, approved(revision, site.article.subject)


def live(site: Site) -> Revision:
    found = Article.objects.select_related("live_revision").get(pk=site.article.pk)
    assert found.live_revision
    return found.live_revision


def kinds(ends: list[Any]) -> list[str]:
    return sorted(type(end).__name__ for end in ends)


def test_two_schedulers_at_once_publish_once(site: Site) -> None:
    for number in range(TIMES):
        revision, _ = signed_text(site, f"Text {number}")
        later = timezone.now() + timedelta(seconds=0.05)
        scheduling.schedule(revision, by=site.edith, planned_for=later)

        ends = at_once(*[partial(scheduling.publish_due, later)] * 3)

        assert sorted(ends) == [0, 0, 1]
        assert revision.events.filter(act=Act.PUBLISHED).count() == 1
        assert live(site) == revision


def test_a_scheduler_and_a_person_at_once_publish_once(site: Site) -> None:
    for number in range(TIMES):
        revision, _ = signed_text(site, f"Text {number}")
        later = timezone.now() + timedelta(seconds=0.05)
        plan = scheduling.schedule(revision, by=site.edith, planned_for=later)

        at_once(
            partial(scheduling.publish_due, later),
            partial(publishing.publish, revision, by=site.edith),
        )

        plan.refresh_from_db()
        assert plan.state != ScheduledPublication.State.WAITING
        assert revision.events.filter(act=Act.PUBLISHED).count() == 1


def test_cancelling_and_publishing_at_once_is_one_of_them(site: Site) -> None:
    for number in range(TIMES):
        revision, _ = signed_text(site, f"Text {number}")
        later = timezone.now() + timedelta(seconds=0.05)
        plan = scheduling.schedule(revision, by=site.edith, planned_for=later)

        published, cancelled = at_once(
            partial(scheduling.publish_due, later),
            partial(scheduling.cancel, plan, by=site.edith),
        )

        plan.refresh_from_db()
        was_published = plan.state == ScheduledPublication.State.PUBLISHED
        assert (published == 1) is was_published
        assert (cancelled is None) is not was_published
        assert (live(site) == revision) is was_published


def test_withdrawing_and_a_scheduler_do_not_wait_for_each_other(site: Site) -> None:
    for number in range(TIMES):
        revision, _ = signed_text(site, f"Text {number}")
        later = timezone.now() + timedelta(seconds=0.05)
        scheduling.schedule(revision, by=site.edith, planned_for=later)

        ends = at_once(
            partial(scheduling.publish_due, later),
            lambda: publishing.withdraw(site.article, reason="Old.", by=site.edith),
        )

        site.article.refresh_from_db()
        assert ends[1] is None, ends
        assert ends[0] in (0, 1)
        assert site.article.live_revision is None
        publishing.publish(site.live, by=site.edith)


def test_nothing_goes_live_after_its_approval_was_taken_back(site: Site) -> None:
    refusals = 0
    for number in range(2 * TIMES):
        revision, sign_off = signed_text(site, f"Text {number}")

        published, retracted = at_once(
            partial(publishing.publish, revision, by=site.edith),
            partial(retract, sign_off, by=clinician(), comment="Wrong."),
        )

        assert isinstance(retracted, SignOff), retracted
        event = revision.events.first()
        if published is None:
            # The ledger numbers what happened in the order of the commits.
            assert event
            assert event.entry_id < retracted.entry_id
        else:
            refusals += 1
            assert isinstance(published, publishing.NotSignedOff)
            assert event is None
    assert 0 <= refusals <= 2 * TIMES


def test_a_publication_that_waited_for_a_retraction_sees_it(site: Site) -> None:
    """The verdict comes later than the press on “Publish”, and counts."""
    revision, sign_off = signed_text(site, "New")

    def take_back() -> None:
        with transaction.atomic():
            hold(sign_off.subject)
            wait_for_a_waiting_one()
            retract(sign_off, by=clinician(), comment="Wrong.")

    _, published = at_once(take_back, lambda: publish_while_held(site, revision))

    assert isinstance(published, publishing.NotSignedOff), published
    assert live(site) == site.live


def test_a_scheduler_that_waited_for_a_retraction_sees_it(site: Site) -> None:
    revision, sign_off = signed_text(site, "New")
    later = timezone.now() + timedelta(seconds=0.05)
    plan = scheduling.schedule(revision, by=site.edith, planned_for=later)

    def take_back() -> None:
        with transaction.atomic():
            hold(sign_off.subject)
            wait_for_a_waiting_one()
            retract(sign_off, by=clinician(), comment="Wrong.")

    def publish_due() -> int:
        wait_for(HELD.format(""))
        sleep(0.05)
        return scheduling.publish_due()

    _, published = at_once(take_back, publish_due)

    plan.refresh_from_db()
    assert published == 0
    assert plan.state == ScheduledPublication.State.REFUSED
    assert "approval back" in plan.reason
    assert live(site) == site.live


def publish_while_held(site: Site, revision: Revision) -> None:
    wait_for(HELD.format(""))
    publishing.publish(revision, by=site.edith)


# Who holds a subject, or waits for it, in this database.
HELD = (
    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND {} granted"
)


def wait_for_a_waiting_one() -> None:
    """Until somebody else waits for what this transaction holds."""
    wait_for(HELD.format("NOT"))


def wait_for(count: str) -> None:
    until = timezone.now() + timedelta(seconds=10)
    with connection.cursor() as cursor:
        while timezone.now() < until:
            cursor.execute(count)
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody came")


def test_two_editors_saving_at_once_lose_no_word(site: Site) -> None:
    emil = clinician().user
    for number in range(TIMES):
        drafts = [
            editing.start_draft(site.article, by=one) for one in (site.edith, emil)
        ]
        for draft, text in zip(drafts, ("one", "two"), strict=True):
            written = editing.Written({**TEXT, "title": f"Text {number} {text}"})
            editing.keep(draft, written, by=draft.editor)

        ends = at_once(
            *[partial(editing.save, draft, by=draft.editor) for draft in drafts]
        )

        assert kinds(ends) == ["NewerRevision", "tuple"]
        (kept,) = Draft.objects.all()
        assert kept.content["title"].startswith(f"Text {number} ")
        newest = editing.newest_revision(site.article)
        assert newest is not None
        editing.save(kept, by=kept.editor, seen=newest.pk)
    numbers = site.article.revisions.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, 2 * TIMES + 2))


def test_the_same_draft_saved_twice_at_once_makes_one_revision(site: Site) -> None:
    for number in range(TIMES):
        draft = editing.start_draft(site.article, by=site.edith)
        written = editing.Written({**TEXT, "title": f"Text {number}"})
        editing.keep(draft, written, by=site.edith)

        ends = at_once(*[partial(editing.save, draft, by=site.edith)] * 2)

        assert kinds(ends) == ["NothingToSave", "tuple"]
        assert site.article.revisions.count() == number + 2


def test_two_windows_of_one_editor_share_one_draft(site: Site) -> None:
    for _ in range(TIMES):
        ends = at_once(*[lambda: editing.start_draft(site.article, by=site.edith)] * 3)

        assert len({draft.pk for draft in ends}) == 1
        editing.discard(ends[0])


def test_an_address_is_nobody_elses_however_it_is_taken(site: Site) -> None:
    for number in range(TIMES):
        old, new = f"old-{number}", f"new-{number}"
        moving = make(site, old)

        ends = at_once(
            partial(addresses.move, moving, slug=new, by=site.edith),
            partial(make, site, new),
            partial(make, site, old),
        )

        moved, *others = ends
        assert moved is None or isinstance(moved, AddressTaken), moved
        assert all(isinstance(one, Article | IntegrityError) for one in others)
        taken = [*Article.objects.values_list("slug", flat=True)]
        taken += FormerSlug.objects.values_list("slug", flat=True)
        assert len(taken) == len(set(taken))
        assert {old, new} <= set(taken)


def make(site: Site, slug: str) -> Article:
    return Article.objects.create(slug=slug, section=site.article.section, kind="guide")


def test_a_redaction_and_a_publication_at_once_leave_no_copy(site: Site) -> None:
    for number in range(TIMES):
        revision, _ = signed_text(site, f"Secret {number}")

        redacted, published = at_once(
            partial(redact, revision.digest, reason="A court.", using="owner"),
            partial(publishing.publish, revision, by=site.edith),
        )

        assert isinstance(redacted, dict), redacted
        assert published is None or isinstance(published, Refused), published
        assert no_copy_of(f"Secret {number}")
    assert Redaction.objects.count() == TIMES
    assert verify().is_whole


def no_copy_of(words: str) -> bool:
    models = (Revision, SignOff, TextInUse)
    return not any(
        model._default_manager.filter(content__title=words).exists() for model in models
    )


def test_the_same_text_saved_while_it_is_redacted_does_not_come_back(
    site: Site,
) -> None:
    for number in range(TIMES):
        text = {**TEXT, "title": f"Secret {number}"}
        revision, _ = editing.revise(site.article, text, by=site.edith)
        editing.revise(site.article, TEXT, by=site.edith)

        redacted, saved = at_once(
            partial(redact, revision.digest, reason="A court.", using="owner"),
            partial(editing.revise, site.article, text, by=site.edith),
        )

        assert isinstance(redacted, dict), redacted
        assert isinstance(saved, tuple | Refused), saved
        assert no_copy_of(f"Secret {number}")


# --- Half-way -------------------------------------------------------------------------


def test_a_publication_that_dies_half_way_never_was(site: Site) -> None:
    revision, _ = signed_text(site, "New")

    writes = leaves_nothing_behind(lambda: publishing.publish(revision, by=site.edith))

    assert writes >= 5
    assert live(site) == revision


@pytest.mark.parametrize("act", ["withdraw", "correct", "move", "unsigned", "later"])
def test_nor_does_any_other_verb_leave_half_of_itself(site: Site, act: str) -> None:
    unsigned, _ = editing.revise(site.article, {**TEXT, "title": "New"}, by=None)
    signed, _ = signed_text(site, "Signed")
    article, edith = site.article, site.edith
    verbs: dict[str, Callable[[], object]] = {
        "withdraw": lambda: publishing.withdraw(article, reason="Old.", by=edith),
        "correct": lambda: publishing.correct(article, note="5 mg.", by=edith),
        "move": lambda: addresses.move(article, slug="elsewhere", by=edith),
        "unsigned": lambda: publishing.publish_unsigned(
            unsigned, by=edith, reason="Urgent."
        ),
        "later": scheduling.publish_due,
    }
    if act == "later":
        scheduling.schedule(
            signed, by=edith, planned_for=timezone.now() + timedelta(seconds=0.01)
        )

    assert leaves_nothing_behind(verbs[act]) >= 1

    assert verify().is_whole


def test_a_draft_whose_saving_dies_half_way_is_kept(site: Site) -> None:
    draft = editing.start_draft(site.article, by=site.edith)
    editing.keep(draft, editing.Written({**TEXT, "title": "New"}), by=site.edith)

    writes = leaves_nothing_behind(lambda: editing.save(draft, by=site.edith))

    assert writes >= 4
    assert site.article.revisions.count() == 2


def test_a_redaction_that_dies_half_way_leaves_the_text(site: Site) -> None:
    writes = leaves_nothing_behind(
        lambda: redact(site.live.digest, reason="A court.", using="owner"),
        using="owner",
    )

    assert writes >= 5
    assert verify().is_whole
