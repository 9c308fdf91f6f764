from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ledger import Evidence

# The longest a sign-off may hold: 36 months, as days of the longest three years.
LONGEST_VALIDITY = timedelta(days=3 * 365 + 1)


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

    def __str__(self) -> str:
        return f"{self.name}, {self.credentials}"


class SignOffQuerySet(models.QuerySet["SignOff"]):
    def verdict_on(self, digest: str | models.OuterRef, at: datetime) -> Self:
        """The verdict that counts for `digest` at `at`: the latest, at most one row.

        Demonstration sign-offs count in demonstration mode only.
        """
        given = self.filter(digest=digest, signed_at__lte=at)
        if not settings.DEMO:
            given = given.filter(demonstration=False)
        return given.order_by("-signed_at", "-pk")[:1]


class SignOff(Evidence):
    """One clinician's verdict on one exact text; it is never changed."""

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
    entry = models.OneToOneField("ledger.Entry", models.PROTECT)

    objects = SignOffQuerySet.as_manager()

    class Meta(Evidence.Meta):
        permissions = [("sign", "Can sign, request changes and retract")]
        indexes = [
            models.Index(
                fields=["digest", "-signed_at", "-id"], name="review_signoff_latest"
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__regex=r"^[0-9a-f]{64}$"),
                name="review_signoff_digest_is_hexadecimal",
            ),
            models.CheckConstraint(
                condition=~Q(author_ids__contains=[F("signer_user_id")]),
                name="review_signoff_not_by_an_author",
            ),
            models.CheckConstraint(
                condition=Q(credential_expires_at__gt=F("signed_at")),
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
