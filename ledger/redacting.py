"""Taking a text away for a lawful reason, in the open: its digest and verdicts stay."""

import pgtrigger
from django.apps import apps
from django.db import transaction
from django.db.models import Model

from ledger.models import Evidence, Redaction
from ledger.recording import attest


class NothingToRedact(Exception):
    """No row holds a text with this digest, or it was blanked before."""


def redact(digest: str, *, reason: str, using: str) -> dict[str, int]:
    """Blank every copy of the text with this digest; how many rows, by table.

    `using` names the owner's connection: the application's role may not change
    evidence. Raises NothingToRedact, and ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("Say why: the reason is printed on the trust page.")
    holders = [model for model in apps.get_models() if getattr(model, "REDACTED", {})]
    locks = [
        f"{model._meta.label}:append_only"
        for model in holders
        if issubclass(model, Evidence)
    ]
    with transaction.atomic(using=using), pgtrigger.ignore(*locks, databases=[using]):
        if Redaction.objects.using(using).filter(digest=digest).exists():
            raise NothingToRedact(f"{digest} was redacted before.")
        blanked = {
            model._meta.db_table: _blank(model, digest, using) for model in holders
        }
        if not any(blanked.values()):
            raise NothingToRedact(f"No text has the digest {digest}.")
        attest(Redaction(digest=digest, reason=reason.strip()), using=using)
    return {table: rows for table, rows in blanked.items() if rows}


def _blank(model: type[Model], digest: str, using: str) -> int:
    rows = model._default_manager.using(using).filter(digest=digest)
    return rows.update(**model.REDACTED)  # type: ignore[attr-defined]


def is_redacted(row: Model) -> bool:
    """Whether the row's text was blanked."""
    blanks: dict[str, object] = getattr(row, "REDACTED", {})
    return bool(blanks) and all(
        _comparable(getattr(row, column)) == blank for column, blank in blanks.items()
    )


def _comparable(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value
