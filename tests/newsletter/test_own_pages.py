"""The pages where subscribers rule, over HTTP: behind a mailed link alone."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from articles.editing import revise
from articles.models import Article
from articles.publishing import publish
from ledger.sealing import seal
from mail import Delivery, Recipient, token
from mail.sending import send_due
from newsletter.clocks import day_begins
from newsletter.models import ConsentEvent, LinkRequest, Subscriber
from newsletter.preferences import TOPICS, Wishes, resolve_link_requests, wishes_of
from newsletter.subscribing import unsubscribe
from tests.conftest import Mailbox
from tests.newsletter.slots import weekly
from tests.newsletter.test_importing import PROOF, brought
from tests.newsletter.test_mailed_links import links, mails, web
from tests.newsletter.test_mailed_links import newest as newest_mail
from tests.newsletter.test_preferences import (
    NEW,
    mailed_link,
    moving_link,
    rosa,
)
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe
from tests.racing import everything

__all__ = ["mails", "policies", "rosa", "web"]

STRANGER = "stranger@example.com"
ASK = "/newsletter/preferences/"
MONTHLY = Subscriber.Frequency.MONTHLY
WISHES: dict[str, Any] = {
    "topics": ["twitching", "eyes-and-face"],
    "frequency": "monthly",
    "time_zone": "Europe/Berlin",
    "paused_until": "",
}
OWN_PAGES = ("", "start-again/", "agreed/", "address/", "download/", "erase/")


def own(text: str, below: str = "") -> str:
    return f"/newsletter/preferences/{text}/{below}"


def words(answer: httpx.Response) -> str:
    """What a person reads of the page, without its furniture."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))


def now() -> Subscriber:
    return Subscriber.objects.get()


# --- Asking for a link ----------------------------------------------------------------


def test_people_from_another_list_see_what_it_said_of_them(
    web: httpx.Client, policies: None
) -> None:
    brought(PROOF, trust_evidence=True)

    page = words(web.get(own(mailed_link(), "agreed/")))

    assert "What another list told us" in page
    assert "Yes to tips" in page
    assert "gave their word that you had agreed" in page
    assert "We hold no agreement of yours" not in page


def test_whoever_asks_for_a_link_gets_the_same_answer(
    web: httpx.Client, rosa: Subscriber
) -> None:
    known, unknown = (web.post(ASK, data={"email": one}) for one in (ROSA, STRANGER))

    assert known.status_code == unknown.status_code == 200
    assert known.content == unknown.content
    # Both say the second that they were made in.
    clocks = {"expires": "", "last-modified": ""}
    assert {**known.headers, **clocks} == {**unknown.headers, **clocks}
    assert LinkRequest.objects.count() == 2
    resolve_link_requests()
    assert Delivery.objects.get(kind="preference link").recipient == rosa.recipient


def test_a_wrong_address_is_kept_and_explained(web: httpx.Client, db: None) -> None:
    answer = web.post(ASK, data={"email": "rosa@"})

    assert answer.status_code == 422
    assert 'value="rosa@"' in answer.text
    assert "Enter an email address, like name@example.com." in words(answer)
    assert not LinkRequest.objects.exists()


@pytest.mark.parametrize("path", ["/newsletter/", "/newsletter/unsubscribe/{}/"])
def test_pages_lead_to_a_fresh_link(
    web: httpx.Client, rosa: Subscriber, path: str
) -> None:
    text = token("unsubscribe", rosa.recipient.key)

    assert f'href="{ASK}"' in web.get(path.format(text)).text
    unsubscribe(text)
    assert f'href="{ASK}"' in web.get(path.format(text)).text


# --- What a link opens ----------------------------------------------------------------


