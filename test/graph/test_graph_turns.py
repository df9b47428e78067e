"""Kernels cut a part of a graph into turns: each node in the first that has what it reads."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.graph.kernel_nodes import DOMAIN  # noqa: E402
from ffs_ros.graph.turns import turns  # noqa: E402


def node(words: str) -> onnx.NodeProto:
    """``a, b -> c`` of a plan, ``a, b => c`` of a kernel."""
    inputs, _, output = words.partition("=>" if "=>" in words else "->")
    domain = DOMAIN if "=>" in words else ""
    names = [name.strip() for name in inputs.split(",")]
    return onnx.helper.make_node("Any", names, [output.strip()], domain=domain, name=output.strip())


def of(*lines: str) -> list[tuple[str, str, str]]:
    """What runs before each plan, in it and after it."""
    found = turns([node(line) for line in lines])
    return [
        tuple(" ".join(one.name for one in nodes) for nodes in (turn.before, turn.nodes, turn.after)) for turn in found
    ]


def test_a_chain_of_kernels_between_two_plans() -> None:
    """In their order; what reads neither stays in the first turn, and what reads both waits for the later one."""
    assert of("x -> a", "a => s", "a, s => n", "n -> b", "x -> c", "b, c -> d") == [("", "a c", ""), ("s n", "b d", "")]


def test_kernels_that_read_from_elsewhere_cut_nothing() -> None:
    """The look-up, and the cost volume, beside which others of its part do not wait."""
    assert of("x => v", "y -> a", "v, a -> b") == [("v", "a b", "")]


def test_what_no_plan_of_the_part_reads_runs_after_the_last_or_before_a_later_one() -> None:
    """The stem at 1/2, as upsampling reads it, beside a longer chain and alone."""
    assert of("x -> a", "a => n") == [("", "a", "n")]
    assert of("x -> a", "a => n", "y -> b", "b => m", "m -> c", "c => k") == [("", "a b", ""), ("n m", "c", "k")]


def test_a_kernel_waits_for_the_latest_that_it_reads() -> None:
    """The residual is older than the norm."""
    lines = ["x -> a", "a => n", "n -> b", "b => m", "m -> c", "c, a => r", "r -> d"]
    assert of(*lines) == [("", "a", ""), ("n", "b", ""), ("m", "c", ""), ("r", "d", "")]


def test_kernels_alone_are_no_part() -> None:
    """There is no plan to run them with."""
    assert of("x => a", "a => b") == []
