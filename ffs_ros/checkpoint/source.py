"""The bytes of a file, read once, with the hash of exactly those bytes."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ffs_ros.errors import FileError


@dataclass(frozen=True)
class Source:
    """What was read; a change of the file afterwards changes nothing here."""

    path: Path
    data: bytes = field(repr=False)
    sha256: str


def read_source(path: str | Path, most_bytes: int, too_large: str) -> Source:
    """The file's content and hash.

    Raises FileError when there is no such file, it cannot be read, or it has more than ``most_bytes``; ``too_large``
    says what it probably is then.
    """
    path = Path(os.path.expanduser(path))
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise FileError(f"{path}: is a folder or a device; expected a file")
        if facts.st_size > most_bytes:
            raise FileError(f"{path}: has {facts.st_size / 1e9:.1f} GB; {too_large}")
        with path.open("rb") as file:
            data = file.read(facts.st_size)
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file; check the name") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be read ({error}); check its permissions and the disk") from None
    return Source(path, data, hashlib.sha256(data).hexdigest())
