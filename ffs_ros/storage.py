"""Files by path or by URL: whatever file system fsspec knows, S3 and other object stores among them.

A URL stays a string, since ``Path`` would take a slash out of it. fsspec is imported where there is a URL only.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO
from urllib.parse import urlsplit

from ffs_ros.advice import cannot_read
from ffs_ros.errors import FfsError, FileError

Location = str | Path
"""A path, or a URL as a string."""

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*(::[a-zA-Z][a-zA-Z0-9+.-]*)*://")
_ONLY_A_SCHEME = re.compile(_SCHEME.pattern + "/*")
_LOCAL = re.compile(r"(?:file|local)://(?=/)")
_MOVE_AFTERWARDS = frozenset({"sftp", "ssh", "smb", "hdfs", "arrow_hdfs", "webhdfs", "ftp"})
"""File systems of which others may see half a file while it is written. In object stores a file appears whole."""
_LARGEST_AT_ONCE_bytes = 64 << 20


def is_url(location: Location) -> bool:
    """Whether it is a URL, as in ``s3://bucket/folder/name.png``, and not a path on this machine."""
    return isinstance(location, str) and "://" in location and _SCHEME.match(location) is not None


def located(text: str) -> Location:
    """What somebody typed, as a location. Raises FileError where that is none."""
    text = _LOCAL.sub("", text)
    if not text or _ONLY_A_SCHEME.fullmatch(text):
        raise FileError(f"'{text}' names no file or folder: expected a path, or a URL such as s3://bucket/folder")
    return text if is_url(text) else Path(text)


def joined(folder: Location, name: str) -> Location:
    """``name``, which may hold slashes, in ``folder``."""
    return f"{folder.rstrip('/')}/{name}" if isinstance(folder, str) and is_url(folder) else Path(folder, name)


def folder_of(location: Location) -> Location:
    """The folder that a file is in."""
    return location.rpartition("/")[0] if isinstance(location, str) and is_url(location) else Path(location).parent


def suffix_of(location: Location) -> str:
    """The ending, in small letters, as in ``.png``; without what a URL asks for after it."""
    text = urlsplit(location).path if isinstance(location, str) and is_url(location) else location
    return PurePosixPath(text).suffix.lower()


def read_bytes(location: Location) -> bytes:
    """The content of a file. Raises FileError."""
    if not is_url(location):
        try:
            check_ordinary(location)
            return Path(location).read_bytes()
        except OSError as error:
            raise FileError(cannot_read(Path(location), error)) from error
    with _as_sentences(location, "read") as (system, path):
        return bytes(system.cat_file(path))


def check_ordinary(path: Location) -> None:
    """Raises FileError for a pipe or a device, which would be waited for, or never end; OSError where none is."""
    mode = os.stat(path).st_mode  # noqa: PTH116
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of a folder the system says what it is
        raise FileError(f"{path} is a pipe or a device: expected a file, which can be read twice; save it as one")


