"""Buttons pressed by several windows, or several times: one press counts."""

from functools import partial

import pytest
from django.test import Client

from mail import Delivery, Recipient, TipMail, block, start_batch, token
from newsletter.models import ConsentEvent, LinkRequest, Subscriber
from newsletter.moving import move
from newsletter.personal_data import erase
from newsletter.preferences import Wishes, ask_for_link, change, wishes_of
from newsletter.subscribing import confirm, unsubscribe
from tests.newsletter.test_preferences import NEW, mailed_link, moving_link
from tests.newsletter.test_subscribing import ROSA, link, publish_policies, subscribe
from tests.racing import at_once

Act = ConsentEvent.Act


@pytest.fixture
def asked(cloned_database: str) -> str:
    """What is in the link of Rosa's confirmation."""
    publish_policies()
    subscribe()
    return link()


def written(act: ConsentEvent.Act) -> int:
    return ConsentEvent.objects.filter(act=act).count()


def test_confirming_six_times_at_once_is_once(asked: str) -> None:
    ends = at_once(*[partial(confirm, asked)] * 6)

    assert [one.pk for one in ends] == [Subscriber.objects.get().pk] * 6
    assert written(Act.CONFIRMED) == 1


def test_leaving_six_times_at_once_is_once(asked: str) -> None:
    rosa = confirm(asked)
    assert rosa
    leaving = token("unsubscribe", rosa.recipient.key)

    assert at_once(*[partial(unsubscribe, leaving)] * 6) == [True] * 6

    assert written(Act.WITHDRAWN) == 1


def test_changing_and_moving_at_once_are_once(asked: str) -> None:
    rosa = confirm(asked)
    assert rosa
    text = mailed_link()
    there = moving_link(text)
    monthly = Wishes(**{**vars(wishes_of(rosa)), "frequency": "monthly"})

    at_once(*[partial(change, text, monthly)] * 3, *[partial(move, there)] * 3)

    found = Subscriber.objects.get()
    assert found.recipient.address == NEW
    # Who moved first has ended the link that the change came by.
    assert written(Act.CHANGED) == 1 + (found.frequency == "monthly")


def test_who_is_blocked_after_the_mail_left_is_not_let_in(asked: str) -> None:
    block(Recipient.objects.get(address=ROSA))

    assert confirm(asked) is None

    assert not Subscriber.objects.get().is_confirmed()
    assert not Recipient.objects.get(address=ROSA).may_receive


def test_erasing_takes_what_waits_for_the_worker_along(asked: str) -> None:
    confirm(asked)
    text = mailed_link()
    ask_for_link(ROSA)
    assert LinkRequest.objects.exists()

    erase(text)

    assert not LinkRequest.objects.exists()


def test_moving_calls_back_what_waits_for_the_old_address(asked: str) -> None:
    rosa = confirm(asked)
    assert rosa
    start_batch(
        name="tip",
        mail=TipMail("Rest", "<html><body>x</body></html>", "x"),
        recipients=Recipient.objects.filter(pk=rosa.recipient_id),
        due_at=rosa.created_at,
    )

    move(moving_link(mailed_link()))

    tip = Delivery.objects.get(batch__isnull=False)
    assert (tip.state, tip.recipient.address) == (Delivery.State.DROPPED, ROSA)


def test_a_body_that_no_form_can_fill_is_refused_unread(asked: str) -> None:
    for path in ("/newsletter/", f"/newsletter/confirm/{asked}/"):
        answer = Client().post(
            path, b"email=" + b"y" * 5_000_000, content_type="text/plain", secure=True
        )
        assert answer.status_code == 413
