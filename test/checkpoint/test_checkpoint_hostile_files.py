"""Containers made to harm: sizes that are not there, names that lead elsewhere, work without end."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_files import (
    BUILD,
    MARK,
    NONE,
    ONE,
    PROTOCOL2,
    STOP,
    Refusal,
    dict_of,
    glob,
    list_of,
    live_tensors,
    module,
    new,
    number,
    storage,
    text,
    tuple_of,
    write_legacy,
    write_zip,
)

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.errors import CheckpointError

LIGHTNING = {"pytorch-lightning_version": text("2.5.0"), "state_dict": dict_of(live_tensors())}


def _patched(path: Path, old: bytes, new_bytes: bytes, count: int = -1, after: int = 0) -> Path:
    data = path.read_bytes()
    assert old in data[after:]
    path.write_bytes(data[:after] + data[after:].replace(old, new_bytes, count))
    return path


def _honest(path: Path) -> Path:
    return write_zip(path, PROTOCOL2 + dict_of(live_tensors()) + STOP, ONE)


def _compressed(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", PROTOCOL2 + storage("0", 2**24) + STOP, zipfile.ZIP_STORED)
        archive.writestr("archive/data/0", bytes(2**26))
    return path


def _members(*names: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        _honest(path)
        with zipfile.ZipFile(path, "a") as archive:
            for name in names:
                archive.writestr(name, b"x")
        return path

    return write


def _declared_size(path: Path) -> Path:
    """Both headers of the numbers claim 3 GB, stored."""
    _honest(path)
    size, huge = struct.pack("<II", 4, 4), struct.pack("<II", 3 * 2**30, 3 * 2**30)
    return _patched(path, size, huge)


def _overlapping(path: Path) -> Path:
    """Many entries of the table of contents claim the same large member, as in a bomb without compression."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", PROTOCOL2 + NONE + STOP)
        archive.writestr("archive/data/0", bytes(10_000))
        info = archive.infolist()[1]
        for index in range(1, 50):
            copy = zipfile.ZipInfo(f"archive/data/{index}")
            copy.header_offset, copy.CRC = info.header_offset, info.CRC
            copy.file_size = copy.compress_size = info.file_size
            archive.filelist.append(copy)
    return path


