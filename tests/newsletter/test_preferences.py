"""Behind a mailed link people rule; nobody else learns or changes anything."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from ledger.sealing import seal
from mail import Delivery, NotAnAddress, Recipient, token
from newsletter.agreements import agreements_of
from newsletter.composing import load
from newsletter.models import (
    ConsentContext,
    ConsentEvent,
    HealthTip,
    LinkRequest,
    Subscriber,
    SubscriberAccess,
)
from newsletter.moving import SameAddress, ask_to_move, move
from newsletter.personal_data import download, erase, forget
from newsletter.preferences import (
    LINKS_A_DAY,
    TOPICS,
    LinkInvalid,
    Wishes,
    ask_for_link,
    change,
    holder,
    resolve_link_requests,
    time_zones,
    wishes_of,
)
from newsletter.subscribing import confirm, unsubscribe
from tests.newsletter.test_importing import TWO, brought
from tests.newsletter.test_subscribing import (
    ROSA,
    link,
    policies,  # noqa: F401 - a fixture
    subscribe,
)

NEW = "rosa@new.example"
Status = Subscriber.Status
MONTHLY = Subscriber.Frequency.MONTHLY


@pytest.fixture
def rosa(policies: None) -> Subscriber:  # noqa: F811
    """On the list, with a page and a network in her evidence."""
    subscribe(page="https://health.example/", network="192.0.2.0/24")
    confirm(link())
    return Subscriber.objects.get()


def newest(kind: str, path: str) -> str:
    """The token in the newest mail of a kind that waits to be sent."""
    delivery = Delivery.objects.filter(kind=kind).latest("pk")
    found = re.search(
        rf"/newsletter/{path}/([^/]+)/".encode(), bytes(delivery.message or b"")
    )
    assert found
    return found[1].decode()


def mailed_link(address: str = ROSA) -> str:
    ask_for_link(address)
    resolve_link_requests()
    return newest("preference link", "preferences")


def moving_link(text: str, address: str = NEW) -> str:
    ask_to_move(text, address)
    return newest("confirmation", "move")


def links() -> int:
    return Delivery.objects.filter(kind=Delivery.Kind.PREFERENCE_LINK).count()


def test_a_link_is_mailed_to_who_is_known_and_to_nobody_else(rosa: Subscriber) -> None:
    for address in (ROSA, "stranger@example.com"):
        ask_for_link(address)
    assert LinkRequest.objects.count() == 2

    resolve_link_requests()

    assert Delivery.objects.get(kind="preference link").recipient == rosa.recipient
    assert not LinkRequest.objects.exists()
    assert not Recipient.objects.filter(address="stranger@example.com").exists()


def test_r22_who_never_confirmed_gets_no_link_whoever_asks(policies: None) -> None:  # noqa: F811
    subscribe()
    brought(TWO)
    people = Subscriber.objects.values_list("recipient__address", flat=True)
    assert len(people) == 2

    for address in people:
        ask_for_link(address)
    resolve_link_requests()

    assert links() == 0
    assert Delivery.objects.count() == 1
    assert not LinkRequest.objects.exists()


def test_pressing_a_button_is_noted_and_looking_is_not(rosa: Subscriber) -> None:
    text = mailed_link()
    holder(text)
    assert Subscriber.objects.get().acted_at is None

    change(text, wishes_of(rosa))

    assert Subscriber.objects.get().acted_at is not None


def test_a_wrong_address_leaves_no_request(db: None) -> None:
    with pytest.raises(NotAnAddress):
        ask_for_link("rosa@")

    assert not LinkRequest.objects.exists()


def test_nobody_is_flooded_with_links(rosa: Subscriber) -> None:
    for _ in range(LINKS_A_DAY + 3):
        mailed_link()
        mailed_link()
        Delivery.objects.update(dated_at=timezone.now() - timedelta(minutes=11))

    assert links() == LINKS_A_DAY


def test_a_newer_link_or_a_day_ends_a_link(rosa: Subscriber) -> None:
    first = mailed_link()
    assert holder(first) == rosa
    Delivery.objects.update(dated_at=timezone.now() - timedelta(minutes=11))

    second = mailed_link()

    for text in (first, "x" * 44, ""):
        with pytest.raises(LinkInvalid):
            holder(text)
    old = timezone.now() - timedelta(hours=25)
    Subscriber.objects.update(link_sent_at=old)
    aged = token("preferences", rosa.recipient.key, bound_to=old.isoformat())
    for text in (second, aged):
        with pytest.raises(LinkInvalid):
            holder(text)


def test_no_other_mails_link_opens_preferences(rosa: Subscriber) -> None:
    key, sent = rosa.recipient.key, mailed_link()
    bound_to = Subscriber.objects.get().link_sent_at

    for purpose in ("unsubscribe", "confirm", "move"):
        with pytest.raises(LinkInvalid):
            holder(token(purpose, key, bound_to=str(bound_to)))
    assert not unsubscribe(sent)
    assert confirm(sent) is None


def test_wishes_are_taken_over_once_and_what_they_are_is_not_evidence(
    rosa: Subscriber,
) -> None:
    wishes = Wishes(("twitching",), MONTHLY, "Europe/Berlin", None)
    text = mailed_link()

    assert change(text, wishes)
    assert not change(text, wishes)

    assert wishes_of(Subscriber.objects.get()) == wishes
    (event,) = ConsentEvent.objects.filter(act="changed")
    assert "twitching" not in str(event.__dict__)


def test_every_topic_of_the_librarys_tips_can_be_chosen(db: None) -> None:
    list(load())

    named = {topic for tip in HealthTip.objects.all() for topic in tip.topics}

    assert named == set(TOPICS)


def test_topics_choose_who_gets_a_tip(rosa: Subscriber) -> None:
    everybody = Subscriber.objects

    assert everybody.wanting(["twitching"]).exists()
    change(mailed_link(), Wishes(("eyes-and-face",), MONTHLY, "UTC", None))
    assert not everybody.wanting(["twitching"]).exists()
    assert everybody.wanting(["twitching", "eyes-and-face"]).exists()
    assert everybody.wanting([]).exists()


def test_time_zones_are_places(db: None) -> None:
    zones = time_zones()

    assert {"UTC", "Europe/Berlin", "America/New_York"} <= set(zones)
    assert not [one for one in zones if one.startswith(("Etc/", "posix"))]


def test_a_new_address_counts_once_it_is_confirmed_from_there(rosa: Subscriber) -> None:
    text = moving_link(mailed_link())
    assert Subscriber.objects.get().recipient.address == ROSA
    assert not Recipient.objects.get(address=NEW).may_receive

    move(text)

    assert Subscriber.objects.get().recipient.address == NEW
    assert Subscriber.objects.eligible().count() == 1
    assert not Recipient.objects.get(address=ROSA).may_receive
    assert Delivery.objects.latest("pk").recipient.address == ROSA
    with pytest.raises(LinkInvalid):
        move(text)


def test_p1_erasing_takes_the_address_before_the_move_along(rosa: Subscriber) -> None:
    moved = move(moving_link(mailed_link()))

    forget(moved)

    assert not Recipient.objects.exclude(address__endswith="@erased.invalid").exists()


def test_moving_says_the_same_and_mails_a_mailbox_once_a_day(rosa: Subscriber) -> None:
    text = mailed_link()
    with pytest.raises(SameAddress):
        ask_to_move(text, ROSA.upper())

    for _ in range(3):
        ask_to_move(text, NEW)

    mails = Delivery.objects.filter(recipient__address=NEW)
    assert mails.count() == 1


def test_moving_to_a_mailbox_that_bounced_mails_it_once_in_thirty_days(
    rosa: Subscriber,
) -> None:
    target = Recipient.objects.create(
        address=NEW,
        suppressed_at=timezone.now(),
        suppression=Recipient.Suppression.HARD_BOUNCE,
    )
    text = mailed_link()

    ask_to_move(text, NEW)
    Delivery.objects.update(dated_at=timezone.now() - timedelta(days=29))
    ask_to_move(text, NEW)

    assert Delivery.objects.filter(recipient=target).count() == 1


def test_moving_to_an_address_on_the_list_leaves_one_subscription(
    rosa: Subscriber,
) -> None:
    subscribe(NEW)
    confirm(link())
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))

    kept = move(moving_link(mailed_link()))

    assert (kept.recipient.address, kept.status) == (NEW, Status.CONFIRMED)
    assert Subscriber.objects.eligible().get() == kept


def test_moving_to_an_address_that_never_confirmed_takes_it_over(
    rosa: Subscriber,
) -> None:
    subscribe(NEW)
    Delivery.objects.update(dated_at=timezone.now() - timedelta(hours=25))

    moved = move(moving_link(mailed_link()))

    assert (moved.pk, moved.recipient.address) == (rosa.pk, NEW)
    assert Subscriber.objects.eligible().get() == moved


def test_people_see_the_very_box_and_where_its_proof_stands(rosa: Subscriber) -> None:
    change(mailed_link(), Wishes((), MONTHLY, "UTC", None))
    seal()

    (agreement,) = agreements_of(rosa)

    assert agreement.wording.text["button"] == "Subscribe"
    assert agreement.terms_id is not None
    assert agreement.confirmed_at is not None
    assert agreement.withdrawn_at is None
    assert [one.event.act for one in agreement.facts] == [
        *("requested", "requested", "confirmed", "changed")
    ]
    assert all(one.position for one in agreement.facts)


def test_p1_the_download_names_all_that_is_known(rosa: Subscriber) -> None:
    mailed_link()

    known = download(Subscriber.objects.get())

    assert known["profile"]["address"] == ROSA
    assert known["profile"]["status"] == "confirmed"
    assert [one["act"] for one in known["consents"]] == [
        *("requested", "requested", "confirmed")
    ]
    assert known["consents"][0]["given_on_page"] == "https://health.example/"
    assert [one["kind"] for one in known["mails"]] == [
        *("confirmation", "preference link")
    ]


# Where each column of the person's own row stands in the download.
TOLD = {
    **{one: one for one in ("status", "confirmed_at", "unsubscribed_at", "topics")},
    **{one: one for one in ("frequency", "paused_until", "time_zone")},
    **{one: one for one in ("moving_to", "moved_from")},
    "recipient": "address",
    "created_at": "signed_up_at",
    "acted_at": "last_pressed_a_button_at",
    "told_why": "said_why_they_left",
}
# The random key says nothing; the others are when a mail left or what its link is
# bound to, and those mails are listed.
NOT_TOLD = {"id", "key", "asked_at", "link_sent_at", "permission_asked_at"}
NOT_TOLD |= {"moving_asked_at", "moved_at"}
# The list that somebody came with is a part of its own.
NOT_TOLD |= {"brought_by"}


def test_p1_the_download_leaves_no_column_out(rosa: Subscriber) -> None:
    columns = {one.name for one in Subscriber._meta.concrete_fields}

    profile = download(rosa)["profile"]

    assert columns - NOT_TOLD == set(TOLD)
    also = {"not_mailed_because", "not_mailed_since"}
    assert set(profile) == {*TOLD.values()} | also


def test_p1_the_download_tells_of_the_old_address_and_who_looked(
    rosa: Subscriber, admin_user: User
) -> None:
    move(moving_link(mailed_link()))
    SubscriberAccess.objects.create(
        by=admin_user,
        act=SubscriberAccess.Act.LOOKED,
        subscriber_key=rosa.key,
        purpose=SubscriberAccess.Purpose.ASKED,
    )

    known = download(Subscriber.objects.get())

    assert known["profile"]["address"] == NEW
    assert known["profile"]["moved_from"] == ROSA
    assert "confirmation" in [one["kind"] for one in known["mails"]]
    (look,) = known["looked_at_by_staff"]
    assert (look["act"], look["purpose"]) == ("looked", "the person asked")


def test_p1_erasing_leaves_the_address_nowhere_and_the_evidence_whole(
    rosa: Subscriber,
) -> None:
    text = mailed_link()
    Delivery.objects.update(smtp_reply=f"250 {ROSA} ok")
    unsubscribing = token("unsubscribe", rosa.recipient.key)
    ask_to_move(text, NEW)
    events = ConsentEvent.objects.count()

    erase(text)

    assert not Subscriber.objects.exists()
    assert not ConsentContext.objects.exists()
    assert not Recipient.objects.exclude(address__endswith="@erased.invalid").exists()
    assert not Delivery.objects.exclude(message=None).exists()
    assert not Delivery.objects.exclude(smtp_reply="").exists()
    assert ConsentEvent.objects.count() == events + 1
    # Links in old mails go on saying that nothing more comes.
    assert unsubscribe(unsubscribing)
    with pytest.raises(LinkInvalid):
        erase(text)


def test_who_was_blocked_stays_so_when_erased(rosa: Subscriber) -> None:
    Recipient.objects.update(
        suppressed_at=timezone.now(), suppression=Recipient.Suppression.COMPLAINT
    )
    text = mailed_link()
    Delivery.objects.update(dated_at=timezone.now() - timedelta(days=31))
    erase(text)

    subscribe()

    recipient = Recipient.objects.get(address=ROSA)
    assert recipient.suppression == Recipient.Suppression.COMPLAINT
    assert Delivery.objects.filter(recipient=recipient).count() == 1
