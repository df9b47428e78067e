"""What the written graph is made of: nodes that runtimes handle well, few of them, and notes about itself."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.model import build_model

FORBIDDEN = {
    "GridSample",
    "GatherElements",
    "GatherND",
    "InstanceNormalization",
    "Loop",
    "If",
    "Scan",
    "NonZero",
    "Resize",
}
MOST_NODES = 1_550
"""At 8 iterations, of which each has 67; a new one shows here."""


@pytest.fixture(scope="module", params=["image", "image dynamic", "tensor", "tensor dynamic"])
def model(request, tensors):
    io, _, dynamic = request.param.partition(" ")
    return build_model(tensors, None if dynamic else (480, 736), 8, io, None if dynamic else 1)


def test_no_forbidden_node(model):
    """No control flow, no sampling node, no norm that becomes a plugin; only the standard's own nodes."""
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & FORBIDDEN
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 17)}
    assert not any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute)


def test_few_nodes_with_names_of_their_own(model):
    """The count is bounded; open axes cost some shape arithmetic. Profilers need every name once."""
    open_axes = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param != ""
    names = [node.name for node in model.graph.node]
    assert len(names) <= MOST_NODES + 200 * open_axes
    assert len(set(names)) == len(names)
    assert open_axes or "Shape" not in {node.op_type for node in model.graph.node}


def test_uint8_meets_cast_first(model):
    """Images go through Cast before anything else, where TensorRT wants them, and Cast alone reads them."""
    readers = {
        value.name: {node.op_type for node in model.graph.node if value.name in node.input}
        for value in model.graph.input
    }
    if "left" in readers:
        assert readers["left"] - {"Shape"} == readers["right"] == {"Cast"}
    else:
        assert all("Cast" not in kinds for kinds in readers.values())


def test_no_giant_constants(model):
    """Beside the weights the file holds little: tables of indices and interpolation, under 2 MB in all."""
    sizes = {tensor.name: len(tensor.raw_data) for tensor in model.graph.initializer}
    assert sum(size for name, size in sizes.items() if name.startswith("constant_")) < 2_000_000
    assert sum(sizes.values()) < 64_000_000


def test_weights_are_float32(model, tensors):
    """All floating-point initializers are float32, none is unused, and folded batch norms are gone."""
    onnx = pytest.importorskip("onnx")
    read = {name for node in model.graph.node for name in node.input}
    for tensor in model.graph.initializer:
        assert tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64)
        assert tensor.name in read
    assert not any("running_" in name for name in read)


def test_checker(model):
    """The ONNX checker and its shape inference accept the graph, and the output has the stated shape."""
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == ["disparity"]


@pytest.mark.parametrize(("batch", "size"), [(2, (64, 96)), (None, None)])
def test_pairs_of_a_batch_do_not_meet(batch, size, tensors, run_model):
    """Each pair of a batch gets the answer that it gets alone."""
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 64, 96, 3), dtype=np.uint8)
    left, right = images
    together = run_model(build_model(tensors, size, 2, batch=batch), {"left": left, "right": right})["disparity"]
    alone = build_model(tensors, (64, 96), 2)
    for index in range(2):
        expected = run_model(alone, {"left": left[index : index + 1], "right": right[index : index + 1]})["disparity"]
        np.testing.assert_allclose(together[index], expected[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(32, 32), (64, 512)])
def test_extreme_sizes(size, tensors, run_model):
    """The smallest images, narrower than the range, and wide ones: fixed and open size agree."""
    left, right = np.random.default_rng(0).integers(0, 256, (2, 1, *size, 3), dtype=np.uint8)
    fixed, open_ = (
        run_model(build_model(tensors, chosen, 2), {"left": left, "right": right})["disparity"]
        for chosen in (size, None)
    )
    assert np.isfinite(fixed).all()
    np.testing.assert_allclose(open_, fixed, rtol=0, atol=1e-3)


def test_open_size_refuses_what_is_no_multiple_of_32(tensors, run_model):
    """A size that does not fit is an error of the runtime, never a wrong answer."""
    model = build_model(tensors, None, 1)
    for size in ((64, 80), (48, 64), (66, 64), (64, 65)):
        image = np.zeros((1, *size, 3), np.uint8)
        with pytest.raises(Exception, match=r"(?i)shape|dimension|reshape|broadcast"):
            run_model(model, {"left": image, "right": image})


def test_nan_stays_nan(tensors, run_model):
    """Normalised images that hold NaN give NaN, not a read outside the tables."""
    image = np.full((1, 3, 64, 64), np.nan, np.float32)
    found = run_model(build_model(tensors, (64, 64), 1, "tensor"), {"left_image": image, "right_image": image})
    assert np.isnan(found["disparity"]).all()


def test_builder_computes_what_is_known():
    """What depends on constants alone becomes a constant; equal constants are one; a name holds one array."""
    b = Builder({})
    assert b.count(3) == b.constant(np.arange(3))
    total = b.add(b.float32(b.count(3)), 1.0)
    np.testing.assert_array_equal(b.arrays[total], np.array([1, 2, 3], np.float32))
    assert b.nodes == []
    assert b.length("Div", b.length("Mul", 7, 8), 5) == 11
    b.add("x", total)
    assert [node.op_type for node in b.nodes] == ["Add"]
    assert b.weight("w", np.ones(2)) == b.weight("w", np.ones(2))
    with pytest.raises(ValueError, match="two different initializers are called w"):
        b.weight("w", np.zeros(2))