@pytest.mark.parametrize("below", OWN_PAGES)
def test_no_page_behind_a_link_is_kept_found_or_named(
    web: httpx.Client, rosa: Subscriber, below: str
) -> None:
    answer = web.get(own(mailed_link(), below))

    assert answer.status_code == 200
    assert {"private", "no-store"} <= set(answer.headers["Cache-Control"].split(", "))
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Referrer-Policy"] == "strict-origin"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_e4_looking_at_any_page_behind_a_link_changes_nothing(
    web: httpx.Client, rosa: Subscriber, method: str
) -> None:
    text = mailed_link()
    (terms,) = ConsentEvent.objects.filter(matter="terms")
    moving = moving_link(text)
    leaving = token("unsubscribe", rosa.recipient.key)
    paths = [
        *(own(text, one) for one in OWN_PAGES),
        own(text, f"agreed/terms/{terms.terms_id}/"),
        f"/newsletter/move/{moving}/",
        *(
            f"/newsletter/unsubscribe/{leaving}/{one}"
            for one in ("", "pause/", "monthly/", "why/?reason=other")
        ),
    ]
    before = everything()

    answers = [web.request(method, path) for path in paths * 3]

    assert {one.status_code for one in answers} == {200}
    assert everything() == before


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("page", "belows"),
    [
        ("confirm", [""]),
        ("move", [""]),
        ("preferences", [*OWN_PAGES, "agreed/terms/1/"]),
        ("unsubscribe", ["", "pause/", "monthly/", "why/"]),
    ],
)
def test_a_link_for_one_thing_opens_nothing_else(
    web: httpx.Client, rosa: Subscriber, method: str, page: str, belows: list[str]
) -> None:
    preferences = mailed_link()
    texts = {
        "preferences": preferences,
        "move": moving_link(preferences),
        "confirm": link_of(rosa),
        "unsubscribe": token("unsubscribe", rosa.recipient.key),
    }
    del texts[page]
    form = {**WISHES, "reason": "other", "email": NEW}
    before = everything()

    for text in texts.values():
        for below in belows:
            answer = web.request(
                method,
                f"/newsletter/{page}/{text}/{below}",
                data=form if method == "POST" else None,
            )
            assert answer.status_code == 404
            assert "Ask for a fresh link" in words(answer)

    assert everything() == before


def link_of(subscriber: Subscriber) -> str:
    """A confirmation's token as it was mailed to this person."""
    assert subscriber.asked_at is not None
    asked_at = subscriber.asked_at.isoformat()
    return token("confirm", subscriber.recipient.key, bound_to=asked_at)


def test_an_old_link_says_how_to_get_a_fresh_one(
    web: httpx.Client, rosa: Subscriber
) -> None:
    text = mailed_link()
    long_ago = timezone.now() - timedelta(hours=25)
    Subscriber.objects.update(link_sent_at=long_ago)
    old = token("preferences", rosa.recipient.key, bound_to=long_ago.isoformat())

    for one in (text, old):
        answer = web.post(own(one), data=WISHES)
        assert answer.status_code == 404
        assert f'href="{ASK}"' in answer.text


# --- Choosing -------------------------------------------------------------------------


def test_a_subscriber_chooses_and_is_told_on_the_same_page(
    web: httpx.Client, rosa: Subscriber
) -> None:
    weekly()
    text = mailed_link()

    answer = web.post(own(text), data=WISHES)

    assert answer.status_code == 200
    assert "Saved. Your next tip is due on Tuesday" in words(answer)
    assert "(Berlin time)" in words(answer)
    assert wishes_of(now()) == Wishes(
        ("twitching", "eyes-and-face"), MONTHLY, "Europe/Berlin", None
    )
    again = web.get(own(text))
    assert "Saved." not in words(again)
    assert re.findall(r'value="([^"]+)"[^>]* checked', again.text) == [
        *("twitching", "eyes-and-face", "monthly")
    ]


def test_no_topic_is_every_topic_and_the_page_says_so(
    web: httpx.Client, rosa: Subscriber
) -> None:
    text = mailed_link()
    web.post(own(text), data={**WISHES, "topics": list(TOPICS)})

    answer = web.post(own(text), data={**WISHES, "topics": []})

    assert now().topics == []
    assert "Tick none, and you get tips about all of them." in words(answer)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_a_pause_ends_when_the_day_begins_where_the_person_lives(
    web: httpx.Client, rosa: Subscriber, zone: str
) -> None:
    weekly()
    day = (timezone.now() + timedelta(days=60)).date()
    text = mailed_link()

    answer = web.post(
        own(text), data={**WISHES, "time_zone": zone, "paused_until": f"{day}"}
    )

    assert now().paused_until == day_begins(day, zone)
    assert f"No tips come to you before {day:%-d %B %Y}." in words(answer)
    assert f'value="{day}"' in answer.text
    pause = now().paused_until
    web.post(own(text), data={**WISHES, "time_zone": zone, "paused_until": f"{day}"})
    assert now().paused_until == pause


