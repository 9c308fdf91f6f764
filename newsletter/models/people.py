"""People on the list, what they wish, and who looked at them."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID, uuid4

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from newsletter.clocks import ClockReading
from newsletter.models.consent import ListImport, Wording

if TYPE_CHECKING:
    from newsletter.models.tips import Schedule


class SignUp(models.Model):
    """What somebody typed into the box; gone once a worker has resolved it."""

    address = models.CharField(max_length=254, help_text="Canonical.")
    wording = models.ForeignKey(Wording, models.PROTECT)
    terms = models.ForeignKey("articles.Revision", models.PROTECT, related_name="+")
    topics = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    page = models.CharField(max_length=200, blank=True, default="")
    network = models.CharField(
        max_length=50, blank=True, default="", help_text="The truncated IP address."
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"sign-up {self.pk}"


class SubscriberQuerySet(models.QuerySet["Subscriber"]):
    def eligible(self, at: datetime | None = None) -> Self:
        """Who gets a tip that starts at `at` (aware; now by default)."""
        now = at or timezone.now()
        return self.filter(
            Q(paused_until__isnull=True) | Q(paused_until__lte=now),
            status=Subscriber.Status.CONFIRMED,
            recipient__may_receive=True,
            recipient__suppressed_at__isnull=True,
        )

    def unasked(self) -> Self:
        """Who came in with a file, may be written to, and was not asked yet."""
        return self.filter(
            brought_by__isnull=False,
            status=Subscriber.Status.UNCONFIRMED,
            unsubscribed_at__isnull=True,
            permission_asked_at__isnull=True,
            recipient__suppressed_at__isnull=True,
        )

    def at_mailbox(self, key: UUID, *, lock: bool = False) -> "Subscriber | None":
        """Who has the mailbox that a mailed link was sent to; `lock` holds both.

        A batch that is just being made refers to the mailbox and keeps nobody waiting.
        """
        found = self.select_related("recipient").filter(recipient__key=key)
        return (found.select_for_update(no_key=True) if lock else found).first()

    def hold(self, addresses: Collection[str]) -> None:
        """Lock whoever has these mailboxes, in one order, before the mailboxes are.

        All do it this way round: else two wait for each other.
        """
        theirs = self.filter(recipient__address__in=addresses).order_by("pk")
        list(theirs.select_for_update(of=("self",), no_key=True).values_list("pk"))

    def wanting(self, topics: list[str]) -> Self:
        """Who chose one of `topics`, or none at all: that is every topic."""
        if not topics:
            return self
        return self.filter(Q(topics=[]) | Q(topics__overlap=topics))

    def getting(self, schedule: "Schedule", slot: datetime, at: datetime) -> Self:
        """Who gets the schedule's issue of `slot` if it starts at `at`.

        Those who asked for one tip a month get the month's first issue; who came when
        the slot was past where they live begins with the next one.
        """
        own_time = schedule.due_at(slot, F("time_zone"))
        people = self.eligible(at).filter(confirmed_at__lt=own_time)
        if schedule.issues.sent().in_month_of(slot).exists():
            return people.filter(frequency=Subscriber.Frequency.WEEKLY)
        return people


class Subscriber(models.Model):
    """A person on the list; the address itself is their `mail.Recipient`'s."""

    class Status(models.TextChoices):
        UNCONFIRMED = "unconfirmed"
        CONFIRMED = "confirmed"
        UNSUBSCRIBED = "unsubscribed"

    class Frequency(models.TextChoices):
        WEEKLY = "weekly"
        MONTHLY = "monthly"

    key = models.UUIDField(default=uuid4, unique=True, editable=False)
    recipient = models.OneToOneField(
        "mail.Recipient", models.PROTECT, related_name="subscriber"
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.UNCONFIRMED)
    asked_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the newest confirmation was mailed; its link is bound to this.",
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    topics = ArrayField(
        models.CharField(max_length=30),
        default=list,
        blank=True,
        help_text="Empty: all.",
    )
    frequency = models.CharField(
        max_length=10, choices=Frequency, default=Frequency.WEEKLY
    )
    paused_until = models.DateTimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=40, default="UTC")
    link_sent_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the newest preferences link was mailed; the link is bound to "
        "this.",
    )
    acted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a button behind such a link was pressed last. Anybody can ask "
        "for a link; who presses has the mailbox.",
    )
    moving_to = models.ForeignKey(
        "mail.Recipient",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The new address, until it is confirmed from there.",
    )
    moving_asked_at = models.DateTimeField(null=True, blank=True)
    moved_from = models.ForeignKey(
        "mail.Recipient",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The address before this one, while it is told of the move.",
    )
    moved_at = models.DateTimeField(null=True, blank=True)
    brought_by = models.ForeignKey(
        ListImport,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="subscribers",
        help_text="The file that the person came in with; empty: through the box.",
    )
    permission_asked_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When somebody from such a file was asked whether we may write.",
    )
    told_why = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Whether they said why they left last. What they said is only "
        "counted.",
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = SubscriberQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="confirmed") | Q(confirmed_at__isnull=False),
                name="newsletter_subscriber_confirmed_with_time",
            ),
            models.CheckConstraint(
                condition=Q(moving_to__isnull=True) | Q(moving_asked_at__isnull=False),
                name="newsletter_subscriber_moves_with_time",
            ),
            models.CheckConstraint(
                condition=Q(moved_from__isnull=True) | Q(moved_at__isnull=False),
                name="newsletter_subscriber_moved_with_time",
            ),
        ]
        permissions = [
            ("prove_consent", "Can export, prove consent and erase"),
            ("block_subscriber", "Can block by hand"),
            ("lift_block", "Can lift a block by hand"),
        ]

    def __str__(self) -> str:
        return f"subscriber {self.pk}"

    def is_confirmed(self) -> bool:
        return self.status == Subscriber.Status.CONFIRMED

    def is_paused(self, at: datetime | None = None) -> bool:
        """Whether an issue that starts at `at` (now by default) is not theirs."""
        return bool(self.paused_until and self.paused_until > (at or timezone.now()))

    def pause_ends(self) -> datetime | None:
        """What their own clock reads when their pause ends, without a zone."""
        clock = ClockReading(F("paused_until"), F("time_zone"))
        row = Subscriber.objects.filter(pk=self.pk).values_list(clock, flat=True)
        ends: datetime | None = row.get()
        return ends

    def is_back(self) -> bool:
        """Whether they had left the list before they confirmed."""
        return self.unsubscribed_at is not None


