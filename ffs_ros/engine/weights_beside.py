"""The file in which a graph of ours keeps its weights: that it is there, whole, and the one it was written with.

Other weights of the same sizes would run, and give other depths in silence.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from ffs_ros.errors import EngineError

_FILE, _BYTES, _SHA256 = (f"ffs_ros.weights_{what}" for what in ("file", "bytes", "sha256"))
_AGAIN = "copy both files again, or install the package again"

_METADATA = 14
"""The field ``metadata_props`` of ONNX's ModelProto; in each of its entries 1 is the key, 2 the value."""
_MOST_NOTE_BYTES = 2**16
_VARINT, _LENGTH = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
"""Protobuf's wire types."""


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


def notes_of(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, found without reading the weights; empty where it is no whole ONNX file.

    A runtime tells the metadata only after it has opened the weights.
    """
    try:
        with path.open("rb") as file:
            entries = [dict(_fields(io.BytesIO(content))) for number, content in _fields(file) if number == _METADATA]
        return {entry[1].decode("utf-8"): entry.get(2, b"").decode("utf-8") for entry in entries}
    except (OSError, ValueError, KeyError):
        return {}  # the runtime says what is wrong with it


def _fields(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(number, content) of the texts and messages in a protobuf message; those too long for a note are passed over."""
    while first := stream.read(1):
        number, kind = divmod(_varint(stream, first), 8)
        if kind == _LENGTH:
            length = _varint(stream)
            if length > _MOST_NOTE_BYTES:
                stream.seek(length, io.SEEK_CUR)
            else:
                yield number, stream.read(length)
        elif kind == _VARINT:
            _varint(stream)
        else:
            stream.seek(_FIXED_BYTES[kind], io.SEEK_CUR)


def _varint(stream: BinaryIO, first: bytes = b"") -> int:
    """Seven bits in a byte, the lowest first; the eighth says that another follows. Raises ValueError at the end."""
    value = shift = 0
    byte = first or stream.read(1)
    while byte and shift < 64:
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        byte = stream.read(1)
    raise ValueError("no whole number")
