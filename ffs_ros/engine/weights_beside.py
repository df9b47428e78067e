"""The file in which a graph of ours keeps its weights: that it is there, whole, and the one it was written with.

Other weights of the same sizes would run, and give other depths in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ffs_ros.errors import EngineError

_FILE, _BYTES, _SHA256 = (f"ffs_ros.weights_{what}" for what in ("file", "bytes", "sha256"))
_AGAIN = "copy both files again, or install the package again"


def notes_on(name: str, data: bytes) -> dict[str, str]:
    """What a graph's metadata says about its weights, for ``check_weights``: a file ``name`` with this content."""
    return {_FILE: name, _BYTES: str(len(data)), _SHA256: hashlib.sha256(data).hexdigest()}


def check_weights(path: Path, notes: Mapping[str, str]) -> None:
    """Raises EngineError unless the weights are those that the metadata ``notes`` of the graph ``path`` speak of."""
    if _FILE not in notes:
        return
    file = path.parent / Path(notes[_FILE]).name
    before = f"cannot open {path}: its weights are in {file.name} beside it, which"
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise EngineError(f"{before} is not there; {_AGAIN}") from None
    except OSError as error:
        raise EngineError(f"{before} cannot be read ({error.strerror or error}); check it, or {_AGAIN}") from None
    if str(len(data)) != notes.get(_BYTES):
        raise EngineError(f"{before} has {len(data)} bytes instead of {notes.get(_BYTES)}: it is cut short; {_AGAIN}")
    if hashlib.sha256(data).hexdigest() != notes.get(_SHA256):
        raise EngineError(f"{before} is damaged, or not the one that the graph was written with (SHA-256); {_AGAIN}")
