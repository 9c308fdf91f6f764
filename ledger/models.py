from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

import pgtrigger
from django.apps import apps
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from ledger.canonical import Json

DIGEST = r"^[0-9a-f]{64}$"


class Evidence(models.Model):
    """Rows that are written once. Three locks: grants, triggers, the chain.

    The application's role has INSERT and SELECT only (`twitchsite.roles`), a trigger
    refuses everybody else, and the ledger's chain shows what a superuser changed.
    """

    class Meta:
        abstract = True
        triggers = [
            pgtrigger.Protect(
                name="append_only",
                operation=pgtrigger.Update | pgtrigger.Delete,
            ),
            pgtrigger.Trigger(
                name="never_emptied",
                operation=pgtrigger.Truncate,
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                func="RAISE EXCEPTION 'Cannot empty % table', TG_TABLE_NAME;",
            ),
        ]


class Entry(Evidence):
    """A salted commitment to one fact; the fact itself stays with its owner."""

    kind = models.CharField(max_length=40)
    salt = models.CharField(max_length=64)
    commitment = models.CharField(
        max_length=64, help_text="SHA-256 over salt and canonical fact, hexadecimal."
    )
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta(Evidence.Meta):
        verbose_name_plural = "entries"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(commitment__regex=DIGEST, salt__regex=DIGEST),
                name="ledger_entry_is_hexadecimal",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Unsealed(models.Model):
    """The sealer's to-do list; an entry leaves it in the commit that seals it."""

    entry = models.OneToOneField(
        Entry, models.PROTECT, primary_key=True, related_name="unsealed"
    )

    class Meta:
        verbose_name_plural = "unsealed"

    def __str__(self) -> str:
        return f"entry {self.entry_id}"


class Seal(Evidence):
    """One link of the chain: position 1, 2, 3 … without a gap."""

    position = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(Entry, models.PROTECT, related_name="seal")
    chain = models.CharField(
        max_length=64, help_text="SHA-256 over the previous link and this entry."
    )
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta(Evidence.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(position__gte=1), name="ledger_seal_from_one"
            )
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.chain[:12]}"


class Attested(Evidence):
    """Evidence whose facts the ledger commits to; made by `ledger.attest`.

    `FACTS` names every column that says something, so that no column can be altered
    unseen. Adding a column later takes a new `KIND` beside the old one. `REDACTED`
    says what `redact` leaves in the columns that the row's `digest` stands for.
    """

    KIND: ClassVar[str]
    FACTS: ClassVar[tuple[str, ...]]
    REDACTED: ClassVar[dict[str, object]] = {}

    entry = models.OneToOneField(
        Entry, models.PROTECT, related_name="+", editable=False
    )

    class Meta(Evidence.Meta):
        abstract = True

    def facts(self) -> dict[str, Json]:
        """What the ledger's commitment is over."""
        return {name: plain(getattr(self, name)) for name in self.FACTS}

    def text_digest(self) -> str:
        """The digest of the text as it stands now; "" where there is none."""
        return ""

    @classmethod
    def shown_along(cls, digest: str, *, using: str) -> list[str]:
        """Digests of what shows the same as this one: they are redacted together."""
        return []

    @classmethod
    def kinds(cls) -> dict[str, type["Attested"]]:
        """Every model of attested rows by its kind."""
        return {model.KIND: model for model in _models() if issubclass(model, cls)}


class Redaction(Attested):
    """A text that was blanked for a lawful reason; its digest and verdicts stay."""

    KIND = "ledger.redaction"
    FACTS = ("digest", "reason", "redacted_at")

    digest = models.CharField(max_length=64, unique=True)
    reason = models.TextField(help_text="Printed on the trust page.")
    redacted_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        ordering = ["-redacted_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(digest__regex=DIGEST),
                name="ledger_redaction_digest_is_hexadecimal",
            ),
            models.CheckConstraint(
                condition=~models.Q(reason=""), name="ledger_redaction_with_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"redacted {self.digest[:12]}"


def _models() -> Iterator[type[models.Model]]:
    yield from apps.get_models(include_auto_created=True)


def plain(value: Any) -> Json:
    """A column's value as JSON spells it; the same before and after it was stored."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes | memoryview):
        return sha256(value).hexdigest()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        return str(value)
    return value  # type: ignore[no-any-return]
