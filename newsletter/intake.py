"""What web takes in as a row, whoever it names; a worker resolves it soon after."""

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction
from django.db.models import Model

Waiting = TypeVar("Waiting", bound=Model)


def resolve_each(model: type[Waiting], resolve: Callable[[Waiting], None]) -> int:
    """Resolve and delete each row, the oldest first, in a commit of its own; how many.

    Several workers share them: who comes second takes the next one.
    """
    resolved = 0
    while _resolve_next(model, resolve):
        resolved += 1
    return resolved


@transaction.atomic
def _resolve_next(model: type[Waiting], resolve: Callable[[Waiting], None]) -> bool:
    rows = model._default_manager.select_for_update(skip_locked=True)
    row = rows.order_by("pk").first()
    if row is None:
        return False
    resolve(row)
    row.delete()
    return True
