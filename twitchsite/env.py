"""The one reader of environment variables: nonsense is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


class Environment:
    """Reads variables; every refusal says which one, why, and what to write."""

    def __init__(self, dotenv: Path) -> None:
        self._env = environ.Env()
        if dotenv.is_file():
            self._env.read_env(str(dotenv))

    def text(self, name: str, default: str | None = None, *, remedy: str = "") -> str:
        """The variable's text; without a default an empty one is refused."""
        value = str(self._env.str(name, default=default or "")).strip()
        if not value and default is None:
            raise ImproperlyConfigured(f"{name} is not set. {remedy}".strip())
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        raw = self.text(name, "1" if default else "0").lower()
        if raw not in {"0", "1", "true", "false"}:
            raise ImproperlyConfigured(f"{name} is {raw!r}: write 1 or 0.")
        return raw in {"1", "true"}

    def number(
        self, name: str, default: int, *, at_least: int = 0, at_most: int | None = None
    ) -> int:
        raw = self.text(name, str(default))
        if not raw.isdecimal() or int(raw) < at_least:
            raise ImproperlyConfigured(
                f"{name} is {raw!r}: write a whole number of {at_least} or more."
            )
        if at_most is not None and int(raw) > at_most:
            raise ImproperlyConfigured(
                f"{name} is {raw!r}: write a whole number of {at_most} or less."
            )
        return int(raw)

    def listed(self, name: str) -> list[str]:
        """Comma-separated words, blanks dropped."""
        return [
            word for part in self.text(name, "").split(",") if (word := part.strip())
        ]

    def parsed(self, name: str, parse: Callable[[str], T], *, remedy: str) -> T:
        """What `parse` makes of the variable; its ValueError becomes a refusal."""
        try:
            return parse(self.text(name, remedy=remedy))
        except (ValueError, KeyError) as error:
            raise ImproperlyConfigured(
                f"{name} can't be understood ({error}). {remedy}"
            ) from error


def database(url: str) -> dict[str, Any]:
    """Django's settings for one PostgreSQL URL; the host may be a socket folder.

    Raises ValueError for any other database.
    """
    from urllib.parse import unquote

    config: dict[str, Any] = dict(environ.Env.db_url_config(url))
    if config.get("ENGINE") != "django.db.backends.postgresql" or not config["NAME"]:
        raise ValueError("it does not name a PostgreSQL database")
    config["HOST"] = unquote(config["HOST"] or "")
    return {**config, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}


def broker(url: str) -> str:
    """Celery's spelling of a Redis URL: unix sockets are written differently."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(url)
    if parts.scheme in {"redis", "rediss"}:
        return url
    if parts.scheme != "unix":
        raise ValueError("it starts with neither redis://, rediss:// nor unix://")
    index = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={index}"


def imap(url: str) -> dict[str, Any]:
    """host, port, username, password and folder of `imaps://user:password@host/INBOX`.

    TLS from the first byte is the only kind.
    """
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    if parts.scheme != "imaps" or not parts.hostname or not parts.username:
        raise ValueError("it is no imaps:// address with a user")
    config = {
        "host": parts.hostname,
        "port": parts.port or 993,
        "username": unquote(parts.username),
        "password": unquote(parts.password or ""),
        "folder": unquote(parts.path.strip("/")) or "INBOX",
    }
    said = f"{config['username']}{config['password']}{config['folder']}"
    if not said.isascii() or not said.isprintable() or '"' in str(config["folder"]):
        raise ValueError("IMAP can't carry one of its characters")
    return config


def paces(text: str) -> dict[str, int]:
    """Messages a minute by domain: `example.com=600, example.org=60`."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    found = {domain.strip().lower(): int(pace) for domain, _, pace in pairs}
    if not all("." in domain and pace >= 1 for domain, pace in found.items()):
        raise ValueError("a domain or a number of at least 1 is missing")
    return found


def webhooks(text: str) -> dict[str, str]:
    """Each provider's secret: `mailgun:KEY,postmark:user:password`."""
    found: dict[str, str] = {}
    for one in filter(None, map(str.strip, text.split(","))):
        name, _, secret = one.partition(":")
        if not secret or name in found:
            # The name alone: the rest would be in the log.
            raise ValueError(f"{name!r} has no secret, or two")
        found[name] = secret
    return found


def smtp(url: str) -> dict[str, Any]:
    """host, port, username, password and tls ("none", "starttls", "tls").

    `smtp+tls://` promises STARTTLS and `smtp+ssl://` TLS from the first byte; plain
    `smtp://` reaches a mail server on this machine and no other.
    """
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    tls = {"smtp": "none", "smtp+tls": "starttls", "smtp+ssl": "tls"}
    if parts.scheme not in tls or not parts.hostname:
        raise ValueError("it is no smtp://, smtp+tls:// or smtp+ssl:// address")
    if parts.scheme == "smtp" and not _is_this_machine(parts.hostname):
        raise ValueError("smtp:// would carry mail to another machine in the clear")
    standard_port = {"none": 25, "starttls": 587, "tls": 465}[tls[parts.scheme]]
    return {
        "host": parts.hostname,
        "port": parts.port or standard_port,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "tls": tls[parts.scheme],
    }


def _is_this_machine(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
