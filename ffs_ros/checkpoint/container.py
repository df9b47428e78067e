"""The three ways in which tensors lie in a file: a torch zip, an older torch file, a safetensors file.

Every size that a file declares is checked against the bytes that it has before anything is allocated for it.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any

from ffs_ros.checkpoint.recognise import RELEASED_BYTES
from ffs_ros.checkpoint.records import ITEM_BYTES, MOST_DIMENSIONS, Storage, StoredTensor, is_count, shown
from ffs_ros.checkpoint.settings import plain
from ffs_ros.checkpoint.unpickler import Unpickler
from ffs_ros.errors import CheckpointError

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little") + b"."
"""The first of the five pickles of a torch file before version 1.6: one number."""

_MOST_MEMBERS = 50_000
_MOST_HEADER_BYTES = 16 * 2**20
_HARM = "the file is damaged or was made to harm"
_AGAIN = "download or copy it again"


@dataclass
class Contents:
    """What a file holds. ``payload`` is plain data and records, its tensors readable."""

    container: str
    payload: Any
    offence: str | None = None
    """What in the pickle does not belong to this network, if anything."""
    notes: dict[str, Any] = field(default_factory=dict)
    """The free text that a safetensors file carries."""


def is_safetensors(data: bytes) -> bool:
    """Whether the bytes begin like a safetensors file: a length, then that much JSON (or as much as there is of it)."""
    return len(data) >= 16 and data[8:9] == b"{" and 2 <= int.from_bytes(data[:8], "little") <= _MOST_HEADER_BYTES


def read_zip(data: bytes) -> Contents:
    """What ``torch.save`` writes since version 1.6: an uncompressed zip of one pickle and one member per storage."""
    members = _zip_members(data)
    pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise CheckpointError(
            f"is a zip archive of {len(members)} members, {len(pickles)} of them a 'data.pkl' in one folder; expected "
            f"one, as torch.save writes it; a TorchScript or ONNX archive is not a checkpoint"
        )
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in members:
        raise CheckpointError("is a TorchScript archive, a program; expected a checkpoint that torch.save wrote")
    order = members.get(f"{root}byteorder")
    big_endian = order is not None and bytes(_member(data, order)) == b"big"
    unpickler = Unpickler(io.BytesIO(_member(data, members[pickles[0]])))
    payload = unpickler.load()
    for key, storage in unpickler.storages.items():
        member = members.get(f"{root}data/{key}")
        if member is None:
            raise CheckpointError(f"its pickle mentions the numbers '{shown(key)}', which the archive lacks; {_HARM}")
        if storage.nbytes > member.file_size:
            raise CheckpointError(
                f"its pickle declares {storage.nbytes} bytes of numbers '{shown(key)}', the archive holds "
                f"{member.file_size}; {_HARM}"
            )
        storage.data = _member(data, member)
        storage.big_endian = big_endian
    return Contents("torch zip", payload, unpickler.offence)


def _zip_members(data: bytes) -> dict[str, zipfile.ZipInfo]:
    if data.count(b"PK\x01\x02") > _MOST_MEMBERS:
        raise CheckpointError(f"is a zip archive of more than {_MOST_MEMBERS} members; {_HARM}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        if b"PK\x05\x06" not in data[-65_557:]:
            raise CheckpointError(
                f"begins like a torch file and ends after {len(data)} bytes without its table of contents (the "
                f"released file has {RELEASED_BYTES}); it is probably half a download; {_AGAIN}"
            ) from None
        raise CheckpointError(f"is a damaged zip archive ({shown(str(error))}); {_AGAIN}") from None
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = shown(info.filename)
        if info.filename in members:
            raise CheckpointError(f"its archive has two members '{name}', so readers could disagree; {_HARM}")
        if (
            info.filename != info.orig_filename
            or info.filename.startswith("/")
            or "\\" in info.filename
            or ".." in info.filename.split("/")
        ):
            raise CheckpointError(f"its archive has a member '{name}', whose name leads out of the archive; {_HARM}")
        if info.flag_bits & 1:
            raise CheckpointError(f"its member '{name}' is encrypted; expected a checkpoint that torch.save wrote")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise CheckpointError(
                f"its member '{name}' is compressed ({info.compress_size} bytes for {info.file_size}), which "
                f"torch.save never does; {_HARM}"
            )
        members[info.filename] = info
    declared = sum(info.file_size for info in members.values())
    if declared > len(data):
        raise CheckpointError(f"its archive declares {declared} bytes in a file of {len(data)}; {_HARM}")
    return members


def _member(data: bytes, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a stored member, in place, after comparing both of its headers and its checksum."""
    name = shown(info.filename)
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or header[:4] != ZIP_MAGIC:
        raise CheckpointError(f"its archive lists a member '{name}' where there is none; {_HARM}")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name_length + extra_length
    coding = "utf-8" if info.flag_bits & 0x800 else "cp437"
    if data[info.header_offset + 30 : start - extra_length] != info.filename.encode(coding):
        raise CheckpointError(f"its archive calls a member '{name}' in one place and otherwise in another; {_HARM}")
    content = memoryview(data)[start : start + info.file_size]
    if len(content) != info.file_size:
        raise CheckpointError(f"its member '{name}' reaches beyond the end of the file; {_AGAIN}")
    if zlib.crc32(content) != info.CRC:
        raise CheckpointError(f"its member '{name}' does not have the checksum written beside it; {_AGAIN}")
    return content


