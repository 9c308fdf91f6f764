"""What comes back is noted once, for our own key alone, and answered never."""

import logging
from datetime import timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from pytest_django import Settings

from mail import Batch, Delivery, Recipient, enqueue, start_batch
from mail.batches import resume
from mail.bounces import Share, Taken, complaint_share, complaint_share_of_week, take
from mail.reports import Kind
from mail.sending import send_due
from tests.conftest import Mailbox
from tests.mail.test_reports import KEY, returned
from tests.mail.test_sending import TIP, person, tip_for_everybody

Bounce = Delivery.Bounce
State = Delivery.State


def about(delivery: Delivery, name: str) -> bytes:
    """The fixture `name` as it comes back for `delivery`."""
    return returned(name).replace(KEY.hex.encode(), delivery.key.hex.encode())


def sent(recipient: Recipient, batch: Batch | None = None) -> Delivery:
    return Delivery.objects.create(
        recipient=recipient,
        batch=batch,
        kind=Delivery.Kind.TIP if batch else Delivery.Kind.CONFIRMATION,
        idempotency_key=str(uuid4()),
        state=State.ACCEPTED,
        dated_at=timezone.now(),
        due_at=timezone.now(),
        finished_at=timezone.now(),
    )


def sent_batch(accepted: int, *, state: Batch.State = Batch.State.RUNNING) -> Batch:
    """A batch that so many people's servers took."""
    now = timezone.now()
    finished_at = now if state == Batch.State.FINISHED else None
    batch = Batch.objects.create(
        name="tip", message=b"x", state=state, finished_at=finished_at
    )
    people = Recipient.objects.bulk_create(
        Recipient(address=f"{batch.pk}-{n}@example.com", may_receive=True)
        for n in range(accepted)
    )
    Delivery.objects.bulk_create(
        Delivery(
            recipient=one,
            batch=batch,
            kind=Delivery.Kind.TIP,
            idempotency_key=f"batch-{batch.pk}-{one.pk}",
            state=State.ACCEPTED,
            dated_at=now,
            due_at=now,
            finished_at=now,
        )
        for one in people
    )
    return batch


def complain(batch: Batch, times: int) -> None:
    deliveries = Delivery.objects.filter(batch=batch, bounce="").order_by("pk")
    for delivery in deliveries[:times]:
        take(about(delivery, "yahoo-feedback-loop"))


def noted(delivery: Delivery) -> tuple[str, str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.bounce, delivery.bounce_status


def suppression(recipient: Recipient) -> str:
    recipient.refresh_from_db()
    return recipient.suppression


def state(batch: Batch) -> str:
    batch.refresh_from_db()
    return batch.state


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        str(record.msg["event"] if isinstance(record.msg, dict) else record.msg)
        for record in caplog.records
        if record.levelno >= logging.ERROR
    ]


def test_a_hard_bounce_suppresses_and_the_fate_stays(db: None) -> None:
    rosa = person("rosa")
    delivery = sent(rosa, sent_batch(0))

    taken = take(about(delivery, "postfix-unknown-user"))

    assert taken == Taken(Kind.HARD, "5.1.1", delivery.pk)
    assert noted(delivery) == (State.ACCEPTED, Bounce.HARD, "5.1.1")
    assert delivery.bounced_at is not None
    assert suppression(rosa) == Recipient.Suppression.HARD_BOUNCE


def test_a_bounced_confirmation_suppresses_as_well(db: None) -> None:
    rosa = person("rosa", may_receive=False)
    delivery = sent(rosa)

    take(about(delivery, "gmail-no-such-user"))

    assert noted(delivery)[1] == Bounce.HARD
    assert suppression(rosa) == Recipient.Suppression.HARD_BOUNCE


@pytest.mark.parametrize(
    ("name", "bounce"),
    [
        ("postfix-delayed", Bounce.SOFT),
        ("gmail-over-quota", Bounce.SOFT),
        ("gmail-unauthenticated", Bounce.POLICY),
    ],
)
def test_what_is_not_the_mailboxs_fault_is_noted_and_suppresses_nobody(
    db: None, name: str, bounce: Bounce
) -> None:
    rosa = person("rosa")
    delivery = sent(rosa, sent_batch(0))

    take(about(delivery, name))

    assert noted(delivery)[1] == bounce
    assert suppression(rosa) == ""


