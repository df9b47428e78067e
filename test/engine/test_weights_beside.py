"""The weights beside a graph: read only when they are the ones that it was written with."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ffs_ros.engine
from ffs_ros.advice import WITHOUT_A_NETWORK
from ffs_ros.config import DEFAULT_ENGINE
from ffs_ros.engine import SGBM, open_engine
from ffs_ros.engine.weights_beside import notes_on
from ffs_ros.errors import EngineError
from ffs_ros.weights import GRAPH, SYNTHETIC, SYNTHETIC_NOTE, WEIGHTS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SCALE = np.float16(0.25)


@pytest.fixture
def engine_file(tmp_path: Path) -> Path:
    """An engine whose answer is a half in another file times the left image's red, by a graph of ffs-synthetic."""
    make, types = onnx.helper, onnx.TensorProto
    data = bytes(10) + SCALE.tobytes() + bytes(10)
    (tmp_path / "scale.safetensors").write_bytes(data)
    scale = onnx.TensorProto(name="half", data_type=types.FLOAT16, data_location=types.EXTERNAL)
    for key, value in (("location", "scale.safetensors"), ("offset", "10"), ("length", "2")):
        scale.external_data.add(key=key, value=value)
    shape = [1, "H", "W", 3]
    graph = make.make_graph(
        [
            make.make_node("Cast", ["half"], ["scale"], to=types.FLOAT),
            make.make_node("Cast", ["left"], ["float"], to=types.FLOAT),
            make.make_node("Gather", ["float", "red"], ["plane"], axis=3),
            make.make_node("Mul", ["plane", "scale"], ["scaled"]),
            make.make_node("Unsqueeze", ["scaled", "axis"], ["disparity"]),
        ],
        "tiny",
        [make.make_tensor_value_info(name, types.UINT8, shape) for name in ("left", "right")],
        [make.make_tensor_value_info("disparity", types.FLOAT, [1, 1, "H", "W"])],
        [make.make_tensor("red", types.INT64, [], [0]), make.make_tensor("axis", types.INT64, [1], [1]), scale],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    make.set_model_props(model, {**notes_on("scale.safetensors", data), "ffs_ros.weights": SYNTHETIC})
    path = tmp_path / "small.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def answer(path: str | Path) -> np.ndarray:
    image = np.full((1, 2, 3, 3), 100, np.uint8)
    with open_engine(path, gpu_index=None, threads=1) as engine:
        return engine.infer({"left": image, "right": image})["disparity"]


def test_the_weights_are_read_where_they_lie(engine_file: Path) -> None:
    """A graph and its weights beside it run, and say once what weights they are."""
    np.testing.assert_array_equal(answer(engine_file), np.full((1, 1, 2, 3), 25, np.float32))
    with open_engine(engine_file, gpu_index=None, threads=1) as engine:
        assert engine.info.note == SYNTHETIC_NOTE


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.unlink(), "is not there; copy both files again, or install the package again"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "has 21 bytes instead of 22: it is cut short"),
        (lambda file: file.write_bytes(b""), "has 0 bytes instead of 22"),
        (lambda file: file.write_bytes(b"\1" + file.read_bytes()[1:]), "is damaged, or not the one that the graph"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read (Is a directory); check it, or copy"),
    ],
)
def test_other_weights_are_refused(
    spoil: Callable[[Path], object], sentence: str, engine_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Missing, cut, empty, one bit changed, a folder: one sentence that names the file, and no word of the runtime."""
    spoil(engine_file.with_name("scale.safetensors"))
    before = f"cannot open {engine_file}: its weights are in scale.safetensors beside it, which "
    with pytest.raises(EngineError, match=re.escape(before + sentence)):
        open_engine(engine_file, gpu_index=None)
    assert capfd.readouterr() == ("", "")


def test_a_plain_graph_has_no_note(tiny_onnx: Callable[..., Path]) -> None:
    """Weights of the user's own need no warning."""
    with open_engine(tiny_onnx(), threads=1) as engine:
        assert engine.info.note == ""


def test_the_name_opens_what_ships(engine_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """'ffs-synthetic' is the graph in the package, also where the installation consists of symbolic links."""
    installed = tmp_path / "installed"
    installed.mkdir()
    for file in (engine_file, engine_file.with_name("scale.safetensors")):
        (installed / file.name).symlink_to(file)
    monkeypatch.setattr(ffs_ros.engine, "GRAPH", installed / engine_file.name)
    assert answer(SYNTHETIC)[0, 0, 0, 0] == 25


def test_without_the_weights_a_sentence_says_what_to_do(
    engine_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An installation that lacks them, and one without ONNX Runtime: both name the way that needs neither."""
    monkeypatch.setattr(ffs_ros.engine, "GRAPH", tmp_path / "none.onnx")
    with pytest.raises(EngineError, match=f"lacks the weights '{SYNTHETIC}'.*{re.escape(WITHOUT_A_NETWORK)}"):
        open_engine(SYNTHETIC)
    monkeypatch.setattr(ffs_ros.engine, "GRAPH", engine_file)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match=rf"pip install onnxruntime, or {re.escape(WITHOUT_A_NETWORK)}"):
        open_engine(SYNTHETIC)
    assert "engine:=sgbm" in WITHOUT_A_NETWORK


def test_the_default_engine_is_there() -> None:
    """What runs when nothing else is said can be opened: SGBM, or the weights in the package."""
    assert SGBM == "sgbm"
    assert DEFAULT_ENGINE in (SGBM, SYNTHETIC)
    assert GRAPH.is_file() == WEIGHTS.is_file()
    assert DEFAULT_ENGINE == SGBM or GRAPH.is_file()
