"""The join of a leaky ReLU and another picture in a graph of ours, in halves, as a node of a CUDA kernel.

It is where the upsampling puts the features at 1/2 of the images beside its own: no runtime joins its inputs without
copies.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

from ffs_ros.graph.neighbours import attributes, slope
from ffs_ros.graph.norm_nodes import FEWEST_CHANNELS

_AT_ONCE = 4
"""Channels that the kernel moves at once: what is joined must begin at a multiple of them."""


def with_joins(nodes: list[onnx.NodeProto], types: Callable[[str], tuple[int, list[int]]], domain: str) -> None:
    """Puts kernels in the place of nodes. ``types``: element type and shape of a tensor."""
    makers = {name: node for node in nodes for name in node.output}
    read = [name for node in nodes for name in node.input]
    for at, join in enumerate(nodes):
        relu = makers.get(join.input[0]) if join.op_type == "Concat" and len(join.input) == 2 else None
        if relu is None or relu.op_type != "LeakyRelu" or attributes(join).get("axis") != 1:
            continue
        maker = makers.get(relu.input[0])
        if read.count(relu.output[0]) != 1 or maker is None or maker.op_type != "ConvTranspose":
            continue
        (kind, shape), (other_kind, other_shape) = types(relu.input[0]), types(join.input[1])
        thousandths = slope(relu)
        if len(shape) != 4 or kind != TensorProto.FLOAT16 or other_kind != kind or thousandths is None:
            continue
        batch, channels, rows, columns = shape
        behind = other_shape[1]
        same = other_shape == [batch, behind, rows, columns]
        if same and channels % _AT_ONCE == 0 and min(channels, behind) >= FEWEST_CHANNELS:
            nodes[at] = helper.make_node(
                "join_leaky", [relu.input[0], join.input[1]], join.output, name=f"{join.name}/join_leaky",
                domain=domain, size=[batch, rows, columns, channels, thousandths, behind], reads=2,
            )  # fmt: skip
