"""A file appears under its name complete, or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ffs_ros.errors import FileError
from ffs_ros.storage import Location, is_url, suffix_of, upload

_NAME_BYTES = 8


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
    if not path.parent.is_dir():
        raise FileError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    if path.exists() and not path.is_file():
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


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that killed processes have left in ``folder``, where nobody may be writing now."""
    for path in folder.glob("." + "[0-9a-f]" * 2 * _NAME_BYTES + "*"):
        with suppress(OSError):
            path.unlink()