ARCHIVES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "compressed bomb": (_compressed, r"'archive/data/0' is compressed \(\d+ bytes for 67108864\)"),
    "declared size": (_declared_size, r"declares \d+ bytes in a file of \d+"),
    "overlapping members": (_overlapping, r"declares \d+ bytes in a file of \d+"),
    "two pickles": (_members("archive/data.pkl"), r"has two members 'archive/data\.pkl'"),
    "two roots": (_members("other/data.pkl"), r"2 of them a 'data\.pkl' in one folder"),
    "absolute name": (_members("/etc/cron.d/x"), r"a member '/etc/cron\.d/x', whose name leads out"),
    "parent name": (_members("archive/../../x"), r"a member 'archive/\.\./\.\./x', whose name leads out"),
    "program": (_members("archive/constants.pkl"), r"is a TorchScript archive, a program"),
    "flipped bit": (lambda p: _patched(_honest(p), ONE["0"], b"\x01\0\0\x3f"), r"'archive/data/0' does not have"),
    "two names for a member": (
        lambda p: _patched(_honest(p), b"archive/data/0", b"archive/data/9", 1), r"in one place and otherwise in"
    ),
    "no first header": (lambda p: _patched(_honest(p), b"PK\x03\x04", b"PK\x03\n"), r"is no checkpoint: neither"),
    "no header of a member": (
        lambda p: _patched(_honest(p), b"PK\x03\x04", b"PK\x03\n", after=9),
        r"lists a member 'archive/byteorder' where there is none",
    ),
    "encrypted member": (
        lambda p: _patched(_honest(p), b"\x14\x03\x14\0\0\0", b"\x14\x03\x14\0\x01\0"), r"' is encrypted"
    ),
    "no pickle": (lambda p: _patched(_honest(p), b"archive/data.pkl", b"archive/data.txt"), r"0 of them a 'data\.pkl'"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives(name: str, trap: Path, assert_refused: Refusal) -> None:
    """Each trick with the zip itself is refused before anything large is allocated."""
    write, sentence = ARCHIVES[name]
    assert_refused(write(trap / "hostile.pth"), sentence)


def _safetensors(header: object, numbers: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + numbers


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
SAFETENSORS: dict[str, tuple[bytes, str]] = {
    "negative size": (_safetensors({"a": {**ENTRY, "shape": [-2]}}), r"'a' has no proper shape and offsets"),
    "true as size": (_safetensors({"b": {**ENTRY, "shape": [True]}}), r"'b' has no proper shape"),
    "sizes that overflow": (_safetensors({"a": {**ENTRY, "shape": [2**40] * 10}}), r"8 bytes where its shape needs"),
    "thousands of sizes": (_safetensors({"c": {**ENTRY, "shape": [2**40] * 9999}}), r"'c' has no proper shape"),
    "beyond the end": (_safetensors({"a": ENTRY}, b"1234"), r"ends 4 bytes before its tensor 'a' does"),
    "backwards": (_safetensors({"a": {**ENTRY, "data_offsets": [8, 0]}}, bytes(8)), r"has -8 bytes"),
    "unknown type": (_safetensors({"a": {**ENTRY, "dtype": ["F32"]}}, bytes(8)), r"of an unknown type, \['F32'\]"),
    "name twice": (_safetensors(b'{"a": {}, "a": {}}'), r"a name occurs twice"),
    "no JSON": (_safetensors(b'{"a": nul}      '), r"header is no JSON"),
    "deep JSON": (_safetensors(b'{"a":' + b"[" * 200_000), r"nested more deeply"),
    "long header": (_safetensors(b'{"a": 1}        ', length=10**6), r"announces a header of 1000000 bytes and has 16"),
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_hostile_safetensors(name: str, trap: Path, assert_refused: Refusal) -> None:
    """A safetensors header is believed no further than the file goes."""
    data, sentence = SAFETENSORS[name]
    path = trap / "hostile.safetensors"
    path.write_bytes(data)
    assert_refused(path, sentence)


def test_legacy_sizes_must_agree(trap: Path, assert_refused: Refusal) -> None:
    """In an older torch file the pickle and the storages themselves must declare the same sizes."""
    good = PROTOCOL2 + dict_of(live_tensors()) + STOP
    pid = good.replace(number(1) + b"tQ", number(1) + NONE + b"tQ")  # older files have six fields
    assert len(open_checkpoint(write_legacy(trap / "ok.pth", pid, {"0": (1, ONE["0"])})).tensors) == 490
    cases = [
        ({"0": (2**40, ONE["0"])}, r"declares 1 numbers '0', the file says 1099511627776"),
        ({"0": (-1, ONE["0"])}, r"declares 1 numbers '0', the file says 18446744073709551615"),
        ({}, r"mentions the numbers '0', which the file lacks"),
        ({"0": (1, ONE["0"]), "1": (1, ONE["0"])}, r"lists numbers '1' that its pickle never mentions"),
        ({"0": (1, b"\0")}, r"in the middle of its numbers"),
    ]
    for storages, sentence in cases:
        assert_refused(write_legacy(trap / "hostile.pth", pid, storages), sentence)


def _doubling(leaf: bytes, join: Callable[[bytes], bytes], times: int = 60) -> bytes:
    """Something that contains itself twice, sixty times over: tiny in the file, endless to walk through."""
    made = leaf + b"q\x00"
    for _ in range(times):
        made = made + b"0" + join(b"h\x00") + b"q\x00"
    return made


ENDLESS = {
    "key": (_doubling(text("x"), lambda part: tuple_of(part, part)) + b"0" + dict_of([(b"h\x00", NONE)]), "no named"),
    "settings": (
        dict_of({**LIGHTNING, "hyper_parameters": _doubling(text("x"), lambda part: list_of(part, part))}),
        None,
    ),
    "modules": (
        _doubling(module({"_modules": dict_of({})}), lambda p: module({"_modules": dict_of({"a": p, "b": p})})),
        "more than 20000 modules",
    ),
    "long names": (
        module({"_modules": dict_of({"n" * 10**6: module({"_modules": dict_of({})})})}),
        "whose name is no short text",
    ),
    "number": (list_of(b"\x8b" + struct.pack("<I", 10**6) + b"\x7f" * 10**6), "neither a network"),
    "copies": (
        list_of(*[NONE] * 50_000)
        + b"q\x01"
        + glob("builtins", "set")
        + b"q\x020"
        + MARK
        + b"h\x02h\x01\x85R" * 2_000
        + b"l",
        "neither a network",
    ),
    "state twice": (
        new(glob("core.update", "DispHead"), state=dict_of({"a": NONE})) + dict_of({"a": NONE}) + BUILD,
        "state is given twice",
    ),
    "instructions": (NONE + b"20" * 100_000, "far longer than any checkpoint's"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_small_files_that_would_take_forever(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file cannot make its reader work for much longer than its size warrants."""
    monkeypatch.setattr("ffs_ros.checkpoint.unpickler.MOST_INSTRUCTIONS", 150_000)  # a tenth, to be quick
    instructions, sentence = ENDLESS[name]
    path = write_zip(tmp_path / "endless.pth", PROTOCOL2 + instructions + STOP, ONE)
    start = time.monotonic()
    tracemalloc.start()
    try:
        if sentence is None:
            assert len(open_checkpoint(path).tensors) == 490
        else:
            with pytest.raises(CheckpointError, match=sentence):
                open_checkpoint(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 150e6
    assert time.monotonic() - start < 30
