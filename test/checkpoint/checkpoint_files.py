"""Writes checkpoint files instruction by instruction, so that tests can say things that no pickler would.

A pickle is bytes here: ``call(glob("os", "system"), text("id"))``. Nothing in this file is ever unpickled by Python.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ffs_ros.checkpoint.naming import tao_name
from ffs_ros.checkpoint.table import STAGE_DEPTHS, live_shapes

Refusal = Callable[[Path, str], None]
"""What the fixture ``assert_refused`` is: (file, pattern of the sentence) -> asserts."""

MARK, STOP, NONE, TRUE, FALSE, REDUCE, BUILD = b"(", b".", b"N", b"\x88", b"\x89", b"R", b"b"
EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, POP, DUP, PROTOCOL2, PROTOCOL4 = (
    b"}",
    b"]",
    b")",
    b"0",
    b"2",
    b"\x80\x02",
    b"\x80\x04",
)
LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def glob(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def stack_glob(module: bytes, name: bytes) -> bytes:
    return module + name + b"\x93"


def tuple_of(*values: bytes) -> bytes:
    return MARK + b"".join(values) + b"t"


def list_of(*values: bytes) -> bytes:
    return EMPTY_LIST + MARK + b"".join(values) + b"e"


def dict_of(entries: Mapping[str, bytes] | Iterable[tuple[bytes, bytes]]) -> bytes:
    pairs = [(text(key), value) for key, value in entries.items()] if isinstance(entries, Mapping) else list(entries)
    return EMPTY_DICT + MARK + b"".join(key + value for key, value in pairs) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tuple_of(*arguments) + REDUCE


def new(kind: bytes, *arguments: bytes, state: bytes = b"") -> bytes:
    return kind + tuple_of(*arguments) + b"\x81" + (state + BUILD if state else b"")


def storage(key: str, elements: int, kind: str = "FloatStorage") -> bytes:
    return tuple_of(text("storage"), glob("torch", kind), text(key), text("cpu"), number(elements)) + b"Q"


def tensor(
    held: bytes, shape: Iterable[int], stride: Iterable[int], offset: int = 0, function: bytes | None = None
) -> bytes:
    return call(
        function or glob("torch._utils", "_rebuild_tensor_v2"),
        held,
        number(offset),
        tuple_of(*map(number, shape)),
        tuple_of(*map(number, stride)),
        FALSE,
        call(glob("collections", "OrderedDict")),
    )


def live_tensors(**changes: bytes | None) -> dict[str, bytes]:
    """Every live tensor, TAO names, each a view of the one number in storage "0"; changed or (None) left out."""
    tensors = {name: tensor(storage("0", 1), shape, [0] * len(shape)) for name, shape in live_shapes().items()}
    for name, value in changes.items():
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
    return tensors


ONE = {"0": struct.pack("<f", 0.5)}
"""The storage that ``live_tensors`` needs."""


def module(state: Mapping[str, bytes], kind: bytes | None = None) -> bytes:
    return new(kind or glob("core.submodule", "BasicConv"), state=dict_of(state))


def whole_network(tensors: Mapping[str, bytes], extra: Mapping[str, Mapping[str, bytes]] | None = None) -> bytes:
    """The tree of modules that holds the tensors; ``extra`` adds attributes to a module, "" being the root."""
    extra = extra or {}

    def node(prefix: str) -> bytes:
        own: dict[str, bytes] = {}
        children: dict[str, None] = {}
        for name in [*tensors, *(f"{path}.x.y" for path in extra if path)]:
            if name.startswith(prefix):
                first, _, rest = name[len(prefix) :].partition(".")
                if rest:
                    children[first] = None
                elif name in tensors:
                    own[first] = tensors[name]
        children.pop("x", None)
        return module(
            {
                "_parameters": dict_of(own),
                "_buffers": dict_of({}),
                "_modules": dict_of({child: node(f"{prefix}{child}.") for child in children}),
                **extra.get(prefix[:-1], {}),
            },
            glob("core.foundation_stereo", "FastFoundationStereo") if not prefix else None,
        )

    return node("")


def write_zip(
    path: Path, pickle: bytes, storages: Mapping[str, bytes] | None = None, byteorder: str = "little"
) -> Path:
    """A torch file as ``torch.save`` lays it out, around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", byteorder)
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def write_legacy(path: Path, pickle: bytes, storages: Mapping[str, tuple[int, bytes]] | None = None) -> Path:
    """A torch file of the older layout; storages are (declared elements, bytes)."""
    storages = storages or {}
    header = LEGACY_MAGIC + b"\x80\x02M\xe9\x03." + PROTOCOL2 + EMPTY_DICT + STOP
    keys = PROTOCOL2 + list_of(*map(text, storages)) + STOP
    path.write_bytes(
        header + pickle + keys + b"".join(struct.pack("<q", count) + data for count, data in storages.values())
    )
    return path


def upstream_names() -> dict[str, str]:
    """TAO name -> the released file's name, of every live tensor."""

    def upstream(name: str) -> str:
        for ours, theirs in [("corr_feature_att.", "corr_feature_att.layers."), ("classifier.", "classifier.layers.")]:
            name = theirs + name[len(ours) :] if name.startswith(ours) else name
        name = name.replace("feature.downsample_layers.0.", "feature.stem.")
        for stage in range(len(STAGE_DEPTHS)):
            name = name.replace(f"feature.downsample_layers.{stage}.", f"feature.stages.{stage}.downsample.")
            if name.startswith(f"feature.stages.{stage}.") and ".downsample." not in name:
                name = name.replace(f"feature.stages.{stage}.", f"feature.stages.{stage}.blocks.", 1)
        if name.startswith("feature."):
            for ours, theirs in [("dwconv", "conv_dw"), ("pwconv1", "mlp.fc1"), ("pwconv2", "mlp.fc2")]:
                name = name.replace(f".{ours}.", f".{theirs}.")
            return name
        return name.replace(".norm.", ".bn.")

    names = {name: upstream(name) for name in live_shapes()}
    assert all(tao_name(theirs) == ours for ours, theirs in names.items())
    return names
