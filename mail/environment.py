"""Where a database sends from, held against where it finds itself.

An environment is a PostgreSQL cluster, a database in it, SITE_URL, and the hosts whose
id files the database knows; one row records it. A restored or cloned database finds
itself elsewhere. One that was restored in place is behind the heartbeat that its hosts
remember: the database notes each one first, so that a crash between the two leaves only
an id file behind, which is no harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from mail.hosts import Host, UnreadableFile, read_host
from mail.models import Delivery, Environment

_LOOK = """
    SELECT cluster.system_identifier::text, here.oid::bigint, here.datname::text,
        clock_timestamp(), recorded.system_identifier, recorded.database_oid,
        recorded.database_name, recorded.site_url, recorded.hosts,
        recorded.heartbeat_at, recorded.restored_at, recorded.adopted_at
    FROM pg_control_system() AS cluster
    JOIN pg_database AS here ON here.datname = current_database()
    LEFT JOIN mail_environment AS recorded ON true
"""
_RECORDED = (
    *("system_identifier", "database_oid", "database_name", "site_url", "hosts"),
    *("heartbeat_at", "restored_at", "adopted_at"),
)


@dataclass(frozen=True)
class Place:
    """What a copy of a database can't share with it."""

    system_identifier: str
    database_oid: int
    database_name: str
    site_url: str

    @property
    def database(self) -> str:
        return f"{self.system_identifier}/{self.database_oid}"


class Difference(NamedTuple):
    what: str
    recorded: str
    here: str


@dataclass(frozen=True)
class Finding:
    """`now` is the database's; `is_older` says that this host remembers newer data."""

    here: Place
    host: Host | None
    recorded: Environment | None
    is_older: bool
    now: datetime

    @property
    def differences(self) -> list[Difference]:
        return list(_differences(self))

    @property
    def reason(self) -> str:
        """Why nothing is sent, without the values; "" when nothing holds it."""
        names = ", ".join(one.what for one in self.differences)
        return f"not as the database recorded it: {names}" if names else ""


def look(host: Host | None) -> Finding:
    """One query. Without a host only what database and SITE_URL tell."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK)
        row = cursor.fetchone()
    here = Place(row[0], row[1], row[2], settings.SITE_URL)
    recorded = _recorded(row[4:])
    return Finding(here, host, recorded, _is_older(here, host, recorded), row[3])


def why_held() -> str:
    """Why no mail leaves, as far as this process can see; "" when nothing holds it."""
    try:
        return look(read_host()).reason
    except UnreadableFile as error:
        return str(error)


def remembered(host: Host | None, here: Place) -> datetime | None:
    """The newest heartbeat of this very database that the host knows of."""
    return host.heartbeat_at if host and host.database == here.database else None


def _recorded(row: tuple[Any, ...]) -> Environment | None:
    if row[0] is None:
        return None
    return Environment(**dict(zip(_RECORDED, row, strict=True)))


def _is_older(here: Place, host: Host | None, recorded: Environment | None) -> bool:
    newest = remembered(host, here)
    if newest is None:
        return False
    if recorded is None:
        # A copy from before the first record; an empty database is simply new.
        return Delivery.objects.exists()
    return recorded.heartbeat_at < newest


def _differences(found: Finding) -> Iterator[Difference]:
    here, host, recorded = found.here, found.host, found.recorded
    if recorded is None:
        if found.is_older:
            yield Difference("data", "no record", _memory(host, here))
        return
    if recorded.system_identifier != here.system_identifier:
        yield Difference("cluster", recorded.system_identifier, here.system_identifier)
    was = f"{recorded.database_name} ({recorded.database_oid})"
    is_now = f"{here.database_name} ({here.database_oid})"
    if was != is_now:
        yield Difference("database", was, is_now)
    if recorded.site_url != here.site_url:
        yield Difference("SITE_URL", recorded.site_url, here.site_url)
    if host and host.key not in recorded.hosts:
        yield Difference("host", _in_words(recorded.hosts), str(host.key))
    if found.is_older or recorded.restored_at:
        yield Difference("data", _moment(recorded.heartbeat_at), _memory(host, here))


def _in_words(hosts: list[UUID]) -> str:
    return ", ".join(str(host) for host in hosts[:1]) + (
        f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
    )


def _memory(host: Host | None, here: Place) -> str:
    newest = remembered(host, here)
    return f"{_moment(newest)}, as remembered" if newest else "newer, on another host"


def _moment(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M:%S} UTC"
