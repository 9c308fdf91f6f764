"""What people do with a batch: each verb once, written down, and the sum must hold."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from mail import Batch, Delivery, TipMail, closing
from mail.batches import cancel, correct, resume, to_correct
from mail.closing import finish_batches
from mail.counting import counts, pace
from mail.models import BatchEvent, Recipient
from mail.pausing import pause
from mail.sending import send_due
from mail.sweeping import sweep
from tests.conftest import Mailbox
from tests.mail.test_sending import HTML, TIP, person, states, tip_for_everybody
from tests.people import person as staff
from tests.racing import at_once, leaves_nothing_behind

State = Delivery.State
NEWER = TipMail("Rest your eyes, corrected", HTML, TIP.text)


def state(batch: Batch) -> str:
    batch.refresh_from_db()
    return batch.state


def acts(batch: Batch) -> list[tuple[str, str, str]]:
    return [
        (one.act, one.by.username if one.by else "", one.note)
        for one in batch.events.select_related("by")
    ]


def settle(name: str, fate: State, reason: str = "x") -> None:
    finished_at = timezone.now() if fate in Delivery.FINAL else None
    Delivery.objects.filter(recipient__address=f"{name}@example.com").update(
        state=fate, reason=reason, finished_at=finished_at, leased_until=None
    )


def begin(name: str) -> None:
    Delivery.objects.filter(recipient__address=f"{name}@example.com").update(
        state=State.HANDING_OVER, leased_until=timezone.now()
    )


@pytest.fixture
def nadia(db: None) -> Any:
    return staff("nadia", "newsletter manager")


def test_a_paused_batch_sends_nothing_until_it_is_resumed(
    nadia: Any, mailbox: Mailbox
) -> None:
    person("rosa")
    batch = tip_for_everybody()

    assert pause(batch.pk, reason="a typing error", by=nadia)
    send_due()
    assert (mailbox.taken, state(batch)) == ([], Batch.State.PAUSED)
    assert resume(batch.pk, by=nadia)
    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert state(batch) == Batch.State.FINISHED
    assert acts(batch) == [
        ("paused", "nadia", "a typing error"),
        ("resumed", "nadia", "It was paused: a typing error"),
    ]


def test_the_engines_own_pause_is_written_down_too(db: None) -> None:
    person("rosa")
    batch = tip_for_everybody()

    pause(batch.pk, reason="the mail server refused the sender")

    assert acts(batch) == [("paused", "", "the mail server refused the sender")]


def test_cancelling_drops_what_waits_and_lets_a_hand_over_finish(
    nadia: Any, mailbox: Mailbox
) -> None:
    person("rosa"), person("leaving")
    batch = tip_for_everybody()
    begin("leaving")

    assert cancel(batch.pk, reason="the dose is wrong", by=nadia) == 1
    assert (state(batch), batch.finished_at) == (Batch.State.CANCELLED, None)
    settle("leaving", State.ACCEPTED)
    send_due()

    assert states() == {"rosa": State.DROPPED, "leaving": State.ACCEPTED}
    assert mailbox.taken == []
    assert state(batch) == Batch.State.CANCELLED
    assert batch.finished_at is not None
    dropped = Delivery.objects.get(state=State.DROPPED)
    assert dropped.reason == "cancelled"


def test_what_comes_back_to_the_queue_of_a_cancelled_batch_is_dropped(
    nadia: Any,
) -> None:
    person("rosa")
    batch = tip_for_everybody()
    begin("rosa")
    cancel(batch.pk, reason="wrong", by=nadia)
    Delivery.objects.update(state=State.QUEUED, leased_until=None, reason="SMTP 451")

    sweep()

    assert states() == {"rosa": State.DROPPED}
    assert counts(batch).add_up


@pytest.mark.parametrize("ended", [Batch.State.FINISHED, Batch.State.CANCELLED])
def test_what_has_ended_is_neither_paused_nor_resumed_nor_cancelled(
    nadia: Any, ended: Batch.State
) -> None:
    person("rosa")
    batch = tip_for_everybody()
    Batch.objects.update(state=ended, finished_at=timezone.now())

    assert not pause(batch.pk, reason="late", by=nadia)
    assert not resume(batch.pk, by=nadia)
    assert cancel(batch.pk, reason="late", by=nadia) is None

    assert state(batch) == ended
    assert acts(batch) == []


def test_of_two_clicks_one_does_it(cloned_database: str) -> None:
    nadia = staff("nadia", "newsletter manager")
    for number in range(20):
        person(f"p{number}")
    batch = tip_for_everybody()

    paused = at_once(*[lambda: pause(batch.pk, reason="x", by=nadia)] * 4)
    resumed = at_once(*[lambda: resume(batch.pk, by=nadia)] * 4)
    dropped = at_once(*[lambda: cancel(batch.pk, reason="x", by=nadia)] * 4)

    assert sorted(paused) == sorted(resumed) == [False, False, False, True]
    assert sorted(dropped, key=str) == [20, None, None, None]
    assert [act for act, _, _ in acts(batch)] == ["paused", "resumed", "cancelled"]


def test_cancelling_while_it_is_sent_loses_nobody_and_adds_up(
    cloned_database: str, mailbox: Mailbox
) -> None:
    nadia = staff("nadia", "newsletter manager")
    for number in range(60):
        person(f"p{number}")
    batch = tip_for_everybody()

    def stop() -> int | None:
        while len(mailbox.taken) < 5:
            time.sleep(0.001)
        return cancel(batch.pk, reason="stop", by=nadia)

    sent, dropped = at_once(send_due, stop)
    sweep()

    assert not isinstance(sent, Exception)
    found = counts(batch)
    assert found.add_up
    assert 5 <= found.accepted == len(mailbox.taken) == 60 - found.dropped
    assert 0 < dropped <= found.dropped


def test_a_cancelled_batch_is_dropped_in_pieces(
    nadia: Any, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the first piece: nothing leaves, and the sweep goes on."""
    monkeypatch.setattr(closing, "PIECE", 2)
    for number in range(5):
        person(f"p{number}")
    batch = tip_for_everybody()

    assert cancel(batch.pk, reason="wrong", by=nadia) == 2
    send_due()
    assert (mailbox.taken, counts(batch).waiting) == ([], 3)
    assert (state(batch), batch.finished_at) == (Batch.State.CANCELLED, None)
    sweep()

    assert counts(batch).by_reason(State.DROPPED) == {"cancelled": 5}
    assert state(batch) == Batch.State.CANCELLED
    assert batch.finished_at is not None


