"""What web takes in as a row, whoever it names; a worker resolves it soon after."""

from collections.abc import Callable, Collection
from typing import TypeVar

from django.db import OperationalError, transaction
from django.db.models import Model


class NotResolved(Exception):
    """Something is wrong with the one row; says its id and nothing of what it holds."""

    def __init__(self, pk: int) -> None:
        super().__init__(pk)
        self.pk = pk


Waiting = TypeVar("Waiting", bound=Model)


def resolve_each(model: type[Waiting], resolve: Callable[[Waiting], None]) -> int:
    """Resolve and delete each row, the oldest first, in a commit of its own; how many.

    Several workers share them: who comes second takes the next one. A row that can't
    be resolved keeps nobody waiting: it stays for the next run. Raises a group of
    NotResolved at the end, and OperationalError at once, for the database is at fault.
    """
    resolved, failed = 0, dict[int, Exception]()
    while True:
        try:
            if not _resolve_next(model, resolve, but=failed):
                break
            resolved += 1
        except NotResolved as error:
            failed[error.pk] = error
    if failed:
        raise ExceptionGroup("not resolved", list(failed.values()))
    return resolved


@transaction.atomic
def _resolve_next(
    model: type[Waiting], resolve: Callable[[Waiting], None], *, but: Collection[int]
) -> bool:
    rows = model._default_manager.exclude(pk__in=but)
    row = rows.select_for_update(skip_locked=True).order_by("pk").first()
    if row is None:
        return False
    try:
        resolve(row)
    except OperationalError:
        raise
    except Exception as error:
        raise NotResolved(row.pk) from error
    row.delete()
    return True
