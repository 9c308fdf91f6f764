"""Child processes that don't outlive their supervisor.

On Linux the kernel tells a child that its supervisor is gone. Everywhere, each child
is on record in `run/<name>.pid`, so that the next start recognises what a killed
supervisor left and stops it, and never another process that got a recycled number.
"""

import ctypes
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from twitchsite.embedded.refusals import CannotStart

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
# psutil counts from a boot time that the kernel works out anew after clock steps.
SAME_MOMENT_SECONDS = 1.0
KILL_SECONDS = 5


@dataclass(frozen=True)
class Program:
    """How one child is run.

    `folder` is where it works, and one of the marks by which its own children are
    known; so it is a folder that only this site's processes work in. `family` names
    programs whose children leave their session: any of that name working in `folder`
    belongs to it. Standard output goes to `output`, which is begun anew, or to the
    log like everything else.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    log: Path
    record: Path
    environment: dict[str, str] | None = None
    user: pwd.struct_passwd | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10
    family: str = ""
    descriptors: tuple[int, ...] = ()
    output: Path | None = None


@dataclass(frozen=True)
class Record:
    """What `run/<name>.pid` says: enough to know the process again."""

    pid: int
    created: float
    folder: str
    family: str
    stop_signal: int
    stop_seconds: float

    def is_leader(self, process: psutil.Process) -> bool:
        moment = float(process.create_time())
        same_moment = abs(moment - self.created) < SAME_MOMENT_SECONDS
        return bool(process.pid == self.pid and same_moment)

    def is_kin(self, process: psutil.Process) -> bool:
        """Was it started by the child on record, which may be gone?"""
        of_family = bool(self.family) and process.name() == self.family
        if not of_family and os.getsid(process.pid) != self.pid:
            return False
        return bool(process.cwd() == self.folder)

    def left(self) -> list[psutil.Process]:
        """What still runs of it, the leader first."""
        found = [p for p in psutil.process_iter() if self._is_left(p)]
        return sorted(found, key=lambda process: process.pid != self.pid)

    def _is_left(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return self.is_leader(process) or self.is_kin(process)
        except (psutil.Error, OSError):
            return False  # gone meanwhile, or of somebody else


class Child:
    """One child process, started and stopped any number of times."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ending(self) -> str:
        """How it ended, in words."""
        status = self._process.poll() if self._process else None
        if status is None:
            return "is running"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def start(self) -> None:
        """Start it, once nothing of an earlier life is left. Main thread only.

        The kernel's word that the parent is gone comes when the *thread* that
        started the child ends.
        """
        self.end_earlier_life()
        if self._process:
            self._process.wait()
        try:
            self._process = _spawn(self.program)
        except (OSError, subprocess.SubprocessError) as error:
            raise CannotStart(f"{self.name} can't be started: {error}.") from error

    def end_earlier_life(self) -> None:
        """Stop what is left of this child from before a crash."""
        end_left(self.program.record)

    def recognise(self, pid: int) -> None:
        """Put a running process on record that works where this child would."""
        try:
            process = psutil.Process(pid)
            ours = process.name() == self.program.family
            if ours and process.cwd() == str(self.program.folder):
                _put_on_record(self.program, pid)
        except psutil.Error:
            return

    def wait(self, each: Callable[[], None] = lambda: None) -> int:
        """The exit status, once there is one; `each` is called while waiting."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        while (status := self._process.poll()) is None:
            each()
            time.sleep(0.02)
        return status

    def stop(self) -> None:
        """Ask, wait, insist; its own children end with it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self.program.stop_signal)
            self._wait_for_the_end()
        self.end_earlier_life()

    def kill(self) -> None:
        """SIGKILL for the process alone, as a crash would have it."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _wait_for_the_end(self) -> None:
        assert self._process is not None  # noqa: S101 - told to mypy; callers checked
        try:
            self._process.wait(self.program.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_lines(self, count: int = 5) -> list[str]:
        return last_lines(self.program.log, count)


def last_lines(log: Path, count: int) -> list[str]:
    """The end of a log, blank lines left out; it need not exist."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-count:]


def end_all_left(run: Path) -> list[str]:
    """Stop whatever a killed supervisor left; the names of what was found."""
    records = sorted(run.glob("*.pid"))
    return [record.stem for record in records if end_left(record)]


def end_left(path: Path) -> bool:
    """Stop what is left of the process on record, and forget it."""
    record = _read(path)
    found = record.left() if record else []
    if record and found:
        _ask(found, record)
        _wait_until_gone(record, record.stop_seconds)
        _insist(record)
    path.unlink(missing_ok=True)
    return bool(found)


def _ask(found: list[psutil.Process], record: Record) -> None:
    """A leader ends its own; without one each has to be told."""
    if found[0].pid == record.pid:
        _send(found[:1], record.stop_signal)
    else:
        _send(found, signal.SIGTERM)


def _insist(record: Record) -> None:
    _send(record.left(), signal.SIGKILL)
    _wait_until_gone(record, KILL_SECONDS)


def _wait_until_gone(record: Record, seconds: float) -> None:
    patience_ends = time.monotonic() + seconds
    while record.left() and time.monotonic() < patience_ends:
        time.sleep(0.02)


def _send(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        # psutil looks again whether the number was recycled.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _read(path: Path) -> Record | None:
    """None for a record that is missing or was cut short by a crash."""
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start and put on record in one breath: signals wait until both are done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with program.log.open("ab") as log, _output(program) as output:
            process = subprocess.Popen(
                program.command,
                cwd=program.folder,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                user=program.user.pw_uid if program.user else None,
                group=program.user.pw_gid if program.user else None,
                extra_groups=[] if program.user else None,
                pass_fds=program.descriptors,
                start_new_session=True,
                preexec_fn=_before_the_program(before, program.stop_signal),
            )
        _put_on_record(program, process.pid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _output(program: Program) -> BinaryIO:
    return program.output.open("wb") if program.output else program.log.open("ab")


def _before_the_program(mask: Iterable[int], death_signal: int) -> Callable[[], None]:
    """What the child does first: hear signals, and die with its parent (Linux)."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def preexec() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if libc:
            libc.prctl(PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)  # the parent was gone before the kernel was told

    return preexec


def _put_on_record(program: Program, pid: int) -> None:
    record = Record(
        pid=pid,
        created=psutil.Process(pid).create_time(),
        folder=str(program.folder),
        family=program.family,
        stop_signal=int(program.stop_signal),
        stop_seconds=program.stop_seconds,
    )
    draft = program.record.with_suffix(".new")
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(program.record)
