"""The note that names an fp16 graph's fp32 nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ffs_ros.full_nodes import FULL_NODES, full_nodes_of, node_of, written


def test_a_note_is_read_as_it_was_written(tiny_onnx: Callable[..., Path]) -> None:
    """Scopes come once; a graph without the note is none where no node is fp32."""
    names = {"Sub_2", "disparity", "volume/correlation/Div_5", "volume/Mul_3", "volume/Mul_4", "Mul_3"}
    note = written(sorted(names))
    assert note == "/ Mul_3 Sub_2 disparity volume/ Mul_3 Mul_4 volume/correlation/ Div_5"
    _, _, key = FULL_NODES.partition(".")
    assert full_nodes_of(tiny_onnx(**{key: note})) == names
    assert full_nodes_of(tiny_onnx(**{key: ""})) == set()
    assert full_nodes_of(tiny_onnx()) is None


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("iteration_1/head/Add_805", "iteration_1/head/Add_805"),
        ("Cast_0", "Cast_0"),
        ("backbone/stage_1/Split_89:1", "backbone/stage_1/Split_89"),
        ("backbone/stage_1/ReduceL2_102_65", None),
        ("volume/Softmax_655_output", None),
        ("(Unnamed Layer* 871) [ElementWise]", None),
        ("(Unnamed Layer* 23) [Shuffle]_output", None),
        ("ONNXTRT_Broadcast_125", None),
        ("constant_56", None),
        ("feature.stages.2.6.norm.weight.fp16", None),
        ("left", None),
    ],
)
def test_names_of_nodes_are_told_from_others(name: str, node: str | None) -> None:
    """Layers and tensors have names of nodes, of weights, or such as parsers and runtimes make up."""
    assert node_of(name) == node
