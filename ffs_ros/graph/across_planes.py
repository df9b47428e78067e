"""Convolutions across the planes of a volume, two-dimensional in the graph, as three-dimensional ones again.

The graph has them so because runtimes on CPUs have faster ones (``filtering.reduced``). TensorRT keeps the channels of
a place of a volume side by side; a reshape wants them apart, so each of these cost two passes over a volume.
"""

from __future__ import annotations

import onnx
from onnx import helper

from ffs_ros.graph.neighbours import Readers, readers_of


def three_dimensional(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which each of them takes and gives the volume as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    makers = {name: node for node in graph.node for name in node.output}
    readers = readers_of(graph.node)
    weights = {one.name: one for one in graph.initializer}
    gone: set[str] = set()
    for conv in list(graph.node):
        found = _surroundings(conv, makers, readers, weights)
        if found is None:
            continue
        before, relu, after = found
        weights[conv.input[1]].dims.append(1)
        for fact in conv.attribute:
            if fact.name in ("kernel_shape", "strides", "dilations"):
                fact.ints.append(1)
            elif fact.name == "pads":
                top, left, bottom, right = fact.ints
                fact.ints[:] = [top, left, 0, bottom, right, 0]
        gone |= {conv.output[0], relu.output[0]}  # in value_info, where they have other axes now
        conv.input[0], relu.output[0] = before.input[0], after.output[0]
        graph.node.remove(after)
        if len(readers[before.output[0]]) == 1:
            graph.node.remove(before)
    kept = [one for one in graph.value_info if one.name not in gone]
    graph.ClearField("value_info")
    graph.value_info.extend(kept)
    return copy


def _surroundings(
    conv: onnx.NodeProto,
    makers: dict[str, onnx.NodeProto],
    readers: Readers,
    weights: dict[str, onnx.TensorProto],
) -> tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto] | None:
    """The reshape before it, the ReLU and the reshape behind it; None where it is no such convolution."""
    if conv.op_type != "Conv":
        return None
    facts = {one.name: helper.get_attribute_value(one) for one in conv.attribute}
    before = makers.get(conv.input[0])
    kernel = facts.get("kernel_shape", ())
    across = len(kernel) == len(("planes", "places")) and kernel[0] > kernel[1] == 1
    if not across or before is None or before.op_type != "Reshape" or len(readers.get(conv.input[1], ())) != 1:
        return None
    following = readers.get(conv.output[0], [])
    if len(following) != 1 or following[0].op_type != "Relu" or conv.input[1] not in weights:
        return None
    behind = readers.get(following[0].output[0], [])
    if len(behind) != 1 or behind[0].op_type != "Reshape":
        return None
    return before, following[0], behind[0]
