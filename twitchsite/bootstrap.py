"""Makes `.venv` and installs what the given requirement files list, once.

    python twitchsite/bootstrap.py requirements.txt [requirements-dev.txt]

Standard library only, and syntax that Python 3.4 can read: an old Python shall live
long enough to say that it is too old. Hence quoted annotations and `format`.
"""

import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import TextIO

NEEDED = (3, 11)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(CHECKOUT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STATE = os.path.join(VENV, "twitchsite.json")
LOG = os.path.join(VENV, "install.log")
AGAIN = "Run the same command again when that is mended."


class Refused(Exception):
    """What stands in the way, and what to do about it."""


def say(text: "str", end: "str" = "\n") -> "None":
    sys.stdout.write(text + end)
    sys.stdout.flush()


# --- Is this the right place? --------------------------------------------------


def refuse_old_python(version: "tuple[int, ...]", executable: "str") -> "None":
    if tuple(version[:2]) < NEEDED:
        raise Refused(
            "Python 3.11 or newer is needed; this is {0}.{1} ({2}).\n"
            "Install it, or run: make run PYTHON=/path/to/python3.12".format(
                version[0], version[1], executable
            )
        )


def refuse_unfit_system(system: "str", soabi: "str") -> "None":
    """`soabi` is Python's own word on the C library it was built for."""
    if system == "nt":
        raise Refused("Windows can't run this by itself. Use WSL: wsl --install")
    if "musl" in soabi:
        raise Refused(
            "This system has musl (Alpine?); some packages need glibc.\n"
            "Use a glibc system, as Debian, Ubuntu or Fedora."
        )


def refuse_incomplete_python(find: "Callable[[str], object]") -> "None":
    """Debian ships Python without the parts that make virtual environments."""
    missing = [name for name in ("venv", "ensurepip") if find(name) is None]
    if missing:
        raise Refused(
            "This Python comes without {0}.\nOn Debian and Ubuntu: "
            "apt install python{1}.{2}-venv".format(
                " and ".join(missing), sys.version_info[0], sys.version_info[1]
            )
        )


# --- What is there already -----------------------------------------------------


def wanted(files: "list[str]") -> "dict[str, str]":
    """The digest of each requirement file."""
    import hashlib

    digests = {}
    for name in files:
        with open(os.path.join(CHECKOUT, name), "rb") as file:
            digests[name] = hashlib.sha256(file.read()).hexdigest()
    return digests


def read_state() -> "dict[str, object]":
    """`made`: this program made `.venv`; `installed`: file names and digests."""
    try:
        with open(STATE) as file:
            return dict(json.load(file))
    except (OSError, ValueError):
        return {}


def write_state(state: "dict[str, object]") -> "None":
    with open(STATE + ".new", "w") as file:
        json.dump(state, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(STATE + ".new", STATE)


def python_of_venv() -> "list[int] | None":
    """Major and minor version of the environment's Python; None if it can't run."""
    import subprocess

    ask = "import sys; print(*sys.version_info[:2])"
    try:
        told = subprocess.check_output(
            [PYTHON, "-I", "-c", ask], stderr=subprocess.DEVNULL
        )
        return [int(number) for number in told.split()]
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def is_complete(files: "dict[str, str]") -> "bool":
    state = read_state()
    if not is_usable(state, python_of_venv()):
        return False
    installed = state.get("installed")
    return isinstance(installed, dict) and all(
        installed.get(name) == digest for name, digest in files.items()
    )


def is_usable(state: "dict[str, object]", version: "list[int] | None") -> "bool":
    """Of our own making and by this very Python; somebody else's may be newer."""
    if version is None:
        return False
    if state.get("made"):
        return version == list(sys.version_info[:2])
    return tuple(version) >= NEEDED


# --- Making it -----------------------------------------------------------------


def hold_checkout() -> "int":
    """The lock against a second installation: on the folder, so no file is left."""
    import fcntl

    descriptor = os.open(CHECKOUT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("Another installation is underway here; waiting for it.")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def ensure_venv() -> "None":
    """There is an environment to install into; one not made here is never cleared."""
    state = read_state()
    if is_usable(state, python_of_venv()):
        return
    if os.path.lexists(VENV) and os.listdir(VENV) and not state.get("made"):
        raise Refused(
            "{0} was made by somebody else and can't be used.\n"
            "Move it away and run the same command again.".format(VENV)
        )
    make_venv()


def make_venv() -> "None":
    import shutil
    import subprocess

    if os.path.lexists(VENV):
        shutil.rmtree(VENV)
    os.mkdir(VENV)
    # From now on it is known as ours, so that an interrupted one is made again.
    write_state({"made": True})
    python = getattr(sys, "_base_executable", None) or sys.executable
    with open(LOG, "w") as log:
        making = subprocess.Popen(
            [python, "-I", "-m", "venv", VENV],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        status = making.wait()
    except BaseException:
        # It has children of its own (ensurepip), which end with their group.
        os.killpg(making.pid, signal.SIGTERM)
        making.wait()
        raise
    if status:
        raise Refused(
            "The virtual environment could not be made: {0}\nThe whole log: {1}".format(
                last_line(LOG), LOG
            )
        )


def install(files: "list[str]") -> "None":
    import subprocess

    command = [PYTHON, "-I", "-m", "pip", "install", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += ["--retries", "2", "--timeout", "20"]
    for name in files:
        command += ["-r", os.path.join(CHECKOUT, name)]
    with open(LOG, "a") as log:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            errors="replace",
        )
        try:
            complaint = follow(pip.stdout or [], log, count(files))
        except BaseException:
            pip.terminate()
            raise
        finally:
            status = pip.wait()
    if status:
        raise Refused(
            "The packages could not be installed: {0}\n{1}\nThe whole log: {2}".format(
                complaint, AGAIN, LOG
            )
        )


def follow(lines: "Iterable[str]", log: "TextIO", total: "int") -> "str":
    """Write pip's words to the log, show how far it is; its last complaint."""
    complaint, seen = "pip gave no reason.", 0
    for line in lines:
        log.write(line)
        if line.startswith("ERROR:"):
            complaint = line.partition(":")[2].strip()
        elif line.startswith("Collecting "):
            seen += 1
            show_progress("{0} of {1} fetched".format(min(seen, total), total))
        elif line.startswith("Installing "):
            show_progress("unpacking")
    return complaint


def show_progress(text: "str") -> "None":
    """In one line that is written over; a log would only be cluttered by it."""
    if sys.stdout.isatty():
        say("\r  {0:<15}{1:<40}".format("packages", text), "")


def count(files: "list[str]") -> "int":
    """How many packages the files pin."""
    total = 0
    for name in files:
        with open(os.path.join(CHECKOUT, name)) as file:
            total += sum("==" in line for line in file if line[0].isalnum())
    return total


def last_line(path: "str") -> "str":
    try:
        with open(path, errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else "no reason was given."


def complete(files: "list[str]") -> "None":
    """Bring `.venv` to what the files say. Raises Refused, or OSError."""
    import time

    began = time.time()
    say("  {0:<15}installing {1} into .venv".format("packages", count(files)))
    ensure_venv()
    state = read_state()
    known = state.pop("installed", None)
    # Until pip is done nobody may take the environment for complete.
    write_state(state)
    install(files)
    installed = dict(known) if isinstance(known, dict) else {}
    installed.update(wanted(files))
    state["installed"] = installed
    write_state(state)
    show_progress("")
    took = "installed in {0:.0f} s".format(time.time() - began)
    say("{0}  {1:<15}{2}".format(line_start(), "packages", took))


def line_start() -> "str":
    return "\r" if sys.stdout.isatty() else ""


def prepare(files: "list[str]") -> "None":
    import sysconfig
    from importlib.util import find_spec

    refuse_unfit_system(os.name, sysconfig.get_config_var("SOABI") or "")
    if is_complete(wanted(files)):
        return
    refuse_incomplete_python(find_spec)
    lock = hold_checkout()
    try:
        if not is_complete(wanted(files)):
            complete(files)
    finally:
        os.close(lock)


def main(files: "list[str]") -> "int":
    try:
        refuse_old_python(sys.version_info[:2], sys.executable)
        signal.signal(signal.SIGTERM, interrupt)
        signal.signal(signal.SIGHUP, interrupt)
        prepare(files)
    except Refused as refusal:
        say(str(refusal))
        return 1
    except OSError as error:
        where = error.filename or CHECKOUT
        say("{0} can't be used: {1}.".format(where, error.strerror))
        return 1
    except KeyboardInterrupt:
        say("")
        return 130
    return 0


def interrupt(number: "int", frame: "FrameType | None") -> "None":
    """pip must not go on alone."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
