"""May this process send now? Asked before each claim, and noted after the last one."""

from contextlib import suppress
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from mail.adopting import AdoptedMeanwhile, adopt
from mail.environment import Finding, look, remembered
from mail.hosts import Host, UnreadableFile, remember, this_host
from mail.models import Environment

log = structlog.get_logger(__name__)

REMEDY = "run manage.py adoptdatabase, which shows what differs and what waits"
BEAT_EVERY = timedelta(seconds=1)
# By the database's clock, and never back, whatever that clock does. Of those who find
# it due at once, one does it.
_BEAT = """
    UPDATE mail_environment SET
        heartbeat_at = greatest(clock_timestamp(), heartbeat_at + interval '1 us')
    WHERE heartbeat_at = %s
    RETURNING heartbeat_at
"""
_said = ""


def may_send() -> bool:
    """Whether this environment is the recorded one; one query, and it says why not.

    A database that never sent is adopted by whoever comes first. So is everything in a
    demonstration: its cluster lies in its own data folder, and its port changes.
    """
    return _may_send(BEAT_EVERY)


def note_sent() -> None:
    """Make every backup so far older than what was sent until now."""
    _may_send(timedelta(0))


def _may_send(beat_every: timedelta) -> bool:
    try:
        host = this_host()
    except UnreadableFile as error:
        _say(str(error))
        return False
    found = look(host)
    if _adopts_itself(found):
        with suppress(AdoptedMeanwhile):
            adopt(found)
        found = look(host)
    if found.is_older:
        # For hosts that were away and remember less.
        Environment.objects.filter(restored_at=None).update(restored_at=Now())
    _say(found.reason)
    if found.reason:
        return False
    _keep_beating(found, host, beat_every)
    return True


def _adopts_itself(found: Finding) -> bool:
    if settings.DEMO:
        return found.recorded is None or bool(found.reason)
    return found.recorded is None and not found.reason


def _say(reason: str) -> None:
    """Once in each process, until it changes."""
    global _said
    if reason and reason != _said:
        log.error("mail held", reason=reason, remedy=REMEDY)
    _said = reason


def _keep_beating(found: Finding, host: Host, every: timedelta) -> None:
    """The database first, durably; the id file once that is committed."""
    if found.recorded is None:
        return
    newest = found.recorded.heartbeat_at
    if not timedelta(0) <= found.now - newest < every:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")
            cursor.execute(_BEAT, [newest])
            beaten = cursor.fetchone()
        newest = beaten[0] if beaten else newest
    known = remembered(host, found.here)
    if known is None or known < newest:
        now_known = Host(host.key, found.here.database, newest)
        transaction.on_commit(lambda: remember(now_known))
