"""Carries the numbers of a batch to the device in one copy per kind of number.

What was drawn is a tree of named tuples with NumPy arrays as leaves, or None where there is nothing. ``pack`` lays them
end to end and ``unpack`` cuts them out again, which costs nothing inside a compiled function.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .noise import Array

Tree = TypeVar("Tree", bound=tuple)


class Place(NamedTuple):
    """Where a leaf lies."""

    is_whole: bool
    begin: int
    shape: tuple[int, ...]


class Numbers(NamedTuple):
    """What ``pack`` returns, moved to a device."""

    floats: Array
    ints: Array
    layout: Any


def pack(tree: Tree) -> tuple[np.ndarray, np.ndarray, Tree]:
    """All floating-point numbers (float64, 1-D), all whole ones (int64, 1-D), and the tree with a ``Place`` each."""
    floats: list[np.ndarray] = []
    ints: list[np.ndarray] = []

    def place(node: Any) -> Any:
        if node is None:
            return None
        if isinstance(node, tuple):
            return type(node)(*map(place, node))  # type: ignore[call-arg]
        values = np.asarray(node)
        is_whole = values.dtype.kind == "i"
        flat = ints if is_whole else floats
        begin = sum(map(len, flat))
        flat.append(values.reshape(-1).astype(np.int64 if is_whole else np.float64))
        return Place(is_whole, begin, values.shape)

    layout = place(tree)
    return np.concatenate(floats), np.concatenate(ints), layout


def unpack(xp: Any, layout: Tree, numbers: Numbers) -> Tree:
    """The part of the tree that ``layout`` describes, in arrays of whatever library holds the numbers now."""
    if layout is None:
        return None
    if isinstance(layout, Place):
        flat = numbers.ints if layout.is_whole else numbers.floats
        return xp.reshape(flat[layout.begin : layout.begin + math.prod(layout.shape)], layout.shape)
    return type(layout)(*[unpack(xp, part, numbers) for part in layout])
