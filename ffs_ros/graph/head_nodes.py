"""The disparity head of a graph of ours, in halves, from its first wide block on, as nodes of CUDA kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.neighbours import attributes, readers_of

HEAD = "update_block.disp_head.conv"
LAST = f"{HEAD}.4.weight"
"""The weight of its last convolution."""
CHANNELS = 36
_BLOCKS = 2
_STORED = 40
_INPUTS_AT_ONCE, _OUTPUTS_AT_ONCE, _HIDDEN_AT_ONCE = 8, 8, 16
"""Of a product on a tensor core; a warp takes two times 16 inputs and 8 more, or 16 hidden channels."""
_TOLERANCE = 1e-3
"""Of constants that a graph has in halves."""


class HeadStep(NamedTuple):
    """What one kernel does."""

    kernel: str
    reads: list[str]
    hidden: list[int]
    """The channels between the two linear layers, of a wide block."""
    constants: dict[str, np.ndarray]
    """By names that are the same in all iterations."""
    last: onnx.NodeProto
    """The node that makes the result."""

    def node(self, size: Iterable[int], domain: str) -> onnx.NodeProto:
        """The node that does it. ``size``: batch, rows, columns."""
        (made,) = self.last.output
        return helper.make_node(
            self.kernel, [*self.reads, *self.constants], [made], name=f"{made.rpartition('/')[0]}/{self.kernel}",
            domain=domain, size=[*size, *self.hidden], reads=len(self.reads),
        )  # fmt: skip


def head_steps(
    conv: onnx.NodeProto, nodes: Iterable[onnx.NodeProto], weights: dict[str, onnx.TensorProto]
) -> list[HeadStep]:
    """Two wide blocks and the sum with the disparity, before and behind ``conv``; none where they are not as known."""
    return _Head(list(nodes), weights).steps(conv)


class _Head:
    def __init__(self, nodes: list[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> None:
        self._weights = weights
        self._makers = {name: node for node in nodes for name in node.output}
        self._readers = readers_of(nodes)

    def steps(self, conv: onnx.NodeProto) -> list[HeadStep]:
        try:
            found = [self._disparity_step(conv)]
            for _ in range(_BLOCKS):
                found.insert(0, self._wide_block(found[0].reads[0]))
        except KeyError:
            return []
        return found

    def _disparity_step(self, conv: onnx.NodeProto) -> HeadStep:
        picture, weight, bias = self._conv(conv.output[0], 3)
        if weight.shape != (1, CHANNELS, 3, 3):
            raise KeyError
        cast = self._only_reader(conv, "Cast")
        add = self._only_reader(cast, "Add")
        (disparity,) = {*add.input} - {*cast.output}
        if attributes(cast) != {"to": TensorProto.FLOAT}:
            raise KeyError
        name = conv.input[1]
        constants = {f"{name}.packed": packed_taps(weight[0]), f"{name}.bias": bias.astype(np.float32)}
        return HeadStep("disparity_step", [picture, disparity], [], constants, add)

    def _wide_block(self, result: str) -> HeadStep:
        """The one that makes it."""
        picture, narrowed = self._made(result, "Add")
        halved, narrow, narrow_bias = self._conv(narrowed, 1)
        wide, sum_with_one = self._made(self._scaled(halved, "Mul", 0.5), "Mul")
        (quotient,) = self._made(self._scaled(sum_with_one, "Add", 1.0), "Erf")
        if self._scaled(quotient, "Div", np.sqrt(2)) != wide:
            raise KeyError
        placed, widen, widen_bias = self._conv(wide, 1)
        read, depthwise, bias = self._conv(placed, 7, groups=CHANNELS)
        hidden = len(widen)
        shapes = depthwise.shape, widen.shape, narrow.shape
        if read != picture or shapes != ((CHANNELS, 1, 7, 7), (hidden, CHANNELS, 1, 1), (CHANNELS, hidden, 1, 1)):
            raise KeyError
        name = self._makers[placed].input[1]
        constants = {
            f"{name}.taps": packed_depthwise(np.concatenate([depthwise.reshape(CHANNELS, -1).T, bias[None]])),
            f"{name}.wide": packed_layers(widen[:, :, 0, 0], widen_bias, narrow[:, :, 0, 0]),
            f"{name}.bias": np.pad(narrow_bias, (0, _STORED - CHANNELS)).astype(np.float32),
        }
        return HeadStep("wide_block", [picture], [hidden], constants, self._makers[result])

    def _made(self, name: str, kind: str) -> list[str]:
        """What the node reads that makes it. Raises KeyError where that is none of this kind."""
        if self._makers[name].op_type != kind:
            raise KeyError
        return list(self._makers[name].input)

    def _conv(self, name: str, side: int, groups: int = 1) -> tuple[str, np.ndarray, np.ndarray]:
        """What a convolution that keeps the size reads, its weight and its bias."""
        read, *arrays = self._made(name, "Conv")
        expected = {"group": groups, "kernel_shape": [side] * 2, "pads": [side // 2] * 4, "strides": [1, 1]}
        if attributes(self._makers[name]) != expected or len(arrays) != 2:
            raise KeyError
        weight, bias = (numpy_helper.to_array(self._weights[one]) for one in arrays)
        return read, weight, bias

    def _scaled(self, name: str, kind: str, by: float) -> str:
        """The other operand of a product, sum or quotient with a constant."""
        read, constant = self._made(name, kind)
        if not np.allclose(numpy_helper.to_array(self._weights[constant]), by, rtol=_TOLERANCE, atol=0):
            raise KeyError
        return read

    def _only_reader(self, node: onnx.NodeProto, kind: str) -> onnx.NodeProto:
        (name,) = node.output
        found = self._readers.get(name, [])
        if [one.op_type for one in found] != [kind]:
            raise KeyError
        return found[0]


def packed_depthwise(taps: np.ndarray) -> np.ndarray:
    """[50,36], 49 taps and the bias, to [13,36,4], so that a thread loads four of its channel at once."""
    filled = np.pad(taps.astype(np.float32), [(0, -len(taps) % 4), (0, 0)])
    return np.ascontiguousarray(filled.reshape(-1, 4, CHANNELS).transpose(0, 2, 1))


def packed_layers(widen: np.ndarray, widen_bias: np.ndarray, narrow: np.ndarray) -> np.ndarray:
    """[H,36], [H] and [36,H] as the kernel's tensor cores take them: halves [groups,5,32,8], of 16 hidden channels.

    Of lane 4 output + pair: of two times 8 hidden channels five pairs of inputs, then of five times 8 outputs two pairs
    of hidden channels. The first bias is the weight of an input that is 1.
    """
    hidden, channels = widen.shape
    groups = 2 * -(-hidden // (2 * _HIDDEN_AT_ONCE))
    first = np.zeros((groups * _HIDDEN_AT_ONCE, _STORED), np.float16)
    first[:hidden, :channels], first[:hidden, channels] = widen, widen_bias
    second = np.zeros((_STORED, groups * _HIDDEN_AT_ONCE), np.float16)
    second[:channels, :hidden] = narrow
    words = np.concatenate(
        [
            _by_lane(first.reshape(groups, 2, _OUTPUTS_AT_ONCE, _STORED)),
            _by_lane(second.reshape(-1, _OUTPUTS_AT_ONCE, groups, _HIDDEN_AT_ONCE).transpose(2, 0, 1, 3)),
        ],
        axis=2,
    )
    return np.ascontiguousarray(words.reshape(groups, 32, 5, 8).transpose(0, 2, 1, 3))


def packed_taps(weight: np.ndarray) -> np.ndarray:
    """[36,3,3] likewise: halves [10,32,2], of two times 8 taps, of which there are nine, five pairs of channels."""
    taps = np.zeros((2 * _OUTPUTS_AT_ONCE, _STORED), np.float16)
    taps[: weight[0].size, : len(weight)] = weight.reshape(len(weight), -1).T
    words = _by_lane(taps.reshape(1, 2, _OUTPUTS_AT_ONCE, _STORED))[0]
    return np.ascontiguousarray(words.transpose(1, 0, 2))


def _by_lane(weight: np.ndarray) -> np.ndarray:
    """[G,N,8,K], of N times 8 outputs and K inputs, to [G,32,N K / 8,2]: lane 4 output + pair."""
    groups, tiles, outputs, inputs = weight.shape
    pairs = weight.reshape(groups, tiles, outputs, inputs // _INPUTS_AT_ONCE, 4, 2)
    return pairs.transpose(0, 2, 4, 1, 3, 5).reshape(groups, 4 * outputs, -1, 2)
