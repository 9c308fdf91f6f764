"""A batch's pace, in total and for one domain: each delivery's own due time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Case, DateTimeField, Value, When
from django.utils import timezone
from pytest_django import Settings

from mail import Batch, Delivery, Recipient, start_batch
from mail.pacing import spread
from tests.mail.test_sending import TIP

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)


def people(*domains: str) -> None:
    for number, domain in enumerate(domains):
        Recipient.objects.create(address=f"p{number}@{domain}", may_receive=True)


def batch(due_at: object = NINE) -> Batch:
    made = start_batch(
        name="tip",
        mail=TIP,
        recipients=Recipient.objects.all(),
        due_at=due_at,  # type: ignore[arg-type]
    )
    assert made is not None
    return made


def gaps(domain: str = "") -> list[float]:
    """Seconds after nine, in order."""
    due = Delivery.objects.filter(recipient__address__endswith=domain).order_by(
        "due_at"
    )
    return [(at - NINE).total_seconds() for at in due.values_list("due_at", flat=True)]


def test_without_a_pace_everybody_is_due_at_once(db: None) -> None:
    people("a.example", "b.example")
    batch()

    assert gaps() == [0, 0]


def test_a_pace_spreads_a_batch_evenly(db: None, settings: Settings) -> None:
    settings.MAIL_PACE = 60
    people(*["a.example"] * 4)
    batch()

    assert gaps() == [0, 1, 2, 3]


def test_a_domain_has_its_own_pace_and_holds_up_no_other(
    db: None, settings: Settings
) -> None:
    settings.MAIL_DOMAIN_PACES = {"slow.example": 6}
    people("slow.example", "a.example", "slow.example", "slow.example", "a.example")
    batch()

    assert gaps("@slow.example") == [0, 10, 20]
    assert gaps("@a.example") == [0, 0]


def test_both_paces_hold_together(db: None, settings: Settings) -> None:
    settings.MAIL_PACE, settings.MAIL_DOMAIN_PACES = 60, {"slow.example": 6}
    people("slow.example", "slow.example", "a.example", "a.example")
    batch()

    assert gaps() == [0, 1, 2, 10]


def test_who_is_due_later_is_not_held_up_by_those_before(
    db: None, settings: Settings
) -> None:
    settings.MAIL_PACE = 60
    people("a.example", "a.example", "west.example", "west.example")
    noon = NINE + timedelta(hours=3)
    due_at = Case(
        When(address__endswith="@west.example", then=Value(noon)),
        default=Value(NINE),
        output_field=DateTimeField(),
    )
    batch(due_at)

    assert gaps("@a.example") == [0, 1]
    assert gaps("@west.example") == [10800, 10801]


@pytest.mark.parametrize("pace", [0, 60])
def test_what_waited_in_a_pause_does_not_leave_all_at_once(
    db: None, settings: Settings, pace: int
) -> None:
    settings.MAIL_PACE = pace
    people(*["a.example"] * 3)
    paused = batch()
    before = gaps()

    spread(paused)

    if not pace:
        assert gaps() == before
        return
    now = (timezone.now() - NINE).total_seconds()
    assert gaps()[0] == pytest.approx(now, abs=30)
    assert [round(one - gaps()[0]) for one in gaps()] == [0, 1, 2]
