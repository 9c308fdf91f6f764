from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from ledger import Attested
from review.content import digest_of_stored

HEXADECIMAL = r"^[0-9a-f]{64}$"
# The longest a sign-off may hold: 36 months, as days of the longest three years.
LONGEST_VALIDITY = timedelta(days=3 * 365 + 1)


class ClinicianQuerySet(models.QuerySet["Clinician"]):
    def able_to_sign(self, at: datetime | None = None) -> Self:
        """Those whose account is active and whose credential is in force at `at`."""
        now = at or timezone.now()
        return self.filter(credential_expires_at__gt=now, user__is_active=True)


class Clinician(models.Model):
    """A person who may sign; sign-offs keep a copy of what this says at the time."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT)
    name = models.CharField(max_length=200)
    credentials = models.CharField(
        max_length=200, help_text="As readers see them, such as “MB ChB, neurologist”."
    )
    registration = models.CharField(
        max_length=200, help_text="The register and the number in it."
    )
    credential_expires_at = models.DateTimeField(
        help_text="From then on this person can't sign until it is renewed."
    )
    demonstration = models.BooleanField(
        default=False, help_text="An invented person of the demonstration."
    )

    objects = ClinicianQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name}, {self.credentials}"


class SignOffQuerySet(models.QuerySet["SignOff"]):
    def counting(self) -> Self:
        """Demonstration sign-offs count in demonstration mode only."""
        return self if settings.DEMO else self.filter(demonstration=False)

    def verdict_on(self, subject: Any, digest: Any, at: datetime) -> Self:
        """The verdict that counts at `at` for this text of this subject: the latest.

        At most one row. Subject and digest may be values or `OuterRef`s. The ledger's
        entries say the order: they are sealed, which ids and clocks are not.
        """
        given = self._given(at).filter(subject=subject, digest=digest)
        return given.order_by("-entry")[:1]

    def verdicts_on(self, pairs: Collection[tuple[str, str]], at: datetime) -> Self:
        """`verdict_on` for many (subject, digest); others' may be among them."""
        subjects, digests = {one for one, _ in pairs}, {one for _, one in pairs}
        given = self._given(at).filter(subject__in=subjects, digest__in=digests)
        return given.order_by("subject", "digest", "-entry").distinct(
            "subject", "digest"
        )

    def _given(self, at: datetime) -> Self:
        return self.counting().filter(signed_at__lte=at)


class SignOff(Attested):
    """One clinician's verdict on one exact text; it is never changed."""

    KIND = "review.sign_off"
    FACTS = (
        *("subject", "digest", "verdict", "comment", "conflicts_of_interest"),
        *("signed_at", "valid_until", "clinician_id", "signer_user_id"),
        *("signer_name", "signer_credentials", "credential_expires_at"),
        *("author_ids", "demonstration"),
    )
    REDACTED: ClassVar[dict[str, object]] = {"content": {"redacted": True}}

    class Verdict(models.TextChoices):
        APPROVED = "approved"
        CHANGES_REQUESTED = "changes requested"
        RETRACTED = "retracted"

    subject = models.CharField(max_length=100, help_text="Such as article:12.")
    digest = models.CharField(max_length=64)
    content = models.JSONField(help_text="The signed text itself.")
    verdict = models.CharField(max_length=20, choices=Verdict)
    comment = models.TextField(blank=True, default="")
    conflicts_of_interest = models.TextField(
        help_text="Said by the signer; “none” is an answer, silence is not."
    )
    signed_at = models.DateTimeField(db_default=Now())
    valid_until = models.DateTimeField()
    clinician = models.ForeignKey(Clinician, models.PROTECT, related_name="sign_offs")
    signer_user_id = models.BigIntegerField()
    signer_name = models.CharField(max_length=200)
    signer_credentials = models.CharField(max_length=200)
    credential_expires_at = models.DateTimeField()
    author_ids = ArrayField(models.BigIntegerField())
    demonstration = models.BooleanField()

    objects = SignOffQuerySet.as_manager()

    class Meta(Attested.Meta):
        verbose_name = "sign-off"
        permissions = [("sign", "Can sign, request changes and retract")]
        indexes = [
            models.Index(
                fields=["subject", "digest", "-entry"], name="review_signoff_latest"
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="review_signoff_digest_is_hexadecimal",
            ),
            models.CheckConstraint(
                condition=~Q(author_ids__contains=[F("signer_user_id")]),
                name="review_signoff_not_by_an_author",
            ),
            models.CheckConstraint(
                # Taking an approval back is open to who may give none any more.
                condition=Q(verdict="retracted")
                | Q(credential_expires_at__gt=F("signed_at")),
                name="review_signoff_credential_in_force",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__gt=F("signed_at"))
                & Q(valid_until__lte=F("signed_at") + LONGEST_VALIDITY),
                name="review_signoff_36_months_at_most",
            ),
            models.CheckConstraint(
                condition=~Q(conflicts_of_interest=""),
                name="review_signoff_says_its_conflicts",
            ),
            # What an issue of the newsletter refers to, all four at once.
            models.UniqueConstraint(
                fields=["id", "digest", "verdict", "valid_until"],
                name="review_signoff_as_referred_to",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.subject} {self.digest[:12]}"

    def text_digest(self) -> str:
        return digest_of_stored(self.content)


