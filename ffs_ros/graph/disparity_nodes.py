"""The disparities of a graph of ours that are weighted means, of planes and of neighbours, as nodes of CUDA kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ffs_ros.graph.builder import Builder, Size
from ffs_ros.graph.filtering import mean_plane
from ffs_ros.graph.lookup import CHANNELS
from ffs_ros.graph.neighbours import attributes, index_of
from ffs_ros.graph.upsampling import weighted_mean
from ffs_ros.graph.volume_nodes import STORED
from ffs_ros.graph.written import Written

_WINDOW = 3
_TAPS = _WINDOW * _WINDOW
"""Of a plane of the classifier's window."""
_COLUMNS = 8
"""Of one product on a tensor core."""
_PLAIN = {"group": 1, "kernel_shape": [_WINDOW] * 3, "pads": [1] * 6, "strides": [1] * 3}


def with_first_disparity(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, onnx.TensorProto],
    classifier: onnx.NodeProto,
    size: list[int],
    domain: str,
) -> onnx.TensorProto | None:
    """Puts a kernel in the place of what ends ``filtering.first_disparity``, and returns its constant.

    ``classifier`` is the convolution that begins it; ``size`` batch, rows and columns at 1/4. None where it is other.
    """
    b = Builder({}, halves=True)
    logits = b.lower("logits")
    end = Written(b, [logits], mean_plane(b, logits), nodes, weights)
    weight = numpy_helper.to_array(weights[classifier.input[1]])
    last = next((node for node in nodes if end.arguments_of(node.output[0]) == [*classifier.output]), None)
    if last is None or weight.shape != (1, CHANNELS, *[_WINDOW] * 3) or attributes(classifier) != _PLAIN:
        return None
    name = f"{classifier.input[1]}.of_taps"
    kernel = helper.make_node(
        "first_disparity", [classifier.input[0], name], last.output, name="volume/first_disparity", domain=domain,
        size=size, reads=1,
    )  # fmt: skip
    nodes[index_of(nodes, last)] = kernel
    return numpy_helper.from_array(of_taps(weight), name)


def with_upsampling(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, onnx.TensorProto],
    output: str,
    size: list[int],
    shape: Callable[[str], list[int]],
    domain: str,
) -> bool:
    """Puts a kernel in the place of ``upsampling.weighted_mean``, which becomes the graph's ``output``.

    ``size``: batch, rows and columns at 1/4. False where it is other.
    """
    batch, rows, columns = size
    b = Builder({}, halves=True)
    logits, disparity = b.lower("logits"), "disparity"
    mean = weighted_mean(b, logits, disparity, Size(batch, 4 * rows, 4 * columns))
    end = Written(b, [logits, disparity], mean, nodes, weights)
    last = next((node for node in nodes if output in node.output), None)
    found = end.arguments_of(last.input[0]) if last is not None and last.op_type == "Identity" else None
    if last is None or found is None or shape(found[0]) != [batch, _TAPS, 4 * rows, 4 * columns]:
        return False
    nodes[index_of(nodes, last)] = helper.make_node(
        "convex_upsampling", found, [output], name="upsampling/convex_upsampling",
        domain=domain, size=size, reads=2,
    )  # fmt: skip
    return True


def of_taps(weight: np.ndarray) -> np.ndarray:
    """The classifier's weight [1,28,3,3,3] as the kernel's tensor cores take it: halves [32,32], channels last.

    Row 8 z + t is of tap t of plane z, but the last tap of each plane is in row 24 + z: a product has eight.
    """
    taps = weight.reshape(CHANNELS, _WINDOW, _TAPS).transpose(1, 2, 0)
    rows = np.zeros((_WINDOW + 1, _COLUMNS, STORED), np.float16)
    rows[:_WINDOW, :, :CHANNELS] = taps[:, :_COLUMNS]
    rows[_WINDOW, :_WINDOW, :CHANNELS] = taps[:, _COLUMNS]
    return rows.reshape(-1, STORED)
