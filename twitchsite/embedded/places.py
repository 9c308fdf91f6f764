"""Where things lie: the data folder, and the quarters of the servers within.

A normal user's servers live in the data folder itself. Servers refuse to run as
root, and whoever runs them instead can't be expected to enter the data folder: then
they get quarters in a folder of their own, and the data folder points there.
"""

import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twitchsite.embedded.refusals import CannotStart

STANDARD_QUARTERS = Path("/var/lib/twitchsite")
POINTER = "servers"
BELONGS_TO = "belongs-to"
QUARTERS_PREFIX = "twitchsite-"
# sockaddr_un takes 108 bytes on Linux and 104 on macOS, the end mark included.
LONGEST_SOCKET = 100
LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432.lock")
LEAST_FREE_BYTES = 64 * 1024 * 1024
LOG_LIMIT_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True)
class DataFolder:
    """Everything one site keeps; whoever has this object holds the folder's lock."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    def log(self, name: str) -> Path:
        return self.path / "log" / f"{name}.log"

    def rotated_log(self, name: str) -> Path:
        """The log to append to; one that has grown long steps aside first."""
        log = self.log(name)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log


@dataclass(frozen=True)
class Quarters:
    """Where the servers keep their data and sockets, and as whom they run.

    `user` is None when that is whoever runs this process. `abandoned` are older
    quarters of the same data folder that nothing points to any more.
    """

    path: Path
    sockets: Path
    durable: bool
    user: pwd.struct_passwd | None = None
    abandoned: tuple[Path, ...] = ()

    def give(self, path: Path, mode: int) -> None:
        """Hand something made here to the servers' user."""
        path.chmod(mode)
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def make(self, path: Path) -> Path:
        """A folder that only the servers may enter."""
        path.mkdir(mode=0o700)
        self.give(path, 0o700)
        return path


@contextmanager
def data_folder(path: Path) -> Iterator[DataFolder]:
    """The folder, made if need be, and held against every other site.

    Raises CannotStart when it can't be written or another process holds it.
    """
    folder = DataFolder(path.resolve())
    try:
        _prepare(folder)
        lock = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(folder.path, error) from error
    try:
        _hold(lock, folder)
        yield folder
    finally:
        os.close(lock)


def unwritable(path: Path, error: OSError) -> CannotStart:
    """The refusal that fits what the file system said about `path`."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return CannotStart(f"The disk is full: {path}.", "Make room and start again.")
    return CannotStart(
        f"The data folder {path} can't be used ({error.strerror}).",
        "Choose another: DATA_DIR=/some/folder make run",
    )


def write_secret(path: Path, text: str) -> None:
    """Put `text` where only this user can read it: whole, on disk, or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def quarters(folder: DataFolder, *, durable: bool) -> Iterator[Quarters]:
    """Where the servers of this data folder live.

    What is not durable and lies outside the data folder goes afterwards. No server
    of this folder may be running yet. Raises CannotStart.
    """
    made = _staged(folder, durable) if os.geteuid() == 0 else _own(folder, durable)
    try:
        yield made
    finally:
        shutil.rmtree(made.sockets, ignore_errors=True)
        if made.user and not durable:
            (folder.path / POINTER).unlink(missing_ok=True)
            shutil.rmtree(made.path, ignore_errors=True)


