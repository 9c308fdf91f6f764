"""People from another list are asked once; who says nothing gets nothing more."""

import io
import re
import time
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from threading import Thread
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import Settings

from mail import Delivery, Recipient, token
from newsletter import wording
from newsletter.agreements import agreements_of
from newsletter.consent import context_commitment
from newsletter.models import ConsentContext, ListImport, Subscriber, Wording
from newsletter.personal_data import forget
from newsletter.repermission import ask
from newsletter.subscribing import SignUpClosed, confirm, to_confirm
from tests.newsletter.test_importing import TWO, brought
from tests.newsletter.test_subscribing import (
    ROSA,
    a_day_later,
    link,
    policies,
    publish_policies,
    subscribe,
)
from tests.racing import at_once

__all__ = ["policies"]

Status = Subscriber.Status


@pytest.fixture
def brought_by(policies: None) -> ListImport:
    """Rosa and Tom, from a file without evidence."""
    brought(TWO)
    return ListImport.objects.get()


def mailed() -> list[str]:
    found = Delivery.objects.order_by("pk")
    return list(found.values_list("recipient__address", flat=True))


def test_each_is_asked_once_ever(brought_by: ListImport) -> None:
    assert ask(brought_by, most=10).now == 2
    Delivery.objects.update(dated_at=timezone.now() - timedelta(days=40))

    assert ask(brought_by, most=10).now == 0

    assert mailed() == [ROSA, "tom@example.com"]
    assert not Delivery.objects.exclude(kind="confirmation").exists()


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_locks WHERE NOT granted "
            "AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchall())


@pytest.mark.parametrize(
    "bring_in", [lambda one: ask(one, most=10), lambda one: brought(TWO)]
)
def test_who_waits_for_a_person_holds_no_mailbox(
    cloned_database: str, bring_in: Callable[[ListImport], object]
) -> None:
    """Confirming locks the person first: two that don't would wait for each other."""
    publish_policies()
    brought(TWO)
    brought_by = ListImport.objects.get()

    def run() -> None:
        bring_in(brought_by)
        connections.close_all()

    other = Thread(target=run)
    with transaction.atomic():
        list(Subscriber.objects.select_for_update())
        other.start()
        while not somebody_waits_for_us():
            time.sleep(0.01)

        assert len(Recipient.objects.select_for_update(nowait=True)) == 2

    other.join()


def test_two_operators_at_once_ask_once(cloned_database: str) -> None:
    publish_policies()
    brought(TWO)
    brought_by = ListImport.objects.get()

    at_once(*[lambda: ask(brought_by, most=10)] * 4)

    assert sorted(mailed()) == [ROSA, "tom@example.com"]


def test_a_yes_puts_the_person_on_the_list_with_the_words_they_saw(
    brought_by: ListImport,
) -> None:
    ask(brought_by, most=1)

    assert confirm(link())

    rosa = Subscriber.objects.eligible().get()
    assert rosa.recipient.address == ROSA
    (agreement,) = agreements_of(rosa)
    assert agreement.wording.text["button"] == "Yes, confirm my subscription"
    assert agreement.confirmed_at == rosa.confirmed_at


def test_e6_the_page_shows_the_very_words_that_the_yes_is_kept_with(
    brought_by: ListImport,
) -> None:
    ask(brought_by, most=1)
    page = f"/newsletter/confirm/{link()}/"

    shown = escaped_text(Client().get(page, secure=True))
    assert not Wording.objects.filter(text__button=wording.PERMISSION_BUTTON).exists()
    Client().post(page, secure=True, REMOTE_ADDR="203.0.113.77")

    (agreement,) = agreements_of(Subscriber.objects.eligible().get())
    said = [part for part in agreement.wording.text.values() if part]
    assert len(said) == 2
    assert all(part in shown for part in said)
    context = ConsentContext.objects.get(event__wording=agreement.wording)
    assert context.page == f"{settings.SITE_URL}/newsletter/confirm/"
    assert context.network == "203.0.113.0/24"
    assert context.event.context_commitment == context_commitment(
        context.salt, context.page, context.network
    )


def escaped_text(answer: Any) -> str:
    return unescape(strip_tags(answer.content.decode()))


def test_the_link_holds_as_long_as_the_mail_says(brought_by: ListImport) -> None:
    ask(brought_by, most=1)
    (rosa, _) = Subscriber.objects.order_by("pk")
    message = bytes(Delivery.objects.get().message or b"").decode()
    (days,) = {int(one) for one in re.findall(r"works for (\d+) days", message)}

    for age, holds in ((days - 1, True), (days + 1, False)):
        asked_at = timezone.now() - timedelta(days=age)
        Subscriber.objects.filter(pk=rosa.pk).update(
            asked_at=asked_at, permission_asked_at=asked_at
        )
        text = token("confirm", rosa.recipient.key, bound_to=asked_at.isoformat())
        assert bool(to_confirm(text)) is holds


def test_who_got_a_confirmation_within_a_day_is_asked_later(
    brought_by: ListImport,
) -> None:
    subscribe()

    asked = ask(brought_by, most=10)

    assert (asked.now, asked.not_now, asked.left) == (1, 1, 1)
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))
    assert ask(brought_by, most=10).now == 1


def test_who_was_asked_gets_no_confirmation_within_a_day(
    brought_by: ListImport,
) -> None:
    ask(brought_by, most=10)

    subscribe()

    assert mailed() == [ROSA, "tom@example.com"]


def test_nobody_is_asked_who_bounced_or_was_blocked(brought_by: ListImport) -> None:
    Recipient.objects.filter(address=ROSA).update(
        suppression="manual", suppressed_at=timezone.now()
    )

    ask(brought_by, most=10)

    assert mailed() == ["tom@example.com"]


def test_people_are_asked_in_pieces(brought_by: ListImport) -> None:
    assert ask(brought_by, most=1).left == 1
    assert ask(brought_by, most=1).left == 0


def test_the_mails_leave_at_the_pace_of_the_site(
    brought_by: ListImport, settings: Settings
) -> None:
    settings.MAIL_PACE = 1

    ask(brought_by, most=10)

    first, second = Delivery.objects.order_by("pk")
    gap = (second.due_at - first.due_at).total_seconds()
    assert 59 < gap < 61


def test_who_did_not_answer_and_was_erased_is_not_asked_again(
    brought_by: ListImport,
) -> None:
    ask(brought_by, most=10)
    for one in Subscriber.objects.all():
        forget(one)

    found = brought(TWO)

    assert {why for _, why in found.values()} == {
        "Did not answer when asked, and was erased."
    }
    assert ask(brought_by, most=10).now == 0
    a_day_later()
    subscribe()
    assert mailed()[-1] == ROSA


def test_nobody_is_asked_while_nobody_can_subscribe(db: None) -> None:
    brought(TWO)

    with pytest.raises(SignUpClosed):
        ask(ListImport.objects.get(), most=10)
    with pytest.raises(CommandError, match="privacy notice"):
        call_command("askpermission", "--import", ListImport.objects.get().pk)


def test_the_command_says_what_it_did(brought_by: ListImport) -> None:
    out = io.StringIO()

    call_command("askpermission", "--import", brought_by.pk, "--most", "1", stdout=out)

    assert out.getvalue().startswith("1 asked. 0 not now")
    assert "1 left to ask" in out.getvalue()
    with pytest.raises(CommandError, match="no import 0"):
        call_command("askpermission", "--import", "0")
