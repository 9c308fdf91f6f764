"""Staff see one person at a time, and every look and act of theirs is on record."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import Error, connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from ledger.sealing import seal
from ledger.verifying import verify
from mail import Delivery, Recipient, block, lift_block, recipient_for
from mail.models import KeptSuppression
from newsletter import accessing, wording
from newsletter.accessing import AsItWas, Gone, NotTheirAddress, Why
from newsletter.models import ConsentEvent, Subscriber, SubscriberAccess
from newsletter.personal_data import forget
from newsletter.preferences import TOPICS
from newsletter.proving import Unknown
from newsletter.subscribing import confirm
from tests.articles.test_desk import browser
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe
from tests.people import person
from tests.racing import at_once, leaves_nothing_behind

__all__ = ["policies"]

Act, Purpose = SubscriberAccess.Act, SubscriberAccess.Purpose
WHY = Why(Purpose.ASKED, "case 7")
LIST = "/admin/newsletter/subscriber/"
LOOK = f"{LIST}look/"
TYPED = {"address": " Rosa@EXAMPLE.com", "purpose": "the person asked"}


@pytest.fixture
def rosa(policies: None, settings: Settings, tmp_path: Path) -> Subscriber:
    settings.STATIC_ROOT = tmp_path
    subscribe(page="https://health.example/secret/", network="192.0.2.0/24")
    confirm(link())
    Subscriber.objects.update(topics=list(TOPICS)[:2])
    seal()
    return Subscriber.objects.get()


@pytest.fixture
def oscar(db: None) -> User:
    return person("oscar", "operator")


@pytest.fixture
def operator(oscar: User) -> Client:
    return browser(oscar)


def page(subscriber: Subscriber, verb: str = "") -> str:
    return f"{LIST}{subscriber.pk}/{f'do/{verb}' if verb else 'change'}/"


def looked(client: Client) -> str:
    """The page that the address leads to."""
    answer = client.post(LOOK, TYPED, follow=True)
    return " ".join(answer.content.decode().split())


def acts() -> list[str]:
    return list(SubscriberAccess.objects.order_by("pk").values_list("act", flat=True))


# --- Looking ------------------------------------------------------------------------


def test_nobody_is_shown_before_an_address_is_typed(
    rosa: Subscriber, operator: Client
) -> None:
    for path in (LIST, f"{LIST}?q=rosa", f"{LIST}?status=confirmed", page(rosa)):
        answer = operator.get(path)
        assert answer.status_code == 200
        assert "Type somebody’s whole address" in answer.content.decode()
        assert "example.com" not in answer.content.decode()
    assert acts() == []


def test_a_whole_address_shows_one_person_and_is_noted(
    rosa: Subscriber, operator: Client, oscar: User
) -> None:
    answer = operator.post(LOOK, TYPED)

    assert answer["Location"] == page(rosa)
    note = SubscriberAccess.objects.get()
    assert (note.by, note.act, note.purpose) == (oscar, "looked", "the person asked")
    assert note.subscriber_key == rosa.key
    assert timezone.now() - note.occurred_at < timedelta(minutes=1)


@pytest.mark.parametrize("part", ["rosa", "@example.com", "rosa@example.co", "%"])
def test_a_part_of_an_address_finds_nobody(
    rosa: Subscriber, operator: Client, part: str
) -> None:
    answer = operator.post(LOOK, {**TYPED, "address": part})

    assert answer.status_code == 200
    assert set(acts()) <= {"found nobody"}


def test_looking_in_vain_is_noted_without_the_address(
    rosa: Subscriber, operator: Client
) -> None:
    operator.post(LOOK, {**TYPED, "address": "stranger@example.com"})

    (note,) = SubscriberAccess.objects.values()
    assert (note["act"], note["subscriber_key"]) == ("found nobody", None)
    assert "stranger" not in str(note)


@pytest.mark.parametrize(
    "wrong", [{"purpose": ""}, {"purpose": "fun"}, {"reference": "for rosa@x.example"}]
)
def test_who_says_no_purpose_sees_nobody(
    rosa: Subscriber, operator: Client, wrong: dict[str, str]
) -> None:
    assert operator.post(LOOK, {**TYPED, **wrong}).status_code == 200

    assert acts() == []


def test_the_page_says_what_is_needed_and_no_topic(
    rosa: Subscriber, operator: Client
) -> None:
    shown = looked(operator)

    assert ROSA in shown
    assert wording.AGREEMENT in shown
    assert "confirmed: newsletter" in shown
    assert "Confirmation" in shown
    for topic, name in TOPICS.items():
        assert topic not in shown
        assert name not in shown
    for where in ("192.0.2.0", "/secret/"):
        assert where not in shown


def test_a_look_holds_for_half_an_hour_and_for_one_person_of_staff(
    rosa: Subscriber, operator: Client
) -> None:
    looked(operator)
    other = browser(person("nadia", "newsletter manager"))
    assert ROSA not in other.get(page(rosa)).content.decode()
    assert ROSA in operator.get(page(rosa)).content.decode()

    later = timezone.now() + accessing.LOOK_HOLDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("newsletter.accessing.timezone.now", lambda: later)
        assert ROSA not in operator.get(page(rosa)).content.decode()
        assert operator.get(page(rosa, "erase"))["Location"] == page(rosa)
        operator.post(page(rosa, "erase"), {**TYPED})
    assert Subscriber.objects.exists()


def test_changed_evidence_shows_on_the_page(rosa: Subscriber, operator: Client) -> None:
    Subscriber.objects.update(status="unsubscribed")

    assert "the ledger knows of no withdrawal" in looked(operator)


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET act = 'looked'", "DELETE FROM {}"]
)
def test_nobody_rewrites_who_looked(
    rosa: Subscriber, oscar: User, statement: str
) -> None:
    accessing.look_up(ROSA, by=oscar, why=WHY)

    with (
        pytest.raises(Error, match="Cannot"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(SubscriberAccess._meta.db_table))


# --- Blocking ------------------------------------------------------------------------


def test_a_block_drops_what_waits_and_outlasts_a_new_sign_up(
    rosa: Subscriber, oscar: User
) -> None:
    assert Delivery.objects.get().state == "queued"

    accessing.block(rosa, by=oscar, why=WHY)

    dropped = Delivery.objects.get()
    assert (dropped.state, dropped.reason) == ("dropped", "blocked by hand")
    assert not Subscriber.objects.eligible().exists()
    Delivery.objects.update(dated_at=timezone.now() - timedelta(days=40))
    subscribe()
    assert Delivery.objects.count() == 1
    assert acts() == ["blocked"]


def test_blocking_twice_is_once(rosa: Subscriber, oscar: User) -> None:
    accessing.block(rosa, by=oscar, why=WHY)
    since = Recipient.objects.get().suppressed_at

    with pytest.raises(AsItWas):
        accessing.block(rosa, by=oscar, why=WHY)

    assert Recipient.objects.get().suppressed_at == since
    assert acts() == ["blocked"]


def test_a_lifted_block_lets_consent_decide(rosa: Subscriber, oscar: User) -> None:
    accessing.block(rosa, by=oscar, why=WHY)

    accessing.lift_block(rosa, by=oscar, why=WHY)

    assert Subscriber.objects.eligible().get() == rosa
    with pytest.raises(AsItWas):
        accessing.lift_block(rosa, by=oscar, why=WHY)
    assert acts() == ["blocked", "lifted a block"]


def test_lifting_leaves_a_bounce_alone(rosa: Subscriber) -> None:
    Recipient.objects.update(suppression="hard bounce", suppressed_at=timezone.now())

    assert not lift_block(rosa.recipient)

    assert Recipient.objects.get().suppression == "hard bounce"


def test_a_lifted_block_does_not_come_back_after_an_erasure(
    rosa: Subscriber, oscar: User
) -> None:
    block(rosa.recipient)
    forget(rosa)
    again = recipient_for(ROSA)
    assert again.suppression == "manual"

    lift_block(again)

    assert not KeptSuppression.objects.filter(suppression="manual").exists()
    Subscriber.objects.create(recipient=again)
    forget(Subscriber.objects.select_related("recipient").get())
    assert recipient_for(ROSA).suppression == ""


# --- Proving and exporting -----------------------------------------------------------


def test_the_proof_is_that_of_the_command(rosa: Subscriber, operator: Client) -> None:
    looked(operator)
    form = {**TYPED, "reference": "case 7"}

    shown = operator.post(page(rosa, "prove"), {**form, "form": "page"})
    as_json = operator.post(page(rosa, "prove"), {**form, "form": "json"})
    as_html = operator.post(page(rosa, "prove"), {**form, "form": "html"})

    assert "All of it verifies" in shown.content.decode()
    told = json.loads(as_json.content)
    assert told["person"]["address"] == ROSA
    assert told["events"][0]["evidence"]["holds"]
    assert as_html.content.decode().startswith("<!doctype html>")
    for answer in (as_json, as_html):
        assert answer["Content-Disposition"].startswith("attachment")
        assert "rosa" not in answer["Content-Disposition"]
    assert acts() == ["looked", *["proved consent"] * 3]


def test_a_proof_wants_a_purpose(rosa: Subscriber, operator: Client) -> None:
    looked(operator)

    answer = operator.post(page(rosa, "prove"), {"form": "json"})

    assert "Choose" in answer.content.decode()
    assert acts() == ["looked"]


def test_an_export_is_what_they_could_download(
    rosa: Subscriber, operator: Client
) -> None:
    looked(operator)

    answer = operator.post(page(rosa, "export"), TYPED)

    told: Any = json.loads(answer.content)
    assert told["profile"]["address"] == ROSA
    assert told["profile"]["topics"] == rosa.topics
    assert acts() == ["looked", "exported"]


# --- Erasing -------------------------------------------------------------------------


def test_erasing_for_a_person_wants_their_address(
    rosa: Subscriber, operator: Client
) -> None:
    looked(operator)
    other = {**TYPED, "address": "otto@example.com"}

    refused = operator.post(page(rosa, "erase"), other)
    assert "not the address of this person" in refused.content.decode()
    assert Subscriber.objects.exists()
    done = operator.post(page(rosa, "erase"), TYPED)

    assert done["Location"] == LIST
    assert not Subscriber.objects.exists()
    assert not Recipient.objects.filter(address=ROSA).exists()
    assert ConsentEvent.objects.filter(act="erased").count() == 1
    assert acts() == ["looked", "erased"]
    seal()
    assert verify().is_whole


def test_who_moved_meanwhile_is_not_erased_by_the_old_address(
    rosa: Subscriber, oscar: User
) -> None:
    new = Recipient.objects.create(address="rosa@new.example")
    Subscriber.objects.update(recipient=new)

    with pytest.raises(NotTheirAddress):
        accessing.erase(rosa, typed=ROSA, by=oscar, why=WHY)

    assert acts() == []


def test_erasing_twice_at_once_is_once(cloned_database: str) -> None:
    recipient = Recipient.objects.create(address=ROSA)
    rosa = Subscriber.objects.create(recipient=recipient)
    oscar = person("oscar", "operator")

    def erase() -> str:
        try:
            accessing.erase(rosa, typed=ROSA, by=oscar, why=WHY)
        except Gone:
            return "gone"
        return "erased"

    assert sorted(at_once(erase, erase)) == ["erased", "gone"]
    assert acts() == ["erased"]


def test_what_was_done_and_that_it_was_are_one_commit(cloned_database: str) -> None:
    recipient = Recipient.objects.create(address=ROSA)
    rosa = Subscriber.objects.create(recipient=recipient)
    oscar = person("oscar", "operator")
    acts: list[Any] = [
        lambda: accessing.block(rosa, by=oscar, why=WHY),
        lambda: accessing.lift_block(rosa, by=oscar, why=WHY),
        lambda: accessing.erase(rosa, typed=ROSA, by=oscar, why=WHY),
    ]

    for act in acts:
        assert leaves_nothing_behind(act) >= 2


def test_who_was_erased_is_found_no_more(rosa: Subscriber, oscar: User) -> None:
    accessing.erase(rosa, typed=ROSA, by=oscar, why=WHY)

    with pytest.raises(Unknown):
        accessing.look_up(ROSA, by=oscar, why=WHY)