def read_legacy(data: bytes) -> Contents:
    """What ``torch.save`` wrote before version 1.6: five pickles in a row, then the storages one after the other."""
    stream = io.BytesIO(data)
    for _ in range(3):  # the magic number, the format's version, the writer's system
        Unpickler(stream).load()
    unpickler = Unpickler(stream)
    payload = unpickler.load()
    keys = Unpickler(stream).load()
    if type(keys) is not list or any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
        raise CheckpointError(f"its list of storages is no list of names; {_HARM}")
    position = stream.tell()
    for key in keys:
        storage = unpickler.storages.get(key)
        if storage is None:
            raise CheckpointError(f"it lists numbers '{shown(key)}' that its pickle never mentions; {_HARM}")
        elements = int.from_bytes(data[position : position + 8], "little")
        start, end = position + 8, position + 8 + storage.nbytes
        if start <= len(data) and elements != storage.elements:
            raise CheckpointError(
                f"its pickle declares {storage.elements} numbers '{shown(key)}', the file says {elements}; {_HARM}"
            )
        if end > len(data):
            raise CheckpointError(
                f"ends after {len(data)} bytes, in the middle of its numbers; it is probably half a download; {_AGAIN}"
            )
        storage.data = memoryview(data)[start:end]
        position = end
    missing = [key for key, storage in unpickler.storages.items() if storage.data is None]
    if missing:
        raise CheckpointError(f"its pickle mentions the numbers '{shown(missing[0])}', which the file lacks; {_HARM}")
    return Contents("torch legacy", payload, unpickler.offence)


_SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def read_safetensors(data: bytes) -> Contents:
    """A safetensors file: the length of a JSON header, the header, then the numbers."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise CheckpointError(
            f"announces a header of {length} bytes and has {len(data) - 8}; it is probably half a download; {_AGAIN}"
        )
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"), object_pairs_hook=_unique)
    except ValueError as error:
        raise CheckpointError(f"its safetensors header is no JSON ({shown(str(error))}); {_AGAIN}") from None
    notes = header.pop("__metadata__", {})
    numbers = memoryview(data)[8 + length :]
    payload = {name: _safetensor(name, entry, numbers) for name, entry in header.items()}
    return Contents("safetensors", payload, notes=plain(notes) if type(notes) is dict else {})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _safetensor(name: str, entry: Any, numbers: memoryview) -> StoredTensor:
    fields = entry if type(entry) is dict else {}
    shape, span = _counts(fields.get("shape"), MOST_DIMENSIONS), _counts(fields.get("data_offsets"), 2)
    if shape is None or span is None or len(span) != 2:
        raise CheckpointError(f"its entry '{shown(name)}' has no proper shape and offsets; {_HARM}")
    dtype = fields.get("dtype")
    if type(dtype) is not str or dtype not in _SAFETENSORS_DTYPES:
        raise CheckpointError(
            f"its tensor '{shown(name)}' is of an unknown type, {shown(str(plain(dtype)))}; store it as F32"
        )
    storage = Storage(name, _SAFETENSORS_DTYPES[dtype], math.prod(shape))
    start, end = span
    if end - start != storage.nbytes:
        raise CheckpointError(
            f"its tensor '{shown(name)}' has {end - start} bytes where its shape needs {storage.nbytes} "
            f"({ITEM_BYTES[storage.dtype]} each); {_HARM}"
        )
    if end > len(numbers):
        raise CheckpointError(
            f"ends {end - len(numbers)} bytes before its tensor '{shown(name)}' does; it is probably half a download; "
            f"{_AGAIN}"
        )
    storage.data = numbers[start:end]
    return StoredTensor(storage, 0, tuple(shape), _contiguous_stride(shape))


def _counts(values: Any, most: int) -> list[int] | None:
    return values if type(values) is list and len(values) <= most and all(map(is_count, values)) else None


def _contiguous_stride(shape: list[int]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))