def test_a_pause_is_ended_with_one_press(web: httpx.Client, rosa: Subscriber) -> None:
    weekly()
    text = mailed_link()
    day = (timezone.now() + timedelta(days=60)).date()
    web.post(own(text), data={**WISHES, "paused_until": f"{day}"})

    answer = web.post(own(text, "start-again/"))

    assert "Your pause is over. Your next tip is due on" in words(answer)
    assert now().paused_until is None
    assert now().topics == WISHES["topics"]
    before = everything()
    assert web.post(own(text, "start-again/")).status_code == 200
    assert everything() == before


def test_saving_a_pause_unchanged_leaves_it_to_the_second(
    web: httpx.Client, rosa: Subscriber
) -> None:
    until = timezone.now() + timedelta(days=28)
    Subscriber.objects.update(paused_until=until, time_zone="Europe/Berlin")
    text = mailed_link()
    shown = re.search(r'name="paused_until" value="([^"]+)"', web.get(own(text)).text)
    assert shown

    web.post(own(text), data={**WISHES, "paused_until": shown[1]})

    assert now().paused_until == until


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"paused_until": "tomorrow"}, "Enter a day like 2026-12-24"),
        ({"paused_until": "2020-01-01"}, "Choose a day after today."),
        ({"paused_until": "2999-01-01"}, "A pause lasts a year at most"),
        ({"frequency": ""}, "Choose how often we may write."),
        ({"frequency": "hourly"}, "Choose one of the two that are listed."),
        ({"time_zone": "Nowhere/At_All"}, "Choose a place from the list."),
        ({"time_zone": ""}, "Choose the place whose clock is yours."),
        ({"topics": ["money"]}, "Choose from the topics that are listed."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    web: httpx.Client, rosa: Subscriber, wrong: dict[str, Any], sentence: str
) -> None:
    text = mailed_link()
    before = everything()

    answer = web.post(own(text), data={**WISHES, **wrong})

    assert answer.status_code == 422
    assert sentence in words(answer)
    assert 'value="Europe/Berlin" selected' in answer.text or "time_zone" in wrong
    assert everything() == before


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b""},
        {"content": b"\xff\x00" * 100},
        {"content": b"{}", "headers": {"Content-Type": "application/json"}},
        {"data": {"frequency": "weekly\x00", "time_zone": "UTC\r\nBcc: x"}},
        {"data": {"frequency": ["weekly", "x"], "time_zone": ["UTC", "y"]}},
        {"data": {"x": "y" * 2_000_000}},
    ],
    ids=["empty", "bytes", "json", "controls", "doubled", "2 MB"],
)
def test_rubbish_changes_no_wish(
    web: httpx.Client, rosa: Subscriber, request_: dict[str, Any]
) -> None:
    text = mailed_link()
    before = everything()

    for below in ("", "address/"):
        answer = web.post(own(text, below), **request_)
        assert 400 <= answer.status_code < 500
        assert "<h1" in answer.text

    assert everything() == before


def test_who_has_left_is_told_so_and_keeps_what_is_theirs(
    web: httpx.Client, rosa: Subscriber
) -> None:
    unsubscribe(token("unsubscribe", rosa.recipient.key))
    text = mailed_link()

    answer = web.post(own(text), data=WISHES)

    assert "You are not on the list" in words(answer)
    assert "Erase everything" in words(answer)
    assert 'name="topics"' not in answer.text
    assert now().frequency == Subscriber.Frequency.WEEKLY


def test_a_next_tip_comes_only_after_the_pause(
    web: httpx.Client, rosa: Subscriber
) -> None:
    weekly()
    day = datetime.now(UTC).date() + timedelta(days=40)

    answer = web.post(
        own(mailed_link()),
        data={**WISHES, "frequency": "weekly", "paused_until": f"{day}"},
    )

    due = re.search(r'<time datetime="([^"]+)"', answer.text)
    assert due
    ends = now().paused_until
    assert ends is not None
    assert ends < datetime.fromisoformat(due[1]) < ends + timedelta(days=15)


