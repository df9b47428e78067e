"""The first layer on the disparity becomes a kernel where it is as known, and stays where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.graph.kernel_nodes import with_kernels  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.graph.motion_nodes import DISPARITY  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

ITERATIONS = 2


@pytest.fixture(scope="module")
def network() -> Any:
    return build_model(open_checkpoint(WEIGHTS).tensors, (64, 96), ITERATIONS, precision="fp16")


def of_kind(model: Any, kind: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == kind]


def first_layers(model: Any) -> list[Any]:
    return [node for node in of_kind(model, "Conv") if f"{DISPARITY}.weight.fp16" in node.input]


def test_a_kernel_in_each_iteration(network: Any) -> None:
    """It reads the disparity that the look-up reads, and makes what the ReLU made."""
    relus = [node for node in of_kind(network, "Relu") if node.input[0] in {c.output[0] for c in first_layers(network)}]
    rewritten = with_kernels(network)
    assert rewritten is not None
    kernels, look_ups = (of_kind(rewritten, kind) for kind in ("disparity_features", "look_up_convc1"))
    assert [node.output[0] for node in kernels] == [node.output[0] for node in relus]
    assert [node.input[0] for node in kernels] == [node.input[0] for node in look_ups]
    assert len(kernels) == ITERATIONS
    assert not first_layers(rewritten)


@pytest.mark.parametrize("change", ["dilation", "handed on", "no ReLU"])
def test_another_layer_stays(network: Any, change: str) -> None:
    """The others become kernels all the same."""
    other = onnx.ModelProto()
    other.CopyFrom(network)
    for layer in first_layers(other):
        if change == "dilation":
            layer.attribute.append(onnx.helper.make_attribute("dilations", [2, 2]))
            next(one for one in layer.attribute if one.name == "pads").ints[:] = [6] * 4
        elif change == "no ReLU":
            next(node for node in of_kind(other, "Relu") if node.input[0] == layer.output[0]).op_type = "Tanh"
    if change == "handed on":
        weight = next(one for one in other.graph.initializer if one.name == f"{DISPARITY}.weight.fp16")
        changed = onnx.numpy_helper.to_array(weight).copy()
        changed[17, 0, 3, 3] = -0.5
        weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
    rewritten = with_kernels(other)
    assert rewritten is not None
    assert not of_kind(rewritten, "disparity_features")
    assert len(first_layers(rewritten)) == ITERATIONS
    assert np.all([len(of_kind(rewritten, kind)) == ITERATIONS for kind in ("look_up_convc1", "disparity_step")])