@pytest.mark.parametrize(
    "name",
    [
        "outlook-out-of-office",
        "gmail-vacation",
        "read-receipt",
        "tmda-confirm",
        "postfix-relayed",
        "arf-not-spam",
        "qmail-qsbmf",
        "empty-report",
        "reply-by-a-person",
        "bounce-of-a-bounce",
        "bounce-of-our-return-address",
        "several-recipients-one-arrived",
    ],
)
def test_everything_else_changes_nothing_and_answers_nothing(
    db: None, mailbox: Mailbox, name: str
) -> None:
    rosa = person("rosa")
    delivery = sent(rosa, sent_batch(0))

    taken = take(about(delivery, name), f"bounces+{delivery.key.hex}@health.example")
    send_due()

    assert taken.ignored
    assert noted(delivery) == (State.ACCEPTED, "", "")
    assert suppression(rosa) == ""
    assert Delivery.objects.count() == 1
    assert mailbox.taken == []


def test_a_key_that_nobody_issued_changes_nothing(db: None) -> None:
    rosa = person("rosa")
    delivery = sent(rosa)

    forged = take(returned("postfix-unknown-user"))
    without = take(returned("postfix-unknown-user").replace(KEY.hex.encode(), b"x"))

    assert forged.ignored == "nobody issued its key"
    assert without.ignored == "it has no key of ours"
    assert noted(delivery)[1] == ""
    assert suppression(rosa) == ""


def test_the_envelopes_recipient_decides_over_the_headers(db: None) -> None:
    rosa, other = sent(person("rosa")), sent(person("other"))
    raw = about(other, "postfix-unknown-user")

    take(raw, f"bounces+{rosa.key.hex}@health.example")

    assert noted(rosa)[1] == Bounce.HARD
    assert noted(other)[1] == ""


def test_of_several_recipients_ours_decides(db: None) -> None:
    delivery = sent(person("rosa"))
    raw = about(delivery, "several-recipients-ours-named")
    failed, relayed = (
        b"Action: failed\nStatus: 5.1.1",
        b"Action: relayed\nStatus: 2.0.0",
    )
    ours, others = raw.split(b"someone@example.org", 1)

    take(raw.replace(failed, relayed, 1))
    assert noted(delivery)[1] == ""

    take(ours + b"someone@example.org" + others.replace(failed, relayed))
    assert noted(delivery)[1] == Bounce.HARD


def test_the_same_report_twice_is_once(db: None) -> None:
    rosa = person("rosa")
    delivery = sent(rosa)
    raw = about(delivery, "postfix-unknown-user")
    take(raw)
    first = Delivery.objects.values().get(pk=delivery.pk)
    # As confirming anew does: an old report must not undo it.
    Recipient.objects.update(suppressed_at=None, suppression="")

    again = take(raw)

    assert again.ignored == "it was known"
    assert Delivery.objects.values().get(pk=delivery.pk) == first
    assert suppression(rosa) == ""


def test_a_stronger_report_replaces_a_weaker_one_and_never_back(db: None) -> None:
    delivery = sent(person("rosa"))

    seen = []
    for name in (
        "postfix-delayed",
        "postfix-unknown-user",
        "postfix-gave-up",
        "yahoo-feedback-loop",
        "postfix-unknown-user",
    ):
        take(about(delivery, name))
        seen.append(noted(delivery)[1:])

    assert seen == [
        (Bounce.SOFT, "4.4.1"),
        (Bounce.HARD, "5.1.1"),
        (Bounce.HARD, "5.1.1"),
        (Bounce.COMPLAINT, ""),
        (Bounce.COMPLAINT, ""),
    ]


def test_a_manual_block_stays_one(db: None) -> None:
    rosa = person("rosa")
    Recipient.objects.update(
        suppressed_at=timezone.now(), suppression=Recipient.Suppression.MANUAL
    )

    take(about(sent(rosa), "postfix-unknown-user"))

    assert suppression(rosa) == Recipient.Suppression.MANUAL


