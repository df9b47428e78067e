"""Which tensors of an engine may lie in the same memory: those of which one is done with before the other is made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ffs_ros.engine.trt_turns import Step, loops


def sharing(steps: Sequence[Step], nbytes: Mapping[str, int], kept: Collection[str]) -> list[list[str]]:
    """All tensors in groups, each of which needs the memory of its first and largest.

    ``kept`` lie alone: what is written before the first step, or read behind the last one. A tensor lives from the step
    that makes it to the last that reads it, both in full, since a plan writes while it reads. Steps that run in turns
    read again what is older than they, and what they carry.
    """
    lives: dict[str, tuple[int, int]] = {}
    for now, step in enumerate(steps):
        calls = step.part.calls
        for name in (*step.plan.inputs, *step.outputs, *(one for call in calls for one in call.reads)):
            begin, _ = lives.get(name, (now, now))
            lives[name] = begin, now
    end = 0
    for loop in loops(steps):
        begin, end = end, end + len(loop)
        carried = {*loop[0].part.carried.values()}
        for name, (first, last) in lives.items():
            if first < begin <= last or name in carried:
                lives[name] = min(first, begin), max(last, end - 1)
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


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
