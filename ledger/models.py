import pgtrigger
from django.db import models
from django.db.models.functions import Now

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
