"""A superuser whom neither grants nor triggers stop, inside one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections, transaction

from ledger.sealing import seal
from tests.conftest import Servers, clone, drop, point_at
from twitchsite.env import database


@contextmanager
def rewritable(cluster: Servers, name: str) -> Iterator[None]:
    """One transaction on database `name`, as the application; `tamper` works in it.

    Nothing is committed. The connection is a superuser's with the role put on.
    """
    default = connections["default"]
    shared = str(default.settings_dict["NAME"])
    options = default.settings_dict["OPTIONS"]
    default.close()
    default.settings_dict.update(database(cluster.superuser_url(name)))
    default.settings_dict["OPTIONS"] = {"options": "-c role=twitchsite_app"}
    try:
        with undone():
            yield
    finally:
        default.settings_dict["OPTIONS"] = options
        point_at(cluster, shared)


@contextmanager
def sealed(cluster: Servers, fill: Callable[[], object]) -> Iterator[str]:
    """The name of a database of its own, with the evidence that `fill` makes."""
    shared = str(connections["default"].settings_dict["NAME"])
    name = clone(cluster)
    point_at(cluster, name)
    fill()
    seal()
    point_at(cluster, shared)
    yield name
    drop(cluster, name)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def tamper(statement: str, *parameters: Any) -> None:
    """Alter at least one row."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, parameters or None)
        assert cursor.rowcount >= 1, "nothing was altered"
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("SET LOCAL ROLE twitchsite_app")
