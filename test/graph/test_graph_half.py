"""The graph in fp16: what stays fp32, how many casts that takes, and how far it is from fp32."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.errors import ExportError
from ffs_ros.graph.form import FP16, Form
from ffs_ros.graph.model import build_model
from ffs_ros.weights import WEIGHTS

onnx = pytest.importorskip("onnx")

from ffs_ros.graph.builder import Builder  # noqa: E402

FLOAT16, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
SIZE = (64, 96)


def types_of(model: Any) -> dict[str, int]:
    """The element type of every value; raises where a node gets two different ones."""
    onnx.checker.check_model(model, full_check=True)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return {**types, **{one.name: one.data_type for one in graph.initializer}}


@pytest.fixture(scope="module")
def half(tensors) -> Any:
    return build_model(tensors, SIZE, 2, precision=FP16)


@pytest.fixture(scope="module")
def types(half) -> dict[str, int]:
    return types_of(half)


def inputs_of(model: Any, op: str, scope: str = "") -> list[str]:
    """The first input of each node of that kind whose name begins like that."""
    return [node.input[0] for node in model.graph.node if node.op_type == op and node.name.startswith(scope)]


@pytest.mark.parametrize(
    ("op", "scope", "count"),
    [
        ("ReduceL2", "", 5),  # unit norms: three of channel attention, groups, all channels
        ("Sqrt", "", 11),  # instance norms
        ("ReduceMean", "decoder", 22),
        ("ReduceSum", "volume", 1),  # the mean plane
        ("Softmax", "volume", 2),  # one of them between the heads, which is fp16
        ("Floor", "iteration_", 4),  # positions
        ("Softmax", "upsampling", 1),
        ("ReduceSum", "upsampling", 1),
    ],
)
def test_what_halves_cannot_hold_is_fp32(op, scope, count, half, types):
    """Squares, logits, positions and the last weighted sum."""
    found = inputs_of(half, op, scope)
    assert len(found) == count
    wide = [name for name in found if types[name] == FLOAT]
    assert len(wide) == (1 if (op, scope) == ("Softmax", "volume") else count)


def test_the_disparity_is_fp32_all_the_way(half, types):
    """What leaves one iteration enters the next, and the upsampling, without a cast."""
    corrected = [
        [node for node in half.graph.node if node.name.startswith(f"iteration_{index}/head/Add")][-1]
        for index in (1, 2)
    ]
    assert {types[name] for node in corrected for name in (*node.input, *node.output)} == {FLOAT}
    assert corrected[1].input[0] == corrected[0].output[0]
    assert corrected[1].output[0] in inputs_of(half, "Mul", "upsampling")
    assert [types[name] for name in ("left", "right", "disparity")] == [onnx.TensorProto.UINT8] * 2 + [FLOAT]


def test_the_heavy_part_is_fp16(half, types):
    """Every convolution and every product of matrices computes in fp16, and almost all weights are."""
    for op in ("Conv", "ConvTranspose", "MatMul", "LayerNormalization", "Erf", "Gather"):
        assert {types[name] for name in inputs_of(half, op)} == {FLOAT16}, op
    sizes: Counter[int] = Counter()
    for one in half.graph.initializer:
        sizes[one.data_type] += int(np.prod(one.dims))
    assert sizes[FLOAT] < 1e-3 * sizes[FLOAT16]


def test_few_casts(tensors, half):
    """Two around each norm, four in an iteration; none of them undoes another."""
    plain = build_model(tensors, SIZE, 2)
    added = len(half.graph.node) - len(plain.graph.node)
    assert added == 38 + 4 * 2
    kinds = [Counter(node.op_type for node in model.graph.node) for model in (half, plain)]
    assert kinds[0] - kinds[1] == Counter(Cast=added)
    cast = {node.output[0]: node for node in half.graph.node if node.op_type == "Cast"}
    inputs = [node.input[0] for node in cast.values()]
    assert len(set(inputs)) == len(inputs)
    assert cast.keys().isdisjoint(inputs)


def test_an_fp32_graph_has_no_halves(tensors):
    """Not one value."""
    assert FLOAT16 not in types_of(build_model(tensors, SIZE, 1)).values()


@pytest.mark.parametrize("form", [Form(None, 1, "tensor", None, FP16), Form(None, 1, "image", 1, FP16)])
def test_open_axes(form, tensors, run_model):
    """Shapes that are computed do not disturb the types; the graph of open size runs and agrees with the fixed one."""
    open_ = build_model(tensors, form.size, form.iterations, form.io, form.batch, form.precision)
    assert form.metadata["ffs_ros.precision"] == FP16
    types_of(open_)
    if form.io == "image":
        pair = np.random.default_rng(0).integers(0, 256, (2, 1, *SIZE, 3), dtype=np.uint8)
        feeds = dict(zip(form.inputs, pair, strict=True))
        fixed = build_model(tensors, SIZE, 1, precision=FP16)
        difference = np.abs(run_model(open_, feeds)["disparity"] - run_model(fixed, feeds)["disparity"])
        assert difference.mean() < 0.03  # the position is rounded before or after it is projected


def test_trained_weights_on_a_real_pair(real_pair, run_model):
    """The mean difference from fp32 is below 0.1 px (all pairs: test/benchmarks/half_precision.py)."""
    if not WEIGHTS.is_file():
        pytest.skip("the weights that ship are not in the tree")
    weights = open_checkpoint(WEIGHTS).tensors
    pair = real_pair("mb2003_cones")
    feeds = {"left": pair.left_HW3[None, 150:278, 150:342], "right": pair.right_HW3[None, 150:278, 150:342]}
    wide, half = (
        run_model(build_model(weights, (128, 192), 8, precision=p), feeds)["disparity"] for p in ("fp32", FP16)
    )
    difference = np.abs(half - wide)
    assert wide.max() - wide.min() > 10
    assert 1e-5 < difference.mean() < 0.1
    assert difference.max() < 2


def test_weights_beyond_the_range(tensors):
    """fp16 ends at 65504: a larger weight is refused by name, never infinity."""
    name = "update_block.disp_head.conv.0.weight"
    large = tensors[name].copy()
    large.flat[0] = -70000
    with pytest.raises(ExportError, match=rf"'{name}' has 70000 among its values.*--precision fp32"):
        build_model({**tensors, name: large}, SIZE, 1, precision=FP16)
    with pytest.raises(ExportError, match="no precision 'fp8'; expected one of fp32, fp16"):
        build_model(tensors, SIZE, 1, precision="fp8")


def test_builder_casts_once():
    """What is asked for twice is cast once; what has the type already, and what is constant, not at all."""
    b = Builder({}, halves=True)
    x = b.lower("x")
    assert (b.lower("x"), b.lower(x)) == (x, x)
    y = b.mul(x, 3.0)
    assert b.full(y) == b.full(y) != y
    assert b.full("x") == "x"
    scale = b.constant(np.ones(2, np.float32))
    assert b.lower(scale) == scale
    b.add(b.full(y), scale)
    b.add(y, scale)
    assert [node.op_type for node in b.nodes] == ["Cast", "Mul", "Cast", "Add", "Add"]
    assert [b.arrays[node.input[1]].dtype for node in b.nodes if node.op_type in ("Mul", "Add")] == [
        np.float16, np.float32, np.float16,
    ]  # fmt: skip