def test_senders_see_that_it_is_cancelled_before_anything_is_dropped(
    cloned_database: str,
) -> None:
    nadia = staff("nadia", "newsletter manager")
    person("rosa")
    batch = tip_for_everybody()
    seen = []

    def look(execute: Any, sql: Any, *args: Any) -> Any:
        if str(sql).startswith('UPDATE "mail_delivery"'):
            seen.extend(at_once(lambda: Batch.objects.get(pk=batch.pk).state))
        return execute(sql, *args)

    with connection.execute_wrapper(look):
        cancel(batch.pk, reason="wrong", by=nadia)

    assert seen == [Batch.State.CANCELLED]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_verb_killed_half_way_has_done_nothing(
    cloned_database: str, verb: str
) -> None:
    nadia = staff("nadia", "newsletter manager")
    person("rosa")
    batch = tip_for_everybody()
    if verb == "resume":
        pause(batch.pk, reason="x", by=nadia)
    calls = {
        "pause": lambda: pause(batch.pk, reason="x", by=nadia),
        "resume": lambda: resume(batch.pk, by=nadia),
    }

    assert leaves_nothing_behind(calls[verb]) >= 2


def test_what_was_done_is_never_changed(nadia: Any) -> None:
    person("rosa")
    batch = tip_for_everybody()
    pause(batch.pk, reason="x", by=nadia)

    for change in (
        lambda: BatchEvent.objects.update(note="y"),
        lambda: BatchEvent.objects.all().delete(),
    ):
        with pytest.raises(Error, match="append_only"), transaction.atomic():
            change()


