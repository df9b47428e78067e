"""How plans lie in an engine file, one behind the other, and how often each runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple


class Part(NamedTuple):
    """One plan of an engine file, as the manifest has it."""

    name: str
    nbytes: int
    repeat: int
    """How often it runs in a row."""
    carried: dict[str, str]
    """Input -> the output of one run that it is in the next."""


def contents(engine: bytes, parts: Sequence[Part]) -> Iterator[bytes]:
    """The plans in an engine file. Without parts the file is one plan."""
    ends = list(accumulate(part.nbytes for part in parts)) or [len(engine)]
    for begin, end in zip([0, *ends], ends):  # noqa: B905 (the last end begins nothing)
        yield engine[begin:end]


def as_notes(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """For the manifest."""
    return [part._asdict() for part in parts]
