"""Finds in a graph the nodes that one of our functions has written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.neighbours import attributes

_Makers = dict[str, tuple[onnx.NodeProto, int]]
"""Tensor -> what makes it, and as which of its outputs."""


class Written:
    """What a function writes, to be compared with the nodes of a graph."""

    def __init__(
        self,
        b: Builder,
        arguments: Sequence[str],
        result: str,
        nodes: Iterable[onnx.NodeProto],
        weights: Mapping[str, onnx.TensorProto],
    ) -> None:
        """``b`` has written what makes ``result`` of ``arguments``; ``nodes`` and ``weights`` are the graph's."""
        self._arrays, self._weights = b.arrays, weights
        self._arguments, self._result = arguments, result
        self._expected, self._makers = _makers(b.nodes), _makers(nodes)

    def arguments_of(self, name: str) -> list[str] | None:
        """The tensors that the function was given, where it made the tensor ``name``; None where it did not."""
        found: dict[str, str] = {}
        return [found[one] for one in self._arguments] if self._same(name, self._result, found) else None

    def _same(self, name: str, expected: str, found: dict[str, str]) -> bool:
        if expected in self._arguments:
            return found.setdefault(expected, name) == name
        if expected in self._arrays:
            weight = self._weights.get(name)
            return weight is not None and np.array_equal(numpy_helper.to_array(weight), self._arrays[expected])
        if name not in self._makers:
            return False
        (made, at), (wanted, wanted_at) = self._makers[name], self._expected[expected]
        return (
            (made.op_type, at, len(made.input)) == (wanted.op_type, wanted_at, len(wanted.input))
            and attributes(made) == attributes(wanted)
            and all(self._same(*pair, found) for pair in zip(made.input, wanted.input, strict=True))
        )


def _makers(nodes: Iterable[onnx.NodeProto]) -> _Makers:
    return {name: (node, at) for node in nodes for at, name in enumerate(node.output)}
