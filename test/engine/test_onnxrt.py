"""ONNX Runtime behind the seam, with graphs whose answer is known."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import open_engine
from ffs_ros.engine.onnxrt import OnnxEngine, _opened_session, _place
from ffs_ros.errors import EngineError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def pair(height: int, width: int) -> dict[str, np.ndarray]:
    left, right = np.random.default_rng(4).integers(0, 256, (2, 1, height, width, 3), dtype=np.uint8)
    return {"left": left, "right": right}


def test_describes_and_runs_a_static_graph(tiny_onnx: Callable[..., Path]) -> None:
    """Names, shapes, dtypes and range come from the file; the answer is a quarter of the left image's red."""
    with open_engine(tiny_onnx(size=(32, 64), max_disparity="96"), threads=1) as engine:
        assert engine.inputs["left"] == ((1, 32, 64, 3), np.dtype(np.uint8))
        assert engine.outputs == {"disparity": ((1, 1, 32, 64), np.dtype(np.float32))}
        assert engine.info.name == "tiny.onnx"
        assert engine.info.runtime.startswith("ONNX Runtime ")
        assert engine.info.max_disparity == 96.0
        assert engine.info.device == "CPU"
        assert not engine.info.dense, "of a graph that ffs export did not write nothing is known"
        feeds = pair(32, 64)
        answer = engine.infer(feeds)["disparity"]
        again = engine.infer({name: feed // 2 for name, feed in feeds.items()})["disparity"]
    np.testing.assert_array_equal(answer[0, 0], np.float32(feeds["left"][0, ..., 0] / 4))
    assert not np.shares_memory(answer, again)
    answer += 1.0  # the caller's own


def test_open_axes_and_the_default_range(tiny_onnx: Callable[..., Path]) -> None:
    """A dynamic graph's axes are open, in multiples of 32; a file without metadata has the released range."""
    with open_engine(tiny_onnx(), threads=1) as engine:
        assert engine.inputs["right"].shape == (1, None, None, 3)
        assert engine.info.size_multiple == 32
        assert engine.info.max_disparity == 192.0
        assert engine.infer(pair(5, 7))["disparity"].shape == (1, 1, 5, 7)
    with open_engine(tiny_onnx(iterations="8"), threads=1) as exported:
        assert exported.info.dense


def test_feeds_are_checked(tiny_onnx: Callable[..., Path]) -> None:
    """A wrong size is named with what was expected, before the runtime sees it."""
    with (
        open_engine(tiny_onnx(size=(32, 64)), threads=1) as engine,
        pytest.raises(EngineError, match=r"'left' uint8 \[1,32,60,3\]; expected 'left' uint8 \[1,32,64,3\]"),
    ):
        engine.infer(pair(32, 60))


def test_closed_engine_says_so(tiny_onnx: Callable[..., Path]) -> None:
    """Closing twice is fine; running afterwards is not."""
    engine = open_engine(tiny_onnx(), threads=1)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(pair(5, 7))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"is not an ONNX model, or only a part of one \(0 bytes\); copy or export it again"),
        (b"<html>404</html>", r"is not an ONNX model, or only a part of one \(16 bytes\)"),
        (b"PK\x03\x04" + bytes(100), "is not an ONNX model"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """Empty, a web page, a checkpoint under the wrong name."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=sentence):
        open_engine(path)


def test_truncated_graph(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> None:
    """A half download does not open, wherever it was cut."""
    content = tiny_onnx(size=(32, 64)).read_bytes()
    path = tmp_path / "model.onnx"
    for kept in (len(content) // 4, len(content) // 2, len(content) - 20):
        path.write_bytes(content[:kept])
        with pytest.raises(EngineError, match=r"cannot open .*model\.onnx"):
            open_engine(path)


def test_missing_file(tmp_path: Path) -> None:
    """The sentence says how to write one."""
    with pytest.raises(EngineError, match=r"there is no engine file .*none\.onnx.*ffs export"):
        open_engine(tmp_path / "none.onnx")


def test_missing_external_data(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> None:
    """Weights kept in a second file that was not copied along."""
    model = onnx.load(tiny_onnx())
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1000, np.float32), "weights"))
    model.graph.node.append(onnx.helper.make_node("Identity", ["weights"], ["copied"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("copied", onnx.TensorProto.FLOAT, [1000]))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="model.data", size_threshold=100)
    (tmp_path / "model.data").unlink()
    with pytest.raises(EngineError, match=r"its weights are in another file.*model\.data.*copy that file beside it"):
        open_engine(path)


@pytest.mark.parametrize("value", ["much", "-192", "nan", "inf", "0"])
def test_absurd_range_in_the_metadata(tiny_onnx: Callable[..., Path], value: str) -> None:
    """The range goes into messages, so it must be a positive number."""
    with pytest.raises(EngineError, match=f"ffs_ros.max_disparity = '{value}'"):
        open_engine(tiny_onnx(max_disparity=value))


def test_runtime_failure_is_one_sentence(tmp_path: Path) -> None:
    """What the runtime raises while running names the engine and what it was given."""
    make, types = onnx.helper, onnx.TensorProto
    graph = make.make_graph(
        [make.make_node("Reshape", ["x", "shape"], ["y"])],
        "fails",
        [make.make_tensor_value_info("x", types.FLOAT, ["n"])],
        [make.make_tensor_value_info("y", types.FLOAT, [2, 3])],
        [make.make_tensor("shape", types.INT64, [2], [2, 3])],
    )
    path = tmp_path / "fails.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8), path)
    with (
        OnnxEngine(path, threads=1) as engine,
        pytest.raises(EngineError, match=r"failed on 'fails\.onnx' with 'x' float32 \[7\]"),
    ):
        engine.infer({"x": np.zeros(7, np.float32)})


def test_tensor_of_an_unknown_type(tmp_path: Path) -> None:
    """A graph that takes text is no stereo engine."""
    make, types = onnx.helper, onnx.TensorProto
    graph = make.make_graph(
        [make.make_node("Identity", ["x"], ["y"])],
        "text",
        [make.make_tensor_value_info("x", types.STRING, [1])],
        [make.make_tensor_value_info("y", types.STRING, [1])],
    )
    path = tmp_path / "text.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(EngineError, match=r"its 'x' is a tensor\(string\), expected one of tensor\(uint8\)"):
        OnnxEngine(path)


def test_runtime_that_is_not_installed(tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    path = tiny_onnx()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match="pip install onnxruntime"):
        open_engine(path)


def test_gpu_that_does_not_start_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A network that runs on the CPU although the runtime has CUDA is logged and part of the runtime's name."""

    def place(available: list[str], used: list[str]) -> str:
        runtime: Any = SimpleNamespace(get_available_providers=lambda: available)
        return _place(runtime, SimpleNamespace(get_providers=lambda: used), gpu_index=1)

    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    with caplog.at_level(logging.WARNING):
        assert place([cpu], [cpu]) == "CPU"
        assert place([cuda, cpu], [cuda, cpu]) == "CUDA, GPU 1"
        assert caplog.text == ""
        assert place([cuda, cpu], [cpu]) == "CPU; CUDA did not start"
    assert "GPU 1 did not start" in caplog.text


def test_cpu_by_choice(tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU index the graph stays on the CPU, CUDA or not, and no warning is due."""
    used: list[Any] = []
    runtime: Any = SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        SessionOptions=lambda: SimpleNamespace(add_session_config_entry=lambda *_: None),
        InferenceSession=lambda *_, providers: used.append(providers),
    )
    _opened_session(runtime, tiny_onnx(), None, 1)
    assert used == [["CPUExecutionProvider"]]
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    assert _place(runtime, session, gpu_index=None) == "CPU"
