"""One real cluster a run; every test that commits gets a database of its own."""

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql
from pytest_django import DjangoDbBlocker

from twitchsite.embedded import Cluster, temporary_cluster
from twitchsite.env import database

TEMPLATE = "twitchsite"
_numbers = count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with temporary_cluster() as running:
        yield running


def point_at(cluster: Cluster, name: str) -> None:
    """Let both of Django's aliases use the database `name`."""
    urls = {"default": cluster.application_url(name), "owner": cluster.owner_url(name)}
    for alias, url in urls.items():
        connections[alias].close()
        connections[alias].settings_dict.update(database(url))
        connections[alias].settings_dict["CONN_MAX_AGE"] = 0


def clone(cluster: Cluster) -> str:
    """A copy of the migrated template: rows, grants and triggers alike."""
    name = f"clone_{next(_numbers)}"
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER twitchsite_owner").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    return name


@pytest.fixture(scope="session")
def django_db_setup(cluster: Cluster, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        point_at(cluster, TEMPLATE)
        call_command("migrate", verbosity=0)
        # A template must have no visitors while it is copied.
        connections.close_all()
        point_at(cluster, clone(cluster))


@pytest.fixture
def cloned_database(
    cluster: Cluster, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A fresh database to commit into; evidence tables refuse to be emptied."""
    shared = str(connections["default"].settings_dict["NAME"])
    name = clone(cluster)
    with django_db_blocker.unblock():
        point_at(cluster, name)
        yield name
        point_at(cluster, shared)
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        )
