"""The first layer on the disparity of a graph of ours, in halves, as nodes of a CUDA kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.neighbours import index_of
from ffs_ros.graph.recurrent import disparity_features
from ffs_ros.graph.written import Written

DISPARITY = "update_block.encoder.convd1"
_FEATURES, _STORED, _TAPS = 18, 24, 7
_HANDED_ON = 2
"""Of the features: the disparity above and below 0."""
_OUTPUTS = 8
"""Of one product on a tensor core, which takes eight taps."""


def with_disparity_features(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, onnx.TensorProto],
    convolutions: list[onnx.NodeProto],
    types: Callable[[str], tuple[int, list[int]]],
    domain: str,
) -> list[onnx.TensorProto]:
    """Puts kernels in the place of ``recurrent.disparity_features`` of a disparity in float32.

    ``convolutions`` of one weight begin them; ``types``: element type and shape of a tensor. Returns the kernels'
    constants; none, and leaves the nodes as they are, where the weight is other.
    """
    names = convolutions[0].input[1:]
    if len(names) != 2 or not weights.keys() >= {*names}:
        return []
    weight, bias = (numpy_helper.to_array(weights[name]).astype(np.float32) for name in names)
    if (weight.shape, bias.shape) != ((_FEATURES, 1, _TAPS, _TAPS), (_FEATURES,)):
        return []
    learned = {"weight": weight[:-_HANDED_ON], "bias": bias[:-_HANDED_ON]}
    b, disparity = Builder({f"{DISPARITY}.{part}": array for part, array in learned.items()}, halves=True), "disparity"
    features = Written(b, [disparity], disparity_features(b, b.lower(disparity)), nodes, weights)
    constants = {f"{DISPARITY}.packed": packed_rows(weight[:, 0]), f"{DISPARITY}.full_bias": _filled(bias)}
    for node in list(nodes):
        found = features.arguments_of(node.output[0]) if node.op_type == "Relu" else None
        if found is None:
            continue
        kind, (batch, _, *place) = types(found[0])
        if kind == TensorProto.FLOAT:
            nodes[index_of(nodes, node)] = helper.make_node(
                "disparity_features", [*found, *constants], node.output, name=f"{node.name}/disparity_features",
                domain=domain, size=[batch, *place], reads=1,
            )  # fmt: skip
    return [numpy_helper.from_array(array, name) for name, array in constants.items()]


def _filled(array: np.ndarray) -> np.ndarray:
    """With zeros for what fills the outputs up."""
    return np.pad(array, [(0, _STORED - len(array)), *[(0, 0)] * (array.ndim - 1)]).astype(np.float32)


def packed_rows(weight: np.ndarray) -> np.ndarray:
    """[18,7,7] as the kernel's tensor cores take it: halves [2,7,3,32,2], of a row of taps, 8 outputs and a lane.

    First for pixels of even columns, whose taps are the last seven of eight, then for odd ones, with the first seven.
    """
    filled = _filled(weight)
    eight = np.stack([np.pad(filled, [(0, 0), (0, 0), places]) for places in ((1, 0), (0, 1))])
    lanes = eight.reshape(2, _STORED // _OUTPUTS, _OUTPUTS, _TAPS, 4, 2).transpose(0, 3, 1, 2, 4, 5)
    return np.ascontiguousarray(lanes.reshape(2, _TAPS, _STORED // _OUTPUTS, 4 * _OUTPUTS, 2), np.float16)
