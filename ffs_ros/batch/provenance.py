"""What made the files in a folder, so that nobody continues a batch with something else."""

from __future__ import annotations

import json
from typing import Any

from ffs_ros.errors import FileError
from ffs_ros.storage import Location, exists, is_empty, joined, read_bytes
from ffs_ros.whole_file import whole_file

FILE = "inference.json"


def begin(folder: Location, about: dict[str, Any]) -> bool:
    """Says in ``folder`` how its files are made: ``about``, plain data. Whether such a batch had begun there before.

    Raises FileError when the files there are made otherwise, or nothing says how.
    """
    path = joined(folder, FILE)
    if exists(path):
        check(folder, about)
        return True
    if not is_empty(folder):
        raise FileError(f"{folder} holds files, and no {FILE} that says what made them: name a new folder with -o")
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return False


def check(folder: Location, about: dict[str, Any]) -> None:
    """Raises FileError when the files in ``folder`` are not made as ``about`` says, or nothing says how."""
    path = joined(folder, FILE)
    try:
        was = json.loads(read_bytes(path))
    except ValueError:
        raise FileError(f"{path} is damaged: name a new folder with -o") from None
    if not isinstance(was, dict):
        raise FileError(f"{path} is not what a batch writes: name a new folder with -o")
    is_ = json.loads(json.dumps(about))
    changes = [f"{key} was {_short(was.get(key))} and is {_short(is_.get(key))}" for key in sorted({*was, *is_})
               if was.get(key) != is_.get(key)]  # fmt: skip
    if changes:
        raise FileError(
            f"the files in {folder} were made otherwise: {'; '.join(changes)}. Give the same as then to continue, or "
            "name a new folder with -o"
        )


def _short(value: Any) -> str:
    text = "not there" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
