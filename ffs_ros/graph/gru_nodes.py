"""What the GRUs of an iteration do between their convolutions, as nodes of CUDA kernels.

Most of it is joining channels: 100 of what was seen and 60 of the hidden state, three times. No runtime joins without
copies what does not begin at a multiple of eight channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper

from ffs_ros.graph.neighbours import index_of
from ffs_ros.graph.recurrent import HIDDEN

SEEN = 100
"""Channels that the GRUs' first layer makes of what was seen."""


class Unit(NamedTuple):
    """One of the two GRUs."""

    gates: str
    """[B,120,H,W]: update, then reset."""
    candidate: str
    reset: onnx.NodeProto
    """The node that joins the hidden state, reset, and what was seen."""


class Update(NamedTuple):
    """An iteration's step from ``hidden`` to the next hidden state."""

    seen: str
    hidden: str
    attention: str
    joined: onnx.NodeProto
    """The node that joins what was seen and the hidden state."""
    small: Unit
    large: Unit
    last: onnx.NodeProto
    """The node that makes the next hidden state."""

    def kernels(self, size: list[int], domain: str) -> list[tuple[onnx.NodeProto, onnx.NodeProto]]:
        """Each with the node in whose place it is. ``size``: batch, rows, columns."""
        joined = self.joined.output[0]
        of_units = [value for unit in (self.small, self.large) for value in (unit.gates, unit.candidate)]
        placed = [("gru_input", self.joined, [self.seen, self.hidden])]
        placed += [("gru_reset", unit.reset, [unit.gates, joined]) for unit in (self.small, self.large)]
        placed += [("gru_output", self.last, [*of_units, self.hidden, self.attention])]
        return [(node, _kernel(name, node, reads, size, domain)) for name, node, reads in placed]


def _kernel(name: str, instead: onnx.NodeProto, reads: list[str], size: list[int], domain: str) -> onnx.NodeProto:
    return helper.make_node(
        name, reads, [instead.output[0]], name=f"{instead.name}/{name}", domain=domain, size=size, reads=len(reads)
    )


def updates(nodes: Iterable[onnx.NodeProto]) -> list[Update]:
    """Those that are written out as ``recurrent.updated`` does it."""
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.output}
    found = []
    for node in nodes:
        if node.op_type == "Add" and "/gru/" in node.name:
            try:
                found.append(_update(node, makers, nodes))
            except (LookupError, ValueError):
                continue
    return found


def _update(last: onnx.NodeProto, makers: dict[str, onnx.NodeProto], nodes: list[onnx.NodeProto]) -> Update:
    def of(name: str, kind: str) -> list[str]:
        maker = makers[name]
        if maker.op_type != kind:
            raise LookupError
        return list(maker.input)

    def unit(name: str) -> tuple[Unit, str, str]:
        """A GRU, the hidden state that it takes, and what was seen."""
        hidden, let_in = of(name, "Add")
        update, change = of(let_in, "Mul")
        candidate, before = of(change, "Sub")
        (product,) = of(candidate, "Tanh")
        reset = makers[of(product, "Conv")[0]]
        (reset_hidden, seen) = of(reset.output[0], "Concat")
        gate, also_before = of(reset_hidden, "Mul")
        gates = of(update, "Split")[0]
        halves = list(makers[update].output)
        if [update, gate] != halves or {before, also_before} != {hidden} or makers[gates].op_type != "Sigmoid":
            raise LookupError
        return Unit(gates, candidate, reset), hidden, seen

    large_name, blended = of(last.output[0], "Add")
    attention, difference = of(blended, "Mul")
    small_name, also_large = of(difference, "Sub")
    (small, *of_small), (large, *of_large) = unit(small_name), unit(large_name)
    if large_name != also_large or of_small != of_large:
        raise LookupError
    hidden, seen = of_small
    (joined,) = (one for one in nodes if one.op_type == "Concat" and list(one.input) == [seen, hidden])
    return Update(seen, hidden, attention, joined, small, large, last)


def with_updates(
    nodes: list[onnx.NodeProto],
    types: Callable[[str], tuple[int, list[int]]],
    domain: str,
) -> None:
    """Puts kernels in the place of nodes. ``types``: element type and shape of a tensor."""
    for update in updates(nodes):
        _, (batch, _, rows, columns) = types(update.hidden)
        channels = {
            update.hidden: HIDDEN, update.seen: SEEN, update.attention: 1, update.small.gates: 2 * HIDDEN,
            update.large.gates: 2 * HIDDEN, update.small.candidate: HIDDEN, update.large.candidate: HIDDEN,
        }  # fmt: skip
        if any(types(name) != (TensorProto.FLOAT16, [batch, many, rows, columns]) for name, many in channels.items()):
            continue
        for instead, kernel in update.kernels([batch, rows, columns], domain):
            nodes[index_of(nodes, instead)] = kernel
