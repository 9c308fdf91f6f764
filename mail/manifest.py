"""A batch as a list that others can check: no address, no name, one order.

JSON lines. The first says what was sent and what entitled it to start, then come the
counts by state, then each delivery's key and state, by key. PostgreSQL sorts and writes
them in one statement, so counts and deliveries are of the same moment and a million
need no more memory here than a hundred.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from django.db import connection
from psycopg.sql import SQL, Literal

from mail.models import Batch

_LINES = """
    COPY (
        WITH mine AS MATERIALIZED (
            SELECT key, state FROM mail_delivery WHERE batch_id = {batch})
        SELECT line FROM (
            SELECT 1, '{{"state": "' || state || '", "count": ' || count(*) || '}}'
            FROM mine GROUP BY state
            UNION ALL
            SELECT 2, '{{"key": "' || key || '", "state": "' || state || '"}}'
            FROM mine) AS lines (place, line)
        ORDER BY place, line COLLATE "C")
    TO STDOUT
"""


def manifest(batch: Batch) -> Iterator[bytes]:
    """The manifest's bytes, in pieces of any size."""
    yield json.dumps(facts(batch), sort_keys=True).encode() + b"\n"
    connection.ensure_connection()
    statement = SQL(_LINES).format(batch=Literal(batch.pk))
    with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in copy:
            yield bytes(piece)


def facts(batch: Batch) -> dict[str, Any]:
    """What was sent and why it might: the first line."""
    return {
        "batch": batch.pk,
        "name": batch.name,
        "message_sha256": sha256(bytes(batch.message)).hexdigest(),
        "eligible": batch.eligible,
        "corrects": batch.corrects_id,
        "created_at": batch.created_at.isoformat(),
        **{f"at_start_{name}": value for name, value in batch.warrant.items()},
    }


def manifest_digest(batch: Batch) -> str:
    """SHA-256 of the manifest, as `sha256sum` says it of the printed one."""
    digest = sha256()
    for piece in manifest(batch):
        digest.update(piece)
    return digest.hexdigest()
