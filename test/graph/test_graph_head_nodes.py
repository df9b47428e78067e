"""The disparity head becomes kernels where it is as known, and nothing does where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.graph.head_nodes import HEAD, head_steps  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.graph.parts import parts_of  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

SCOPE = "iteration_1/head/"


@pytest.fixture(scope="module")
def network() -> Any:
    return build_model(open_checkpoint(WEIGHTS).tensors, (64, 96), 2, precision="fp16")


def steps_of(model: Any) -> list[Any]:
    weights = {one.name: one for one in model.graph.initializer}
    last = next(one for one in model.graph.node if f"{HEAD}.4.weight.fp16" in one.input)
    return head_steps(last, model.graph.node, weights)


def head_of(model: Any, kind: str) -> list[Any]:
    """The nodes of the first iteration's head of one kind, in their order."""
    return [one for one in model.graph.node if one.name.startswith(SCOPE) and one.op_type == kind]


def test_three_kernels_from_the_first_layer_to_the_disparity(network: Any) -> None:
    """One behind the other; both sizes of the wide blocks; the constants are the graph's."""
    steps = steps_of(network)
    (relu,), (*_, total), (cast,) = (head_of(network, kind) for kind in ("Relu", "Add", "Cast"))
    assert [step.kernel for step in steps] == ["wide_block", "wide_block", "disparity_step"]
    assert [step.hidden for step in steps] == [[212], [244], []]
    (disparity,) = {*total.input} - {*cast.output}
    assert [step.reads for step in steps] == [
        [relu.output[0]], [steps[0].last.output[0]], [steps[1].last.output[0], disparity]
    ]  # fmt: skip
    assert steps[2].last == total
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in network.graph.initializer}
    depthwise, bias = (weights[f"{HEAD}.3.dwconv.{part}.fp16"] for part in ("weight", "bias"))
    taps = steps[1].constants[f"{HEAD}.3.dwconv.weight.fp16.taps"]
    taps = taps.transpose(0, 2, 1).reshape(52, 36)
    np.testing.assert_array_equal(taps[:49].T.reshape(36, 1, 7, 7), depthwise)
    np.testing.assert_array_equal(taps[49], bias)
    assert not taps[50:].any()


def test_the_kernels_run_behind_the_last_plan_of_an_iteration(network: Any) -> None:
    """They carry the disparity, which no plan knows."""
    first, *_, part = [one for one in parts_of(network, kernels=True) or [] if one.name.startswith("iteration")]
    *blocks, step = part.after
    assert [call.size for call in blocks] == [[1, 16, 24, 212], [1, 16, 24, 244]]
    assert step.size == [1, 16, 24]
    assert part.carried[step.reads[1]] == step.writes
    assert [call.reads[0] for call in first.before] == [step.reads[1]] * 2
    graph = onnx.load_model_from_string(part.content).graph
    known = {one.name for one in (*graph.input, *graph.output)}
    assert known.isdisjoint({step.reads[1], step.writes})
    assert known >= {blocks[0].reads[0]}
    assert part.channels_last >= {blocks[0].reads[0]}
    assert {node.op_type for node in graph.node if node.name.startswith(SCOPE)} == {"Conv", "Relu"}


def dilated(model: Any) -> None:
    head_of(model, "Conv")[1].attribute.append(onnx.helper.make_attribute("dilations", [2, 2]))


def without_bias(model: Any) -> None:
    del head_of(model, "Conv")[1].input[2]


def other_constant(kind: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        node = head_of(model, kind)[0]
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float16(1.5), f"other of {kind}"))
        node.input[1] = f"other of {kind}"

    return change


def without_half(model: Any) -> None:
    """The product behind the GELU, which is not the one with a constant then."""
    first, second = head_of(model, "Mul")[:2]
    next(one for one in head_of(model, "Conv") if second.output[0] in one.input).input[0] = first.output[0]


def other_gelu(model: Any) -> None:
    """Of what enters the layer before."""
    div = head_of(model, "Div")[0]
    div.input[0] = next(one for one in head_of(model, "Conv") if div.input[0] in one.output).input[0]


def other_sum(model: Any) -> None:
    """With what the second block makes, and what entered the first."""
    _, first, _, second, _ = head_of(model, "Add")
    second.input[0] = first.input[0]


def read_twice(model: Any) -> None:
    cast = head_of(model, "Cast")[0]
    model.graph.node.append(onnx.helper.make_node("Relu", [cast.output[0]], ["more"], name=f"{SCOPE}more"))


CHANGES = [
    dilated, without_bias, other_constant("Div"), other_constant("Add"), without_half, other_gelu, other_sum,
    read_twice,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_another_head_is_not_replaced(network: Any, change: Callable[[Any], None]) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(network)
    change(other)
    assert steps_of(other) == []


def test_a_graph_with_another_head_has_no_place_for_kernels(network: Any) -> None:
    """In one of its iterations."""
    other = onnx.ModelProto()
    other.CopyFrom(network)
    dilated(other)
    assert parts_of(network, kernels=True) is not None
    assert parts_of(other, kernels=True) is None