class ReviewRequestQuerySet(models.QuerySet["ReviewRequest"]):
    def open(self) -> Self:
        """Texts that wait for a verdict, the most urgent first."""
        waiting = self.filter(state=ReviewRequest.State.OPEN)
        return waiting.order_by(F("due_on").asc(nulls_last=True), "requested_at")

    def for_clinician(self, clinician: Clinician) -> Self:
        """What `clinician` may answer: theirs and nobody's, no text of their own."""
        return (
            self.open()
            .filter(Q(assignee=clinician) | Q(assignee__isnull=True))
            .exclude(author_ids__contains=[clinician.user_id])
            .exclude(content__has_key="redacted")
        )


class ReviewRequest(models.Model):
    """One exact text that waits for a verdict, and who is to give it."""

    REDACTED: ClassVar[dict[str, object]] = {
        "content": {"redacted": True},
        "title": "(redacted)",
    }

    class State(models.TextChoices):
        OPEN = "open"
        ANSWERED = "answered"
        CALLED_BACK = "called back"

    subject = models.CharField(max_length=100, help_text="Such as article:12.")
    title = models.CharField(max_length=200)
    url = models.CharField(max_length=300, help_text="Where the text is worked on.")
    preview_url = models.CharField(
        max_length=300,
        blank=True,
        default="",
        help_text="Where it stands as the page that readers would get.",
    )
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    author_ids = ArrayField(models.BigIntegerField())
    note = models.TextField(
        blank=True, default="", help_text="What the clinician should know."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    due_on = models.DateField(null=True, blank=True)
    assignee = models.ForeignKey(
        Clinician, models.PROTECT, null=True, blank=True, related_name="requests"
    )
    declined = models.TextField(
        blank=True, default="", help_text="Who declined, when and why."
    )
    newer_text_at = models.DateTimeField(
        null=True, help_text="When a newer draft of the same subject came into being."
    )
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    sign_off = models.OneToOneField(
        SignOff, models.PROTECT, null=True, related_name="request"
    )
    closed_at = models.DateTimeField(null=True)

    objects = ReviewRequestQuerySet.as_manager()

    class Meta:
        permissions = [
            ("assign", "Can give any text to a clinician"),
            ("assign_tip", "Can give a tip to a clinician"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "digest"],
                condition=Q(state="open"),
                name="review_request_open_once_a_text",
            ),
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="review_request_digest_is_hexadecimal",
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True)
                | Q(~Q(state="open"), closed_at__isnull=False),
                name="review_request_closed_with_time",
            ),
            models.CheckConstraint(
                condition=Q(state="answered") ^ Q(sign_off__isnull=True),
                name="review_request_answered_by_a_sign_off",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class TextInUse(models.Model):
    """The text of a subject that readers get now: what reminders look after."""

    REDACTED: ClassVar[dict[str, object]] = {
        "content": {"redacted": True},
        "title": "(redacted)",
    }

    subject = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    url = models.CharField(max_length=300)
    preview_url = models.CharField(max_length=300, blank=True, default="")
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    author_ids = ArrayField(models.BigIntegerField())
    since = models.DateTimeField(default=timezone.now)
    newer_text_at = models.DateTimeField(
        null=True, help_text="When a newer draft of the same subject came into being."
    )

    class Meta:
        verbose_name_plural = "texts in use"

    def __str__(self) -> str:
        return self.title


class Reminder(models.Model):
    """A stage of a sign-off's end that people were told of, once."""

    sign_off = models.ForeignKey(SignOff, models.CASCADE, related_name="reminders")
    stage = models.PositiveSmallIntegerField(
        help_text="0 in the last 30 days, 1 from the day it ran out, then monthly."
    )
    reminded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sign_off", "stage"], name="review_reminder_once_a_stage"
            )
        ]

    def __str__(self) -> str:
        return f"{self.sign_off}: stage {self.stage}"
