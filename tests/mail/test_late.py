"""What comes late, or goes wrong between two steps: no fate is lost, none is wrong."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, InternalError, OperationalError
from django.utils import timezone
from pytest_django import Settings

from mail import Batch, Delivery
from mail.adopting import adopt
from mail.batches import cancel, resume
from mail.books import Handover, exchange
from mail.claiming import claim, lease, release
from mail.closing import finish_batches
from mail.couriers import Couriers
from mail.environment import look
from mail.hosts import this_host
from mail.models import QueueEntry
from mail.outages import persistently
from mail.pausing import pause
from mail.settling import settle
from mail.smtp import Fate, Outcome
from mail.sweeping import sweep
from mail.uncertain import resend
from tests.conftest import Mailbox
from tests.mail.test_sending import person, states, tip_for_everybody
from tests.people import person as staff

State = Delivery.State
LATER = Outcome(Fate.LATER, reason="its lease ended")


def after_the_lease() -> Any:
    return timezone.now() + lease() + timedelta(seconds=1)


def frozen() -> tuple[Batch, Handover]:
    """A tip whose sender froze while it handed over; the sweep closed the batch."""
    person("rosa")
    batch = tip_for_everybody()
    (mine,) = exchange([], claim())
    sweep(after_the_lease())
    batch.refresh_from_db()
    assert (batch.state, states()) == (Batch.State.FINISHED, {"rosa": State.UNCERTAIN})
    return batch, mine


def test_a_late_later_lets_a_finished_batch_go_on(db: None, mailbox: Mailbox) -> None:
    batch, mine = frozen()

    settle(mine, LATER)

    batch.refresh_from_db()
    assert (batch.state, batch.finished_at) == (Batch.State.RUNNING, None)
    Delivery.objects.update(due_at=timezone.now())
    with Couriers() as couriers:
        couriers.deliver(claim())
    assert mailbox.taken == ["rosa@example.com"]


def test_a_late_later_is_dropped_where_the_batch_was_corrected(db: None) -> None:
    batch, mine = frozen()
    correction = tip_for_everybody()
    correction.corrects = batch
    correction.save()

    settle(mine, LATER)

    assert Delivery.objects.get(batch=batch).state == State.DROPPED


def test_a_late_250_spares_the_resend_that_has_not_begun(
    db: None, mailbox: Mailbox
) -> None:
    _, mine = frozen()
    resend(Delivery.objects.all(), by=staff("nadia"))

    exchange([Handover(mine.claim, mine.fence, "250 OK")], [])

    assert states() == {"rosa": State.ACCEPTED}
    assert claim() == []


def test_a_late_250_in_the_same_statement_spares_the_resend_too(db: None) -> None:
    _, mine = frozen()
    resend(Delivery.objects.all(), by=staff("nadia"))
    again = claim()

    begun = exchange([Handover(mine.claim, mine.fence, "250 OK")], again)

    assert (len(again), begun) == (1, [])
    assert states() == {"rosa": State.ACCEPTED}


def test_a_claim_is_released_only_while_nobody_hands_over(db: None) -> None:
    person("rosa")
    tip_for_everybody()
    claims = claim()
    exchange([], claims)

    release([one.id for one in claims])

    assert QueueEntry.objects.get().claimed_until is not None


def test_a_cancelled_batch_ends_even_if_a_claim_was_lost(db: None) -> None:
    person("rosa")
    batch = tip_for_everybody()
    exchange([], claim())
    QueueEntry.objects.update(claimed_until=None)
    cancel(batch.pk, reason="a test", by=staff("nadia"))

    sweep(after_the_lease())

    batch.refresh_from_db()
    assert states() == {"rosa": State.UNCERTAIN}
    assert batch.finished_at is not None


def test_a_batch_to_which_something_came_back_is_not_closed(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, mine = frozen()
    Batch.objects.update(state=Batch.State.RUNNING, finished_at=None)
    found = Batch.objects.filter(pk=batch.pk)
    monkeypatch.setattr("mail.closing._open_and_empty", both(found))
    settle(mine, LATER)

    finish_batches()

    batch.refresh_from_db()
    assert batch.finished_at is None


def both(first: Any) -> Any:
    """Seen as open and empty before it is locked, as it is once it is."""
    from mail.closing import _open_and_empty as really

    calls = [lambda batches: first]

    def seen(batches: Any) -> Any:
        return calls.pop()(batches) if calls else really(batches)

    return seen


def test_a_large_batch_keeps_no_other_one_waiting(db: None) -> None:
    for number in range(20):
        person(f"p{number}")
    first, second = tip_for_everybody(), tip_for_everybody()

    # The older one alone would do for all of them; twenty times heads is no luck.
    claims = [one.batch_id for _ in range(20) for one in claim(1)]

    assert set(claims) == {first.pk, second.pk}


def test_a_resumed_batch_keeps_its_pace(db: None, settings: Settings) -> None:
    settings.MAIL_PACE = 60
    for number in range(3):
        person(f"p{number}")
    batch = tip_for_everybody()
    pause(batch.pk, reason="a test")
    Delivery.objects.update(due_at=timezone.now() - timedelta(minutes=30))

    resume(batch.pk, by=staff("nadia"))

    due = sorted(Delivery.objects.values_list("due_at", flat=True))
    assert [(at - due[0]).total_seconds() for at in due] == [0, 1, 2]


def test_what_was_taken_is_noted_whatever_fails_next(
    db: None, mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAIL_CONNECTIONS = 1
    person("rosa")
    person("ruth")
    tip_for_everybody()
    claims = claim()
    from mail.couriers import _next_letters as really

    made: list[int] = []

    def letters(*args: Any) -> Any:
        if made:
            raise OperationalError("the database went away")
        made.append(1)
        return really(*args)

    monkeypatch.setattr("mail.couriers._next_letters", letters)

    with pytest.raises(OperationalError), Couriers() as couriers:
        couriers.deliver(claims)

    assert sorted(states().values()) == [State.ACCEPTED, State.QUEUED]


def test_a_database_that_fails_refuses_nobody(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("rosa")
    tip_for_everybody()

    def fail(batch_id: int) -> None:
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr("mail.letters._batch", fail)

    with pytest.raises(OperationalError), Couriers() as couriers:
        couriers.deliver(claim())

    assert states() == {"rosa": State.QUEUED}


class ReadOnly(Exception):
    sqlstate = "25006"


class Unprepared(Exception):
    sqlstate = "26000"


@pytest.mark.parametrize("cause", [ReadOnly(), Unprepared()])
def test_a_server_that_only_reads_or_forgot_its_plans_is_asked_again(
    cause: Exception,
) -> None:
    errors: list[DatabaseError] = [InternalError()]
    errors[0].__cause__ = cause

    def write() -> str:
        if errors:
            raise errors.pop()
        return "written"

    assert persistently(write) == "written"


def test_a_statement_that_is_wrong_is_not_tried_again() -> None:
    def write() -> None:
        raise InternalError

    with pytest.raises(InternalError):
        persistently(write)


def test_a_dropped_batch_ends_when_its_hand_overs_have(db: None) -> None:
    person("rosa")
    person("ruth")
    batch = tip_for_everybody()
    exchange([], claim(1))

    adopt(look(this_host()), drop=True)

    batch.refresh_from_db()
    assert sorted(states().values()) == [State.DROPPED, State.HANDING_OVER]
    assert (batch.state, batch.finished_at) == (Batch.State.CANCELLED, None)
    assert [event.act for event in batch.events.all()] == ["cancelled"]
    sweep(after_the_lease())
    batch.refresh_from_db()
    assert batch.finished_at is not None
