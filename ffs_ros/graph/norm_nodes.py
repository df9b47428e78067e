"""The instance norms of a graph of ours, in halves, and what follows each, as nodes of CUDA kernels.

That is a ReLU, of a sum or not, and, where the decoder joins what it normed with a finer stage, the join: no runtime
joins its inputs without copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.layers import INSTANCE_NORM_EPS
from ffs_ros.graph.neighbours import Readers, attributes, index_of, only_reader, readers_of, slope

FEWEST_CHANNELS = 8
"""Of a picture that is kept with the channels of a place side by side: runtimes fill up to a multiple of eight."""
_AT_ONCE = 8
"""Channels of one load: what is joined must begin at a multiple of them."""


class Norm(NamedTuple):
    """An instance norm of ``picture``, the sum with a ``residual`` where there is one, and a leaky ReLU."""

    picture: str
    residual: str | None
    slope: int
    """Thousandths."""
    last: onnx.NodeProto
    """The node that makes the result."""
    join: onnx.NodeProto | None
    """The node that joins the result and another picture behind it, where that alone reads it."""

    def kernels(self, size: list[int], behind: int, domain: str) -> list[onnx.NodeProto]:
        """The nodes that do it. ``size``: batch, rows, columns, channels; ``behind``: channels to join, or 0."""
        name, others, numbers = "instance_norm", [], [*size, self.slope]
        last = self.last
        if self.residual is not None:
            name, others = "instance_norm_add", [self.residual]
        elif self.join is not None and behind:
            name, others, last = "instance_norm_join", [self.join.input[1]], self.join
            numbers.append(behind)
        (made,) = last.output
        sums = f"{made}:sums"
        given = [self.picture, sums, *others]
        return [
            helper.make_node(
                "channel_sums", [self.picture], [sums], name=f"{made}/channel_sums", domain=domain, size=size, reads=1
            ),
            helper.make_node(name, given, [made], name=f"{made}/{name}", domain=domain, size=numbers, reads=len(given)),
        ]


def with_norms(
    nodes: list[onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
    types: Callable[[str], tuple[int, list[int]]],
    domain: str,
) -> None:
    """Puts kernels in the place of nodes. ``types``: element type and shape of a tensor."""
    for norm in norms(nodes, weights):
        kind, (batch, channels, *place) = types(norm.picture)
        whole = kind, [batch, channels, *place]
        if kind != TensorProto.FLOAT16 or channels < FEWEST_CHANNELS:
            continue
        if norm.residual is not None and types(norm.residual) != whole:
            continue
        behind, last = 0, norm.last
        if norm.join is not None and channels % _AT_ONCE == 0:
            _, (_, many, *_) = added = types(norm.join.input[1])
            if many >= FEWEST_CHANNELS and added == (kind, [batch, many, *place]):
                behind, last = many, norm.join
        at = index_of(nodes, last)
        nodes[at : at + 1] = norm.kernels([batch, *place, channels], behind, domain)


def norms(nodes: Iterable[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> list[Norm]:
    """Those that are written out as ``layers.instance_norm`` does it and go on as halves."""
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.output}
    readers = readers_of(nodes)
    found = []
    for node in nodes:
        if node.op_type != "Div" or (picture := _normed(node, makers, weights)) is None:
            continue
        lowered = only_reader(node, readers)
        if lowered is None or lowered.op_type != "Cast" or attributes(lowered).get("to") != TensorProto.FLOAT16:
            continue
        after, residual = only_reader(lowered, readers), None
        if after is not None and after.op_type == "Add":
            (residual,) = {*after.input} - {*lowered.output}
            after = only_reader(after, readers)
        if after is not None and after.op_type in ("Relu", "LeakyRelu") and (thousandths := slope(after)) is not None:
            found.append(Norm(picture, residual, thousandths, after, _join(after, readers)))
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


def _join(node: onnx.NodeProto, readers: Readers) -> onnx.NodeProto | None:
    """The node that puts the channels of one other picture behind what a node makes."""
    reader = only_reader(node, readers)
    if reader is None or reader.op_type != "Concat" or attributes(reader).get("axis") != 1:
        return None
    return reader if len(reader.input) == 2 and reader.input[0] == node.output[0] else None
