"""Which joins of a graph become kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.graph.builder import Builder  # noqa: E402
from ffs_ros.graph.join_nodes import with_joins  # noqa: E402
from ffs_ros.graph.layers import transposed_conv  # noqa: E402


def rewritten(
    make: Callable[[Builder, str, str], object], channels: int = 12, behind: int = 16
) -> list[onnx.NodeProto]:
    """The nodes of ``make``, behind a transposed convolution of so many channels, and other features."""
    b = Builder({"up.weight": np.ones((4, channels, 4, 4), np.float32)})
    make(b, transposed_conv(b, "coarse", "up"), "fine")
    nodes = list(b.nodes)

    def types(name: str) -> tuple[int, list[int]]:
        return onnx.TensorProto.FLOAT16, [2, behind if name == "fine" else channels, 6, 8]

    with_joins(nodes, types, "own")
    return nodes


def join(b: Builder, x: str, fine: str) -> str:
    return b.concat([b.leaky_relu(x), fine], axis=1)


def test_a_leaky_relu_and_what_is_behind_it() -> None:
    """The kernel reads what the ReLU read; the size is of the pictures, with channels and slope."""
    up, relu, kernel = rewritten(join)
    assert (relu.op_type, kernel.op_type, kernel.domain) == ("LeakyRelu", "join_leaky", "own")
    assert list(kernel.input) == [*up.output, "fine"]
    assert list(kernel.attribute[1].ints) == [2, 6, 8, 12, 10, 16]


def test_joins_that_are_something_else_stay() -> None:
    """Another order, axis, number or function, a ReLU that others read, and channels that begin within a vector."""

    def also_read(b: Builder, x: str, fine: str) -> None:
        y = b.leaky_relu(x)
        b.concat([y, fine], axis=1)
        b.relu(y)

    for make in (
        also_read,
        lambda b, x, fine: b.concat([fine, b.leaky_relu(x)], axis=1),
        lambda b, x, fine: b.concat([b.leaky_relu(x), fine], axis=2),
        lambda b, x, fine: b.concat([b.leaky_relu(x), fine, fine], axis=1),
        lambda b, x, fine: b.concat([b.relu(x), fine], axis=1),
        lambda b, x, fine: b.concat([b.leaky_relu(b.relu(x)), fine], axis=1),
    ):
        assert not any(node.domain for node in rewritten(make))
    for channels, behind in ((10, 16), (4, 16), (12, 4)):
        assert not any(node.domain for node in rewritten(join, channels, behind))
