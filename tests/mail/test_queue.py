"""The queue beside the deliveries, and the books that couriers share."""

from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from mail import Delivery, Recipient
from mail.books import Handover, exchange
from mail.breaker import FAILURES, Breaker
from mail.claiming import claim, is_due, lease, release
from mail.couriers import Couriers
from mail.models import QueueEntry
from mail.outages import persistently
from mail.pausing import pause
from mail.sending import send_due
from mail.settling import settle
from mail.smtp import Fate, Outcome
from mail.sweeping import sweep
from tests.conftest import Mailbox, Servers
from tests.mail.test_sending import person, tip_for_everybody

State = Delivery.State
NOW = timezone.now


def single(recipient: Recipient, key: str = "one") -> Delivery:
    return Delivery.objects.create(
        recipient=recipient,
        kind=Delivery.Kind.STAFF,
        idempotency_key=key,
        message=b"x",
        dated_at=NOW(),
        due_at=NOW(),
    )


def queued() -> list[int]:
    return list(QueueEntry.objects.order_by("pk").values_list("pk", flat=True))


def test_whatever_has_no_fate_is_in_the_queue(db: None) -> None:
    rosa = person("rosa")
    one = single(rosa)
    tip_for_everybody()

    assert len(queued()) == 2
    assert queued()[0] == one.pk
    assert set(queued()) == set(Delivery.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("fate", Delivery.FINAL)
def test_a_fate_takes_it_out_and_queueing_again_puts_it_back(
    db: None, fate: Delivery.State
) -> None:
    one = single(person("rosa"))
    changes = {"state": fate, "reason": "a test", "finished_at": NOW()}
    Delivery.objects.filter(pk=one.pk).update(**changes)
    assert queued() == []

    later = NOW() + timedelta(hours=1)
    Delivery.objects.filter(pk=one.pk).update(
        state=State.QUEUED, finished_at=None, due_at=later
    )

    assert QueueEntry.objects.get().due_at == later


def test_a_later_due_time_ends_the_claim(db: None) -> None:
    one = single(person("rosa"))
    claim()

    Delivery.objects.filter(pk=one.pk).update(due_at=NOW() + timedelta(hours=1))

    entry = QueueEntry.objects.get()
    assert entry.claimed_until is None
    assert not is_due()


def test_a_deleted_delivery_leaves_nothing_in_the_queue(db: None) -> None:
    one = single(person("rosa"))

    Delivery.objects.filter(pk=one.pk).delete()

    assert queued() == []


def test_single_mails_are_claimed_before_older_tips(db: None) -> None:
    rosa = person("rosa")
    tip_for_everybody()
    mail = single(rosa)

    assert [one.id for one in claim(1)] == [mail.pk]


def test_what_is_claimed_is_released_at_once_when_it_was_not_begun(db: None) -> None:
    single(person("rosa"))
    claims = claim()
    assert not is_due()

    release([one.id for one in claims])

    assert [one.id for one in claim()] == [one.id for one in claims]


def test_no_plan_makes_a_claim_take_more_than_it_asks_for(db: None) -> None:
    for name in ("rosa", "ruth"):
        person(name)
    tip_for_everybody()
    # What PostgreSQL does of its own accord when its statistics say so.
    with connection.cursor() as cursor:
        for way in ("hashjoin", "hashagg", "sort", "material"):
            cursor.execute(f"SET LOCAL enable_{way} = off")

    assert len(claim(1)) == 1


def test_a_held_batch_is_not_claimed(db: None) -> None:
    person("rosa")
    batch = tip_for_everybody()
    pause(batch.pk, reason="a test")

    assert claim() == []
    assert not is_due()


def test_an_outcome_that_comes_after_the_lease_settles_the_doubt(db: None) -> None:
    one = single(person("rosa"))
    (mine,) = exchange([], claim())
    sweep(NOW() + lease() + timedelta(seconds=1))
    assert Delivery.objects.get(pk=one.pk).state == State.UNCERTAIN

    exchange([Handover(mine.claim, mine.fence, "250 OK")], [])

    assert Delivery.objects.get(pk=one.pk).state == State.ACCEPTED


def test_a_late_no_settles_the_doubt_and_it_is_tried_again(db: None) -> None:
    one = single(person("rosa"))
    (mine,) = exchange([], claim())
    sweep(NOW() + lease() + timedelta(seconds=1))

    settle(mine, Outcome(Fate.LATER, reason="its lease ended"))

    assert Delivery.objects.get(pk=one.pk).state == State.QUEUED
    assert queued() == [one.pk]


def test_a_late_outcome_says_nothing_about_a_resend(db: None) -> None:
    one = single(person("rosa"))
    (mine,) = exchange([], claim())
    sweep(NOW() + lease() + timedelta(seconds=1))
    Delivery.objects.filter(pk=one.pk).update(state=State.QUEUED, finished_at=None)
    (again,) = exchange([], claim())

    exchange([Handover(mine.claim, mine.fence, "250 OK")], [])

    assert again.fence == mine.fence + 1
    assert Delivery.objects.get(pk=one.pk).state == State.HANDING_OVER


def test_only_one_of_two_that_hold_a_claim_hands_over(db: None) -> None:
    single(person("rosa"))
    claims = claim()

    first, second = exchange([], claims), exchange([], claims)

    assert (len(first), len(second)) == (1, 0)


def test_a_claim_that_is_held_twice_is_handed_over_once(
    db: None, mailbox: Mailbox
) -> None:
    """One that ended is claimed again, maybe by the process that still holds it."""
    single(person("rosa"))
    claims = claim()

    with Couriers() as couriers:
        assert couriers.deliver(claims * 2) == 1

    assert mailbox.taken == ["rosa@example.com"]


def test_a_senders_statements_are_planned_once(db: None) -> None:
    claim()
    exchange([], [])

    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = " ".join(statement for (statement,) in cursor)

    assert "UPDATE mail_queueentry" in prepared
    assert "UPDATE mail_delivery" in prepared


def test_what_a_server_took_is_written_down_when_the_database_is_back(
    cloned_database: str, cluster: Servers
) -> None:
    one = single(person("rosa"))
    (mine,) = exchange([], claim())
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [cloned_database],
        )

    exchange([Handover(mine.claim, mine.fence, "250 OK")], [])

    assert Delivery.objects.get(pk=one.pk).state == State.ACCEPTED


