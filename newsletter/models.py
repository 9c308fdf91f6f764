from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self
from uuid import UUID, uuid4

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Now
from django.utils import timezone

from ledger import Attested
from newsletter.clocks import (
    FIRST_ZONE,
    LAST_ZONE,
    ClockReading,
    WhenClocksRead,
    month_of,
    week_of,
)
from review import digest_of_stored, state_of

if TYPE_CHECKING:
    from review import SignOff

HEXADECIMAL = r"^[0-9a-f]{64}$"


class Wording(Attested):
    """The exact words of a box people agreed in, named by their digest."""

    KIND = "newsletter.wording"
    FACTS = ("digest", "locale", "text", "created_at")

    digest = models.CharField(max_length=64, unique=True)
    locale = models.CharField(max_length=10)
    text = models.JSONField(help_text="purpose, agreement and button, as shown.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="newsletter_wording_digest_is_hexadecimal",
            )
        ]

    def __str__(self) -> str:
        return self.digest[:12]


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


class ListImport(models.Model):
    """A file of people from another list, known by its digest; its bytes are not kept.

    The same file again is the same import.
    """

    file_digest = models.CharField(max_length=64, unique=True)
    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(
        null=True, help_text="When it was first taken in to its last line."
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(file_digest__regex=HEXADECIMAL),
                name="newsletter_listimport_digest_is_hexadecimal",
            )
        ]

    def __str__(self) -> str:
        return f"import {self.pk}"


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


class LinkRequest(models.Model):
    """Somebody who wants a preferences link; gone once a worker has resolved it."""

    address = models.CharField(max_length=254, help_text="Canonical.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"link request {self.pk}"


class Tally(models.Model):
    """How often something was asked for, while Valkey can't count. Nobody's by name."""

    key = models.CharField(
        max_length=110, primary_key=True, help_text="What is counted, and a keyed hash."
    )
    count = models.PositiveIntegerField()
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"tally until {self.ends_at:%H:%M}"


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


class ConsentEvent(Attested):
    """What a person agreed to, or took back. Keyed at random, never by address."""

    KIND = "newsletter.consent_event"
    FACTS = (
        *("subscriber_key", "matter", "act", "wording_id", "terms_id"),
        *("occurred_at", "context_commitment"),
    )

    class Matter(models.TextChoices):
        """Consent to mail and agreement to the Terms are two facts (GDPR 7(2))."""

        NEWSLETTER = "newsletter"
        TERMS = "terms"

    class Act(models.TextChoices):
        REQUESTED = "requested"
        CONFIRMED = "confirmed"
        CHANGED = "changed"
        WITHDRAWN = "withdrawn"
        ERASED = "erased"

    subscriber_key = models.UUIDField(db_index=True)
    matter = models.CharField(max_length=12, choices=Matter)
    act = models.CharField(max_length=10, choices=Act)
    wording = models.ForeignKey(Wording, models.PROTECT, null=True)
    terms = models.ForeignKey(
        "articles.Revision", models.PROTECT, null=True, related_name="+"
    )
    occurred_at = models.DateTimeField()
    context_commitment = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="SHA-256 over the erasable side row.",
    )

    def __str__(self) -> str:
        return f"{self.act} {self.matter}"


class ConsentContext(models.Model):
    """Where a consent was given. Erasable: the commitment stays, this goes."""

    event = models.OneToOneField(
        ConsentEvent, models.PROTECT, primary_key=True, related_name="context"
    )
    salt = models.CharField(max_length=64)
    page = models.CharField(max_length=200, blank=True, default="")
    network = models.CharField(max_length=50, blank=True, default="")

    def __str__(self) -> str:
        return f"context of {self.event_id}"


