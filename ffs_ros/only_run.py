"""One run at a time writes into a folder: two would mix what they write, and resume from each other's files."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ffs_ros.errors import FileError
from ffs_ros.storage import Location, is_url
from ffs_ros.whole_file import remove_unfinished

LOCK = ".lock"


@contextmanager
def only_run(folder: Location, what: str, option: str) -> Iterator[None]:
    """Holds the folder until the block is left or the process ends, however it ends; clears up after a killed one.

    ``what`` is done there, and ``option`` names another folder. A URL cannot be held. Raises FileError when another
    process holds it, or it cannot be written to.
    """
    if is_url(folder):
        yield
        return
    path = Path(folder, LOCK)
    try:
        file = path.open("w")
    except OSError as error:
        raise FileError(f"cannot write into {folder}: {error.strerror}; name another {option}") from error
    with file:
        try:
            # Of the kinds of locks the one that a data loader's processes, which may outlive this one, do not inherit.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise FileError(
                    f"another {what} is writing into {folder}: wait for its end, or name another {option}"
                ) from None
            # Otherwise this file system knows no locks.
        remove_unfinished(Path(folder))
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
