"""The brake of a batch, for people and for the engine; each use is written down."""

import structlog
from django.contrib.auth.models import User
from django.db import transaction

from mail.models import Batch, BatchEvent

log = structlog.get_logger(__name__)


@transaction.atomic
def pause(batch_id: int, *, reason: str, by: User | None = None) -> bool:
    """Hold a running batch until a person looks at it; False if it does not run.

    `by` is None for the engine, which says so as an error in the log.
    """
    held = Batch.objects.filter(pk=batch_id, state=Batch.State.RUNNING).update(
        state=Batch.State.PAUSED, pause_reason=reason[:200]
    )
    if held:
        note(batch_id, BatchEvent.Act.PAUSED, by=by, about=reason)
    if by is None:
        log.error("batch paused", batch=batch_id, reason=reason)
    return bool(held)


def note(batch_id: int, act: BatchEvent.Act, *, by: User | None, about: str) -> None:
    """Write down what was done with a batch."""
    BatchEvent.objects.create(batch_id=batch_id, act=act, by=by, note=about[:300])