class ImportedEvidence(Attested):
    """What another list knew of a consent, as the file said it, and who vouches for it.

    Keyed as consent events are. The file's digest and line lead back to the file.
    """

    KIND = "newsletter.imported_evidence"
    FACTS = (
        *("subscriber_key", "file_digest", "line", "trusted", "agreed_at"),
        *("context_commitment", "recorded_at"),
    )

    subscriber_key = models.UUIDField(db_index=True)
    file_digest = models.CharField(max_length=64)
    line = models.PositiveIntegerField()
    trusted = models.BooleanField(
        help_text="The operator's word that this is consent: --trust-evidence."
    )
    agreed_at = models.DateTimeField(null=True)
    context_commitment = models.CharField(
        max_length=64, help_text="SHA-256 over the erasable side row."
    )
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber_key", "file_digest", "line", "trusted"],
                name="newsletter_importedevidence_once",
            )
        ]

    def __str__(self) -> str:
        return f"line {self.line} of {self.file_digest[:12]}"


class ImportedContext(models.Model):
    """The file's own words. Erasable: who knows what stands in somebody else's file."""

    evidence = models.OneToOneField(
        ImportedEvidence, models.PROTECT, primary_key=True, related_name="context"
    )
    salt = models.CharField(max_length=64)
    wording = models.TextField(blank=True, default="")
    terms = models.TextField(blank=True, default="")
    page = models.TextField(blank=True, default="")
    source = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"context of {self.evidence_id}"


class HealthTipQuerySet(models.QuerySet["HealthTip"]):
    def with_newest(self, at: datetime | None = None) -> Self:
        """Each with `newest_subject` and `standing` of its newest text, if any."""
        newest = TipRevision.objects.filter(tip=OuterRef("pk")).order_by("-number")
        number = Cast(OuterRef("pk"), models.CharField())
        subject = Concat(Value("tip:"), number, output_field=models.CharField())
        return self.annotate(
            newest_subject=Subquery(newest.values("content__subject")[:1]),
            newest_digest=Subquery(newest.values("digest")[:1]),
        ).annotate(standing=state_of(subject, OuterRef("newest_digest"), at))

    def with_last_slot(self) -> Self:
        """Each with `last_slot`, the newest one it was sent at; None before that."""
        issues = Issue.objects.sent().filter(tip_revision__tip=OuterRef("pk"))
        newest = issues.order_by("-slot").values("slot")[:1]
        return self.annotate(last_slot=Subquery(newest))


class HealthTip(models.Model):
    """A tip in the queue; its texts are revisions."""

    slug = models.SlugField(unique=True)
    position = models.PositiveIntegerField(default=0, help_text="Sent in this order.")
    topics = ArrayField(models.CharField(max_length=30), default=list, blank=True)

    objects = HealthTipQuerySet.as_manager()

    class Meta:
        ordering = ["position", "slug"]

    def __str__(self) -> str:
        return self.slug

    @property
    def subject(self) -> str:
        """How review and ledger call this tip."""
        return f"tip:{self.pk}"


class TipRevision(Attested):
    """One text of a tip, never changed; a sign-off covers its digest."""

    KIND = "newsletter.tip_revision"
    FACTS = ("tip_id", "number", "digest", "cites", "author_ids", "created_at")
    REDACTED: ClassVar[dict[str, object]] = {"content": {"redacted": True}}

    tip = models.ForeignKey(HealthTip, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    content = models.JSONField(help_text="Format tip/1, see newsletter.composing.")
    digest = models.CharField(max_length=64)
    cites = ArrayField(models.SlugField(), default=list)
    author_ids = ArrayField(models.BigIntegerField())
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tip", "number"], name="newsletter_tiprevision_numbered"
            ),
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="newsletter_tiprevision_digest_is_hexadecimal",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tip.slug} revision {self.number}"

    def text_digest(self) -> str:
        """Of the text as it stands in the row: what a mail carries, and so believes."""
        return digest_of_stored(self.content)


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def running(self, at: datetime) -> Self:
        """Schedules that may make an issue at `at` (aware)."""
        return self.filter(active=True, starts_at__lte=at)


