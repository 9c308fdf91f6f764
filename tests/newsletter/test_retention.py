"""What is kept long enough is let go, and nobody who may still answer."""

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from mail import KeptSuppression, Recipient
from newsletter import retention
from newsletter.models import LinkRequest, ListImport, SignUp, Subscriber
from newsletter.moving import move
from newsletter.preferences import acting, ask_for_link
from newsletter.repermission import ask
from newsletter.retention import LetGo, let_go
from newsletter.subscribing import confirm, take_sign_up
from newsletter.tasks import retain
from tests.newsletter.test_importing import TWO, brought, unsubscribe_rosa
from tests.newsletter.test_preferences import NEW, mailed_link, moving_link, rosa
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe
from tests.racing import at_once

__all__ = ["policies", "rosa"]

Status = Subscriber.Status


def in_days(days: float) -> LetGo:
    return let_go(timezone.now() + timedelta(days=days))


def addresses() -> set[str]:
    found = Recipient.objects.filter(erased_at=None)
    return set(found.values_list("address", flat=True))


def test_who_never_confirmed_is_gone_after_30_days(policies: None) -> None:
    subscribe()

    assert in_days(29.9) == LetGo()
    assert in_days(30.1) == LetGo(unconfirmed=1)

    assert addresses() == set()
    assert not KeptSuppression.objects.exists()


def test_who_asked_again_has_another_30_days(policies: None) -> None:
    subscribe()
    Subscriber.objects.update(created_at=timezone.now() - timedelta(days=100))

    assert in_days(29.9) == LetGo()


def test_who_is_on_the_list_stays(rosa: Subscriber) -> None:
    assert in_days(5_000) == LetGo()


def test_an_import_waits_30_days_for_its_question(db: None) -> None:
    brought(TWO)

    assert in_days(29.9) == LetGo()
    assert in_days(30.1) == LetGo(unconfirmed=2)


def test_who_may_still_answer_is_waited_for(policies: None, settings: Settings) -> None:
    settings.RETAIN_UNCONFIRMED_DAYS = 7
    brought(TWO)
    ask(ListImport.objects.get(), most=10)

    assert in_days(29.9) == LetGo()
    assert in_days(30.1) == LetGo(unconfirmed=2)
    assert {one.suppression for one in KeptSuppression.objects.all()} == {"no answer"}


def test_who_moves_is_waited_for(policies: None, settings: Settings) -> None:
    settings.RETAIN_UNCONFIRMED_DAYS = 1
    subscribe()
    # They were on the list once, left and came back.
    Subscriber.objects.update(confirmed_at=timezone.now() - timedelta(days=90))
    moving_link(mailed_link())

    assert in_days(6.9) == LetGo()
    assert in_days(7.1).unconfirmed == 1
    assert addresses() == set()


def test_an_address_that_was_never_moved_to_is_erased(rosa: Subscriber) -> None:
    moving_link(mailed_link())
    assert addresses() == {ROSA, NEW}

    assert in_days(7.1) == LetGo(former_addresses=1)

    assert addresses() == {ROSA}
    assert Subscriber.objects.get().moving_to is None


def test_an_address_that_was_moved_from_is_erased(rosa: Subscriber) -> None:
    move(moving_link(mailed_link()))

    assert in_days(6.9) == LetGo()
    assert in_days(7.1) == LetGo(former_addresses=1)

    assert addresses() == {NEW}
    assert brought(TWO)[2][1] == "Left the list and was erased."


def test_who_left_is_forgotten_after_three_silent_years(rosa: Subscriber) -> None:
    unsubscribe_rosa()

    assert in_days(1_095) == LetGo()
    assert in_days(1_097) == LetGo(unsubscribed=1)

    assert addresses() == set()
    assert KeptSuppression.objects.get().suppression == "left"
    assert brought(TWO)[2] == ("left out", "Left the list and was erased.")


@pytest.mark.parametrize("status", ["unsubscribed", "unconfirmed"])
def test_a_link_that_anybody_asked_for_keeps_nobody(
    rosa: Subscriber, status: str
) -> None:
    long_ago = timezone.now() - timedelta(days=2_000)
    Subscriber.objects.update(
        status=status, created_at=long_ago, asked_at=None, unsubscribed_at=long_ago
    )
    mailed_link()

    gone = let_go()

    assert gone.unsubscribed + gone.unconfirmed == 1


def test_a_button_pressed_behind_the_link_is_not_silence(rosa: Subscriber) -> None:
    text = mailed_link()
    acting(text)
    long_ago = timezone.now() - timedelta(days=2_000)
    Subscriber.objects.update(status="unsubscribed", unsubscribed_at=long_ago)

    assert in_days(1_095) == LetGo()
    assert in_days(1_097) == LetGo(unsubscribed=1)


def test_who_left_and_never_came_back_through_the_box_has_still_left(
    rosa: Subscriber,
) -> None:
    unsubscribe_rosa()
    Subscriber.objects.update(status=Status.UNCONFIRMED)

    assert in_days(31) == LetGo(unconfirmed=1)

    assert KeptSuppression.objects.get().suppression == "left"


def test_what_nobody_resolved_in_a_day_goes(policies: None) -> None:
    take_sign_up(ROSA)
    ask_for_link(ROSA)

    assert in_days(0.9) == LetGo()
    assert in_days(1.1) == LetGo(requests=2)

    assert not SignUp.objects.exists()
    assert not LinkRequest.objects.exists()


def test_who_comes_back_just_now_is_not_forgotten(
    policies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    whole = retention._one

    def confirming(people: object, pk: int, do: object) -> bool:
        confirm(link())
        return whole(people, pk, do)  # type: ignore[arg-type]

    monkeypatch.setattr(retention, "_one", confirming)

    assert in_days(31) == LetGo()
    assert Subscriber.objects.eligible().exists() is True


def test_two_at_once_forget_each_once(cloned_database: str) -> None:
    people = "".join(f"p{n}@example.com\n" for n in range(30))
    brought(f"address\n{people}")

    ends = at_once(lambda: in_days(31), lambda: in_days(31))

    assert sum(one.unconfirmed for one in ends) == 30
    assert not Subscriber.objects.exists()


def test_a_run_ends_in_time_and_the_next_goes_on(db: None) -> None:
    brought(TWO)

    assert let_go(timezone.now() + timedelta(days=31), seconds=1e-9) == LetGo()
    assert in_days(31).unconfirmed == 2


def test_a_worker_does_it_and_the_command_says_what_was_done(policies: None) -> None:
    subscribe()
    Subscriber.objects.update(
        created_at=timezone.now() - timedelta(days=31),
        asked_at=timezone.now() - timedelta(days=31),
    )
    out = io.StringIO()

    call_command("retain", stdout=out)
    retain()

    assert "1  people who never confirmed" in out.getvalue()
    assert not Subscriber.objects.exists()
