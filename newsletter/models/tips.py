"""Tips and their texts, when they go out, and each sending of one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

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
    WhenClocksRead,
    month_of,
    week_of,
)
from newsletter.models.consent import HEXADECIMAL
from review import digest_of_stored, state_of

if TYPE_CHECKING:
    from review import SignOff


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
