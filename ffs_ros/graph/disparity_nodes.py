"""Where a graph of ours has a disparity that is a weighted mean, as a CUDA kernel makes it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.lookup import CHANNELS
from ffs_ros.graph.volume import PLANES

_WINDOW = 3
_TAPS = _WINDOW * _WINDOW
"""Of a plane of the classifier's window."""
_COLUMNS = 8
"""Of one product on a tensor core."""


def of_planes(
    classifier: onnx.NodeProto, nodes: list[onnx.NodeProto], weights: Mapping[str, onnx.TensorProto]
) -> onnx.NodeProto | None:
    """The node that ends ``filtering.first_disparity``, which begins with its ``classifier``; None where it is other.

    Convolution, one axis less, fp32, softmax over the planes, times plane, sum over them.
    """
    last, chain = classifier, []
    for _ in range(5):
        readers = [one for one in nodes if last.output[0] in one.input]
        if len(readers) != 1:
            return None
        last = readers[0]
        chain.append(last)
    squeeze, full, softmax, product, total = chain
    if [one.op_type for one in chain] != ["Squeeze", "Cast", "Softmax", "Mul", "ReduceSum"]:
        return None
    facts = [
        (_attributes(classifier), {"group": 1, "kernel_shape": [3] * 3, "pads": [1] * 6, "strides": [1] * 3}),
        (_attributes(full), {"to": TensorProto.FLOAT}),
        (_attributes(softmax), {"axis": 1}),
        (_attributes(total), {"keepdims": 1}),
    ]
    (planes,) = {*product.input} - {*softmax.output}
    arrays = [
        (squeeze.input[1], np.array([1])),
        (planes, np.arange(PLANES).reshape(-1, 1, 1)),
        (total.input[1], np.array([1])),
    ]
    known = all(found == expected for found, expected in facts) and all(
        name in weights and np.array_equal(numpy_helper.to_array(weights[name]), array) for name, array in arrays
    )
    return total if known else None


def of_taps(weight: np.ndarray, stored: int) -> np.ndarray:
    """The classifier's weight [1,28,3,3,3] as the kernel's tensor cores take it: halves [32,stored], channels last.

    Row 8 z + t is of tap t of plane z, but the last tap of each plane is in row 24 + z: a product has eight.
    """
    taps = weight.reshape(CHANNELS, _WINDOW, _TAPS).transpose(1, 2, 0)
    rows = np.zeros((_WINDOW + 1, _COLUMNS, stored), np.float16)
    rows[:_WINDOW, :, :CHANNELS] = taps[:, :_COLUMNS]
    rows[_WINDOW, :_WINDOW, :CHANNELS] = taps[:, _COLUMNS]
    return rows.reshape(-1, stored)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}
