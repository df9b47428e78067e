"""The metadata of an ONNX file, read without the onnx package and without reading the weights.

The wire format is protobuf's (https://protobuf.dev/programming-guides/encoding), the fields those of ONNX's ModelProto.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ffs_ros.errors import FileError
from ffs_ros.storage import opened_once

_METADATA = 14
"""The field ``metadata_props`` of ModelProto; in each of its entries 1 is the key, 2 the value."""
_MOST_NOTE_BYTES = 2**16
_VARINT, _LENGTH = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
"""Protobuf's wire types."""


def notes_of(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, found without reading the weights; empty where it is no whole ONNX file.

    A runtime tells the metadata only after it has opened the weights.
    """
    try:
        with opened_once(path) as file:
            entries = [dict(_fields(io.BytesIO(content))) for number, content in _fields(file) if number == _METADATA]
        return {entry[1].decode("utf-8"): entry.get(2, b"").decode("utf-8") for entry in entries}
    except (FileError, OSError, ValueError, KeyError):
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
