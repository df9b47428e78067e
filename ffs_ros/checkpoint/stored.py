"""Writes weights as a safetensors file of half precision, and knows where in it each tensor lies.

The format: the length of a JSON header as eight bytes, the header, then the numbers, little-endian.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ffs_ros.errors import CheckpointError

_ALIGNMENT_bytes = 8
_HALF = np.dtype("<f2")


class Place(NamedTuple):
    """Where a tensor of half precision lies in a file."""

    shape: tuple[int, ...]
    offset: int
    """Bytes from the beginning of the file."""
    length: int
    """Bytes."""


class StoredWeights(NamedTuple):
    """A whole file."""

    data: bytes
    places: dict[str, Place]


def half_weights(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each array rounded to float16. Raises CheckpointError, naming the tensor, where a number is too large for it."""
    with np.errstate(over="ignore"):
        halves = {name: np.ascontiguousarray(array, np.float32).astype(_HALF) for name, array in tensors.items()}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise CheckpointError(
                f"its tensor {name} reaches {np.abs(tensors[name]).max():.3g}, and half precision ends at 65504; train "
                "on with a smaller learning rate, or take an earlier checkpoint"
            )
    return halves


def stored(halves: Mapping[str, np.ndarray], notes: Mapping[str, str]) -> StoredWeights:
    """The file that holds these float16 arrays, in this order, with free text about them."""
    begin, spans = 0, {}
    for name, half in halves.items():
        spans[name] = (begin, begin + half.nbytes)
        begin += half.nbytes
    entries = {
        name: {"dtype": "F16", "shape": halves[name].shape, "data_offsets": span} for name, span in spans.items()
    }
    header = json.dumps({"__metadata__": dict(notes), **entries}, separators=(",", ":")).encode("utf-8")
    header += b" " * (-len(header) % _ALIGNMENT_bytes)
    before = len(header).to_bytes(8, "little") + header
    places = {
        name: Place(halves[name].shape, len(before) + first, last - first) for name, (first, last) in spans.items()
    }
    return StoredWeights(b"".join([before, *(half.tobytes() for half in halves.values())]), places)
