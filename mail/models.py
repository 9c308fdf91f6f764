from datetime import timedelta
from typing import Any, ClassVar, Self
from uuid import uuid4

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# A delivery that could not leave for this long is given up (refused, expired).
GIVE_UP_AFTER = timedelta(hours=24)
# A batch of which nothing left for this long waits for a person.
OVERDUE_AFTER = timedelta(hours=1)


class RecipientQuerySet(models.QuerySet["Recipient"]):
    def who_got(self, batch: "Batch") -> Self:
        """Whose server took a message of this batch."""
        return self.filter(
            deliveries__batch=batch, deliveries__state=Delivery.State.ACCEPTED
        )

    def reachable(self) -> Self:
        """Who has not left and is not suppressed."""
        return self.filter(may_receive=True, suppressed_at__isnull=True)


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
    erased_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its address was erased. The row stays for its deliveries.",
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = RecipientQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["erased_at"],
                name="mail_recipient_erased",
                condition=Q(erased_at__isnull=False),
            )
        ]
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

    def is_blocked(self) -> bool:
        """Whether a person stopped mail to it: no sign-up lifts that."""
        return self.suppression == self.Suppression.MANUAL


class KeptSuppression(models.Model):
    """An erased mailbox that must not be written to all the same, as a keyed hash.

    Who left, or did not answer, may come back by themselves: that is consent anew. No
    file brings them back.
    """

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard bounce"
        COMPLAINT = "complaint"
        MANUAL = "manual"
        LEFT = "left"
        NO_ANSWER = "no answer"

    address_mac = models.CharField(
        max_length=64, unique=True, help_text="HMAC-SHA-256 under CONSENT_KEY."
    )
    suppression = models.CharField(max_length=20, choices=Reason)
    suppressed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"kept suppression {self.pk}"


class BatchQuerySet(models.QuerySet["Batch"]):
    def withdrawn(self) -> Self:
        """Whose text should not go out any more: cancelled, or corrected."""
        return self.filter(
            Q(state=Batch.State.CANCELLED) | Q(corrections__isnull=False)
        ).distinct()

    def go_on(self, **changes: Any) -> None:
        """Those that are finished run again, for a delivery that is queued again."""
        self.filter(state=Batch.State.FINISHED).update(
            state=Batch.State.RUNNING, finished_at=None, **changes
        )


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
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        help_text="The batch whose text this one puts right.",
    )
    warrant = models.JSONField(
        default=dict,
        blank=True,
        help_text="What entitled it to start, in its maker's own terms: digest of the "
        "sign-off, head of the ledger.",
    )
    created_at = models.DateTimeField(db_default=Now())
    overdue_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="From then on it waits for a person if nothing of it has left. "
        "Empty once something has.",
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    reached_nobody = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It has ended and no server took any of it, nor may have.",
    )

    manifest_sha256 = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Of its manifest, before its deliveries became counts.",
    )
    counted_up_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its deliveries began to become counts (mail.retention).",
    )

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        indexes = [
            # What each claim asks.
            models.Index(
                fields=["overdue_at"],
                name="mail_batch_overdue",
                condition=Q(state="running", overdue_at__isnull=False),
            )
        ]
        permissions = [("control_batch", "Can start, pause, cancel and correct")]

    def __str__(self) -> str:
        return self.name


class BatchEvent(models.Model):
    """What somebody did with a batch. Never changed; `by` is empty for the engine."""

    class Act(models.TextChoices):
        PAUSED = "paused"
        RESUMED = "resumed"
        CANCELLED = "cancelled"
        CORRECTED = "corrected"
        RESENT = "resent"
        SETTLED = "settled"

    batch = models.ForeignKey(Batch, models.PROTECT, related_name="events")
    act = models.CharField(max_length=10, choices=Act)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    note = models.CharField(max_length=300, blank=True, default="")
    occurred_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        triggers = [
            pgtrigger.Protect(
                name="append_only", operation=pgtrigger.Update | pgtrigger.Delete
            )
        ]

    def __str__(self) -> str:
        return f"{self.act} batch {self.batch_id}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def waiting(self) -> Self:
        """Deliveries that have not begun to leave, claimed by a worker or not."""
        return self.filter(state=Delivery.State.QUEUED)

    def unfinished(self) -> Self:
        return self.exclude(state__in=Delivery.FINAL)

    def uncertain(self) -> Self:
        """Deliveries that may have arrived: only a person decides about them."""
        return self.filter(state=Delivery.State.UNCERTAIN)

    def resendable(self) -> Self:
        """The uncertain ones whose text should still go out."""
        return self.uncertain().exclude(batch__in=Batch.objects.withdrawn())


