"""Uncertain is decided by a person or the mail server's log, and resent once."""

import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from mail import Batch, Delivery, Recipient
from mail.batches import cancel, correct
from mail.closing import finish_batches
from mail.counting import counts
from mail.maillog import taken
from mail.sending import send_due
from mail.sweeping import sweep
from mail.uncertain import resend, settle_as_arrived, settle_as_not_arrived
from tests.conftest import Mailbox
from tests.mail.test_batches import NEWER, acts, settle, state
from tests.mail.test_sending import person, states, tip_for_everybody
from tests.people import person as staff
from tests.racing import at_once, leaves_nothing_behind

State = Delivery.State
LIST = "/admin/mail/delivery/"


@pytest.fixture
def nadia(db: None) -> Any:
    return staff("nadia", "newsletter manager")


@pytest.fixture
def browser(nadia: Any, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(nadia)
    return client


def doubtful(*names: str) -> Batch:
    """A finished batch to these people, each of them uncertain."""
    for name in names:
        person(name)
    batch = tip_for_everybody()
    for name in names:
        settle(name, State.UNCERTAIN, "its worker vanished while handing over")
    finish_batches()
    return batch


def everything() -> Any:
    return Delivery.objects.all()


def test_settled_as_arrived_counts_as_accepted(nadia: Any, mailbox: Mailbox) -> None:
    batch = doubtful("rosa")

    assert settle_as_arrived(everything(), by=nadia) == 1
    send_due()

    assert states() == {"rosa": State.ACCEPTED}
    assert Delivery.objects.get().reason == "arrived, says nadia"
    assert acts(batch) == [("settled", "nadia", "1 as arrived")]
    assert counts(batch).add_up
    assert mailbox.taken == []


def test_settled_as_not_arrived_counts_as_refused(nadia: Any, mailbox: Mailbox) -> None:
    doubtful("rosa")

    assert settle_as_not_arrived(everything(), by=nadia) == 1
    send_due()

    assert states() == {"rosa": State.REFUSED}
    assert mailbox.taken == []


def test_a_resend_is_the_same_row_and_message_id_counted(
    nadia: Any, mailbox: Mailbox
) -> None:
    batch = doubtful("rosa")
    before = Delivery.objects.get()

    assert resend(everything(), by=nadia) == 1
    assert state(batch) == Batch.State.RUNNING
    send_due()

    after = Delivery.objects.get()
    assert (after.pk, after.key, after.dated_at) == (
        before.pk,
        before.key,
        before.dated_at,
    )
    assert (after.state, after.resends) == (State.ACCEPTED, 1)
    (sent,) = mailbox.folder.glob("*.eml")
    assert f"Message-ID: <{before.key.hex}@".encode() in sent.read_bytes()
    assert state(batch) == Batch.State.FINISHED


def test_a_resend_after_days_neither_expires_nor_is_overdue(
    nadia: Any, mailbox: Mailbox
) -> None:
    doubtful("rosa")
    long_ago = timezone.now() - timedelta(days=3)
    Delivery.objects.update(dated_at=long_ago, due_at=long_ago, expires_at=long_ago)
    Batch.objects.update(overdue_at=long_ago)

    resend(everything(), by=nadia)
    sweep()
    send_due()

    assert mailbox.taken == ["rosa@example.com"]
    assert Delivery.objects.get().dated_at == long_ago


def test_a_resend_asks_for_consent_again(nadia: Any, mailbox: Mailbox) -> None:
    doubtful("rosa")
    Recipient.objects.update(may_receive=False)

    resend(everything(), by=nadia)
    send_due()

    assert states() == {"rosa": State.DROPPED}
    assert mailbox.taken == []


@pytest.mark.parametrize("verb", [resend, settle_as_arrived, settle_as_not_arrived])
@pytest.mark.parametrize(
    "fate", [State.QUEUED, State.ACCEPTED, State.REFUSED, State.DROPPED]
)
def test_nothing_else_than_uncertain_is_touched(
    nadia: Any, verb: Any, fate: State
) -> None:
    doubtful("rosa")
    settle("rosa", fate)

    assert verb(everything(), by=nadia) == 0

    assert states() == {"rosa": fate}


def test_two_clicks_resend_once(cloned_database: str, mailbox: Mailbox) -> None:
    nadia = staff("nadia", "newsletter manager")
    batch = doubtful("rosa", "ruth")

    done = at_once(*[lambda: resend(everything(), by=nadia)] * 4)
    send_due()

    assert sorted(done) == [0, 0, 0, 2]
    assert sorted(mailbox.taken) == ["rosa@example.com", "ruth@example.com"]
    assert set(Delivery.objects.values_list("resends", flat=True)) == {1}
    assert acts(batch) == [("resent", "nadia", "2 under the same Message-ID")]


def test_of_resend_and_settle_at_once_one_is_done(cloned_database: str) -> None:
    nadia = staff("nadia", "newsletter manager")
    doubtful("rosa")

    done = at_once(
        lambda: resend(everything(), by=nadia),
        lambda: settle_as_arrived(everything(), by=nadia),
    )

    assert sorted(done) == [0, 1]


def test_a_resend_killed_half_way_has_done_nothing(cloned_database: str) -> None:
    nadia = staff("nadia", "newsletter manager")
    doubtful("rosa")

    assert leaves_nothing_behind(lambda: resend(everything(), by=nadia)) >= 3


def test_the_text_of_a_cancelled_batch_is_not_resent(nadia: Any) -> None:
    batch = doubtful("rosa")
    Batch.objects.update(state=Batch.State.RUNNING, finished_at=None)
    cancel(batch.pk, reason="wrong", by=nadia)

    assert resend(everything(), by=nadia) == 0

    assert states() == {"rosa": State.UNCERTAIN}


def test_a_corrected_text_is_not_resent(nadia: Any) -> None:
    person("got")
    batch = doubtful("rosa")
    settle("got", State.ACCEPTED)
    finish_batches()
    assert correct(batch, name="x", mail=NEWER, warrant={}, by=nadia)

    assert resend(everything(), by=nadia) == 0


def test_of_resend_and_correction_at_once_one_waits_for_the_other(
    cloned_database: str,
) -> None:
    nadia = staff("nadia", "newsletter manager")
    person("got")
    batch = doubtful("rosa")
    settle("got", State.ACCEPTED)
    finish_batches()

    resent, made = at_once(
        lambda: resend(everything(), by=nadia),
        lambda: correct(batch, name="x", mail=NEWER, warrant={}, by=nadia),
    )

    assert (resent, made is None) in [(1, True), (0, False)]


# --- The pages -------------------------------------------------------------------


def choose(browser: Client, action: str, query: str = "", **more: Any) -> str:
    """Where the list's action leads."""
    rows = [one.pk for one in everything()]
    form = {"action": action, "_selected_action": rows, "index": 0, **more}
    answer = browser.post(LIST + query, form)
    return str(answer.headers["Location"])


def test_the_page_says_how_many_people_and_what_it_means(browser: Client) -> None:
    doubtful("rosa", "ruth")

    text = browser.get(choose(browser, "resend")).content.decode()

    assert "2 uncertain messages to 2 people" in text
    assert "under the same Message-ID" in text


def test_the_typed_number_decides(browser: Client) -> None:
    doubtful("rosa", "ruth")
    page = choose(browser, "settle_as_arrived")

    for typed in ("", "1", "two", "-2", "9" * 40):
        assert browser.post(page, {"number": typed}).status_code == 200
    assert set(states().values()) == {State.UNCERTAIN}
    assert browser.post(page, {"number": "2"}).status_code == 302

    assert set(states().values()) == {State.ACCEPTED}


def test_a_get_decides_nothing(browser: Client) -> None:
    doubtful("rosa")

    browser.get(choose(browser, "resend") + "&number=1")

    assert states() == {"rosa": State.UNCERTAIN}


def test_all_that_the_filter_shows_can_be_chosen(browser: Client) -> None:
    doubtful("rosa", "ruth")
    single = Delivery.objects.create(
        recipient=Recipient.objects.get(address="rosa@example.com"),
        kind=Delivery.Kind.STAFF,
        idempotency_key="single",
        state=State.UNCERTAIN,
        reason="x",
        finished_at=timezone.now(),
    )
    query = f"?state__exact=uncertain&batch={Batch.objects.get().pk}"

    page = choose(browser, "settle_as_not_arrived", query, select_across="1")
    browser.post(page, {"number": "2"})

    single.refresh_from_db()
    assert single.state == State.UNCERTAIN
    assert Delivery.objects.filter(state=State.REFUSED).count() == 2


def test_the_second_click_on_the_page_finds_nothing(
    browser: Client, mailbox: Mailbox
) -> None:
    doubtful("rosa")
    page = choose(browser, "resend")

    answers = [browser.post(page, {"number": "1"}) for _ in range(2)]

    assert [one.status_code for one in answers] == [302, 200]
    assert "left to decide" in answers[1].content.decode()
    assert Delivery.objects.get().resends == 1


@pytest.mark.parametrize(
    "query", ["?id__in=x", "?batch=x", "?batch=" + "9" * 40, "?p=999", "?nothing=1"]
)
def test_rubbish_in_the_address_is_no_error(browser: Client, query: str) -> None:
    doubtful("rosa")

    assert browser.get(f"{LIST}resending/{query}").status_code in (200, 302)


def test_the_list_shows_bounces_and_filters(browser: Client) -> None:
    batch = doubtful("rosa", "ruth")
    Delivery.objects.filter(recipient__address="ruth@example.com").update(
        bounce="hard bounce", bounce_status="5.1.1", bounced_at=timezone.now()
    )
    query = f"?bounce__exact=hard bounce&batch={batch.pk}&kind__exact=tip"

    answer = browser.get(LIST + query)

    assert [one.bounce_status for one in answer.context["cl"].result_list] == ["5.1.1"]
    assert b"5.1.1" in answer.content


# --- The mail server's log -------------------------------------------------------


def pipe(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> str:
    said = io.StringIO()
    raw = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    call_command("settleuncertain", stdout=said)
    return said.getvalue()


def logged(key: str, *, queue_id: str = "4Xy1Zz0Q5Tz", ending: str = "") -> str:
    at = "2026-11-25T02:31:31.123+00:00 mx1"
    return (
        f"{at} postfix/smtpd[11]: {queue_id}: client=web1[192.0.2.1]\n"
        f"{at} postfix/cleanup[12]: {queue_id}: message-id=<{key}@health.example>\n"
        f"{ending and f'{at} {ending}'}\n"
    )


def active(queue_id: str = "4Xy1Zz0Q5Tz") -> str:
    return f"postfix/qmgr[9]: {queue_id}: from=<b@x>, size=9, nrcpt=1 (queue active)"


def key_of(name: str) -> str:
    found = Delivery.objects.get(recipient__address=f"{name}@example.com")
    return str(found.key.hex)


@pytest.mark.parametrize(
    "ending",
    [
        active(),
        "postfix/smtp[13]: 4Xy1Zz0Q5Tz: to=<rosa@example.com>, relay=mx[192.0.2.9]:25, "
        "dsn=2.0.0, status=sent (250 2.0.0 OK)",
    ],
)
def test_what_the_log_shows_as_taken_is_settled(
    db: None, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    batch = doubtful("rosa", "ruth")

    said = pipe(monkeypatch, logged(key_of("rosa"), ending=ending))

    assert states() == {"rosa": State.ACCEPTED, "ruth": State.UNCERTAIN}
    assert said == (
        "1 delivery settled as arrived, 0 lines without effect, 1 still uncertain.\n"
    )
    assert acts(batch) == [("settled", "", "1 as arrived")]


def test_a_message_that_broke_off_in_the_middle_is_not_settled(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubtful("rosa")
    lost = "postfix/smtpd[11]: lost connection after DATA (900 bytes) from web1"
    # The queue id comes again, for somebody else's mail.
    other = logged("f" * 31, ending=active())

    said = pipe(monkeypatch, logged(key_of("rosa"), ending=lost) + other)

    assert states() == {"rosa": State.UNCERTAIN}
    assert "0 deliveries settled" in said


def test_the_log_ends_before_it_says_so(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubtful("rosa")

    said = pipe(monkeypatch, logged(key_of("rosa")))

    assert said.startswith(
        "line 2: named in the log, which does not say that it was taken\n"
    )
    assert states() == {"rosa": State.UNCERTAIN}


def test_a_plain_list_says_line_by_line_what_it_could_not_match(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubtful("rosa", "ruth")
    settle("ruth", State.ACCEPTED)
    ruth = Delivery.objects.get(recipient__address="ruth@example.com")
    lines = [
        f"<{key_of('rosa')}@health.example>",
        f"{key_of('ruth').upper()}@health.example",
        f"<{'0' * 32}@health.example>",
        "<someone-elses@example.org>",
        "",
    ]

    said = pipe(monkeypatch, "\n".join(lines)).splitlines()

    assert said == [
        f"line 2: delivery {ruth.pk} is not uncertain but accepted",
        "line 3: no delivery has this Message-ID",
        "line 4: this is no Message-ID of ours",
        "1 delivery settled as arrived, 3 lines without effect, 0 still uncertain.",
    ]


def test_the_same_log_twice_settles_once(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = doubtful("rosa")
    text = logged(key_of("rosa"), ending=active())

    pipe(monkeypatch, text)
    again = pipe(monkeypatch, text)

    assert "is not uncertain but accepted" in again
    assert len(acts(batch)) == 1


def test_rubbish_settles_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful("rosa")

    pipe(monkeypatch, b"\xff\x00" * 100_000 + b"\n" + b"message-id=<" * 50_000)

    assert states() == {"rosa": State.UNCERTAIN}


def test_a_log_of_any_length_is_read_in_little_memory() -> None:
    lines = (f"4Xy{n:08d}: message-id=<x{n}@example.org>" for n in range(200_000))

    assert list(taken(lines)) == []
