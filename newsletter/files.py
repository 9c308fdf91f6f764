"""Files with people's addresses in them: for nobody else to read, never overwritten."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def private_file(path: Path, *, keep_half: bool = False) -> Iterator[TextIO]:
    """A new file that its owner alone can read (0600). Raises FileExistsError.

    A half-written one is removed again, unless `keep_half`.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException:
        if not keep_half:
            path.unlink(missing_ok=True)
        raise