# --- What is theirs -------------------------------------------------------------------


def test_people_see_the_words_they_saw_and_where_the_proof_stands(
    web: httpx.Client, rosa: Subscriber
) -> None:
    seal()
    text = mailed_link()

    answer = web.get(own(text, "agreed/"))

    (asked,) = ConsentEvent.objects.filter(matter="newsletter", act="requested")
    assert asked.wording is not None
    for part in asked.wording.text.values():
        assert part in words(answer)
    assert "You confirmed it from your mailbox" in words(answer)
    assert re.search(r"Row \d+ of the ledger", words(answer))


def test_people_read_the_terms_as_they_were(
    web: httpx.Client, rosa: Subscriber
) -> None:
    (agreed,) = ConsentEvent.objects.filter(matter="terms")
    terms = Article.objects.get(slug="terms")
    newer, _ = revise(
        terms, {"title": "T", "summary": "s", "body": "<p>New</p>"}, by=None
    )
    publish(newer)
    text = mailed_link()
    page = web.get(own(text, "agreed/")).text
    path = own(text, f"agreed/terms/{agreed.terms_id}/")
    assert f'href="{path}"' in page

    assert "New" not in words(web.get(path))
    assert "As they were when you agreed to them" in words(web.get(path))
    assert web.get(own(text, f"agreed/terms/{newer.pk}/")).status_code == 404


def test_a_new_address_is_asked_from_there_and_the_answer_is_the_same(
    web: httpx.Client, rosa: Subscriber
) -> None:
    blocked = "blocked@example.com"
    Recipient.objects.create(
        address=blocked,
        suppressed_at=timezone.now(),
        suppression=Recipient.Suppression.MANUAL,
    )
    path = own(mailed_link(), "address/")

    first, second = (web.post(path, data={"email": one}) for one in (NEW, blocked))

    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert Delivery.objects.filter(recipient__address=NEW).count() == 1
    assert not Delivery.objects.filter(recipient__address=blocked).exists()


def test_ones_own_address_gets_its_own_sentence(
    web: httpx.Client, rosa: Subscriber
) -> None:
    answer = web.post(own(mailed_link(), "address/"), data={"email": ROSA.upper()})

    assert answer.status_code == 422
    assert "Your tips go to this address already." in words(answer)


def test_one_press_in_the_new_mailbox_moves(
    web: httpx.Client, rosa: Subscriber
) -> None:
    text = mailed_link()
    path = f"/newsletter/move/{moving_link(text)}/"
    assert "Yes, use this address" in words(web.get(path))

    answer = web.post(path)

    assert "You have moved" in words(answer)
    assert now().recipient.address == NEW
    assert web.post(path).status_code == 404
    assert web.get(own(text)).status_code == 404


def test_all_that_is_known_is_one_file(web: httpx.Client, rosa: Subscriber) -> None:
    answer = web.post(own(mailed_link(), "download/"))

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert {"private", "no-store"} <= set(answer.headers["Cache-Control"].split(", "))
    assert answer.headers["X-Robots-Tag"] == "noindex"
    known = json.loads(answer.content)
    assert known["profile"]["address"] == ROSA
    assert len(known["consents"]) == 3


def test_erasing_takes_one_more_press_and_says_what_stays(
    web: httpx.Client, rosa: Subscriber
) -> None:
    path = own(mailed_link(), "erase/")
    asked = words(web.get(path))
    assert asked.index("What goes") < asked.index("What stays")
    assert "Erase everything about me" in asked
    assert Subscriber.objects.exists()

    answer = web.post(path)

    assert "You are forgotten" in words(answer)
    assert not Subscriber.objects.exists()
    assert not Recipient.objects.filter(address=ROSA).exists()
    assert web.post(path).status_code == 404


# --- Around it ------------------------------------------------------------------------


