"""What `up` was asked for: environment and `.env`, with each refusal by name."""

import os
import platform
import secrets
import socket
import sysconfig
from dataclasses import dataclass
from json import dumps, loads
from pathlib import Path
from urllib.parse import urlsplit

import environ
import psycopg
import redis

from twitchsite.embedded.places import DataFolder, write_secret
from twitchsite.embedded.refusals import CannotStart

ANSWER_SECONDS = 5
DATABASE_REMEDY = "Write postgresql://role:password@host/name."
REDIS_REMEDY = "Write redis://host:6379/0 or unix:///path/to/socket?db=0."
KEYS = ("SECRET_KEY", "CONSENT_KEY")


@dataclass(frozen=True)
class Surroundings:
    """The variables `up` itself answers to; "" for one that was not given."""

    port: int
    data_dir: Path
    database_url: str
    migration_database_url: str
    redis_url: str
    email_url: str
    site_url: str

    @property
    def is_demonstration(self) -> bool:
        return not self.database_url

    @property
    def address(self) -> str:
        """Where this machine reaches the site, whatever the world calls it."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def public_url(self) -> str:
        return self.site_url.rstrip("/") or self.address.rstrip("/")


def read(checkout: Path) -> Surroundings:
    """The environment, and what `.env` adds to it (also for the children)."""
    _read_dotenv(checkout / ".env")
    found = Surroundings(
        port=_port(_given("PORT") or "8000"),
        data_dir=Path(_given("DATA_DIR") or checkout / "var").absolute(),
        database_url=_given("DATABASE_URL"),
        migration_database_url=_given("MIGRATION_DATABASE_URL"),
        redis_url=_given("REDIS_URL"),
        email_url=_given("EMAIL_URL"),
        site_url=_given("SITE_URL"),
    )
    _refuse_half_a_database(found)
    return found


def refuse_unfit_machine() -> None:
    """The wheels with the servers are built against glibc."""
    if "musl" in (sysconfig.get_config_var("SOABI") or ""):
        raise CannotStart(
            f"This {platform.system()} has musl; PostgreSQL's wheel needs glibc.",
            "Name servers of your own: DATABASE_URL and REDIS_URL.",
        )


def refuse_taken_port(port: int) -> None:
    """Raises CannotStart unless 127.0.0.1:port can be listened on."""
    remedy = f"Choose another: PORT={port + 1 if port < 65535 else 8001} make run"
    with socket.socket() as probe:
        # As servers do: connections of an earlier life may still be closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except PermissionError as error:
            raise CannotStart(
                f"Port {port} is reserved for root.", "Choose another: PORT=8000"
            ) from error
        except OSError as error:
            raise CannotStart(f"Port {port} is in use.", remedy) from error


def refuse_silent_database(name: str, url: str) -> None:
    """Raises CannotStart unless the server in variable `name` lets us in."""
    if urlsplit(url).scheme not in {"postgres", "postgresql"}:
        raise CannotStart(f"{name} names no PostgreSQL database.", DATABASE_REMEDY)
    try:
        psycopg.connect(url, connect_timeout=ANSWER_SECONDS).close()
    except psycopg.ProgrammingError as error:
        raise CannotStart(f"{name} can't be understood.", DATABASE_REMEDY) from error
    except psycopg.OperationalError as error:
        raise CannotStart(
            f"The database in {name} does not answer: {_one_line(error)}",
            f"Start it, or correct {name}.",
        ) from error


def refuse_silent_redis(url: str) -> None:
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise CannotStart("REDIS_URL can't be understood.", REDIS_REMEDY)
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS
        ) as client:
            client.ping()
    except ValueError as error:
        raise CannotStart("REDIS_URL can't be understood.", REDIS_REMEDY) from error
    except (redis.RedisError, OSError) as error:
        raise CannotStart(
            f"The server in REDIS_URL does not answer: {_one_line(error)}",
            "Start it, or correct REDIS_URL.",
        ) from error


def demonstration_keys(folder: DataFolder) -> dict[str, str]:
    """The demonstration's own keys, made once; a site's must be given."""
    path = folder.path / "keys.json"
    try:
        kept = {name: str(key) for name, key in loads(path.read_text()).items()}
    except FileNotFoundError:
        kept = {name: secrets.token_urlsafe(48) for name in KEYS}
        write_secret(path, dumps(kept))
    except (OSError, ValueError, AttributeError) as error:
        raise CannotStart(f"{path} can't be read.", "Remove it.") from error
    return {name: _given(name) or kept[name] for name in KEYS}


def _read_dotenv(path: Path) -> None:
    if not path.is_file():
        return
    try:
        environ.Env.read_env(str(path))
    except (OSError, ValueError) as error:
        raise CannotStart(f"{path} can't be read ({_one_line(error)}).") from error


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CannotStart(f"PORT is {text!r}.", "Write a number from 1 to 65535.")
    return int(text)


def _refuse_half_a_database(found: Surroundings) -> None:
    """Two roles make one database: the owner migrates, the application works."""
    if found.database_url and not found.migration_database_url:
        raise CannotStart(
            "DATABASE_URL is set, but MIGRATION_DATABASE_URL is not.",
            "It names the role that owns the tables, as "
            "postgresql://owner:password@host/name.",
        )
    if found.migration_database_url and not found.database_url:
        raise CannotStart(
            "MIGRATION_DATABASE_URL is set, but DATABASE_URL is not.",
            "Set both for a site of your own, or neither for a demonstration.",
        )


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".") + "."
