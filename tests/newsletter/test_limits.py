"""Nobody is flooded, nobody learns anything, and no one network closes the door."""

import logging
import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from mail.leaving_alone import LeftAlone
from mail.limits import DAY, Paused, TooManyFromNetwork
from mail.models import Tally
from mail.tallying import Exceeded, Limit, count, forget_old_tallies
from mail.valkey import PATIENCE_SECONDS, VALKEY
from newsletter.limits import admit
from newsletter.models import LinkRequest, SignUp
from newsletter.preferences import ask_for_link
from newsletter.subscribing import resolve_sign_ups, take_sign_up
from tests.newsletter.test_subscribing import ROSA, policies
from tests.newsletter.test_taking_in import browser
from tests.racing import at_once

__all__ = ["browser", "policies"]

HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"
SECURE = {"X-Forwarded-Proto": "https"}


@pytest.fixture(params=["valkey", "postgresql"])
def store(request: pytest.FixtureRequest, db: None) -> str:
    """Where is counted: both have to hold the same promises."""
    if request.param == "postgresql":
        VALKEY.failed()
    return str(request.param)


@pytest.fixture
def silent_valkey(settings: Settings) -> Iterator[None]:
    """It takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        yield


def counted(settings: Settings) -> list[str]:
    """The keys of all counts in Valkey."""
    client = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    return [str(key) for key in client.scan_iter("twitchsite:count:*")]


def post(browser: Client, address: str = ROSA, network: int = 2) -> HttpResponse:
    """A sign-up from 198.51.`network`.7."""
    client = f"198.51.{network}.7"
    return browser.post(  # type: ignore[return-value]
        "/newsletter/", {"email": address}, REMOTE_ADDR=client
    )


def test_a_mailbox_named_too_often_is_dropped_and_nobody_learns_of_it(
    store: str,
    browser: Client,
    settings: Settings,
) -> None:
    settings.ASKED_PER_ADDRESS = 3
    answers = [post(browser, network=number) for number in range(3)]
    assert SignUp.objects.count() == 3

    dropped = post(browser, ROSA.upper(), network=9)

    assert SignUp.objects.count() == 3
    assert (dropped.status_code, dropped.content) == (200, answers[0].content)
    assert set(dropped.headers) == set(answers[0].headers)
    post(browser, "ben@example.com")
    assert SignUp.objects.count() == 4


def test_a_network_that_asks_too_often_hears_the_same_for_every_address(
    store: str, browser: Client, settings: Settings
) -> None:
    settings.ASKED_PER_NETWORK = 2
    for address in ("a@example.com", "b@example.com"):
        assert post(browser, address).status_code == 200

    refused = [post(browser, address) for address in (ROSA, "a@example.com")]

    assert SignUp.objects.count() == 2
    for one in refused:
        assert one.status_code == 429
        assert 3500 < int(one["Retry-After"]) <= 3600
        assert b"<h1>Please try again a little later</h1>" in one.content
        assert ROSA.encode() not in one.content
    assert refused[0].content == refused[1].content
    assert post(browser, network=3).status_code == 200


def test_a_flood_from_everywhere_pauses_sign_up_and_is_told_once(
    store: str,
    browser: Client,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.ASKED_IN_ALL = 2
    for number in range(2):
        assert post(browser, f"{number}@example.com", number).status_code == 200

    with caplog.at_level(logging.ERROR):
        refused = [post(browser, f"p{number}@example.com", 9) for number in range(3)]

    assert SignUp.objects.count() == 2
    assert {one.status_code for one in refused} == {503}
    assert 3500 < int(refused[0]["Retry-After"]) <= 3600
    assert b"stopped taking them for a while" in refused[0].content
    assert sum("too many ask" in one.getMessage() for one in caplog.records) == 1


def test_a_pause_ends_by_itself(db: None, settings: Settings) -> None:
    settings.ASKED_IN_ALL = 1
    admit("sign-up", address=ROSA, network=HERE)
    with pytest.raises(Paused):
        admit("sign-up", address=ROSA, network=HERE)

    client = redis.Redis.from_url(settings.REDIS_URL)
    (key,) = client.scan_iter("twitchsite:count:sign-up:all:*")
    client.pexpire(key, 1)
    time.sleep(0.01)

    assert admit("sign-up", address=ROSA, network=HERE)


def test_a_pause_ends_by_itself_in_the_database_too(
    db: None, settings: Settings
) -> None:
    VALKEY.failed()
    settings.ASKED_IN_ALL = 1
    admit("sign-up", address=ROSA, network=HERE)
    with pytest.raises(Paused):
        admit("sign-up", address=ROSA, network=HERE)

    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))

    assert admit("sign-up", address=ROSA, network=HERE)


def test_one_network_or_one_mailbox_does_not_bring_about_the_pause(
    store: str, settings: Settings
) -> None:
    settings.ASKED_PER_NETWORK, settings.ASKED_PER_ADDRESS = 3, 2
    settings.ASKED_IN_ALL = 5
    for number in range(3):
        admit("sign-up", address=f"{number}@example.com", network=HERE)
    for number in range(20):
        with pytest.raises(TooManyFromNetwork):
            admit("sign-up", address=f"{number}@example.com", network=HERE)
        admit("sign-up", address=ROSA, network="")

    with pytest.raises(Paused):
        admit("sign-up", address="b@example.com", network=THERE)


def test_lost_links_are_counted_apart_by_the_same_limits(
    store: str, settings: Settings
) -> None:
    settings.ASKED_PER_ADDRESS = 2
    for _ in range(4):
        ask_for_link(ROSA, network=HERE)
    assert LinkRequest.objects.count() == 2

    assert admit("sign-up", address=ROSA, network=HERE)
    settings.ASKED_PER_NETWORK = 3
    with pytest.raises(TooManyFromNetwork):
        ask_for_link("ben@example.com", network=HERE)
    settings.ASKED_IN_ALL = 1
    with pytest.raises(Paused):
        ask_for_link("ben@example.com", network=THERE)
    assert LinkRequest.objects.count() == 2


def test_no_count_says_whose_it_is(db: None, settings: Settings) -> None:
    admit("sign-up", address=ROSA, network=HERE)
    VALKEY.failed()
    admit("sign-up", address=ROSA, network=HERE)

    keys = counted(settings)
    keys += Tally.objects.values_list("key", flat=True)

    assert len(keys) == 6
    assert not [key for key in keys if ROSA in key or HERE in key]


def test_every_count_ends(db: None, settings: Settings) -> None:
    admit("sign-up", address=ROSA, network=HERE)
    client = redis.Redis.from_url(settings.REDIS_URL)
    assert all(0 < client.ttl(key) <= DAY for key in counted(settings))

    VALKEY.failed()
    admit("sign-up", address=ROSA, network=HERE)
    assert forget_old_tallies() == 0
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    assert forget_old_tallies() == 3


@pytest.mark.parametrize("where", ["valkey", "postgresql"])
def test_askings_at_once_are_all_counted(cloned_database: str, where: str) -> None:
    if where == "postgresql":
        VALKEY.failed()
    limit = Limit("all", "", most=5, seconds=60)

    ends = at_once(*[lambda: count([limit])] * 12)

    exceeded = [one for one in ends if one]
    assert len(exceeded) == 7
    assert all(isinstance(one, Exceeded) for one in exceeded)
    assert sum(one.is_news for one in exceeded) == 1


def test_a_silent_valkey_costs_one_wait_and_the_limits_hold(
    silent_valkey: None,
    policies: None,
    settings: Settings,
) -> None:
    settings.ASKED_PER_ADDRESS = 2
    begun = time.monotonic()
    take_sign_up(ROSA)
    first = time.monotonic() - begun

    begun = time.monotonic()
    for _ in range(5):
        take_sign_up(ROSA)
    others = time.monotonic() - begun

    assert PATIENCE_SECONDS <= first < 1
    assert others < PATIENCE_SECONDS
    assert SignUp.objects.count() == 2


def test_who_was_left_alone_is_tried_by_one_and_trusted_again() -> None:
    server = LeftAlone(seconds=0.05)
    server.failed()
    assert not server.may_try()
    time.sleep(0.06)

    assert [server.may_try(), server.may_try()] == [True, False]
    server.worked()
    assert [server.may_try(), server.may_try()] == [True, True]


def test_a_sign_up_without_network_is_not_held_against_anybody(
    store: str, settings: Settings
) -> None:
    settings.ASKED_PER_NETWORK = 1

    assert admit("sign-up", address="a@example.com", network="")
    assert admit("sign-up", address="b@example.com", network="")


def test_a_school_can_sign_up(policies: None) -> None:
    for number in range(300):
        take_sign_up(f"pupil{number}@example.com", network=HERE)

    assert resolve_sign_ups() == 300
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM newsletter_subscriber")
        assert cursor.fetchone()[0] == 300
