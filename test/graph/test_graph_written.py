"""Nodes as a function of ours writes them are found in a graph, and others are not taken for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.graph.builder import Builder  # noqa: E402
from ffs_ros.graph.written import Written  # noqa: E402

Part = Callable[[Builder, str, str], str]


def halved_twice(b: Builder, x: str, y: str) -> str:
    """Of both halves of x the second less the first, times y and a constant."""
    first, second = b.nodes_of("Split", [x], 2, axis=1)
    return b.mul(b.mul(b.sub(second, first), y), 0.25)


def other_constant(b: Builder, x: str, y: str) -> str:
    first, second = b.nodes_of("Split", [x], 2, axis=1)
    return b.mul(b.mul(b.sub(second, first), y), 0.5)


def other_axis(b: Builder, x: str, y: str) -> str:
    first, second = b.nodes_of("Split", [x], 2, axis=2)
    return b.mul(b.mul(b.sub(second, first), y), 0.25)


def other_half(b: Builder, x: str, y: str) -> str:
    first, second = b.nodes_of("Split", [x], 2, axis=1)
    return b.mul(b.mul(b.sub(first, second), y), 0.25)


def other_operator(b: Builder, x: str, y: str) -> str:
    first, second = b.nodes_of("Split", [x], 2, axis=1)
    return b.mul(b.add(b.sub(second, first), y), 0.25)


def arguments(of_graph: Part, *given: str) -> list[str] | None:
    """What a graph gives to ``halved_twice``, if it has it behind and before something else."""
    graph = Builder({})
    graph.nodes.append(onnx.helper.make_node("Relu", ["image"], ["a"]))
    graph.constant(np.float32(7))  # another number of constants
    found = of_graph(graph, *given)
    graph.relu(found)
    b = Builder({})
    written = Written(
        b, ["x", "y"], halved_twice(b, "x", "y"), graph.nodes, {one.name: one for one in graph.initializers()}
    )
    assert written.arguments_of("a") is None
    assert written.arguments_of("nothing") is None
    return written.arguments_of(found)


def test_what_it_was_given() -> None:
    """By name, whatever made it; twice the same too."""
    assert arguments(halved_twice, "a", "b") == ["a", "b"]
    assert arguments(halved_twice, "a", "a") == ["a", "a"]


@pytest.mark.parametrize("other", [other_constant, other_axis, other_half, other_operator])
def test_others_are_not_it(other: Part) -> None:
    """They differ in one thing each."""
    assert arguments(other, "a", "b") is None


def test_an_argument_is_one_tensor() -> None:
    """Where the function was given the same twice, two that differ are not what it does."""
    b, graph = Builder({}), Builder({})
    found = graph.mul("a", "c")
    assert Written(b, ["x"], b.mul("x", "x"), graph.nodes, {}).arguments_of(found) is None