class Delivery(models.Model):
    """One message to one person, with a fate."""

    class Kind(models.TextChoices):
        CONFIRMATION = "confirmation"
        PREFERENCE_LINK = "preference link"
        STAFF = "staff"
        TIP = "tip"

    class State(models.TextChoices):
        QUEUED = "queued"
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

    # Of an ended batch: whoever has one of these may have got it.
    REACHING = (State.ACCEPTED, State.UNCERTAIN)
    FINAL = (State.ACCEPTED, State.REFUSED, State.DROPPED, State.UNCERTAIN)

    key = models.UUIDField(
        default=uuid4, db_default=RandomUUID(), unique=True, editable=False
    )
    idempotency_key = models.CharField(max_length=120)
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
    expires_at = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text="A day after the first `due_at`, whatever retries do to that one.",
    )
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    resends = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="How often a person sent it again, under the same Message-ID.",
    )
    fence = models.PositiveBigIntegerField(
        default=0,
        db_default=0,
        help_text="Counts hand-overs: an outcome that comes late matches no other.",
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
            # What the breaker counts.
            models.Index(
                fields=["batch", "bounce"],
                name="mail_delivery_bounced",
                condition=~Q(bounce=""),
            ),
        ]
        constraints = [
            # Not `unique=True`, which would index it twice (LIKE).
            models.UniqueConstraint(
                fields=["idempotency_key"], name="mail_delivery_asked_once"
            ),
            models.CheckConstraint(
                condition=Q(state="handing_over", leased_until__isnull=False)
                | Q(state="queued", leased_until__isnull=True)
                | Q(state__in=["accepted", "refused", "dropped", "uncertain"]),
                name="mail_delivery_lease_matches_state",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["accepted", "refused", "dropped", "uncertain"],
                    finished_at__isnull=False,
                )
                | Q(state__in=["queued", "handing_over"], finished_at__isnull=True),
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
        triggers: ClassVar = [
            # However a row is made. A person who resends sets `expires_at` anew.
            pgtrigger.Trigger(
                name="expires_a_day_after_due",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func=f"""
                    NEW.expires_at = NEW.due_at
                        + interval '{GIVE_UP_AFTER.total_seconds():.0f} seconds';
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="queue_new",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="made"),  # type: ignore[no-untyped-call]
                func="""
                    INSERT INTO mail_queueentry (delivery_id, batch_id, due_at)
                    SELECT id, batch_id, due_at FROM made
                    WHERE state IN ('queued', 'handing_over');
                    RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="queue_again",
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__state="queued")
                & (
                    ~pgtrigger.Q(old__state="queued")
                    | pgtrigger.Q(old__due_at__df=pgtrigger.F("new__due_at"))
                ),
                func="""
                    INSERT INTO mail_queueentry (delivery_id, batch_id, due_at)
                    VALUES (NEW.id, NEW.batch_id, NEW.due_at)
                    ON CONFLICT (delivery_id) DO UPDATE
                    SET due_at = NEW.due_at, claimed_until = NULL;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="queue_no_more",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                referencing=pgtrigger.Referencing(new="changed"),  # type: ignore[no-untyped-call]
                func="""
                    DELETE FROM mail_queueentry AS entry USING changed
                    WHERE entry.delivery_id = changed.id AND changed.state
                        IN ('accepted', 'refused', 'dropped', 'uncertain');
                    RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="queue_gone",
                when=pgtrigger.After,
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__state__in=["queued", "handing_over"]),
                func="""
                    DELETE FROM mail_queueentry WHERE delivery_id = OLD.id;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}: {self.state}"


class BatchCount(models.Model):
    """Of a batch's deliveries that are gone: how many had this fate for this reason."""

    batch = models.ForeignKey(Batch, models.PROTECT, related_name="kept_counts")
    state = models.CharField(max_length=12, choices=Delivery.State)
    reason = models.CharField(max_length=100, blank=True, default="")
    count = models.PositiveIntegerField()
    complaints = models.PositiveIntegerField()
    first_at = models.DateTimeField(help_text="When the first of them ended.")
    last_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "state", "reason"], name="mail_batchcount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.state} of batch {self.batch_id}"


class YearlyCount(models.Model):
    """What became of a year's mails, when the mails themselves are forgotten (UTC)."""

    year = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=20, choices=Delivery.Kind)
    state = models.CharField(max_length=12, choices=Delivery.State)
    bounce = models.CharField(
        max_length=20, choices=Delivery.Bounce, blank=True, default=""
    )
    count = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["year", "kind", "state", "bounce"], name="mail_yearlycount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.kind} {self.state} in {self.year}"


class QueueEntry(models.Model):
    """A delivery without a fate, for claiming; there exactly as long as that is so.

    Triggers of `Delivery` keep it, so no code writes here but claims. It is narrow, and
    what changes at every step is indexed here: the wide rows of `mail_delivery`, whose
    indexes no state is part of, are rewritten in place (PostgreSQL's HOT updates).
    """

    delivery = models.OneToOneField(
        Delivery,
        models.DO_NOTHING,
        primary_key=True,
        # A trigger of the very row makes and removes it.
        db_constraint=False,
        related_name="queue_entry",
    )
    batch = models.ForeignKey(
        Batch, models.DO_NOTHING, null=True, db_constraint=False, db_index=False
    )
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "queue entries"
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["batch", "due_at"],
                name="mail_queueentry_due",
                condition=Q(claimed_until__isnull=True),
            ),
            models.Index(
                fields=["claimed_until"],
                name="mail_queueentry_claimed",
                condition=Q(claimed_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"queue entry of delivery {self.delivery_id}"


class Environment(models.Model):
    """Where this database sends from: one row, none before the first start.

    What it is held against, and who writes it: `mail.environment`.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    system_identifier = models.CharField(max_length=20)
    database_oid = models.BigIntegerField()
    database_name = models.CharField(max_length=63)
    site_url = models.TextField()
    hosts = ArrayField(models.UUIDField(), help_text="Whose id files are known.")
    heartbeat_at = models.DateTimeField()
    restored_at = models.DateTimeField(
        null=True, help_text="When a host remembered newer data than there were."
    )
    adopted_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(id=1), name="mail_environment_is_one_row"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.database_name} for {self.site_url}"


class Tally(models.Model):
    """How often something was asked for, while Valkey can't count. Nobody's by name."""

    key = models.CharField(
        max_length=110, primary_key=True, help_text="What is counted, and a keyed hash."
    )
    count = models.PositiveIntegerField()
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"tally until {self.ends_at:%H:%M}"