def test_a_batch_is_counted_by_fate_and_reason(db: None) -> None:
    for name in ("a", "b", "c", "d", "e", "f"):
        person(name)
    batch = tip_for_everybody()
    settle("a", State.ACCEPTED, "")
    settle("b", State.REFUSED, "SMTP 550")
    settle("c", State.DROPPED, "unsubscribed")
    settle("d", State.UNCERTAIN, "its worker vanished")
    begin("e")

    found = counts(batch)

    assert (found.eligible, found.accepted, found.refused) == (6, 1, 1)
    assert (found.dropped, found.uncertain, found.waiting) == (1, 1, 2)
    assert found.by_reason(State.REFUSED) == {"SMTP 550": 1}
    assert not found.add_up
    assert (found.is_complete, found.percent) == (True, 66)


def test_a_batch_with_somebody_missing_is_never_finished(db: None) -> None:
    for name in ("a", "b"):
        person(name)
    batch = tip_for_everybody()
    settle("a", State.ACCEPTED)
    Delivery.objects.filter(state=State.QUEUED).delete()

    finish_batches()

    assert state(batch) == Batch.State.RUNNING
    assert not counts(batch).is_complete


def test_the_pace_is_of_what_was_taken(db: None) -> None:
    for name in ("a", "b", "c"):
        person(name)
    batch = tip_for_everybody()
    now = timezone.now()
    for name, seconds in (("a", 0), ("b", 4)):
        settle(name, State.ACCEPTED)
        Delivery.objects.filter(recipient__address=f"{name}@example.com").update(
            finished_at=now + timedelta(seconds=seconds)
        )
    settle("c", State.REFUSED)

    found = pace(batch)

    assert (found.accepted, found.seconds, found.per_second) == (2, 4.0, 0.5)


def test_a_correction_goes_to_exactly_those_who_got_it(nadia: Any) -> None:
    names = ("got", "refused", "dropped", "unsure", "left", "complained")
    people = {name: person(name) for name in names}
    batch = tip_for_everybody()
    person("newcomer")
    for name in names:
        settle(name, State.ACCEPTED)
    settle("refused", State.REFUSED)
    settle("dropped", State.DROPPED)
    settle("unsure", State.UNCERTAIN)
    Recipient.objects.filter(pk=people["left"].pk).update(may_receive=False)
    Recipient.objects.filter(pk=people["complained"].pk).update(
        suppressed_at=timezone.now(), suppression="complaint"
    )
    finish_batches()

    made = correct(batch, name="correction", mail=NEWER, warrant={}, by=nadia)

    assert made is not None
    assert (made.corrects, made.eligible) == (batch, 1)
    (delivery,) = made.deliveries.all()
    assert delivery.recipient == people["got"]
    assert acts(batch) == [("corrected", "nadia", "For 1 people: correction")]


def test_nobody_is_corrected_while_some_may_still_get_the_old_text(
    nadia: Any,
) -> None:
    person("rosa"), person("late")
    batch = tip_for_everybody()
    settle("rosa", State.ACCEPTED)
    finish_batches()

    assert to_correct(batch).count() == 1
    assert correct(batch, name="x", mail=NEWER, warrant={}, by=nadia) is None
    assert Batch.objects.count() == 1


def test_an_overdue_batch_that_a_person_resumes_goes_out(
    nadia: Any, mailbox: Mailbox
) -> None:
    person("rosa")
    batch = tip_for_everybody()
    late = timezone.now() - timedelta(hours=2)
    Delivery.objects.update(dated_at=late, due_at=late)
    Batch.objects.update(overdue_at=late + timedelta(hours=1))
    send_due()
    assert state(batch) == Batch.State.PAUSED
    assert acts(batch)[0][:2] == ("paused", "")

    resume(batch.pk, by=nadia)
    send_due()

    assert mailbox.taken == ["rosa@example.com"]