@contextmanager
def opened_once(path: Path) -> Iterator[BinaryIO]:
    """For the block a file, or a pipe, as a shell's ``<(command)`` is; one that nobody writes to is empty.

    Raises OSError, FileError for a device.
    """

    def open_now(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # which otherwise waits for somebody to write to a pipe

    with open(path, "rb", opener=open_now) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise FileError(f"{path} is a device: expected a file or a pipe")
        os.set_blocking(file.fileno(), True)
        yield file


def copied_pipe(path: Path) -> IO[bytes] | None:
    """A temporary file with what comes out of a pipe, to be read again; None for anything else. Raises FileError."""
    try:
        if not stat.S_ISFIFO(path.stat().st_mode):
            return None
        with opened_once(path) as pipe:
            copy = tempfile.NamedTemporaryFile()  # noqa: SIM115 (whoever gets it keeps it)
            shutil.copyfileobj(pipe, copy)
            copy.flush()
            return copy
    except OSError as error:
        raise FileError(cannot_read(path, error)) from error


def downloaded(url: Location) -> IO[bytes]:
    """A temporary file on this machine with the content; it is there as long as the object. Raises FileError."""
    with _as_sentences(url, "read") as (system, path):
        copy = tempfile.NamedTemporaryFile()  # noqa: SIM115 (whoever gets it keeps it)
        system.get_file(path, copy.name)
        return copy


@contextmanager
def opened_beginning(location: Location, length: int) -> Iterator[BinaryIO]:
    """For the block a file of which at least the first ``length`` bytes can be read, as far as it has so many.

    Raises FileError.
    """
    if is_url(location):
        with _as_sentences(location, "read") as (system, path):
            begin = system.cat_file(path, start=0, end=length)  # some servers send all of it
        yield io.BytesIO(begin)
        return
    try:
        check_ordinary(location)
        with Path(location).open("rb") as file:
            yield file
    except OSError as error:
        raise FileError(cannot_read(Path(location), error)) from error


def exists(location: Location) -> bool:
    """Whether there is such a file. Raises FileError where the store cannot be asked."""
    if not is_url(location):
        return os.path.exists(location)  # noqa: PTH110 (raises nothing for names that are too long)
    with _as_sentences(location, "look for") as (system, path):
        return bool(system.exists(path))


def is_empty(folder: Location) -> bool:
    """Whether nothing is in ``folder``, hidden files aside, or there is no such folder. Raises FileError."""
    if not is_url(folder):
        try:
            return not any(not name.startswith(".") for name in os.listdir(folder))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            raise FileError(cannot_read(Path(folder), error)) from error
    with _as_sentences(folder, "list") as (system, path):
        try:
            return not system.ls(path, detail=False)
        except (FileNotFoundError, NotImplementedError):
            return True


def make_folder(folder: Location) -> None:
    """Make a folder and those above it where they are missing; stores need none. Raises FileError."""
    if is_url(folder):
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror or error}; name another with -o") from error


def remove(location: Location) -> None:
    """Remove a file; nothing happens where there is none. Raises FileError."""
    if not is_url(location):
        try:
            Path(location).unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"cannot remove {location}: {error.strerror or error}") from error
        return
    with _as_sentences(location, "remove") as (system, path):
        if system.exists(path):
            system.rm_file(path)


def upload(local: Path, url: str) -> None:
    """Put the file ``local`` at ``url``, where others see all of it or nothing. Raises FileError."""
    with _as_sentences(url, "write") as (system, path):
        protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
        if protocols & _MOVE_AFTERWARDS:
            folder = path.rpartition("/")[0]
            system.makedirs(folder, exist_ok=True)
            beside = f"{folder}/{local.name}"
            try:
                system.put_file(str(local), beside)
                system.mv(beside, path)
            except BaseException:
                with suppress(Exception):
                    system.rm_file(beside)
                raise
        elif local.stat().st_size <= _LARGEST_AT_ONCE_bytes:
            system.pipe_file(path, local.read_bytes())
        else:
            system.put_file(str(local), path)


@contextmanager
def _as_sentences(url: Location, what: str) -> Iterator[tuple[Any, str]]:
    """The file system of ``url`` and the path in it; what goes wrong in the block becomes a FileError."""
    try:
        import fsspec
    except ModuleNotFoundError:
        raise FileError(
            f"cannot {what} {url}: URLs need the Python package fsspec and the one for that store; pip install fsspec "
            "s3fs (gcsfs, adlfs, 'fsspec[http]', ...)"
        ) from None
    try:
        yield fsspec.core.url_to_fs(url)
    except FfsError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"cannot {what} {url}: there is no such file; check the name") from error
    except ImportError as error:
        raise FileError(f"cannot {what} {url}: {error}; pip install the package that is named there") from error
    except Exception as error:  # each store has kinds of its own
        why = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"cannot {what} {url}: {why}; check the address, the network and the credentials") from error