def test_who_comes_back_is_welcome(web: httpx.Client, rosa: Subscriber) -> None:
    unsubscribe(token("unsubscribe", rosa.recipient.key))
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))
    subscribe()

    answer = web.post(f"/newsletter/confirm/{link()}/")

    assert "Welcome back You are on the list again." in words(answer)


def test_who_comes_back_begins_with_what_the_box_says(
    web: httpx.Client, rosa: Subscriber
) -> None:
    Subscriber.objects.update(
        topics=["magnesium"],
        frequency=Subscriber.Frequency.MONTHLY,
        paused_until=timezone.now() + timedelta(days=300),
    )
    unsubscribe(token("unsubscribe", rosa.recipient.key))
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))
    subscribe()

    web.post(f"/newsletter/confirm/{link()}/")

    rosa.refresh_from_db()
    assert (rosa.topics, rosa.frequency) == ([], Subscriber.Frequency.WEEKLY)
    assert rosa.paused_until is None


def test_who_is_new_is_not_welcomed_back(web: httpx.Client, policies: None) -> None:
    subscribe()

    answer = web.post(f"/newsletter/confirm/{link()}/")

    assert "You are on the list" in words(answer)
    assert "Welcome back" not in words(answer)


def test_a_tip_leads_to_the_page_and_to_nobodys_own(
    web: httpx.Client, mails: Any
) -> None:
    tip = mails[1]
    text, page = (str(part.get_content()) for part in tip.iter_parts())

    for part in (text, html.unescape(page)):
        found = re.findall(r"/newsletter/preferences/[^\s\"<]*", part)
        assert found == [ASK]


def test_the_mailed_link_opens_the_page(
    web: httpx.Client, rosa: Subscriber, mailbox: Mailbox
) -> None:
    web.post(ASK, data={"email": ROSA})
    resolve_link_requests()
    send_due()

    (found,) = {one for one in links(newest_mail(mailbox)) if "/preferences/" in one}

    assert "Your preferences" in words(web.get(found))


# --- How often a new address may be named ---------------------------------------------


def other(number: int) -> str:
    return f"other{number}@example.com"


def test_new_addresses_are_named_a_few_times_a_day(
    web: httpx.Client, rosa: Subscriber
) -> None:
    path = own(mailed_link(), "address/")
    taken = [web.post(path, data={"email": other(number)}) for number in range(5)]

    refused = web.post(path, data={"email": NEW})

    assert {one.status_code for one in taken} == {200}
    assert refused.status_code == 422
    assert "You have entered 5 new addresses today." in words(refused)
    assert Delivery.objects.filter(idempotency_key__startswith="move-").count() == 5


def test_what_names_nobody_new_does_not_count(
    web: httpx.Client, rosa: Subscriber
) -> None:
    path = own(mailed_link(), "address/")
    for typed in [ROSA, "rosa@"] * 4:
        assert web.post(path, data={"email": typed}).status_code == 422
        web.post(own("x" * 44, "address/"), data={"email": NEW})

    assert web.post(path, data={"email": NEW}).status_code == 200
    assert Subscriber.objects.get().moving_to is not None


def test_a_mailbox_that_is_named_too_often_is_dropped_without_a_word(
    web: httpx.Client, rosa: Subscriber, settings: Settings
) -> None:
    settings.ASKED_PER_ADDRESS = 1
    path = own(mailed_link(), "address/")
    first = web.post(path, data={"email": NEW})
    yesterday = timezone.now() - timedelta(hours=25)
    Delivery.objects.update(dated_at=yesterday)

    dropped = web.post(path, data={"email": NEW})

    assert (dropped.status_code, dropped.content) == (200, first.content)
    assert Delivery.objects.filter(recipient__address=NEW).count() == 1


def test_new_addresses_count_for_the_network_and_in_all(
    web: httpx.Client, rosa: Subscriber, settings: Settings
) -> None:
    settings.ASKED_PER_NETWORK = 1
    path = own(mailed_link(), "address/")
    web.post(path, data={"email": NEW})

    assert web.post(path, data={"email": other(1)}).status_code == 429
    settings.ASKED_PER_NETWORK, settings.ASKED_IN_ALL = 9, 1
    assert web.post(path, data={"email": other(2)}).status_code == 503

    assert not Recipient.objects.filter(address__startswith="other").exists()
