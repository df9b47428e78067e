"""What stands around a node of a graph."""

from __future__ import annotations

from typing import Any

import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.graph.neighbours import index_of, only_reader, readers_of, slope  # noqa: E402


def node(kind: str, reads: str, makes: str, **facts: Any) -> Any:
    """Tensors are letters."""
    return onnx.helper.make_node(kind, list(reads), list(makes), **facts)


def test_where_a_node_is_among_equal_ones() -> None:
    nodes = [onnx.helper.make_node("Relu", ["a"], ["b"]) for _ in range(3)]
    assert [index_of(nodes, one) for one in nodes] == [0, 1, 2]


def test_the_only_reader() -> None:
    """Of what two nodes read there is none, nor where the one is of another kind, nor of no node."""
    relu, add, mul = node("Relu", "a", "b"), node("Add", "bc", "d"), node("Mul", "dd", "e")
    readers = readers_of([relu, add, mul])
    assert only_reader(relu, readers) is add
    assert only_reader(relu, readers, "Mul", "Add") is add
    assert only_reader(relu, readers, "Mul") is None
    assert only_reader(add, readers) is None  # read twice by one node
    assert only_reader(mul, readers) is None
    assert only_reader(None, readers) is None


@pytest.mark.parametrize(
    ("relu", "thousandths"),
    [
        (node("Relu", "a", "b"), 0),
        (node("LeakyRelu", "a", "b"), 10),
        (node("LeakyRelu", "a", "b", alpha=0.1), 100),
        (node("LeakyRelu", "a", "b", alpha=0.0123), None),
    ],
)
def test_slopes(relu: Any, thousandths: int | None) -> None:
    """ONNX's own where none is said."""
    assert slope(relu) == thousandths
