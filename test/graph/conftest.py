"""The conformance kit's weights and cases, and a way to run a graph or a part of one in ONNX Runtime."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ffs_ros.checkpoint.table import live_shapes

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from ffs_ros.graph.builder import OPSET, Builder  # noqa: E402
from ffs_ros.graph.model import IR_VERSION  # noqa: E402

Arrays = dict[str, np.ndarray]
THREADS = 2


@pytest.fixture(scope="session")
def tensors(shared: Path) -> Arrays:
    """The kit's synthetic weights: the live tensors under TAO's names."""
    spec = importlib.util.spec_from_file_location("make_checkpoint", shared / "conformance" / "make_checkpoint.py")
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    everything = kit.state_dict()
    return {name: everything[name] for name in live_shapes()}


@pytest.fixture(scope="session")
def case(shared: Path) -> Callable[[str], dict[str, Any]]:
    """``case("a")`` -> every array of that case, from all its files, and its ``meta`` as a dict."""

    def load(letter: str) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        for path in sorted((shared / "conformance").glob(f"case_{letter}_*.npz")):
            with np.load(path) as file:
                arrays.update(file)
        arrays["meta"] = json.loads(str(arrays["meta"]))
        return arrays

    return load


def opened(model: Any) -> Any:
    """An ONNX Runtime session of a model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="session")
def run_model() -> Callable[[Any, Arrays], Arrays]:
    """(model, inputs) -> outputs by name."""

    def run(model: Any, feeds: Arrays) -> Arrays:
        session = opened(model)
        return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds), strict=True))

    return run


@pytest.fixture(scope="session")
def run_part(run_model: Callable[[Any, Arrays], Arrays]) -> Callable[..., Arrays]:
    """(weights, function, inputs) -> what a function of the package gives, run in ONNX Runtime.

    The function gets a builder and the inputs' names, and returns a dict of names. ``open_axes`` leaves every axis of
    the inputs open.
    """

    def run(weights: Arrays, function: Callable[..., dict[str, str]], feeds: Arrays, open_axes: bool = False) -> Arrays:
        b = Builder(weights)
        outputs = function(b, *feeds)
        make, to_dtype = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype
        for name, value in outputs.items():
            b.nodes.append(make.make_node("Identity", [value], [name]))
        graph = make.make_graph(
            b.nodes,
            "part",
            [
                make.make_tensor_value_info(
                    name, to_dtype(array.dtype), [None] * array.ndim if open_axes else array.shape
                )
                for name, array in feeds.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [onnx.numpy_helper.from_array(array, name) for name, array in b.arrays.items()],
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        return run_model(onnx.shape_inference.infer_shapes(model), feeds)

    return run


@pytest.fixture(scope="session")
def trt() -> ModuleType:
    """The Python module of TensorRT-RTX; its parts are packages of their own, which work without the one above them."""
    try:
        import tensorrt_rtx
    except ImportError:
        pytest.importorskip("tensorrt_rtx_libs", reason="TensorRT-RTX is not installed (extra 'rtx')")
        return pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed (extra 'rtx')")
    return tensorrt_rtx
