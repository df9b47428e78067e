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


def parts_from(notes: Sequence[dict[str, Any]], engine_bytes: int, iterations: int | None) -> list[Part]:
    """The parts of a manifest. Raises ValueError, in words, unless they make up the engine and its iterations.

    A part that never runs, or that begins anew each time, would give a depth all the same.
    """
    if any(set(one) != set(Part._fields) for one in notes):
        raise ValueError("entries of a part are missing or added")
    parts = [Part(**one) for one in notes]
    for part in parts:
        numbers = part.nbytes, part.repeat
        if any(type(number) is not int or number < 1 for number in numbers):
            raise ValueError(f"part {part.name} has {part.nbytes} bytes and runs {part.repeat} times")
        carried = part.carried.items() if isinstance(part.carried, dict) else [(None, None)]
        if not all(isinstance(name, str) for pair in carried for name in pair) or (part.repeat > 1) != bool(carried):
            raise ValueError(f"part {part.name} runs {part.repeat} times and carries {part.carried}")
    if parts and sum(part.nbytes for part in parts) != engine_bytes:
        raise ValueError("the parts do not make up the engine")
    if parts and iterations not in (None, max(part.repeat for part in parts)):
        raise ValueError(f"no part runs as often as there are iterations, {iterations}")
    return parts


def contents(engine: bytes, parts: Sequence[Part]) -> Iterator[bytes]:
    """The plans in an engine file. Without parts the file is one plan."""
    ends = list(accumulate(part.nbytes for part in parts)) or [len(engine)]
    for begin, end in zip([0, *ends], ends):  # noqa: B905 (the last end begins nothing)
        yield engine[begin:end]


def as_notes(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """For the manifest."""
    return [part._asdict() for part in parts]
