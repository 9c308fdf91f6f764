from datetime import timedelta
from typing import Self
from uuid import uuid4

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

# A delivery that could not leave for this long is given up (refused, expired).
GIVE_UP_AFTER = timedelta(hours=24)


class Recipient(models.Model):
    """A mailbox. Whether it may get mail is asked at the moment of sending."""

    class Suppression(models.TextChoices):
        HARD_BOUNCE = "hard bounce"
        COMPLAINT = "complaint"
        MANUAL = "manual"

    key = models.UUIDField(
        default=uuid4, db_default=RandomUUID(), unique=True, editable=False
    )
    address = models.CharField(
        max_length=254, unique=True, help_text="Canonical: lower case, ASCII domain."
    )
    may_receive = models.BooleanField(
        default=False,
        db_default=False,
        help_text="True while the person's consent to tips stands.",
    )
    suppressed_at = models.DateTimeField(null=True, blank=True)
    suppression = models.CharField(
        max_length=20, choices=Suppression, blank=True, default=""
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(suppressed_at__isnull=True, suppression="")
                | Q(suppressed_at__isnull=False) & ~Q(suppression=""),
                name="mail_recipient_suppressed_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(address__contains="@") & Q(address__regex=r"^[!-~]+$"),
                name="mail_recipient_address_is_ascii",
            ),
        ]

    def __str__(self) -> str:
        return f"recipient {self.pk}"


class Batch(models.Model):
    """One message for many people, built once; per person only tokens differ."""

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        FINISHED = "finished"
        CANCELLED = "cancelled"

    name = models.CharField(max_length=200)
    message = models.BinaryField(
        help_text="Bytes with placeholders, see mail.building."
    )
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    pause_reason = models.CharField(max_length=200, blank=True, default="")
    eligible = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "batches"
        permissions = [("control_batch", "Can start, pause, cancel and correct")]

    def __str__(self) -> str:
        return self.name


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Deliveries that have not begun to leave."""
        return self.filter(state__in=[Delivery.State.QUEUED, Delivery.State.CLAIMED])

    def unfinished(self) -> Self:
        return self.exclude(state__in=Delivery.FINAL)


class Delivery(models.Model):
    """One message to one person, with a fate."""

    class Kind(models.TextChoices):
        CONFIRMATION = "confirmation"
        PREFERENCE_LINK = "preference link"
        STAFF = "staff"
        TIP = "tip"

    class State(models.TextChoices):
        QUEUED = "queued"
        CLAIMED = "claimed"
        HANDING_OVER = "handing_over"
        ACCEPTED = "accepted"
        REFUSED = "refused"
        DROPPED = "dropped"
        UNCERTAIN = "uncertain"

    class Bounce(models.TextChoices):
        """What came back after the server had taken it, the weakest first."""

        SOFT = "soft bounce"
        POLICY = "policy refusal"
        HARD = "hard bounce"
        COMPLAINT = "complaint"

    FINAL = (State.ACCEPTED, State.REFUSED, State.DROPPED, State.UNCERTAIN)

    key = models.UUIDField(
        default=uuid4, db_default=RandomUUID(), unique=True, editable=False
    )
    idempotency_key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=20, choices=Kind)
    recipient = models.ForeignKey(Recipient, models.PROTECT, related_name="deliveries")
    batch = models.ForeignKey(
        Batch, models.PROTECT, null=True, blank=True, related_name="deliveries"
    )
    message = models.BinaryField(
        null=True, help_text="A single mail's own bytes, until its fate is known."
    )
    state = models.CharField(
        max_length=12, choices=State, default=State.QUEUED, db_default=State.QUEUED
    )
    dated_at = models.DateTimeField(
        help_text="The Date header; the same at every try.", db_default=Now()
    )
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    fence = models.PositiveBigIntegerField(
        default=0,
        db_default=0,
        help_text="Counts claims: a worker that lost its lease no longer matches.",
    )
    leased_until = models.DateTimeField(null=True, blank=True)
    smtp_reply = models.CharField(max_length=500, blank=True, default="", db_default="")
    reason = models.CharField(max_length=100, blank=True, default="", db_default="")
    finished_at = models.DateTimeField(null=True, blank=True)
    bounce = models.CharField(
        max_length=20, choices=Bounce, blank=True, default="", db_default=""
    )
    bounce_status = models.CharField(
        max_length=11,
        blank=True,
        default="",
        db_default="",
        help_text="Enhanced status code (RFC 3463).",
    )
    bounced_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = [("settle_delivery", "Can resend or settle uncertain")]
        indexes = [
            # What claiming asks: single mails before batches, oldest first.
            models.Index(
                models.ExpressionWrapper(
                    Q(batch__isnull=False), output_field=models.BooleanField()
                ),
                F("due_at"),
                name="mail_delivery_queued",
                condition=Q(state="queued"),
            ),
            models.Index(
                fields=["leased_until"],
                name="mail_delivery_leased",
                condition=Q(state__in=["claimed", "handing_over"]),
            ),
            # What the breaker counts.
            models.Index(
                fields=["batch", "bounce"],
                name="mail_delivery_bounced",
                condition=~Q(bounce=""),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="queued", leased_until__isnull=True)
                | Q(state__in=["claimed", "handing_over"], leased_until__isnull=False)
                | Q(state__in=["accepted", "refused", "dropped", "uncertain"]),
                name="mail_delivery_lease_matches_state",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["accepted", "refused", "dropped", "uncertain"],
                    finished_at__isnull=False,
                )
                | Q(
                    state__in=["queued", "claimed", "handing_over"],
                    finished_at__isnull=True,
                ),
                name="mail_delivery_finished_with_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["refused", "dropped", "uncertain"])
                | ~Q(reason=""),
                name="mail_delivery_says_why_not",
            ),
            models.CheckConstraint(
                condition=Q(kind="tip") | Q(batch__isnull=True),
                name="mail_delivery_only_tips_in_batches",
            ),
            models.CheckConstraint(
                condition=Q(bounced_at__isnull=True, bounce="", bounce_status="")
                | Q(bounced_at__isnull=False) & ~Q(bounce=""),
                name="mail_delivery_bounced_with_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}: {self.state}"
