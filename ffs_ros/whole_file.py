"""A file, or a folder of files, appears under its name complete, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ffs_ros.errors import FileError
from ffs_ros.storage import Location, is_url, suffix_of, upload

_NAME_BYTES = 8
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{{2 * _NAME_BYTES}}}(\.|$)")


@contextmanager
def whole_file(path: Location) -> Iterator[Path]:
    """A temporary path beside ``path``, with its suffix; what the block writes there is renamed onto ``path``.

    A file that was at ``path`` stays as it was until the rename. Whatever leaves the block early, KeyboardInterrupt
    included, removes the temporary file and leaves ``path`` alone. Raises FileError when the folder is missing, when
    ``path`` is not a regular file (a folder, a device), or when the file system refuses (full disk, no permission).
    For a URL the temporary file is on this machine, and put there at the end.
    """
    if isinstance(path, str) and is_url(path):
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / f".{secrets.token_hex(_NAME_BYTES)}{suffix_of(path)}"
            yield temporary
            upload(temporary, path)
        return
    path = Path(path)
    if _is_there(path) and not path.is_file():
        raise FileError(f"cannot write {path}: it exists and is not a regular file; name another output")
    temporary = path.with_name(f".{secrets.token_hex(_NAME_BYTES)}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # else a power cut can leave the new name on an empty file
        temporary.replace(path)
    except OSError as error:
        # A block may read other files too; their errors are not about this output.
        if error.filename not in (None, str(temporary)):
            raise
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # on a read-only file system even removing nothing is refused
            temporary.unlink()


def remove_unfinished(folder: Path, below: bool = False) -> None:
    """Remove the temporary files that killed processes have left in ``folder``, where nobody may be writing now, and
    in the folders ``below`` it."""
    for place, folders, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.match(name):
                with suppress(OSError):
                    Path(place, name).unlink()
        if not below:
            folders.clear()


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Where the block is to make a folder of the same name as ``path``, which is renamed onto ``path`` then.

    It lies in a hidden folder beside ``path``, which goes when the block is left; one that a killed process has left
    goes now. Raises FileError when ``path`` exists or the folder above it does not, when another process is writing
    ``path``, and when the file system refuses.
    """
    path = Path(path)
    if _is_there(path) or path.is_symlink():  # of what is not there a link is left
        raise FileError(f"cannot write {path}: it exists already; remove it, or name another output")
    workplace = path.with_name(f".{path.name}.unfinished")
    with _refusals(path, workplace):
        workplace.mkdir(exist_ok=True)
        descriptor = os.open(workplace, os.O_RDONLY)
    try:
        _lock(path, descriptor)
        try:
            with _refusals(path, workplace):
                for left_over in workplace.iterdir():
                    shutil.rmtree(left_over)
                yield workplace / path.name
                for file in (workplace / path.name).rglob("*"):
                    _flush(file)
                (workplace / path.name).rename(path)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    finally:
        os.close(descriptor)


def _is_there(path: Path) -> bool:
    """Whether there is something of that name. Raises FileError where there can be nothing."""
    try:
        if not path.parent.is_dir():
            raise FileError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:  # a name that is too long, a folder that nobody may look into
        raise FileError(f"cannot write {path}: {error.strerror or error}; name another output") from error
    return True


@contextmanager
def _refusals(path: Path, workplace: Path) -> Iterator[None]:
    """OSError about what is written becomes FileError; a block may read other files too."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(workplace)):
            raise
        raise FileError(f"cannot write {path}: {error.strerror or error}; name another output") from error


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise FileError(f"another process is writing {path}: wait for its end, or name another output") from None
        # Otherwise this file system knows no locks.


def _flush(file: Path) -> None:
    """Else a power cut can leave the new name on empty files."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