def test_a_database_that_stays_away_is_said_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mail.outages.PATIENCE_SECONDS", 0)

    def write() -> None:
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        persistently(write)


def test_a_server_that_is_away_is_left_alone_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mail.breaker.FIRST_PAUSE_SECONDS", 1000)
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.note_failure()
    assert not breaker.is_open()

    breaker.note_failure()

    assert breaker.is_open()
    breaker.note_success()
    assert not breaker.is_open()


@pytest.mark.parametrize("window", [1, 10])
@pytest.mark.parametrize("reply", ["421 busy", "garbled"])
def test_a_server_that_greets_and_takes_nothing_is_left_alone(
    db: None,
    mailbox: Mailbox,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    window: int,
    reply: str,
) -> None:
    breaker = Breaker()
    monkeypatch.setattr("mail.couriers.breaker", breaker)
    settings.HANDOVER_WINDOW = window
    settings.MAIL_CONNECTIONS = 1
    mailbox.mail_reply = reply
    for number in range(60):
        person(f"p{number}")
    tip_for_everybody()

    send_due()

    assert breaker.is_open()
    assert mailbox.asked == FAILURES


def test_what_a_server_takes_or_refuses_shows_that_it_is_at_work(
    db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = Breaker()
    monkeypatch.setattr("mail.couriers.breaker", breaker)
    mailbox.rcpt_replies = {person("gone").address: "550 5.1.1 no such user"}
    tip_for_everybody()
    for _ in range(FAILURES - 1):
        breaker.note_failure()

    send_due()
    breaker.note_failure()

    assert not breaker.is_open()
