"""The instance norms of a graph of ours, in halves, and the ReLU behind each, as nodes of CUDA kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.layers import INSTANCE_NORM_EPS

FEWEST_CHANNELS = 8
"""Of a picture that is kept with the channels of a place side by side: runtimes fill up to a multiple of eight."""
_THOUSANDTHS = 1000


class Norm(NamedTuple):
    """An instance norm of ``picture``, the sum with a ``residual`` where there is one, and a leaky ReLU."""

    picture: str
    residual: str | None
    slope: int
    """Thousandths."""
    last: onnx.NodeProto
    """The node that makes the result."""

    def kernels(self, size: list[int], domain: str) -> list[onnx.NodeProto]:
        """The nodes that do it. ``size``: batch, rows, columns, channels."""
        (made,) = self.last.output
        sums = f"{made}:sums"
        given = [self.picture, sums, *([self.residual] if self.residual is not None else [])]
        name = "instance_norm" if self.residual is None else "instance_norm_add"
        return [
            helper.make_node(
                "channel_sums", [self.picture], [sums], name=f"{made}/channel_sums", domain=domain, size=size, reads=1
            ),
            helper.make_node(
                name, given, [made], name=f"{made}/{name}", domain=domain, size=[*size, self.slope], reads=len(given)
            ),
        ]


def norms(nodes: Iterable[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> list[Norm]:
    """Those that are written out as ``layers.instance_norm`` does it and go on as halves."""
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in nodes:
        if node.op_type != "Div" or (picture := _normed(node, makers, weights)) is None:
            continue
        lowered = _only_reader(node, readers)
        if lowered is None or lowered.op_type != "Cast" or attributes(lowered).get("to") != TensorProto.FLOAT16:
            continue
        after, residual = _only_reader(lowered, readers), None
        if after is not None and after.op_type == "Add":
            (residual,) = {*after.input} - {*lowered.output}
            after = _only_reader(after, readers)
        if after is not None and after.op_type in ("Relu", "LeakyRelu"):
            slope = _THOUSANDTHS * (attributes(after).get("alpha", 0.01) if after.op_type == "LeakyRelu" else 0.0)
            if abs(slope - round(slope)) < 1e-3:  # as a float32 that is written in decimals
                found.append(Norm(picture, residual, round(slope), after))
    return found


def _normed(
    node: onnx.NodeProto, makers: dict[str, onnx.NodeProto], weights: dict[str, onnx.TensorProto]
) -> str | None:
    """What a division makes an instance norm of, where it does."""

    def made(name: str, kind: str) -> list[str]:
        maker = makers.get(name)
        if maker is None or maker.op_type != kind:
            raise KeyError
        if kind == "ReduceMean" and attributes(maker) != {"axes": [2, 3], "keepdims": 1}:
            raise KeyError
        return list(maker.input)

    try:
        centred, deviation = node.input
        variance, eps = made(made(deviation, "Sqrt")[0], "Add")
        squares = made(made(variance, "ReduceMean")[0], "Mul")
        full, mean = made(centred, "Sub")
        (picture,) = made(full, "Cast")
        right = made(mean, "ReduceMean") == [full] and squares == [centred, centred] and eps in weights
    except KeyError:
        return None
    right = right and np.allclose(numpy_helper.to_array(weights[eps]), INSTANCE_NORM_EPS, rtol=1e-3, atol=0)
    return picture if right else None


def _only_reader(node: onnx.NodeProto, readers: dict[str, list[onnx.NodeProto]]) -> onnx.NodeProto | None:
    found = readers.get(node.output[0], [])
    return found[0] if len(found) == 1 else None


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """By their names."""
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}
