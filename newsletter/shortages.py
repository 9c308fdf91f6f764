"""A week before a schedule has no tip left, the people who can add one are told."""

from datetime import datetime, timedelta
from itertools import islice, takewhile

import structlog
from django.db import transaction
from django.utils import timezone

from newsletter import choosing, emails
from newsletter.models import Schedule

log = structlog.get_logger(__name__)

AHEAD = timedelta(days=7)


def warn(at: datetime | None = None) -> int:
    """Tell editors and newsletter managers of each new shortage; how many mails.

    Safe to repeat: a shortage is told once, however long it lasts.
    """
    now = at or timezone.now()
    told = 0
    for schedule in Schedule.objects.filter(active=True):
        try:
            told += _warn_of(schedule, now)
        except Exception:
            # One schedule must not silence the others; it is tried again next time.
            log.exception("no warning", schedule=schedule.pk)
    return told


@transaction.atomic
def _warn_of(schedule: Schedule, now: datetime) -> int:
    empty_slot = first_empty_slot(schedule, now)
    if empty_slot is None:
        schedule.shortages.filter(ended_at=None).update(ended_at=now)
        return 0
    shortage, is_first = schedule.shortages.get_or_create(
        ended_at=None, defaults={"began_at": now}
    )
    if not is_first:
        return 0
    return emails.tips_run_out(shortage, empty_slot, choosing.held(schedule, now))


def first_empty_slot(schedule: Schedule, now: datetime) -> datetime | None:
    """The first slot of the next seven days that no sendable tip is left for."""
    ahead = now + AHEAD
    tips = choosing.sendable(schedule, ahead)
    if tips and schedule.repeats:
        return None
    soon = takewhile(
        lambda slot: schedule.opens_at(slot) <= ahead, schedule.slots_to_come(now)
    )
    return next(islice(soon, len(tips), None), None)
