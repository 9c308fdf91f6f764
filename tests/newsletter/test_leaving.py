"""The page at a tip's foot: leaving first, then what is milder, and why, by count."""

import html
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from mail import Recipient, token
from newsletter.leaving import PAUSE_DAYS, monthly_instead, pause_instead, say_why
from newsletter.models import ConsentEvent, LeavingReason, Subscriber
from newsletter.subscribing import confirm, unsubscribe
from tests.newsletter.test_mailed_links import FORM, web
from tests.newsletter.test_preferences import rosa
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe
from tests.racing import PowerCut, at_once, everything, power_cut

__all__ = ["policies", "rosa", "web"]

Reason = LeavingReason.Reason
MONTHLY, WEEKLY = Subscriber.Frequency.MONTHLY, Subscriber.Frequency.WEEKLY


def left(text: str, below: str = "") -> str:
    return f"/newsletter/unsubscribe/{text}/{below}"


def now() -> Subscriber:
    return Subscriber.objects.get()


def counts() -> dict[str, int]:
    return dict(LeavingReason.objects.values_list("reason", "count"))


@pytest.fixture
def text(rosa: Subscriber) -> str:
    """What is in the unsubscribe link of each of Rosa's tips."""
    return token("unsubscribe", rosa.recipient.key)


def test_the_unsubscribe_button_comes_first_and_alone(
    web: httpx.Client, text: str
) -> None:
    page = web.get(left(text)).text.partition("<main")[2]

    forms = re.findall(r"<form.*?</form>", page, re.DOTALL)
    assert re.findall(r'action="([^"]+)"', page) == [
        left(text),
        left(text, "pause/"),
        left(text, "monthly/"),
    ]
    assert all(one.count("<button") == 1 for one in forms)
    assert "<input" not in page
    assert "Unsubscribe</button>" in forms[0]


def test_what_is_milder_never_stands_in_for_leaving(
    web: httpx.Client, text: str
) -> None:
    """RFC 8058 one-click goes to the address of the header, which only unsubscribes."""
    answer = web.post(left(text), data={**FORM, "pause": "1", "monthly": "1"})

    assert answer.status_code == 200
    assert now().status == "unsubscribed"
    assert (now().paused_until, now().frequency) == (None, WEEKLY)


@pytest.mark.parametrize("below", ["pause/", "monthly/", "why/"])
def test_w6_another_site_presses_no_milder_button(
    web: httpx.Client, text: str, below: str
) -> None:
    before = everything()

    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://mail.example"},
    ):
        answer = web.post(left(text, below), headers=headers, data=FORM)
        assert answer.status_code == 403

    assert everything() == before


def test_a_pause_of_four_weeks(web: httpx.Client, text: str) -> None:
    answer = web.post(left(text, "pause/"))

    ends = now().paused_until
    assert ends is not None
    assert ends - timezone.now() > timedelta(days=PAUSE_DAYS, minutes=-1)
    assert f"No tips come to you before {ends:%-d %B %Y}." in answer.text
    assert now().status == "confirmed"
    assert not Subscriber.objects.eligible().exists()
    assert Subscriber.objects.eligible(ends).exists()


def test_a_longer_pause_is_not_cut_short(text: str, rosa: Subscriber) -> None:
    longer = timezone.now() + timedelta(days=90)
    Subscriber.objects.update(paused_until=longer)

    assert pause_instead(text)

    assert now().paused_until == longer


def test_once_a_month_is_one_change_however_often_it_is_pressed(
    web: httpx.Client, text: str
) -> None:
    for _ in range(3):
        assert "One tip a month" in web.post(left(text, "monthly/")).text

    assert now().frequency == MONTHLY
    assert ConsentEvent.objects.filter(act="changed").count() == 1
    assert "Only once a month" not in web.get(left(text)).text


@pytest.mark.parametrize("verb", [pause_instead, monthly_instead])
def test_who_has_left_is_not_brought_back_by_less(text: str, verb: Any) -> None:
    unsubscribe(text)
    before = everything()

    assert verb(text) is None

    assert everything() == before


