"""The convolutions 3x3x3 of the filtered volume at 1/4, with what stands behind them, as nodes of CUDA kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ffs_ros.graph.lookup import CHANNELS
from ffs_ros.graph.neighbours import attributes, index_of, only_reader, readers_of, slope

NAME = "volume_convolution"
STORED = 32
"""Channels that kernels take to be in a place of a volume; of geometry there are fewer."""
_TAPS = 3
_PLAIN = {"dilations": [1, 1, 1], "group": 1, "kernel_shape": [_TAPS] * 3, "pads": [1] * 6, "strides": [1, 1, 1]}


class Convolution(NamedTuple):
    """A convolution of ``volume``, the sum with a ``residual``, a leaky ReLU, the product with a ``gate``."""

    volume: str
    weight: str
    bias: str
    slope: int
    """Thousandths."""
    residual: str | None
    gate: str | None
    """[B,28,H,W], the same for all planes."""
    last: onnx.NodeProto
    """The node that makes the result."""

    def kernel(self, size: list[int], constants: Iterable[str], domain: str) -> onnx.NodeProto:
        """The node that does it. ``size``: batch, planes, rows, columns."""
        (made,) = self.last.output
        given = [self.volume, *(name for name in (self.residual, self.gate) if name is not None)]
        kind = "_add" if self.residual is not None else "_gated" if self.gate is not None else ""
        return helper.make_node(
            NAME + kind, [*given, *constants], [made], name=f"{self.last.name.rpartition('/')[0]}/{NAME}{kind}",
            domain=domain, size=[*size, self.slope], reads=len(given),
        )  # fmt: skip


def convolutions(nodes: Iterable[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> list[Convolution]:
    """Those whose steps nothing else reads, in the order of the graph."""
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.output}
    readers = readers_of(nodes)
    found = []
    for node in nodes:
        if not _is_ours(node, weights):
            continue
        added = only_reader(node, readers, "Add")
        last = only_reader(added or node, readers, "Relu", "LeakyRelu")
        if last is None or (thousandths := slope(last)) is None:
            continue
        residual = None if added is None else next(name for name in added.input if name != node.output[0])
        gated = only_reader(last, readers, "Mul") if added is None else None
        gate = None if gated is None else _gate(gated, last, makers, weights)
        made = last if gate is None or gated is None else gated
        found.append(Convolution(*node.input, thousandths, residual, gate, made))  # type: ignore[call-arg]
    return found


def packed(weight: np.ndarray) -> np.ndarray:
    """[28,up to 32,3,3,3] as the kernel's tensor cores take it: halves [3,3,2,3,2,32,2,4].

    Of rows, columns, steps of 16 channels, planes, pairs of eight outputs, lanes, eight outputs, and what a lane has.
    Column c of the n-th eight is output 8 (c // 2) + 2 n + c % 2, so that a lane gets eight that lie side by side.
    """
    outputs, inputs = weight.shape[:2]
    full = np.zeros((STORED, STORED, *weight.shape[2:]), np.float16)
    full[:outputs, :inputs] = weight
    tile, column = np.ogrid[:4, :8]
    by_tile = full[8 * (column // 2) + 2 * tile + column % 2]  # [4,8,32,planes,rows,columns]
    apart = by_tile.reshape(2, 2, 8, 2, 2, 4, 2, _TAPS, _TAPS, _TAPS)
    return np.ascontiguousarray(apart.transpose(8, 9, 3, 7, 0, 2, 5, 1, 4, 6)).reshape(
        _TAPS, _TAPS, 2, _TAPS, 2, 32, 2, 4
    )


def packed_bias(bias: np.ndarray) -> np.ndarray:
    """[28] as the kernel takes it: [32], fp32."""
    return np.pad(bias.astype(np.float32), [(0, STORED - len(bias))])


def with_convolutions(
    nodes: list[onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
    shape: Callable[[str], list[int]],
    domain: str,
) -> list[onnx.TensorProto]:
    """Puts kernels in the place of convolutions that read what a kernel wrote, and returns their constants.

    The channels that fill up a place are weighted by 0, which makes a number only of numbers: TensorRT leaves there
    what it likes.
    """
    constants = []
    written = {name for node in nodes if node.domain == domain for name in node.output}
    for one in convolutions(nodes, weights):
        if one.volume not in written:
            continue
        batch, _, *place = shape(one.volume)
        arrays = (
            packed(numpy_helper.to_array(weights[one.weight])),
            packed_bias(numpy_helper.to_array(weights[one.bias])),
        )
        names = [f"{one.weight}.packed", f"{one.bias}.packed"]
        constants += [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)]
        at = index_of(nodes, one.last)
        nodes[at] = one.kernel([batch, *place], names, domain)
        written.update(nodes[at].output)
    return constants


def _is_ours(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "Conv" or len(node.input) != 3 or not {*node.input[1:]} <= weights.keys():
        return False
    outputs, inputs, *taps = weights[node.input[1]].dims
    return outputs == CHANNELS and inputs <= STORED and taps == [_TAPS] * 3 and {**_PLAIN, **attributes(node)} == _PLAIN


def _gate(
    product: onnx.NodeProto,
    volume: onnx.NodeProto,
    makers: dict[str, onnx.NodeProto],
    weights: dict[str, onnx.TensorProto],
) -> str | None:
    """What a product multiplies all planes of the volume by, [B,C,H,W]; None where it does not."""
    other = next((name for name in product.input if name != volume.output[0]), None)
    maker = makers.get(other or "")
    if maker is None or maker.op_type != "Unsqueeze" or maker.input[1] not in weights:
        return None
    return maker.input[0] if numpy_helper.to_array(weights[maker.input[1]]).tolist() == [2] else None