def test_a_bounce_has_its_kind_and_its_time(db: None) -> None:
    delivery = sent(person("rosa"))

    with pytest.raises(IntegrityError, match="bounced_with_kind"):
        Delivery.objects.filter(pk=delivery.pk).update(bounced_at=timezone.now())


def test_a_complaint_calls_back_what_waits_for_this_person_alone(
    db: None, mailbox: Mailbox
) -> None:
    rosa = person("rosa")
    delivery = sent(rosa, sent_batch(0))
    fine = person("fine")
    batch = tip_for_everybody()

    take(about(delivery, "ses-headers-only"))
    send_due()

    assert suppression(rosa) == Recipient.Suppression.COMPLAINT
    assert mailbox.taken == [fine.address]
    waiting = Delivery.objects.get(batch=batch, recipient=rosa)
    assert (waiting.state, waiting.reason) == (State.DROPPED, Bounce.COMPLAINT)


def test_a_suppressed_person_may_still_be_sent_a_confirmation(
    db: None, mailbox: Mailbox
) -> None:
    rosa = person("rosa")
    take(about(sent(rosa), "yahoo-feedback-loop"))

    enqueue(
        rosa,
        kind=Delivery.Kind.CONFIRMATION,
        idempotency_key="again",
        subject="Please confirm",
        html="<html></html>",
        text="text",
    )
    send_due()

    assert mailbox.taken == [rosa.address]


@pytest.mark.parametrize(
    ("complaints", "accepted", "alarms", "pauses"),
    [
        (4, 1000, False, False),
        (5, 999, False, False),
        (5, 1000, True, True),
        (5, 1666, True, True),
        (5, 1667, True, False),
        (6, 2000, True, True),
        (5, 5000, True, False),
        (5, 5001, False, False),
        (999, 1_000_000, False, False),
        (1000, 1_000_000, True, False),
        (2999, 1_000_000, True, False),
        (3000, 1_000_000, True, True),
    ],
)
def test_r13_the_breaker_at_its_edges(
    complaints: int, accepted: int, alarms: bool, pauses: bool
) -> None:
    share = Share(complaints, accepted)

    assert (share.alarms(), share.pauses()) == (alarms, pauses)


