"""The small graph whose weights lie in a safetensors file beside it: the same network as the plain graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.checkpoint.stored import half_weights, stored
from ffs_ros.graph.beside import Later
from ffs_ros.graph.builder import Builder
from ffs_ros.graph.form import Form
from ffs_ros.graph.model import build_model, build_model_beside

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

LARGEST_px = 2e-3
MOST_BYTES = 600_000


class Shipped(NamedTuple):
    """Both files, and the weights that they hold."""

    graph: Path
    weights: Path
    rounded: dict[str, np.ndarray]
    """As float32."""


@pytest.fixture(scope="module")
def shipped(tensors, tmp_path_factory) -> Shipped:
    folder = tmp_path_factory.mktemp("shipped")
    halves = half_weights(tensors)
    file = stored(halves, {"note": "synthetic"})
    weights, graph = folder / "weights.safetensors", folder / "small.onnx"
    weights.write_bytes(file.data)
    graph.write_bytes(build_model_beside(file.places, weights.name, Form(None)).SerializeToString())
    return Shipped(graph, weights, {name: half.astype(np.float32) for name, half in halves.items()})


def session_of(model: str | bytes, optimised: Path | None = None):
    """An ONNX Runtime session; what it makes of the graph goes to a file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    if optimised is not None:
        options.log_severity_level = 3
        options.optimized_model_filepath = str(optimised)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def test_the_weights_open_as_a_checkpoint(shipped):
    """The same file serves PyTorch: 490 tensors under TAO's names, in half precision, at most 30 MB."""
    checkpoint = open_checkpoint(shipped.weights)
    assert checkpoint.stored_dtypes == ("float16",)
    assert checkpoint.naming == "TAO"
    assert checkpoint.settings["note"] == "synthetic"
    assert shipped.weights.stat().st_size <= 30_000_000
    for name, array in checkpoint.tensors.items():
        np.testing.assert_array_equal(array, shipped.rounded[name])


def test_safetensors_reads_the_weights(shipped):
    """The format's own library agrees with what was written."""
    safetensors = pytest.importorskip("safetensors.numpy")
    found = safetensors.load_file(shipped.weights)
    assert set(found) == set(shipped.rounded)
    for name, half in found.items():
        assert half.dtype == np.float16
        np.testing.assert_array_equal(half, shipped.rounded[name])


def test_the_graph_is_small_and_holds_no_weights(shipped):
    """Every weight is a half elsewhere, every one of them is read, and the checker passes the file."""
    assert shipped.graph.stat().st_size <= MOST_BYTES
    onnx.checker.check_model(shipped.graph, full_check=True)
    model = onnx.load(shipped.graph, load_external_data=False)
    outside = {t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
    assert outside == set(shipped.rounded)
    assert {t.data_type for t in model.graph.initializer if t.name in outside} == {onnx.TensorProto.FLOAT16}
    assert outside <= {name for node in model.graph.node for name in node.input}
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


def test_onnxruntime_runs_what_it_runs_of_the_plain_graph(shipped, tmp_path):
    """Everything that is computed on weights is computed when the file is opened: the same nodes are left."""
    plain = build_model(shipped.rounded, None).SerializeToString()
    kinds = []
    for name, model in (("plain", plain), ("small", str(shipped.graph))):
        session_of(model, tmp_path / f"{name}.onnx")
        left = onnx.load(tmp_path / f"{name}.onnx", load_external_data=False).graph.node
        kinds.append(Counter(node.op_type for node in left))
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("letter", "ab")
def test_disparity(letter, case, shipped):
    """On the kit's images: what the plain graph and the network in PyTorch give with the same rounded weights."""
    network = pytest.importorskip("ffs_ros.network")
    data = case(letter)
    images = {side: data[side][None] for side in ("left", "right")}
    (found,) = session_of(str(shipped.graph)).run(None, images)
    (plain,) = session_of(build_model(shipped.rounded, None).SerializeToString()).run(None, images)
    expected = network.disparity_of(shipped.rounded, images["left"], images["right"])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, plain, rtol=0, atol=LARGEST_px)
    np.testing.assert_allclose(found, expected, rtol=0, atol=LARGEST_px)


ARRAY = np.random.default_rng(5).normal(size=(2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    "function",
    [
        lambda a: (2.0 - a) * a / 3 + np.sqrt(a * a + 1.0),
        lambda a: a.T.reshape(2, -1).swapaxes(0, 1),
        lambda a: a[1:, ..., None] - a[:1, -1:, 1:2, None] + a[..., 0][0, None, :, None, None],
        lambda a: a[:, :, 1:3][1],
        lambda a: np.pad(np.concatenate([a, ARRAY * a], axis=1), [(0, 0), (1, 0), (0, 2)]),
        lambda a: np.concatenate([*np.split(a, 2), np.zeros_like(a)]),
        lambda a: np.tile(a.reshape(-1), 3),
        lambda a: np.einsum("iac,cb->bia", a, ARRAY[0].T),
        lambda a: a.astype(np.float64).reshape([1, len(a), a.ndim, -1]),
    ],
)
def test_later_arithmetic_is_numpys(function, run_part):
    """What is done with an array without numbers gives the nodes that compute what NumPy computes."""
    expected = function(ARRAY)

    def part(b: Builder, x: str) -> dict[str, str]:
        later = function(Later(ARRAY.shape, lambda _: x))
        assert later.shape == expected.shape
        return {"found": later.written(b)}

    np.testing.assert_allclose(run_part({}, part, {"x": ARRAY})["found"], expected, rtol=1e-5, atol=1e-6)


def test_what_later_does_not_know_is_refused():
    """Another function of NumPy raises, so that no weight is left out in silence."""
    later = Later((2, 3), lambda _: "x")
    for function in (np.exp, np.linalg.norm, np.add.reduce, np.asarray(1.0).__pow__):
        with pytest.raises(TypeError):
            function(later)
