"""The plans of an engine and the kernels between them, each as often as it is to run, and what passes between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import NamedTuple

from ffs_ros.engine import TensorSpec
from ffs_ros.engine.kernel_calls import Ready, launch_of
from ffs_ros.engine.parts import Part
from ffs_ros.engine.trt_plan import Plan


class Step(NamedTuple):
    """A part, loaded."""

    part: Part
    plan: Plan
    before: list[Ready]
    after: list[Ready]

    @property
    def outputs(self) -> list[str]:
        """What it writes."""
        return [*self.plan.outputs, *(call.writes for call in self.part.calls)]


def loops(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps, those together that run in turns: neighbours that carry the same."""
    together: list[list[Step]] = []
    for step in steps:
        previous = together[-1][-1].part if together else None
        if previous is not None and step.part.carried and step.part.carried == previous.carried:
            together[-1].append(step)
        else:
            together.append([step])
    return together


def run(
    steps: Sequence[Step],
    addresses: Mapping[str, int],
    spare: Mapping[str, int],
    stream: int,
    failed: Callable[[], Exception],
) -> None:
    """Enqueue all of them. What is carried is written to ``addresses`` and to ``spare`` in turns.

    Raises what ``failed`` makes when the runtime refuses.
    """
    newest = dict(addresses)
    for loop in loops(steps):
        carried: dict[str, int] = {}  # for this loop alone: later ones read what was there before it
        for turn in range(loop[0].part.repeat):
            written = {name: spare.get(name, at) if turn % 2 else at for name, at in addresses.items()}
            for step in loop:
                read = {**newest, **carried}
                for ready in step.before:
                    _call(ready, read, written)
                for name in step.plan.inputs:
                    step.plan.at(name, read[name])
                for name in step.plan.outputs:
                    step.plan.at(name, written[name])
                if not step.plan.enqueue(stream):
                    raise failed()
                read.update((name, written[name]) for name in step.plan.outputs)
                for ready in step.after:
                    _call(ready, read, written)
                newest.update((name, written[name]) for name in step.outputs)
            carried = {name: written[output] for name, output in loop[0].part.carried.items()}


def _call(ready: Ready, read: dict[str, int], written: Mapping[str, int]) -> None:
    """Enqueue a kernel; what it writes can be ``read`` then."""
    name = ready.call.writes
    ready.enqueue(read, written[name])
    read[name] = written[name]


def tensor_bytes(steps: Sequence[Step]) -> dict[str, int]:
    """Of each tensor that a plan or a kernel reads or writes, at its largest."""
    sizes = {}
    for step in steps:
        for call in step.part.calls:
            spec = launch_of(call).writes
            sizes[call.writes] = prod(spec.shape) * spec.dtype.itemsize  # type: ignore[arg-type]
        sizes.update(step.plan.nbytes)
    return sizes


def results(steps: Sequence[Step]) -> dict[str, TensorSpec]:
    """What the last of them writes and none reads, its plan or a kernel behind that: what the engine gives."""
    last, read = steps[-1], _read(steps)
    written = {
        **{name: last.plan.specs[name] for name in last.plan.outputs},
        **{call.writes: launch_of(call).writes for call in last.part.after},
    }
    return {name: spec for name, spec in written.items() if name not in read}


def _read(steps: Sequence[Step]) -> set[str]:
    by_kernels = {name for step in steps for call in step.part.calls for name in call.reads}
    return by_kernels.union(*(step.plan.inputs for step in steps))


def misfit(steps: Sequence[Step]) -> str | None:
    """In words, what a plan or a kernel reads that is not there or is of another shape or type.

    The buffers would hold something all the same, and a kernel would read behind their ends.
    """
    made: dict[str, TensorSpec] = {}
    later = {name for step in steps for name in step.outputs}
    if len(later) < sum(len(step.outputs) for step in steps):
        return "two of them write the same"
    read = _read(steps) | results(steps).keys()
    for call in (call for step in steps for call in step.part.calls):
        if call.writes not in read:
            return f"'{call.writes}', which kernel {call.kernel} writes, is read by none of them"
    for loop in loops(steps):
        for part, plan, before, after in loop:
            for ready in before:
                if fault := _call_fault(ready, made):
                    return fault
            for name in plan.inputs:
                if name in later and made.get(name) != plan.specs[name]:
                    return f"'{name}', which part {part.name} reads, is not made before it as it reads it"
            made.update((name, plan.specs[name]) for name in plan.outputs)
            for ready in after:
                if fault := _call_fault(ready, made):
                    return fault
        outputs = {name for step in loop for name in step.outputs}
        for name, output in loop[0].part.carried.items():
            wanted, known = _read_as(name, loop), output in outputs and name not in outputs
            if not wanted or not known or any(made[output] != spec for spec in wanted):
                return f"'{output}', which part {loop[0].part.name} carries to '{name}', is not made as it is read"
    return None


def _read_as(name: str, steps: Sequence[Step]) -> list[TensorSpec]:
    """What a tensor is for each that reads it in some parts, a plan or a kernel."""
    calls = [call for step in steps for call in step.part.calls]
    of_calls = [pair for call in calls for pair in zip(call.reads, launch_of(call).reads, strict=True)]
    of_plans = [(read, step.plan.specs[read]) for step in steps for read in step.plan.inputs]
    return [spec for read, spec in (*of_plans, *of_calls) if read == name]


def _call_fault(ready: Ready, made: dict[str, TensorSpec]) -> str | None:
    """What a kernel reads that is not ``made`` as it reads it; what it writes is made then."""
    launch = launch_of(ready.call)
    for name, spec in zip(ready.call.reads, launch.reads, strict=True):
        if made.get(name) != spec:
            return f"'{name}', which kernel {ready.call.kernel} reads, is not made before it as it reads it"
    made[ready.call.writes] = launch.writes
    return None
