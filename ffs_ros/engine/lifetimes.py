"""Which tensors of an engine may lie in the same memory: those of which one is done with before the other is made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ffs_ros.engine.trt_turns import Step, loops


def sharing(steps: Sequence[Step], nbytes: Mapping[str, int], kept: Collection[str]) -> list[list[str]]:
    """All tensors in groups, each of which needs the memory of its first and largest.

    ``kept`` lie alone: what is written before the first step, or read behind the last one. A tensor lives from the plan
    or kernel that makes it to the last that reads it, both in full, since they write while they read. Steps that run in
    turns read again what is older than they, and what they carry.
    """
    lives: dict[str, tuple[int, int]] = {}
    now = 0
    for loop in loops(steps):
        begin = now
        for reads, writes in (moment for step in loop for moment in _moments(step)):
            for name in (*reads, *writes):
                lives[name] = lives.get(name, (now, now))[0], now
            now += 1
        carried = {*loop[0].part.carried.values()}
        for name, (first, last) in lives.items() if carried else ():
            if first < begin <= last or name in carried:
                lives[name] = min(first, begin), now - 1
    groups: list[list[str]] = []
    for name in sorted(nbytes, key=lambda one: -nbytes[one]):
        free = (
            group for group in groups if not any(one in kept or _meet(lives[one], lives[name]) for one in group)
        )  # fmt: skip
        group = None if name in kept else next(free, None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups


def _moments(step: Step) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """What is read and written at once, one after the other."""
    yield from ((call.reads, [call.writes]) for call in step.part.before)
    yield step.plan.inputs, step.plan.outputs
    yield from ((call.reads, [call.writes]) for call in step.part.after)


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
