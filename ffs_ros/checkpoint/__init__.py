"""Opens a checkpoint of the network without running anything from it. NumPy only; torch is not needed.

bytes -> ``container`` (zip, older torch, safetensors) -> ``unpickler`` (plain data and inert records) -> ``layout``
(whole module, training checkpoint, state dict) -> ``naming`` -> compared with ``table`` -> arrays.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ffs_ros.checkpoint import recognise
from ffs_ros.checkpoint.container import (
    LEGACY_MAGIC,
    ZIP_MAGIC,
    Contents,
    is_safetensors,
    read_legacy,
    read_safetensors,
    read_zip,
)
from ffs_ros.checkpoint.layout import Network, find_network, is_lightning, refuse_encrypted
from ffs_ros.checkpoint.naming import naming_of, tao_names
from ffs_ros.checkpoint.records import StoredTensor, shown
from ffs_ros.checkpoint.source import Source, read_source
from ffs_ros.checkpoint.table import is_parameter, live_shapes
from ffs_ros.checkpoint.unpickler import HarmfulPickle, Unpickler
from ffs_ros.errors import CheckpointError, NoCheckpoint

MOST_FILE_BYTES = 2**30
"""The released file has 71 MB, a training checkpoint with its optimizer about three times as much."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one file and what the file says about itself."""

    path: Path
    tensors: dict[str, np.ndarray]
    """TAO name -> C-contiguous float32 array, finite; exactly the 490 of ``table.live_shapes()``."""
    container: str
    """``torch zip``, ``torch legacy`` or ``safetensors``."""
    layout: str
    """``whole module``, ``Lightning`` or ``state dict``, the latter two with the entry that held it."""
    naming: str
    """``TAO`` or ``upstream``, with the prefix that every name had."""
    sha256: str
    is_released_file: bool
    stored_dtypes: tuple[str, ...]
    """What the live tensors are stored as; float32 is exact, the others were converted."""
    parameters: int
    """Trained numbers that the network reads."""
    stored_parameters: int
    """Trained numbers in the file, with those that the network never reads."""
    settings: dict[str, Any]
    """Arguments, hyper-parameters or notes in the file: nested dicts and lists of plain values."""


def open_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint in a file: the released whole-module pickle, a TAO or Lightning file, or a state dict.

    Reads the file once, never runs code from it, and holds it in memory while it reads. Raises FileError when there is
    no such file, CheckpointError when it is damaged, hostile, or of another network; the message says which.
    """
    source = read_source(path, MOST_FILE_BYTES, recognise.TOO_LARGE)
    try:
        return _opened(source)
    except CheckpointError as error:
        raise type(error)(f"{source.path}: {error}") from None
    except (RecursionError, MemoryError):
        raise CheckpointError(
            f"{source.path}: is nested more deeply or is larger than any checkpoint; it is damaged or was made to harm"
        ) from None


def _opened(source: Source) -> Checkpoint:
    sibling = recognise.tier(source.sha256)
    if sibling:
        raise CheckpointError(sibling)
    contents = _contents(source)
    refuse_encrypted(contents.payload)
    if contents.offence and not is_lightning(contents.payload):
        raise CheckpointError(
            f"its pickle {contents.offence}, which is no part of this network's files; nothing was run; "
            f"{recognise.WHERE}"
        )
    network = find_network(contents.payload)
    if network is None:
        raise CheckpointError(f"holds neither a network nor a state dict; {recognise.WHERE}")
    naming, ours = _matched(network)
    network.check_architecture()
    live = {name: network.tensors[ours[name]] for name in live_shapes()}
    return Checkpoint(
        path=source.path,
        tensors={name: _weights(name, stored) for name, stored in live.items()},
        container=contents.container,
        layout=network.layout,
        naming=naming,
        sha256=source.sha256,
        is_released_file=source.sha256 == recognise.RELEASED_SHA256,
        stored_dtypes=tuple(sorted({stored.dtype for stored in live.values()})),
        parameters=_parameters(live),
        stored_parameters=_parameters({name: network.tensors[theirs] for name, theirs in ours.items()}),
        settings={**network.settings, **contents.notes},
    )


def _contents(source: Source) -> Contents:
    data = source.data
    if not data:
        raise CheckpointError("is empty; download or copy it again")
    if data.startswith(ZIP_MAGIC):
        return read_zip(data)
    if data.startswith(LEGACY_MAGIC):
        return read_legacy(data)
    if is_safetensors(data):
        return read_safetensors(data)
    kind = recognise.content(data, source.path)
    try:
        Unpickler(io.BytesIO(data)).load()
        kind = "is a bare pickle, not a file that torch.save wrote"
    except HarmfulPickle:
        raise
    except CheckpointError:
        pass  # no pickle at all
    raise NoCheckpoint(f"{kind}; {recognise.WHERE}")


def _matched(network: Network) -> tuple[str, dict[str, str]]:
    """(naming in words, TAO name -> name in the file), when the tensors are exactly those of the bp2 network."""
    found = naming_of(network.tensors)
    if found is None:
        some = ", ".join(shown(name) for name in list(network.tensors)[:3])
        raise CheckpointError(
            f"its {len(network.tensors)} tensors ({some}, ...) are not the bp2 network's; "
            f"{recognise.network(network.tensors)}; {recognise.WHERE}"
        )
    naming, prefix = found
    ours = tao_names([name for name in network.tensors if name.startswith(prefix)], naming, prefix)
    shapes = {name: network.tensors[theirs].shape for name, theirs in ours.items()}
    wrong = recognise.mismatches(shapes, [name for name in network.tensors if not name.startswith(prefix)])
    if wrong:
        raise CheckpointError(f"{wrong}; {recognise.network(network.tensors)}; {recognise.WHERE}")
    return f"{naming}, every name with '{prefix}' before it" if prefix else naming, ours


def _weights(name: str, stored: StoredTensor) -> np.ndarray:
    if not stored.is_floating:
        raise CheckpointError(f"its tensor {name} holds {stored.dtype} numbers; expected floating-point weights")
    weights = stored.array()
    if not np.isfinite(weights).all():
        raise CheckpointError(
            f"its tensor {name} holds NaN, infinity or numbers too large for float32: the training diverged or the "
            f"file is damaged; take an earlier checkpoint or download it again"
        )
    if name.endswith(".running_var") and weights.min() < 0:
        raise CheckpointError(f"its tensor {name} holds a negative variance; the file is damaged; download it again")
    return weights


def _parameters(tensors: dict[str, StoredTensor]) -> int:
    return sum(stored.elements for name, stored in tensors.items() if is_parameter(name))
