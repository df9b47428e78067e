"""Which instance norms of a graph become kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.graph.builder import Builder  # noqa: E402
from ffs_ros.graph.layers import instance_norm  # noqa: E402
from ffs_ros.graph.norm_nodes import Norm, norms, with_norms  # noqa: E402


def found(make: Callable[[Builder, str], str], change: Callable[[Builder], None] = lambda b: None) -> list[Norm]:
    """Those among the nodes that ``make`` makes of a picture in halves."""
    b = Builder({}, halves=True)
    make(b, b.lower(b.node("Identity", "picture")))
    change(b)
    return norms(b.nodes, {one.name: one for one in b.initializers()})


def leaky(b: Builder, x: str) -> str:
    return b.leaky_relu(instance_norm(b, x))


def residual(b: Builder, x: str) -> str:
    return b.relu(b.add(x, instance_norm(b, x)))


def test_a_norm_its_relu_and_what_is_added() -> None:
    """The slope in thousandths; the order of a sum does not matter."""
    (one,), (other,), (last,) = (found(make) for make in (leaky, residual, lambda b, x: b.relu(instance_norm(b, x))))
    assert (one.residual, one.slope, one.last.op_type) == (None, 10, "LeakyRelu")
    assert (other.residual, other.slope, other.last.op_type) == (other.picture, 0, "Relu")
    assert (last.residual, last.slope) == (None, 0)
    sums, norm = other.kernels([2, 3, 4, 8], 0, "own")
    assert (sums.op_type, norm.op_type) == ("channel_sums", "instance_norm_add")
    assert list(norm.input) == [other.picture, sums.output[0], other.residual]
    assert list(norm.output) == list(other.last.output)
    assert [list(one.attribute[1].ints) for one in (sums, norm)] == [[2, 3, 4, 8], [2, 3, 4, 8, 0]]


def test_norms_that_are_something_else_stay() -> None:
    """Another eps, another axis, the norm of another picture, and one that others read before its ReLU."""

    def other_eps(b: Builder) -> None:
        b.arrays.update({name: array * 2 for name, array in b.arrays.items() if array.dtype == np.float32})

    def other_axes(b: Builder) -> None:
        next(one for one in b.nodes if one.op_type == "ReduceMean").attribute[0].ints[:] = [1, 2]

    def other_mean(b: Builder) -> None:
        next(one for one in b.nodes if one.op_type == "ReduceMean").input[0] = "picture"

    for change in (other_eps, other_axes, other_mean):
        assert found(leaky, change) == []
    assert found(lambda b, x: b.add(leaky(b, x), x)) != []
    assert found(lambda b, x: b.add(b.relu(y := instance_norm(b, x)), y)) == []
    assert found(lambda b, x: b.sigmoid(instance_norm(b, x))) == []


def operators(channels: int, behind: int, make: Callable[[Builder, str, str], str]) -> list[str]:
    """What is left of ``make`` of a picture in halves and another one: kernels, and what follows them."""
    b = Builder({}, halves=True)
    made = make(b, b.lower(b.node("Identity", "picture")), "fine")
    weights = {one.name: one for one in b.initializers()}

    def types(name: str) -> tuple[int, list[int]]:
        return onnx.TensorProto.FLOAT16, [2, behind if name == "fine" else channels, 3, 4]

    nodes = list(b.nodes)
    with_norms(nodes, weights, types, "own")
    first = next(at for at, node in enumerate(nodes) if node.op_type == "channel_sums")
    assert made == nodes[-1].output[0]
    assert nodes[first + 1].input[2:] == (["fine"] if nodes[-1].domain else [])
    return [node.op_type for node in nodes[first:]]


def test_what_a_norm_is_joined_with() -> None:
    """In this order alone, by one that reads nothing else and is the only reader; where it begins a vector."""

    def join(b: Builder, x: str, fine: str) -> str:
        return b.concat([leaky(b, x), fine], axis=1)

    def also_read(b: Builder, x: str, fine: str) -> str:
        y = leaky(b, x)
        b.relu(y)
        return b.concat([y, fine], axis=1)

    apart = ["channel_sums", "instance_norm", "Concat"]
    assert operators(16, 12, join) == ["channel_sums", "instance_norm_join"]
    assert operators(12, 16, join) == operators(16, 4, join) == apart
    assert operators(16, 16, lambda b, x, fine: b.concat([fine, leaky(b, x)], axis=1)) == apart
    assert operators(16, 16, lambda b, x, fine: b.concat([leaky(b, x), fine, fine], axis=1)) == apart
    assert operators(16, 16, lambda b, x, fine: b.concat([leaky(b, x), fine], axis=2)) == apart
    assert operators(16, 16, also_read) == ["channel_sums", "instance_norm", "Relu", "Concat"]