def reachable(package: Path, made: Quarters, version: str) -> Path:
    """The package's folder, as a copy where the servers' user may enter.

    Shared libraries travel along: the binaries look for them beside their package
    (RPATH). Copies of other versions go.
    """
    if made.user is None:
        return package
    shelf = made.path / "programs" / package.name
    copy = shelf / version
    if not copy.is_dir():
        shutil.rmtree(shelf, ignore_errors=True)
        _copy_readable(package, shelf / "new" / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            _copy_readable(libraries, shelf / "new" / libraries.name)
        (shelf / "new").rename(copy)
    return copy / package.name


def _prepare(folder: DataFolder) -> None:
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in (folder.run, folder.mail, folder.log("any").parent):
        part.mkdir(mode=0o700, exist_ok=True)
        tempfile.TemporaryFile(dir=part).close()
    if shutil.disk_usage(folder.path).free < LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hold(lock: int, folder: DataFolder) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise CannotStart(
            f"A site is already running on {folder.path} (process {holder}).",
            "Stop it, or start a second one: DATA_DIR=/other/folder PORT=8001 make run",
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


# --- Quarters of a normal user -------------------------------------------------


def _own(folder: DataFolder, durable: bool) -> Quarters:
    name = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:12]
    return Quarters(
        folder.path, private_folder(_short_place() / f"twitchsite-{name}"), durable
    )


def _short_place() -> Path:
    """The temporary area, or /tmp where its path would make a socket's too long."""
    area = Path(tempfile.gettempdir())
    longest = len(os.fsencode(area / "twitchsite-0123456789ab")) + LONGEST_SOCKET_NAME
    return area if longest < LONGEST_SOCKET else Path("/tmp")  # noqa: S108 - checked


def private_folder(path: Path) -> Path:
    """An empty folder of this user alone; others may write beside it, not in it."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise CannotStart(
            f"The folder for sockets, {path}, can't be made ({error.strerror}).",
            "Choose another temporary area: TMPDIR=/some/folder make run",
        ) from error
    alone = found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
    if not stat.S_ISDIR(found.st_mode) or not alone:
        raise CannotStart(
            f"{path} is not a folder of this user alone.",
            "Somebody else may have made it: remove it and start again.",
        )
    for leftover in path.iterdir():
        leftover.unlink()
    return path


# --- Quarters when this process is root ----------------------------------------


def _staged(folder: DataFolder, durable: bool) -> Quarters:
    user = _unprivileged()
    _refuse_another_users_data(folder)
    pointer = folder.path / POINTER
    path = _pointed_to(folder, pointer) if pointer.exists() else None
    path = path or _new_quarters(folder, pointer, durable)
    abandoned = tuple(_abandoned(folder, path.parent, path)) if durable else ()
    sockets = path / "sockets"
    shutil.rmtree(sockets, ignore_errors=True)
    made = Quarters(path, sockets, durable, user, abandoned)
    made.make(sockets)
    return made


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise CannotStart(
            "PostgreSQL refuses to run as root, and there is no user `nobody`.",
            "Run this as a normal user, or name servers: DATABASE_URL and REDIS_URL.",
        ) from error


def _refuse_another_users_data(folder: DataFolder) -> None:
    """Quarters elsewhere would silently hide what a normal user made in here."""
    for name in ("postgres", "valkey"):
        if (folder.path / name).exists():
            raise CannotStart(
                f"{folder.path / name} was not made by root.",
                "Run this as its owner, or choose another DATA_DIR.",
            )


def _pointed_to(folder: DataFolder, pointer: Path) -> Path:
    path = Path(pointer.read_text().strip())
    note = path / BELONGS_TO
    if not note.is_file():
        raise CannotStart(
            f"{pointer} says the data lies in {path}, which is not there.",
            f"Put it back; or remove {pointer} to begin with an empty site.",
        )
    owner = Path(note.read_text().strip())
    if owner == folder.path:
        return path
    if (owner / POINTER).exists():
        raise CannotStart(
            f"{pointer} was copied from {owner}, whose data it names.",
            f"Remove {pointer} to begin with an empty site.",
        )
    write_secret(note, f"{folder.path}\n")
    return path


def _new_quarters(folder: DataFolder, pointer: Path, durable: bool) -> Path:
    try:
        path = Path(tempfile.mkdtemp(prefix=QUARTERS_PREFIX, dir=_area(durable)))
        write_secret(path / BELONGS_TO, f"{folder.path}\n")
        # Others pass through to what is theirs, but can't list it.
        path.chmod(0o711)
        write_secret(pointer, f"{path}\n")
    except OSError as error:
        raise CannotStart(
            f"No folder could be made for the servers' data ({error.strerror}).",
            "Run this as a normal user, or name servers: DATABASE_URL and REDIS_URL.",
        ) from error
    return path


def _area(durable: bool) -> Path:
    """Where root makes quarters: every folder on the way lets others pass."""
    if not durable:
        area = Path(tempfile.gettempdir()).resolve()
        longest = len(os.fsencode(area / "twitchsite-01234567/sockets"))
        open_way = all(step.stat().st_mode & 0o001 for step in (area, *area.parents))
        if open_way and longest + LONGEST_SOCKET_NAME < LONGEST_SOCKET:
            return area
        return Path("/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
    STANDARD_QUARTERS.mkdir(mode=0o755, exist_ok=True)
    found = STANDARD_QUARTERS.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid or found.st_mode & 0o022:
        raise CannotStart(f"{STANDARD_QUARTERS} is not a folder of root alone.")
    return STANDARD_QUARTERS


def _abandoned(folder: DataFolder, area: Path, current: Path) -> Iterator[Path]:
    for path in sorted(area.iterdir()):
        note = path / BELONGS_TO
        known = note.read_text().strip() if note.is_file() else ""
        if path != current and known == str(folder.path):
            yield path


def _copy_readable(source: Path, target: Path) -> None:
    """Copy what running needs, readable by all whatever root's umask was."""
    shutil.copytree(
        source,
        target,
        ignore=shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__"),
    )
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    for parent in (target.parent, target.parent.parent, target.parent.parent.parent):
        parent.chmod(0o755)
