"""One training at a time writes into a folder: two would mix their curves, and resume from each other's checkpoints."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ffs_ros.errors import FileError, TrainingError
from ffs_ros.whole_file import remove_unfinished

LOCK = ".lock"


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Holds the folder until the block is left or the process ends, however it ends; clears up after a killed one.

    Raises TrainingError when another process holds it, FileError when the folder cannot be written to.
    """
    path = folder / LOCK
    try:
        file = path.open("w")
    except OSError as error:
        raise FileError(f"cannot write into {folder}: {error.strerror}; name another results_dir") from error
    with file:
        try:
            # Of the kinds of locks the one that a data loader's processes, which may outlive this one, do not inherit.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise TrainingError(
                    f"another training is writing into {folder}: wait for its end, or name another results_dir"
                ) from None
            # Otherwise this file system knows no locks.
        remove_unfinished(folder)
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
