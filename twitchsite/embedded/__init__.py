"""PostgreSQL and Valkey for machines that have neither, from wheels.

    with embedded.running(folder, durable=False) as services:
        psycopg.connect(services.owner_url())

Nothing listens on TCP. Servers end with the process that started them; after a
SIGKILL (or where the kernel can't help) the next start on the same folder ends them.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from twitchsite.embedded.places import (
    DataFolder,
    Quarters,
    data_folder,
    quarters,
)
from twitchsite.embedded.postgres import Cluster
from twitchsite.embedded.processes import end_all_left
from twitchsite.embedded.refusals import CannotStart
from twitchsite.embedded.valkey import Valkey

__all__ = [
    "CannotStart",
    "Cluster",
    "DataFolder",
    "Quarters",
    "Services",
    "Valkey",
    "data_folder",
    "end_all_left",
    "quarters",
    "running",
    "temporary_cluster",
]


@dataclass(frozen=True)
class Services:
    """Both servers, and the addresses they answer at."""

    postgres: Cluster
    valkey: Valkey

    def owner_url(self, database: str = "twitchsite") -> str:
        return self.postgres.owner_url(database)

    def application_url(self, database: str = "twitchsite") -> str:
        return self.postgres.application_url(database)

    def superuser_url(self, database: str = "postgres") -> str:
        return self.postgres.superuser_url(database)

    def redis_url(self, index: int = 0) -> str:
        return self.valkey.url(index)


@contextmanager
def running(folder: Path, *, durable: bool) -> Iterator[Services]:
    """Both servers with their data below `folder`, which is made if need be.

    What is not durable may be gone after a crash of the machine, and as root it is
    gone afterwards. Raises CannotStart. Main thread only.
    """
    with ExitStack() as stack:
        held = stack.enter_context(data_folder(folder))
        end_all_left(held.run)
        rooms = stack.enter_context(quarters(held, durable=durable))
        services = Services(Cluster(held, rooms), Valkey(held, rooms))
        for server in (services.postgres, services.valkey):
            stack.callback(server.stop)
            server.start()
        yield services


@contextmanager
def temporary_cluster() -> Iterator[Cluster]:
    """PostgreSQL alone, in a folder that goes with it. Raises CannotStart."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        held = stack.enter_context(data_folder(folder))
        cluster = Cluster(held, stack.enter_context(quarters(held, durable=False)))
        stack.callback(cluster.stop)
        cluster.start()
        yield cluster
