"""``ffs build-engine`` on a graph of ours: four plans in one engine, or one when asked for; and how it is inspected."""

from __future__ import annotations

import builtins
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import FakeGpu
from reference_tensorrt import ReferenceTensorRt

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.cli import main as ffs  # noqa: E402
from ffs_ros.engine.manifest import read_engine  # noqa: E402
from ffs_ros.engine.onnxrt import OnnxEngine  # noqa: E402
from ffs_ros.engine.trt_versions import RTX, TENSORRT, TensorRt  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.proof import answered, proof_path  # noqa: E402
from ffs_ros.proof_pairs import proof_pairs  # noqa: E402
from ffs_ros.tools import build_engine, build_graph  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

SIZE = (64, 96)
Tool = Callable[..., tuple[int, str, str]]


@pytest.fixture
def module() -> ReferenceTensorRt:
    return ReferenceTensorRt()


@pytest.fixture
def tool(
    module: ReferenceTensorRt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tool:
    """Runs ``ffs`` in a folder with ``network.onnx`` and its proof set: exit code, output, errors."""
    FakeGpu.held = 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "kept"))

    def gpu(index: int) -> FakeGpu:
        module.gpu = FakeGpu()
        return module.gpu

    module.title = TENSORRT
    monkeypatch.setattr(build_engine, "imported", lambda name: TensorRt(module.title, module))
    monkeypatch.setattr(build_engine, "opened_gpu", gpu)
    onnx.save(build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 2), "network.onnx")
    with OnnxEngine(Path("network.onnx"), None) as engine:
        proof_path(Path("network.onnx")).write_bytes(answered(engine, proof_pairs(SIZE)).content())

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            ffs(words)
        captured = capsys.readouterr()
        assert FakeGpu.held == 0
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_four_plans_are_built_proven_and_told_of(module: ReferenceTensorRt, tool: Tool) -> None:
    """The proof is answered by the plans in their turns; the rebuild command asks for the same."""
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine")
    assert (code, error) == (0, "")
    assert "mean difference 0.0000 px" in out
    assert len(module.built) == 4
    manifest, content = read_engine(Path("n.engine"))
    assert content == b"".join(module.built)
    assert [(part["name"], part["repeat"]) for part in manifest.parts] == [
        ("features", 1), ("volume", 1), ("iteration", 2), ("upsampling", 1)
    ]  # fmt: skip
    assert "--one-plan" not in manifest.rebuild_command(Path("n.engine"))
    code, out, error = tool("inspect", "n.engine")
    assert code == 0
    assert "iteration 2 times (" in out


def test_one_plan_when_asked_for(module: ReferenceTensorRt, tool: Tool) -> None:
    """The rebuild command asks for it again."""
    assert tool("build-engine", "network.onnx", "-o", "n.engine", "--one-plan")[0] == 0
    manifest, content = read_engine(Path("n.engine"))
    assert (manifest.parts, [content]) == ([], module.built)
    assert "--one-plan" in manifest.rebuild_command(Path("n.engine"))


def test_a_runtime_that_builds_in_seconds_takes_the_whole(module: ReferenceTensorRt, tool: Tool) -> None:
    """TensorRT-RTX."""
    module.title = RTX
    assert tool("build-engine", "network.onnx", "-o", "n.engine")[0] == 0
    assert len(module.built) == 1


def test_without_the_onnx_package_it_is_one_plan(
    module: ReferenceTensorRt, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else needs the package where engines are built."""
    found: Any = importlib.util.find_spec
    imported = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "onnx" and rest and rest[0] and rest[0].get("__name__", "").startswith("ffs_ros"):
            raise ModuleNotFoundError(name)
        return imported(name, *rest)

    monkeypatch.setattr(build_graph, "find_spec", lambda name: None if name == "onnx" else found(name))
    monkeypatch.setattr(builtins, "__import__", without)
    assert tool("build-engine", "network.onnx", "-o", "n.engine")[0] == 0
    assert len(module.built) == 1