class SubscriberAccess(models.Model):
    """Which member of staff did what with one person's data, and why. Never changed.

    By the person's key, so that it says nothing of whoever was erased since.
    """

    class Act(models.TextChoices):
        LOOKED = "looked"
        FOUND_NOBODY = "found nobody", "Found nobody"
        BLOCKED = "blocked"
        LIFTED = "lifted a block", "Lifted a block"
        PROVED = "proved consent", "Proved consent"
        EXPORTED = "exported"
        ERASED = "erased"

    class Purpose(models.TextChoices):
        ASKED = "the person asked", "The person asked"
        MAIL = "mail does not arrive", "Mail does not arrive"
        COMPLAINT = "a complaint", "A complaint"
        AUTHORITY = "a court or an authority", "A court or an authority asked"
        SECURITY = "abuse or a mistake", "Abuse or a mistake"

    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, verbose_name="who", related_name="+"
    )
    act = models.CharField(max_length=14, choices=Act)
    subscriber_key = models.UUIDField(
        null=True, help_text="Empty: nobody had the address."
    )
    purpose = models.CharField(max_length=30, choices=Purpose)
    reference = models.CharField(max_length=40, blank=True, default="")
    occurred_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        verbose_name = "access to a subscriber"
        verbose_name_plural = "who looked at whom"
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["by", "subscriber_key", "occurred_at"],
                name="newsletter_access_lately",
            )
        ]
        triggers = [
            pgtrigger.Protect(
                name="append_only", operation=pgtrigger.Update | pgtrigger.Delete
            )
        ]

    def __str__(self) -> str:
        return f"{self.by} {self.act}"


class KeptAsking(models.Model):
    """An erased mailbox that may not be asked anew yet, as a keyed hash.

    Else whoever is erased and signs up again could have a mailbox asked every minute.
    """

    address_mac = models.CharField(
        max_length=64, unique=True, help_text="HMAC-SHA-256 under CONSENT_KEY."
    )
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"kept asking {self.pk}"


class LinkRequest(models.Model):
    """Somebody who wants a preferences link; gone once a worker has resolved it."""

    address = models.CharField(max_length=254, help_text="Canonical.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"link request {self.pk}"


class LeavingReason(models.Model):
    """How many left for a reason in a month. Nobody's reason is kept by name."""

    class Reason(models.TextChoices):
        TOO_OFTEN = "too often"
        NOT_FOR_ME = "not for me"
        NEVER_ASKED = "never asked"
        BETTER_NOW = "better now"
        OTHER = "other"

    month = models.DateField(help_text="Its first day.")
    reason = models.CharField(max_length=12, choices=Reason)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "growth and leaving"
        constraints = [
            models.UniqueConstraint(
                fields=["month", "reason"], name="newsletter_leavingreason_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.reason}, {self.month:%Y-%m}"
