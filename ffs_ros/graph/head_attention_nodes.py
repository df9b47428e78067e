"""The transformer layer on the coarse volume as the node of a CUDA kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.head_attention import CHANNELS, NORM_EPS

NAME = "head_attention"
WIDE = 112
PLANES = 12
_STEPS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Transpose", ()), ("Add", (0,)), ("MatMul", (1,)), ("Add", (2,)), ("Reshape", (3,)), ("Split", (4,)),
    ("Transpose", (5,)), ("MatMul", (5, 6)), ("Softmax", (7,)), ("MatMul", (8, 5)), ("Reshape", (9,)),
    ("MatMul", (10,)), ("Add", (11,)), ("Add", (1, 12)), ("LayerNormalization", (13,)),
    ("MatMul", (14,)), ("Add", (15,)), ("Div", (16,)), ("Erf", (17,)), ("Add", (18,)), ("Mul", (16, 19)),
    ("Mul", (20,)), ("MatMul", (21,)), ("Add", (22,)), ("Add", (14, 23)), ("LayerNormalization", (24,)),
    ("Transpose", (25,)),
)  # fmt: skip
"""What ``head_attention.head_attention`` writes: each step, and the steps that made what it reads."""
_POSITION, _FIRST_NORM, _SECOND_NORM = 1, 14, 25
_SHAPES: dict[int, list[tuple[int, ...]]] = {
    _POSITION: [(PLANES, 1, 1, CHANNELS)], 2: [(CHANNELS, 3 * CHANNELS)], 3: [(3 * CHANNELS,)],
    11: [(CHANNELS, CHANNELS)], 12: [(CHANNELS,)], _FIRST_NORM: [(CHANNELS,)] * 2,
    15: [(CHANNELS, WIDE)], 16: [(WIDE,)], 22: [(WIDE, CHANNELS)], 23: [(CHANNELS,)], _SECOND_NORM: [(CHANNELS,)] * 2,
}  # fmt: skip
"""Step -> the shapes of its weights."""
_GELU = {17: 2**0.5, 19: 1.0, 21: 0.5}
"""Step -> its constant."""


class HeadAttention(NamedTuple):
    volume: str
    weights: np.ndarray
    """As the kernel takes them: [10108], fp32."""
    last: onnx.NodeProto
    """The node that makes the result."""

    def kernel(self, size: list[int], constant: str, domain: str) -> onnx.NodeProto:
        """The node that does it. ``size``: batch, rows, columns."""
        return helper.make_node(
            NAME, [self.volume, constant], [self.last.output[0]], name=f"{self.last.name}/{NAME}", domain=domain,
            size=size, reads=1,
        )  # fmt: skip


def with_attention(
    nodes: list[onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
    types: Callable[[str], tuple[int, list[int]]],
    domain: str,
) -> list[onnx.TensorProto]:
    """Puts kernels in the place of nodes and returns their constants. ``types``: element type and shape of a tensor."""
    constants = []
    for one in head_attentions(nodes, weights):
        kind, (batch, channels, planes, *place) = types(one.volume)
        if (kind, channels, planes) == (TensorProto.FLOAT16, CHANNELS, PLANES):
            name = f"{one.last.output[0]}.weights"
            constants.append(numpy_helper.from_array(one.weights, name))
            nodes[nodes.index(one.last)] = one.kernel([batch, *place], name, domain)
    return constants


def head_attentions(nodes: list[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> list[HeadAttention]:
    """Those that are written out step by step and read by nothing else on the way."""
    found = []
    for begin in range(len(nodes) - len(_STEPS) + 1):
        steps = nodes[begin : begin + len(_STEPS)]
        packed = _packed(steps, weights) if [node.op_type for node in steps] == [kind for kind, _ in _STEPS] else None
        if packed is not None:
            found.append(HeadAttention(steps[0].input[0], packed, steps[-1]))
    return found


def _packed(steps: list[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> np.ndarray | None:
    """The weights one behind the other; None where a step has others, or reads something else."""
    maker = {name: at for at, node in enumerate(steps) for name in node.output}
    given: list[list[np.ndarray]] = []
    for at, (node, (_, reads)) in enumerate(zip(steps, _STEPS, strict=True)):
        values = [name for name in node.input if name not in weights]
        if at and tuple(maker.get(name, -1) for name in values) != reads:
            return None
        given.append(
            [numpy_helper.to_array(weights[name]).astype(np.float32) for name in node.input if name in weights]
        )
    if any([array.shape for array in given[at]] != shapes for at, shapes in _SHAPES.items()):
        return None
    if any(not np.allclose(given[at], value, rtol=1e-3) for at, value in _GELU.items()):
        return None
    if any(abs(_epsilon(steps[at]) - NORM_EPS) > 1e-3 * NORM_EPS for at in (_FIRST_NORM, _SECOND_NORM)):
        return None
    given[15][0] = given[15][0].T
    in_order = [2, 3, 11, 12, _FIRST_NORM, 15, 16, 22, 23, _SECOND_NORM, _POSITION]
    return np.concatenate([np.ravel(array) for at in in_order for array in given[at]])


def _epsilon(norm: onnx.NodeProto) -> float:
    return next((one.f for one in norm.attribute if one.name == "epsilon"), 1e-5)
