"""Old deliveries become counts: nothing is lost, doubled, or silently settled."""

import io
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Sum

from mail import Batch, Delivery, Recipient, counts, retention
from mail.closing import finish_batches
from mail.figures import figures
from mail.manifest import manifest_digest
from mail.models import BatchCount, YearlyCount
from mail.recipients import erase
from mail.retention import count_up_old
from mail.uncertain import settle_as_arrived
from tests.mail.test_batches import settle
from tests.mail.test_sending import person, tip_for_everybody
from tests.people import edith
from tests.racing import PowerCut, at_once, power_cut

State = Delivery.State
LONG_AGO = timedelta(days=400)


def ended(*, people: int = 6, uncertain: bool = False) -> Batch:
    """A batch of 2025 with one of each fate, and the rest accepted."""
    for number in range(people):
        person(f"p{number}")
    batch = tip_for_everybody()
    settle("p0", State.REFUSED, "SMTP 550")
    settle("p1", State.DROPPED, "unsubscribed")
    if uncertain:
        settle("p2", State.UNCERTAIN, "its worker vanished")
    Delivery.objects.waiting().update(
        state=State.ACCEPTED, finished_at=datetime(2026, 11, 20, 9, tzinfo=UTC)
    )
    Delivery.objects.filter(recipient__address__startswith="p3").update(
        bounce="complaint", bounced_at=datetime(2026, 11, 20, 10, tzinfo=UTC)
    )
    finish_batches()
    age(batch)
    return Batch.objects.get(pk=batch.pk)


def age(batch: Batch) -> None:
    Delivery.objects.filter(batch=batch).update(finished_at=F("finished_at") - LONG_AGO)
    Batch.objects.filter(pk=batch.pk).update(finished_at=F("finished_at") - LONG_AGO)


def yearly() -> Counter[tuple[int, str, str]]:
    rows = YearlyCount.objects.values_list("year", "state", "bounce", "count")
    return Counter({(year, state, bounce): n for year, state, bounce, n in rows})


def test_a_batch_adds_up_when_its_rows_are_gone(db: None) -> None:
    batch = ended()
    before = figures(batch)

    assert count_up_old() == 6

    assert not Delivery.objects.exists()
    assert figures(Batch.objects.get()) == before
    assert counts(batch).add_up
    assert yearly() == {
        (2025, "accepted", ""): 3,
        (2025, "accepted", "complaint"): 1,
        (2025, "refused", ""): 1,
        (2025, "dropped", ""): 1,
    }


def test_what_is_young_stays(db: None) -> None:
    batch = ended()
    Delivery.objects.update(finished_at=F("finished_at") + timedelta(days=30))
    Batch.objects.update(finished_at=F("finished_at") + timedelta(days=30))

    assert count_up_old() == 0

    assert batch.deliveries.count() == 6


def test_the_manifests_digest_is_kept(db: None) -> None:
    batch = ended()
    digest = manifest_digest(batch)

    count_up_old()

    batch.refresh_from_db()
    assert batch.manifest_sha256 == digest
    with pytest.raises(CommandError, match=digest):
        call_command("batchreport", str(batch.pk), "--manifest")
    out = io.StringIO()
    call_command("batchreport", str(batch.pk), stdout=out)
    assert "The sum holds: 6 = 4 + 1 + 1 + 0." in out.getvalue()


def test_what_is_uncertain_stays_until_it_is_settled(db: None) -> None:
    batch = ended(uncertain=True)

    count_up_old()

    (left,) = Delivery.objects.all()
    assert left.state == State.UNCERTAIN
    assert counts(batch).add_up
    assert counts(batch).uncertain == 1
    settle_as_arrived(Delivery.objects.all(), by=edith())
    assert counts(batch).add_up
    assert count_up_old() == 1
    assert counts(batch).accepted == 4
    assert counts(batch).add_up
    assert YearlyCount.objects.aggregate(all=Sum("count"))["all"] == 6


def test_a_batch_that_goes_on_keeps_its_rows(db: None) -> None:
    batch = ended()
    Batch.objects.update(state=Batch.State.RUNNING, finished_at=None)

    assert count_up_old() == 0

    assert batch.deliveries.count() == 6


def test_single_mails_are_counted_too(db: None) -> None:
    old = datetime(2025, 1, 1, tzinfo=UTC)
    somebody = person("rosa")
    for number, state in enumerate((State.ACCEPTED, State.UNCERTAIN)):
        Delivery.objects.create(
            recipient=somebody,
            kind=Delivery.Kind.CONFIRMATION,
            idempotency_key=f"one-{number}",
            state=state,
            reason="" if state == State.ACCEPTED else "broken",
            finished_at=old,
        )

    assert count_up_old() == 1

    assert Delivery.objects.get().state == State.UNCERTAIN
    assert YearlyCount.objects.get().kind == "confirmation"


def test_killed_half_way_it_neither_loses_nor_doubles(
    cloned_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PIECE", 2)
    batch = ended(people=9)
    before = figures(batch)

    for writes in (1, 2, 3):
        with pytest.raises(PowerCut), power_cut(writes):
            count_up_old()
        left = Delivery.objects.count()
        counted = YearlyCount.objects.aggregate(all=Sum("count"))["all"] or 0
        assert left + counted == 9
        assert figures(Batch.objects.get()) == before
    count_up_old()

    assert figures(Batch.objects.get()) == before
    assert YearlyCount.objects.aggregate(all=Sum("count"))["all"] == 9


def test_two_at_once_count_each_once(
    cloned_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PIECE", 3)
    batch = ended(people=40)
    before = figures(batch)

    ends = at_once(count_up_old, count_up_old, count_up_old)

    assert sum(ends) == 40
    assert figures(Batch.objects.get()) == before
    assert BatchCount.objects.aggregate(all=Sum("count"))["all"] == 40


def test_who_was_erased_leaves_no_row_in_the_end(db: None) -> None:
    ended()
    for one in Recipient.objects.all():
        erase(one)

    count_up_old()

    assert not Recipient.objects.exists()