def test_who_never_confirmed_has_nothing_to_pause(
    web: httpx.Client, policies: None
) -> None:
    subscribe()
    unconfirmed = token("unsubscribe", Recipient.objects.get().key)
    before = everything()

    for below in ("pause/", "monthly/"):
        answer = web.post(left(unconfirmed, below))
        assert "Leave the list?" in answer.text
        assert "Pause for 4 weeks" not in answer.text

    assert everything() == before


def test_why_is_asked_after_leaving_and_only_counted(
    web: httpx.Client, text: str
) -> None:
    page = html.unescape(web.post(left(text)).text)
    assert re.findall(r'name="reason" value="([^"]+)"', page) == [
        *("too often", "not for me", "better now", "never asked", "other")
    ]

    answer = web.post(left(text, "why/"), data={"reason": "better now"})

    assert "Thank you for telling us." in answer.text
    counted = LeavingReason.objects.get()
    assert (counted.reason, counted.count) == ("better now", 1)
    assert counted.month == timezone.now().date().replace(day=1)
    stored = str(everything()).replace(str(LeavingReason.objects.values()), "")
    assert stored.count("better now") == 1


def test_an_old_link_of_somebody_who_moved_promises_nothing_for_the_new_address(
    web: httpx.Client, text: str, rosa: Subscriber
) -> None:
    subscriber = now()
    subscriber.recipient = Recipient.objects.create(address="new@example.com")
    subscriber.save(update_fields=["recipient"])

    answer = web.post(left(text))

    assert answer.status_code == 200
    assert "Nothing comes to this address any more" in answer.text
    assert "You have left the list" not in answer.text
    assert now().is_confirmed()


def test_who_gets_tips_is_not_told_that_they_left(web: httpx.Client, text: str) -> None:
    answer = web.post(left(text, "why/"), data={"reason": "other"})

    assert "You have left the list" not in answer.text
    assert "Unsubscribe</button>" in answer.text
    assert counts() == {}


def test_a_month_pressed_in_a_pause_is_acknowledged(
    web: httpx.Client, text: str
) -> None:
    web.post(left(text, "pause/"))

    answer = web.post(left(text, "monthly/"))

    assert "After that you get one tip a month." in answer.text


def test_each_leaving_counts_once(text: str) -> None:
    say_why(text, Reason.OTHER)
    assert counts() == {}

    unsubscribe(text)
    say_why(text, Reason.TOO_OFTEN)
    say_why(text, Reason.OTHER)
    assert counts() == {"too often": 1}

    Recipient.objects.get().deliveries.update(
        dated_at=timezone.now() - timedelta(hours=25)
    )
    subscribe()
    confirm(link())
    unsubscribe(text)
    say_why(text, Reason.TOO_OFTEN)
    assert counts() == {"too often": 2}


@pytest.mark.parametrize("reason", ["", "because", "too often\x00", "x" * 5000])
def test_no_other_reason_can_be_told(web: httpx.Client, text: str, reason: str) -> None:
    unsubscribe(text)

    answer = web.post(left(text, "why/"), data={"reason": reason})

    assert answer.status_code == 422
    assert "Would you tell us why?" in answer.text
    assert counts() == {}


def test_reasons_told_at_once_are_all_counted(cloned_database: str) -> None:
    people = [
        Recipient.objects.create(address=f"reader-{number}@example.com")
        for number in range(6)
    ]
    for one in people:
        Subscriber.objects.create(
            recipient=one, status="unsubscribed", unsubscribed_at=timezone.now()
        )
    texts = [token("unsubscribe", one.key) for one in people] * 2

    at_once(*((lambda one=one: say_why(one, Reason.OTHER)) for one in texts))

    assert counts() == {"other": len(people)}


def test_a_death_half_way_neither_counts_nor_remembers(text: str) -> None:
    unsubscribe(text)

    for after in range(3):
        with pytest.raises(PowerCut), power_cut(after):
            say_why(text, Reason.OTHER)
        assert counts() == {}
        assert not now().told_why

    say_why(text, Reason.OTHER)
    assert counts() == {"other": 1}


def test_who_left_learns_how_to_come_back(web: httpx.Client, text: str) -> None:
    page = web.post(left(text)).text

    assert 'href="/newsletter/"' in page
    assert 'href="/newsletter/preferences/"' in page
    assert ROSA not in page