class Schedule(models.Model):
    """When tips go out: weekly, or every so often in the demonstration.

    A weekly slot is a local date and time: what each person's own clock reads. It is
    written as if it were UTC. A slot of `every` is an instant.
    """

    class Weekday(models.IntegerChoices):
        MONDAY = 0
        TUESDAY = 1
        WEDNESDAY = 2
        THURSDAY = 3
        FRIDAY = 4
        SATURDAY = 5
        SUNDAY = 6

    WEEK = timedelta(days=7)
    # Making the rows for a million people takes about a minute.
    LEAD = timedelta(hours=1)

    name = models.CharField(
        max_length=100, unique=True, help_text="For you and your colleagues."
    )
    weekday = models.PositiveSmallIntegerField(
        choices=Weekday,
        default=Weekday.TUESDAY,
        help_text="Each person gets the tip on this day where they live. If you change "
        "it after this week’s tip was prepared, it counts from next week on.",
    )
    time_of_day = models.TimeField(
        help_text="On each person’s own clock: 09:00 is nine in the morning in Berlin "
        "and, six hours later, in New York."
    )
    every = models.DurationField(
        null=True,
        blank=True,
        help_text="Leave it empty: tips go out weekly. The demonstration sends one "
        "every so many seconds instead, to everybody at once.",
    )
    repeats = models.BooleanField(
        default=False,
        help_text="Begin again with the first tip after the last. Otherwise each tip "
        "goes out once, and nobody is mailed when none is left.",
    )
    active = models.BooleanField(
        default=True,
        help_text="Take the tick away to prepare no further tips. What is prepared "
        "already still goes out.",
    )
    starts_at = models.DateTimeField(
        default=timezone.now,
        db_default=Now(),
        help_text="In UTC. Tips are prepared from then on: each 15 hours before its "
        "time of day in UTC, so that people where the day begins first get it in time.",
    )

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        permissions = [("run_schedule", "Can start, pause, cancel, correct issues")]
        constraints = [
            models.CheckConstraint(
                condition=Q(weekday__lte=6), name="newsletter_schedule_weekday"
            ),
            models.CheckConstraint(
                condition=Q(every__isnull=True) | Q(every__gte=timedelta(seconds=1)),
                name="newsletter_schedule_every_a_second_at_most",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def step(self) -> timedelta:
        """From one slot to the next."""
        return self.every or self.WEEK

    def words_for(self, slot: datetime) -> str:
        """The slot as colleagues read it."""
        clock = "UTC" if self.every else "on each person’s own clock"
        return f"{slot:%A %-d %B %Y at %H:%M} {clock}"

    def opens_at(self, slot: datetime) -> datetime:
        """From when on its issue may be made: in time for the first zone on earth."""
        return slot if self.every else slot - FIRST_ZONE - self.LEAD

    def closes_at(self, slot: datetime) -> datetime:
        """When the slot is over: it is past in the last zone on earth."""
        return slot + self.every if self.every else slot - LAST_ZONE

    def due_at(self, slot: datetime, zone: Combinable) -> Combinable:
        """When a person whose time zone is the column `zone` is to get its tip."""
        return Value(slot) if self.every else WhenClocksRead(slot, zone)

    def latest_slot(self, at: datetime) -> datetime:
        """The newest slot that is open, or was, at `at` (aware)."""
        if self.every:
            seconds = self.every.total_seconds()
            return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)
        clock = at.astimezone(UTC) + FIRST_ZONE + self.LEAD
        days_since = (clock.weekday() - self.weekday) % 7
        day = clock.date() - timedelta(days=days_since)
        slot = datetime.combine(day, self.time_of_day, UTC)
        return slot if slot <= clock else slot - self.WEEK

    def slots_to_come(self, at: datetime) -> Iterator[datetime]:
        """Slots whose issue can still be made at `at` or later, without an end."""
        slot = self.latest_slot(max(at, self.starts_at))
        while True:
            in_time = self.opens_at(slot) >= self.starts_at
            if in_time and self.closes_at(slot) > at and not self.is_served(slot):
                yield slot
            slot += self.step

    def open_slot(self, at: datetime) -> datetime | None:
        """The slot whose issue is to be made at `at`, if there is one."""
        slot = next(self.slots_to_come(at))
        return slot if self.opens_at(slot) <= at else None

    def is_served(self, slot: datetime) -> bool:
        """Whether its issue is made; a week has one, even if its day was moved."""
        if self.every:
            return self.issues.filter(slot=slot).exists()
        return self.issues.in_week_of(slot).exists()


class TipShortage(models.Model):
    """A schedule's next seven days have more slots than tips; people are told once."""

    schedule = models.ForeignKey(Schedule, models.CASCADE, related_name="shortages")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["schedule"],
                condition=Q(ended_at__isnull=True),
                name="newsletter_tipshortage_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.schedule} from {self.began_at:%Y-%m-%d}"


class IssueQuerySet(models.QuerySet["Issue"]):
    def sent(self) -> Self:
        """Issues that somebody got or may have got, or that may still go out."""
        return self.filter(batch__reached_nobody=False)

    def in_week_of(self, slot: datetime) -> Self:
        """Issues from Monday to Sunday around `slot`."""
        begins, ends = week_of(slot)
        return self.filter(slot__gte=begins, slot__lt=ends)

    def in_month_of(self, slot: datetime) -> Self:
        """Issues of the calendar month around `slot`."""
        begins, ends = month_of(slot)
        return self.filter(slot__gte=begins, slot__lt=ends)


class Sending(models.Model):
    """A tip's text on its way to many people; the database asks for its sign-off.

    (sign_off, digest, verdict, valid_until) refer to one row of `review_signoff`
    together, so none of the four can say anything else than that row says.
    """

    sign_off = models.ForeignKey("review.SignOff", models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    verdict = models.CharField(max_length=20, default="approved")
    valid_until = models.DateTimeField()
    starts_at = models.DateTimeField()
    batch = models.OneToOneField("mail.Batch", models.PROTECT, null=True)

    class Meta:
        abstract = True
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(verdict="approved"), name="%(app_label)s_%(class)s_approved"
            ),
            models.CheckConstraint(
                condition=Q(starts_at__lte=F("valid_until")),
                name="%(app_label)s_%(class)s_while_the_sign_off_holds",
            ),
        ]

    def hold(self, sign_off: "SignOff") -> None:
        """Take what `sign_off` says as what entitles it to start."""
        self.sign_off = sign_off
        self.digest, self.verdict = sign_off.digest, sign_off.verdict
        self.valid_until = sign_off.valid_until


