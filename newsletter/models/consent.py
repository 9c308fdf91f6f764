"""What people agreed to, in which words, and what other lists said of it: evidence."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from ledger import Attested

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
