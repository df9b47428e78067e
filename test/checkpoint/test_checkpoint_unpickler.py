"""The stack machine reads plain data exactly as Python does, and random damage ends in a sentence."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import (
    ONE,
    PROTOCOL2,
    STOP,
    call,
    dict_of,
    glob,
    list_of,
    live_tensors,
    new,
    number,
    text,
    whole_network,
    write_legacy,
    write_zip,
)

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.checkpoint.records import Inert
from ffs_ros.checkpoint.settings import plain
from ffs_ros.checkpoint.unpickler import Unpickler
from ffs_ros.errors import FfsError


def load(data: bytes) -> Any:
    return Unpickler(io.BytesIO(data)).load()


def _random_data(source: random.Random, depth: int = 0) -> Any:
    kind = source.randrange(6 if depth > 4 else 10)
    if kind < 6:
        return source.choice(
            [
                None,
                True,
                False,
                0,
                -1,
                255,
                2**15,
                -(2**31),
                2**80,
                1.5,
                -0.0,
                "",
                "grün",
                "a\nb",
                b"",
                b"\xff\0",
                "x" * 300,
            ]
        )
    items = [_random_data(source, depth + 1) for _ in range(source.randrange(5))]
    if kind == 6:
        return tuple(items)
    if kind == 7:
        return {source.choice(["a", "b", 3, 2.5, None, True, b"k"]): item for item in items}
    return items + items[:1]  # the same object twice: memo


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_data_reads_as_python_reads_it(protocol: int) -> None:
    """Nested numbers, texts, bytes, lists, tuples and dictionaries come back equal and of the same types."""
    source = random.Random(7)
    for _ in range(200):
        data = _random_data(source)
        assert repr(load(pickle.dumps(data, protocol=protocol))) == repr(data)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_old_protocols(protocol: int) -> None:
    """The text protocol and its successors read as well."""
    data = {"a": [1, 2**70, -3, True, None, 1.25, (), (1, 2), "grün\\n"], "b": ({},)}
    assert load(pickle.dumps(data, protocol=protocol)) == data


def test_sets_become_lists() -> None:
    """Sets need no hashing of what a file holds."""
    for protocol in (2, 4):
        assert sorted(load(pickle.dumps({1, 2, 3}, protocol=protocol))) == [1, 2, 3]
        assert sorted(load(pickle.dumps(frozenset("ab"), protocol=protocol))) == ["a", "b"]


def test_objects_keep_what_they_held_as_data() -> None:
    """Arguments, state, items and entries of an unknown object stay readable; the object has no class."""
    made = load(
        PROTOCOL2
        + new(glob("some.where", "Thing"), number(3), state=dict_of({"x": number(1)}))
        + b"(" + text("item") + b"e(" + text("key") + text("value") + b"u" + STOP
    )  # fmt: skip
    assert type(made) is Inert
    assert (made.kind.path, made.arguments, made.state) == ("some.where.Thing", (3,), {"x": 1})
    assert (made.items, made.entries) == (["item"], {"key": "value"})


def test_state_of_slots() -> None:
    """The state of an object with slots is a pair; both halves are kept."""
    pair = b"(" + dict_of({"a": number(1)}) + dict_of({"b": number(2)}) + b"t"
    made = load(PROTOCOL2 + new(glob("x", "Y"), state=pair) + STOP)
    assert (made.state, made.slots) == ({"a": 1}, {"b": 2})


def test_settings_in_words() -> None:
    """What is not plain is described; cycles and depth end in dots."""
    path = load(PROTOCOL2 + call(glob("pathlib", "PosixPath"), text("/"), text("data")) + STOP)
    assert plain({"root": path}) == {"root": "pathlib.PosixPath(/, data)"}
    cycle = load(PROTOCOL2 + b"]q\x00h\x00a" + STOP)
    assert "..." in str(plain(cycle))
    assert plain([b"abc", 2**100, "\x1b[31m"]) == ["3 bytes", "...", "\\x1b[31m"]


def test_random_damage_ends_in_a_sentence(tmp_path: Path) -> None:
    """Bytes changed, cut, doubled anywhere in any container: it opens or raises an FfsError, never anything else."""
    source = random.Random(11)
    some = list_of(*list(live_tensors().values())[:2], call(glob("a.b", "c"), text("x")), number(3))
    instructions = PROTOCOL2 + dict_of({"epoch": number(1), "global_step": some}) + STOP
    network = PROTOCOL2 + whole_network(dict(list(live_tensors().items())[:3])) + STOP
    old = {"0": (1, ONE["0"])}
    header = b'{"a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}, "__metadata__": {"x": "y"}}'
    originals = [
        write_zip(tmp_path / "a", instructions, ONE).read_bytes(),
        write_zip(tmp_path / "a", network, ONE).read_bytes(),
        write_legacy(tmp_path / "a", instructions.replace(b"tQ", b"NtQ"), old).read_bytes(),
        len(header).to_bytes(8, "little") + header + bytes(8),
    ]
    path = tmp_path / "damaged"
    for _ in range(1500):
        data = bytearray(source.choice(originals))
        for _ in range(source.randrange(1, 6)):
            at = source.randrange(len(data))
            change = source.randrange(4)
            if change == 0:
                data[at] = source.randrange(256)
            elif change == 1:
                data[at : at + source.randrange(9)] = source.randbytes(source.randrange(9))
            elif change == 2:
                del data[at + 1 :]
            else:
                data[at:at] = data[at : at + source.randrange(40)]
        path.write_bytes(data)
        with contextlib.suppress(FfsError):
            open_checkpoint(path)
