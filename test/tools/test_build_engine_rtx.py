"""``ffs build-engine`` with the real TensorRT-RTX, which builds without a GPU: what it makes of the weights that ship.

``test/graph/test_graph_tensorrt.py`` builds the other forms of the graph.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ffs_ros.cli import main as ffs
from ffs_ros.engine import open_engine
from ffs_ros.engine.manifest import owed_proof_path, read_engine
from ffs_ros.errors import FfsError
from ffs_ros.proof import read_proof
from ffs_ros.weights import WEIGHTS

if importlib.util.find_spec("tensorrt_rtx_bindings") is None and importlib.util.find_spec("tensorrt_rtx") is None:
    pytest.skip("TensorRT-RTX is not installed (extra 'rtx')", allow_module_level=True)
for name in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(name)


def build(*words: object) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as end:
        ffs(["build-engine", *map(str, words), "--runtime", "tensorrt_rtx"])
    return int(end.value.code or 0)


def test_checkpoint_to_fp16_engine_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is fp16, its proof is owed and lies beside it, and what opens it without a GPU says so."""
    path = tmp_path / "s.engine"
    assert build("ffs-synthetic", "-o", path, "--size", "64x128", "--iters", "1") == 0
    out = capsys.readouterr().out
    assert "answer the proof set at 64x128 in fp32 ... " in out
    assert [line for line in out.splitlines() if "/fp16.onnx" in line or not line] == []
    manifest, _ = read_engine(path)
    assert (manifest.precision, manifest.iterations, manifest.strongly_typed) == ("fp16", 1, True)
    assert (manifest.gpu, manifest.source, manifest.io) == (None, WEIGHTS.name, "image")
    assert 25e6 < manifest.engine_bytes < 100e6
    assert manifest.warnings == []
    assert manifest.weights["weights"] == "ffs-synthetic"
    proof_set = read_proof(owed_proof_path(path), manifest.proof["file_sha256"], path.name)
    assert {case.size for case in proof_set.cases} == {(64, 128)}
    words = f"ffs build-engine ffs-synthetic --runtime tensorrt_rtx --size 64x128 --iters 1 -o {path}"
    assert manifest.rebuild_command(path) == words
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.engine", "s.engine.json", "s.engine.proof.npz"]
    with pytest.raises(FfsError, match=r"PyCUDA|no NVIDIA GPU"):
        open_engine(path)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        ffs(["inspect", str(path)])
    shown = capsys.readouterr().out
    assert "typed engine" in shown
    assert "owed" in shown


def test_a_cut_graph_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The parser's words, and no file."""
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x08\x12\x07ffs_ros")
    assert build(tmp_path / "cut.onnx", "-o", tmp_path / "a.engine", "--unproven") == 2
    assert "cut.onnx" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["cut.onnx"]
