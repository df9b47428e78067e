"""Rows and columns of an engine's input: as they are typed, and as they are settled with what the engine takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ffs_ros.advice import export_size
from ffs_ros.errors import EngineError

AUTO = "auto"

Size = tuple[int, int]
OpenSize = tuple[int | None, int | None]


def size_in(text: str) -> Size | None:
    """``480x736``: 480 rows, 736 columns; None for ``auto``. Raises EngineError for anything else."""
    if text == AUTO:
        return None
    sides = re.fullmatch(r"0*([1-9]\d{0,3})[xX]0*([1-9]\d{0,3})", text)
    if sides is None:
        raise EngineError(f"engine_size is '{text[:40]}': expected rows x columns, such as 480x736, or {AUTO}")
    return int(sides[1]), int(sides[2])


def in_words(size: Sequence[int | None]) -> str:
    """``480x736``; ``any`` for an open axis."""
    return "x".join("any" if length is None else str(length) for length in size)


def settled_size(name: str, own: OpenSize, multiple: int, wanted: Size | None) -> OpenSize:
    """The size that engine ``name``, which takes ``own`` in multiples of ``multiple`` where it is open, is to run at.

    Raises EngineError when it cannot be the ``wanted`` one.
    """
    if wanted is None:
        return own
    if any(fixed not in (None, length) for fixed, length in zip(own, wanted, strict=True)):
        size = export_size(wanted)
        instead = f"an engine of that size (ffs export CHECKPOINT -o FILE.onnx {size}) or " if size else ""
        raise EngineError(
            f"engine_size is {in_words(wanted)} and '{name}' takes {in_words(own)}: name {instead}one of open size "
            f"(--dynamic-size), or leave engine_size at {AUTO}"
        )
    if any(length % multiple for length in wanted):
        up = tuple(-(-length // multiple) * multiple for length in wanted)
        raise EngineError(
            f"engine_size is {in_words(wanted)} and '{name}' takes multiples of {multiple}; the next is {in_words(up)}"
        )
    return wanted