class Issue(Sending):
    """One sending of one tip at one slot."""

    schedule = models.ForeignKey(Schedule, models.PROTECT, related_name="issues")
    slot = models.DateTimeField(
        help_text="What people’s own clocks read, written as if it were UTC."
    )
    tip_revision = models.ForeignKey(TipRevision, models.PROTECT, related_name="issues")
    created_at = models.DateTimeField(db_default=Now())

    objects = IssueQuerySet.as_manager()

    class Meta(Sending.Meta):
        constraints: ClassVar = [
            *Sending.Meta.constraints,
            models.UniqueConstraint(
                fields=["schedule", "slot"], name="newsletter_issue_once_a_slot"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tip_revision} at {self.slot:%Y-%m-%d %H:%M}"


class Correction(Sending):
    """Another text of an issue's tip, once, for those who got the issue."""

    issue = models.ForeignKey(Issue, models.PROTECT, related_name="corrections")
    tip_revision = models.ForeignKey(TipRevision, models.PROTECT, related_name="+")
    by = models.ForeignKey("auth.User", models.PROTECT, related_name="+")

    class Meta(Sending.Meta):
        constraints: ClassVar = [
            *Sending.Meta.constraints,
            models.UniqueConstraint(
                fields=["issue", "tip_revision"], name="newsletter_correction_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tip_revision}, correcting {self.issue}"
