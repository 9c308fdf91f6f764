"""Several at once: threads that start together, and writes that fail half-way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

from django.apps import apps
from django.db import connection, connections

Call = Callable[[], Any]
WRITES = ("INSERT", "UPDATE", "DELETE")
TIMES = 10


def at_once(*calls: Call) -> list[Any]:
    """What each call returned or raised, all of them started together."""
    start = Barrier(len(calls))
    ends: list[Any] = [None] * len(calls)

    def run(place: int, call: Call) -> None:
        # A connection takes longer than what is tried.
        connection.ensure_connection()
        start.wait()
        try:
            ends[place] = call()
        except Exception as raised:
            ends[place] = raised
        finally:
            connections.close_all()

    threads = [
        Thread(target=run, args=[place, call]) for place, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


class PowerCut(BaseException):
    """The process dies just after a write."""


@contextmanager
def power_cut(after: int, using: str = "default") -> Iterator[list[str]]:
    """Every write after that many fails; the list tells which were made."""
    written: list[str] = []

    def execute(call: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        statement = str(sql)
        is_write = any(f"{one} " in statement.upper() for one in WRITES)
        if is_write and statement.lstrip()[:6].upper() != "SELECT":
            if len(written) == after:
                raise PowerCut
            written.append(statement)
        return call(sql, params, many, context)

    with connections[using].execute_wrapper(execute):
        yield written


def everything() -> dict[str, list[Any]]:
    """Every row of every table."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
    }


def leaves_nothing_behind(act: Call, using: str = "default") -> int:
    """Fail `act` after each of its writes, then let it through; how many it makes."""
    before, writes = everything(), 0
    while True:
        with power_cut(writes, using) as written:
            try:
                act()
            except PowerCut:
                assert everything() == before, written
                writes += 1
            else:
                assert everything() != before
                return writes
