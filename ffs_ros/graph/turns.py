"""Which nodes of a part run in turns, where kernels read what some of them make and others read what kernels write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import onnx

from ffs_ros.graph.kernel_nodes import DOMAIN


class Turn(NamedTuple):
    """Nodes of one plan, and the kernels before and after it, all in their order."""

    nodes: list[onnx.NodeProto]
    before: list[onnx.NodeProto]
    after: list[onnx.NodeProto]


def turns(nodes: Sequence[onnx.NodeProto]) -> list[Turn]:
    """As few as there can be; each node is in the first that has what it reads. Empty where there are kernels alone."""
    turn_of: dict[str, int] = {}
    """Tensor -> the turn that makes it, or before whose plan it is made."""
    by_plan: set[str] = set()
    planned: dict[int, list[onnx.NodeProto]] = {}
    called: dict[int, list[onnx.NodeProto]] = {}
    for node in nodes:
        kernel = node.domain == DOMAIN
        known = [name for name in node.input if name in turn_of]
        turn = max((turn_of[name] + (kernel and name in by_plan) for name in known), default=0)
        (called if kernel else planned).setdefault(turn, []).append(node)
        turn_of.update(dict.fromkeys(node.output, turn))
        if not kernel:
            by_plan.update(node.output)
    last = len(planned) - 1
    return [
        Turn(planned[turn], called.get(turn, []), called.get(turn + 1, []) if turn == last else [])
        for turn in range(len(planned))
    ]
