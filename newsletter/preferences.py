"""What subscribers rule themselves, behind a link that is mailed when they ask for it.

Tips get forwarded, so their unsubscribe link opens none of this.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from mail import (
    Delivery,
    Recipient,
    canonical_address,
    is_signed,
    token_key,
    wake,
)
from newsletter import consent, emails, limits
from newsletter.intake import resolve_each
from newsletter.models import LinkRequest, Subscriber

RESOLVE = "newsletter.resolve_link_requests"
PREFERENCES = "preferences"
LINK_HOLDS = timedelta(hours=24)
ONE_LINK_PER = timedelta(minutes=10)
LINKS_A_DAY = 5
LONGEST_PAUSE = timedelta(days=366)
# What tips are about, as `HealthTip.topics` names it.
TOPICS = {
    "twitching": "Twitching",
    "eyes-and-face": "Eyes and face",
    "nerves-and-senses": "Nerves and senses",
    "food-and-minerals": "Food and minerals",
    "everyday-habits": "Everyday habits",
}


class LinkInvalid(Exception):
    """Forged, too old, or replaced by a newer one."""


@dataclass(frozen=True)
class Wishes:
    """What a subscriber chose; no topic means all of them."""

    topics: tuple[str, ...]
    frequency: Subscriber.Frequency
    time_zone: str
    paused_until: datetime | None


def ask_for_link(typed: str, *, network: str = "") -> None:
    """Note that somebody wants a preferences link.

    One insert, whatever the address is: the answer tells nobody who is on the list.
    Raises NotAnAddress, and what `limits.admit` raises.
    """
    address = canonical_address(typed)
    if not limits.admit("link", address=address, network=network):
        return
    with transaction.atomic():
        LinkRequest.objects.create(address=address)
        wake(RESOLVE)


def resolve_link_requests() -> int:
    """Mail a link to each who may have one, in a commit of its own; how many asked."""
    return resolve_each(LinkRequest, _resolve)


def _resolve(request: LinkRequest) -> None:
    Subscriber.objects.hold([request.address])
    found = Subscriber.objects.filter(recipient__address=request.address)
    subscriber, now = found.select_related("recipient").first(), timezone.now()
    # Who never confirmed gets no mail but the one that asks (R22), whoever types.
    if (
        subscriber
        and subscriber.confirmed_at
        and not _had_enough(subscriber.recipient, now)
    ):
        subscriber.link_sent_at = now
        subscriber.save(update_fields=["link_sent_at"])
        emails.preferences_link(subscriber)


def _had_enough(recipient: Recipient, now: datetime) -> bool:
    """Blocked by hand, or mailed as many links as anybody needs."""
    if recipient.is_blocked():
        return True
    links = Delivery.objects.filter(
        recipient=recipient, kind=Delivery.Kind.PREFERENCE_LINK
    )
    lately = links.filter(dated_at__gt=now - ONE_LINK_PER).exists()
    return lately or links.filter(dated_at__gt=now - LINK_HOLDS).count() >= LINKS_A_DAY


def holder(text: str, *, lock: bool = False) -> Subscriber:
    """Whose preferences a link opens. Raises LinkInvalid."""
    key = token_key(text)
    found = Subscriber.objects.at_mailbox(key, lock=lock) if key else None
    if found is None or key is None or found.link_sent_at is None:
        raise LinkInvalid
    is_fresh = found.link_sent_at + LINK_HOLDS > timezone.now()
    bound_to = found.link_sent_at.isoformat()
    if not is_fresh or not is_signed(PREFERENCES, text, key, bound_to=bound_to):
        raise LinkInvalid
    return found


@transaction.atomic
def acting(text: str) -> Subscriber:
    """Whose button is pressed, locked; that they are there is noted. As `holder`."""
    subscriber, now = holder(text, lock=True), timezone.now()
    # To the day is enough, and pressing again changes nothing.
    if not subscriber.acted_at or subscriber.acted_at <= now - timedelta(days=1):
        subscriber.acted_at = now
        subscriber.save(update_fields=["acted_at"])
    return subscriber


def wishes_of(subscriber: Subscriber) -> Wishes:
    return Wishes(
        topics=tuple(subscriber.topics),
        frequency=Subscriber.Frequency(subscriber.frequency),
        time_zone=subscriber.time_zone,
        paused_until=subscriber.paused_until,
    )


@transaction.atomic
def change(text: str, wishes: Wishes) -> bool:
    """Take `wishes` over; False where they are what they were. Raises LinkInvalid.

    The ledger says that something was changed, not what: topics are about health.
    """
    subscriber = acting(text)
    if wishes == wishes_of(subscriber):
        return False
    _take_over(subscriber, wishes)
    return True


def _take_over(subscriber: Subscriber, wishes: Wishes) -> None:
    subscriber.topics = list(wishes.topics)
    subscriber.frequency = wishes.frequency
    subscriber.time_zone = wishes.time_zone
    subscriber.paused_until = wishes.paused_until
    subscriber.save(update_fields=["topics", "frequency", "time_zone", "paused_until"])
    consent.changed(subscriber, timezone.now())


def pause(subscriber: Subscriber, days: int) -> None:
    """No tips for so many days; the confirmed consent stands."""
    until = timezone.now() + timedelta(days=days)
    now = wishes_of(subscriber)
    _take_over(subscriber, replace(now, paused_until=until))


def only_monthly(subscriber: Subscriber) -> None:
    now = wishes_of(subscriber)
    _take_over(subscriber, replace(now, frequency=Subscriber.Frequency.MONTHLY))


@transaction.atomic
def start_again(text: str) -> bool:
    """End a pause now; False where there is none. Raises LinkInvalid."""
    return change(text, replace(wishes_of(holder(text, lock=True)), paused_until=None))


def time_zones() -> list[str]:
    """Those that people know by a place and PostgreSQL knows, which works out slots."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_timezone_names WHERE name ~ %s ORDER BY name",
            [
                r"^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|"
                r"Pacific)/|^UTC$"
            ],
        )
        return [name for (name,) in cursor.fetchall()]