def test_r13_the_fifth_complaint_in_a_thousand_pauses_the_batch(
    db: None, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    batch = sent_batch(1000)
    late = person("late")
    waiting = Delivery.objects.create(
        recipient=late, batch=batch, kind=Delivery.Kind.TIP, idempotency_key="late"
    )

    complain(batch, 4)
    assert (state(batch), errors(caplog)) == (Batch.State.RUNNING, [])

    complain(batch, 1)
    send_due()

    assert state(batch) == Batch.State.PAUSED
    assert batch.pause_reason == "5 complaints in 1000 accepted (this batch)"
    assert complaint_share(batch) == Share(5, 1000)
    assert "many complaints" in errors(caplog)
    assert noted(waiting)[0] == State.QUEUED
    assert mailbox.taken == []


def test_r13_one_complaint_in_a_thousand_is_an_alarm_alone(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    batch = sent_batch(5000)

    complain(batch, 5)

    assert state(batch) == Batch.State.RUNNING
    assert "many complaints" in errors(caplog)


def test_r13_the_complaints_of_seven_days_count_together(db: None) -> None:
    old, first, second = sent_batch(10), sent_batch(600), sent_batch(600)
    complain(old, 3)
    Batch.objects.filter(pk=old.pk).update(
        created_at=timezone.now() - timedelta(days=8)
    )

    complain(first, 3)
    complain(second, 2)

    assert complaint_share_of_week() == Share(5, 1200)
    assert state(first) == Batch.State.RUNNING
    assert state(second) == Batch.State.PAUSED
    assert second.pause_reason == "5 complaints in 1200 accepted (7 days)"


def test_a_finished_batch_stays_finished(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    batch = sent_batch(1000, state=Batch.State.FINISHED)

    complain(batch, 5)

    assert state(batch) == Batch.State.FINISHED
    assert set(errors(caplog)) == {"many complaints"}


def test_the_fifth_policy_refusal_pauses_the_batch(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    batch = sent_batch(5)
    deliveries = list(Delivery.objects.all())

    for delivery in [*deliveries[:4], *deliveries[:4]]:
        take(about(delivery, "outlook-blocked-network"))
    assert (state(batch), len(errors(caplog))) == (Batch.State.RUNNING, 4)
    take(about(deliveries[4], "outlook-blocked-network"))

    assert state(batch) == Batch.State.PAUSED
    assert not Recipient.objects.exclude(suppression="").exists()


def refuse(batch: Batch, times: int) -> None:
    for delivery in Delivery.objects.filter(batch=batch, bounce="")[:times]:
        take(about(delivery, "outlook-blocked-network"))


def test_few_policy_refusals_of_a_large_batch_stop_nobody(db: None) -> None:
    batch = sent_batch(1201)

    refuse(batch, 6)
    assert state(batch) == Batch.State.RUNNING
    refuse(batch, 1)

    assert state(batch) == Batch.State.PAUSED


def test_what_left_before_a_resume_pauses_nothing_again(db: None) -> None:
    batch = sent_batch(1000)
    manager = User.objects.create_user("manager")
    refuse(batch, 5)
    resume(batch.pk, by=manager)

    complain(batch, 5)
    refuse(batch, 5)

    assert state(batch) == Batch.State.RUNNING


@pytest.mark.parametrize("reply", ["554 5.7.1 Relay access denied", "550 no relay"])
def test_a_server_that_refuses_everybody_pauses_the_batch(
    db: None, mailbox: Mailbox, settings: Settings, reply: str
) -> None:
    settings.MAIL_CONNECTIONS = 1
    people = [person(f"p{number}") for number in range(20)]
    mailbox.rcpt_replies = {one.address: reply for one in people}
    batch = tip_for_everybody()

    send_due()

    assert state(batch) == Batch.State.PAUSED
    assert Delivery.objects.filter(state=State.REFUSED).count() == 5


def test_one_server_that_refuses_for_policy_stops_nobody(
    db: None, mailbox: Mailbox
) -> None:
    people = [person(f"p{number}") for number in range(20)]
    mailbox.rcpt_replies = {people[3].address: "554 5.7.1 Policy"}
    tip_for_everybody()

    send_due()

    assert len(mailbox.taken) == 19


def at_once(reports: list[bytes]) -> list[Taken]:
    start, taken = Barrier(len(reports)), list[Taken]()

    def run(raw: bytes) -> None:
        start.wait()
        taken.append(take(raw))
        connections.close_all()

    threads = [Thread(target=run, args=[raw]) for raw in reports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def test_two_workers_with_one_report_count_it_once(cloned_database: str) -> None:
    delivery = sent(person("rosa"), sent_batch(0))
    raw = about(delivery, "yahoo-feedback-loop")

    taken = at_once([raw] * 4)

    assert sorted(one.ignored for one in taken) == ["", *["it was known"] * 3]
    assert complaint_share(Batch.objects.get()).complaints == 1


def test_complaints_at_the_same_moment_wait_for_each_other(
    cloned_database: str,
) -> None:
    batch = sent_batch(1000)
    complain(batch, 3)
    fourth, fifth = Delivery.objects.filter(bounce="").order_by("pk")[:2]

    with transaction.atomic():
        take(about(fourth, "yahoo-feedback-loop"))
        other = Thread(target=at_once, args=[[about(fifth, "yahoo-feedback-loop")]])
        other.start()
        other.join(timeout=0.5)
        assert other.is_alive()
    other.join()

    assert state(batch) == Batch.State.PAUSED


def test_a_complaint_during_a_run_stops_the_persons_next_tip(
    cloned_database: str, mailbox: Mailbox
) -> None:
    for number in range(30):
        person(f"p{number}")
    first = start_batch(
        name="first",
        mail=TIP,
        recipients=Recipient.objects.all(),
        due_at=timezone.now(),
    )
    send_due()
    second = tip_for_everybody()
    delivery = Delivery.objects.filter(batch=first).earliest("pk")

    def send() -> None:
        send_due()
        connections.close_all()

    sender = Thread(target=send)
    sender.start()
    take(about(delivery, "yahoo-feedback-loop"))
    sender.join()

    own = Delivery.objects.get(batch=second, recipient=delivery.recipient_id)
    assert own.state in (State.DROPPED, State.ACCEPTED)
    assert len(mailbox.taken) == 60 - (own.state == State.DROPPED)
