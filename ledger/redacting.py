"""Taking a text away for a lawful reason, in the open: its digest and verdicts stay."""

import time
from collections.abc import Sequence

import pgtrigger
from django.apps import apps
from django.db import OperationalError, connections, transaction
from django.db.models import Model
from psycopg import sql
from psycopg.errors import LockNotAvailable

from ledger.models import Attested, Evidence, Redaction
from ledger.recording import attest

# Writing a text takes milliseconds.
TRIES, SECONDS_BETWEEN = 200, 0.05


class NothingToRedact(Exception):
    """No row holds a text with this digest, or it was blanked before."""


def redact(digest: str, *, reason: str, using: str) -> dict[str, int]:
    """Blank every copy of the text with this digest; how many rows, by table.

    `using` names the owner's connection: the application's role may not change
    evidence. Raises NothingToRedact, ValueError without a reason, and Django's
    OperationalError when for ten seconds somebody was writing texts all the time.
    """
    if not reason.strip():
        raise ValueError("Say why: the reason is printed on the trust page.")
    for _ in range(TRIES):
        try:
            return _redact(digest, reason.strip(), using)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            busy = error
        time.sleep(SECONDS_BETWEEN)
    raise busy


def _redact(digest: str, reason: str, using: str) -> dict[str, int]:
    holders = [model for model in apps.get_models() if getattr(model, "REDACTED", {})]
    locks = [
        f"{model._meta.label}:append_only"
        for model in holders
        if issubclass(model, Evidence)
    ]
    # The transaction ends first: pgtrigger can't tidy up in one that has failed.
    with pgtrigger.ignore(*locks, databases=[using]), transaction.atomic(using=using):
        _keep_writers_waiting(holders, using)
        known = Redaction.objects.using(using)
        if known.filter(digest=digest).exists():
            raise NothingToRedact(f"{digest} was redacted before.")
        digests = {digest, *_shown_along(holders, digest, using)}
        blanked = {
            model._meta.db_table: _blank(model, digests, using) for model in holders
        }
        if not any(blanked.values()):
            raise NothingToRedact(f"No text has the digest {digest}.")
        digests -= set(
            known.filter(digest__in=digests).values_list("digest", flat=True)
        )
        for one in sorted(digests):
            attest(Redaction(digest=one, reason=reason), using=using)
    return {table: rows for table, rows in blanked.items() if rows}


def _keep_writers_waiting(holders: Sequence[type[Model]], using: str) -> None:
    """Whoever writes a text now ends first, so that it is blanked too; whoever comes
    later finds the redaction (`recording.refuse_taken_away`). Reading goes on.

    All tables or none: with some of them in hand, waiting for a writer who waits for
    those would be a deadlock.
    """
    tables = sql.SQL(", ").join(
        sql.Identifier(model._meta.db_table) for model in holders
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE NOWAIT").format(tables))


def _shown_along(holders: Sequence[type[Model]], digest: str, using: str) -> list[str]:
    return [
        other
        for model in holders
        if issubclass(model, Attested)
        for other in model.shown_along(digest, using=using)
    ]


def _blank(model: type[Model], digests: set[str], using: str) -> int:
    rows = model._default_manager.using(using).filter(digest__in=digests)
    return rows.update(**model.REDACTED)  # type: ignore[attr-defined]


def is_redacted(row: Model) -> bool:
    """Whether the row's text was blanked."""
    blanks: dict[str, object] = getattr(row, "REDACTED", {})
    return bool(blanks) and all(
        _comparable(getattr(row, column)) == blank for column, blank in blanks.items()
    )


def _comparable(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value
