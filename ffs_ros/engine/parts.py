"""How plans lie in an engine file, one behind the other, and how often each runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ffs_ros.engine.kernel_calls import Call, fault_of


class Part(NamedTuple):
    """One plan of an engine file, as the manifest has it, and the kernels that run with it."""

    name: str
    nbytes: int
    repeat: int
    """How often it runs: in a row, or in turns with its neighbours that carry the same."""
    carried: dict[str, str]
    """Input -> the output of one turn that it is in the next."""
    before: Sequence[Call] = ()
    """Kernels that run before the plan, each time."""
    after: Sequence[Call] = ()

    @property
    def calls(self) -> list[Call]:
        return [*self.before, *self.after]


_LATER = ("before", "after")
"""Entries that earlier manifests do not have."""


def parts_from(notes: Sequence[dict[str, Any]], engine_bytes: int, iterations: int | None) -> list[Part]:
    """The parts of a manifest. Raises ValueError, in words, unless they make up the engine and its iterations.

    A part that never runs, or that begins anew each time, would give a depth all the same.
    """
    if any({*one, *_LATER} != set(Part._fields) for one in notes):
        raise ValueError("entries of a part are missing or added")
    parts = [Part(**{**one, **{when: _calls(one.get(when, [])) for when in _LATER}}) for one in notes]
    for part in parts:
        numbers = part.nbytes, part.repeat
        if any(type(number) is not int or number < 1 for number in numbers):
            raise ValueError(f"part {part.name} has {part.nbytes} bytes and runs {part.repeat} times")
        carried = part.carried.items() if isinstance(part.carried, dict) else [(None, None)]
        if not all(isinstance(name, str) for pair in carried for name in pair) or (part.repeat > 1) != bool(carried):
            raise ValueError(f"part {part.name} runs {part.repeat} times and carries {part.carried}")
        for fault in filter(None, map(fault_of, part.calls)):
            raise ValueError(f"part {part.name} {fault}")
    for part, following in pairwise(parts):
        if part.carried and part.carried == following.carried and part.repeat != following.repeat:
            times = f"{part.repeat} and {following.repeat}"
            raise ValueError(f"parts {part.name} and {following.name} run in turns, {times}")
    if parts and sum(_lengths(parts)) != engine_bytes:
        raise ValueError("the parts do not make up the engine")
    if parts and iterations not in (None, max(part.repeat for part in parts)):
        raise ValueError(f"no part runs as often as there are iterations, {iterations}")
    return parts


def _calls(notes: Any) -> list[Call]:
    if not isinstance(notes, list) or any(not isinstance(one, dict) or {*one} != {*Call._fields} for one in notes):
        raise ValueError("entries of a kernel are missing or added")
    return [Call(**one) for one in notes]


def _lengths(parts: Sequence[Part]) -> list[int]:
    return [nbytes for part in parts for nbytes in (part.nbytes, *(call.nbytes for call in part.calls))]


def contents(engine: bytes, parts: Sequence[Part]) -> Iterator[bytes]:
    """The plans in an engine file, each with what its kernels have behind it. Without parts the file is one plan."""
    ends = list(accumulate(_lengths(parts))) or [len(engine)]
    for begin, end in zip([0, *ends], ends):  # noqa: B905 (the last end begins nothing)
        yield engine[begin:end]


def as_notes(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """For the manifest."""
    return [
        {**part._asdict(), **{when: [one._asdict() for one in getattr(part, when)] for when in _LATER}}
        for part in parts
    ]
