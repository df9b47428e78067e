"""``ffs build-engine`` on a graph of ours: several plans in one engine, or one; and how it is inspected."""

from __future__ import annotations

import builtins
import hashlib
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
from ffs_ros.engine import trt  # noqa: E402
from ffs_ros.engine.manifest import read_engine  # noqa: E402
from ffs_ros.engine.onnxrt import OnnxEngine  # noqa: E402
from ffs_ros.engine.trt_versions import RTX, TENSORRT, TensorRt  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.proof import NOTE, answered, proof_path  # noqa: E402
from ffs_ros.proof_pairs import proof_pairs  # noqa: E402
from ffs_ros.tools import build_engine, build_graph  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

SIZE = (64, 96)
PARTS = [
    "backbone", "decoder_begin", "decoder_end", "volume_stem", "volume_down", "volume_up", "volume_end", "context",
    "iteration", "upsampling",
]  # fmt: skip
DECODER = [f"decoder.{turn}" for turn in range(1, 11)]
ITERATION = [f"iteration.{turn}" for turn in range(1, 5)]
"""Of halves, with kernels between them."""
Tool = Callable[..., tuple[int, str, str]]


@pytest.fixture
def module() -> ReferenceTensorRt:
    return ReferenceTensorRt()


@pytest.fixture
def precision() -> str:
    """Of the graph; a test may ask for another."""
    return "fp32"


@pytest.fixture
def tool(
    module: ReferenceTensorRt,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
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
    network = build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 2, precision=precision)
    onnx.save(network, "network.onnx")
    with OnnxEngine(Path("network.onnx"), None) as engine:
        proof = answered(engine, proof_pairs(SIZE)).content()
    proof_path(Path("network.onnx")).write_bytes(proof)
    network.metadata_props.add(key=NOTE, value=hashlib.sha256(proof).hexdigest())
    onnx.save(network, "network.onnx")

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            ffs(words)
        captured = capsys.readouterr()
        assert FakeGpu.held == 0
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_plans_are_built_proven_and_told_of(module: ReferenceTensorRt, tool: Tool) -> None:
    """The proof is answered by the plans in their turns; the rebuild command asks for the same."""
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine")
    assert (code, error) == (0, "")
    assert "mean difference 0.0000 px" in out
    assert len(module.built) == len(PARTS)
    manifest, content = read_engine(Path("n.engine"))
    assert content == b"".join(module.built)
    assert [part["name"] for part in manifest.parts] == PARTS
    assert [part["name"] for part in manifest.parts if part["repeat"] == 2] == ["iteration"]
    assert "--one-plan" not in manifest.rebuild_command(Path("n.engine"))
    code, out, error = tool("inspect", "n.engine")
    assert code == 0
    assert "iteration 2 times (" in out


def kernels_of(path: str) -> list[str]:
    """In their order, as the manifest has them."""
    parts = read_engine(Path(path))[0].parts
    return [call["kernel"] for part in parts for when in ("before", "after") for call in part[when]]


@pytest.mark.parametrize("precision", ["fp16"])
def test_kernels_run_between_the_plans_of_a_graph_in_halves(module: ReferenceTensorRt, tool: Tool) -> None:
    """They are proven with it and told of; the option leaves them out, and the rebuild command repeats it."""
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine")
    assert (code, error) == (0, "")
    assert "building n.engine in fp16 with kernels of our own ..." in out
    assert "mean difference 0.00" in out
    assert kernels_of("n.engine")[-3:] == ["disparity_step", "join_leaky", "convex_upsampling"]
    parts = [PARTS[0], *DECODER, *PARTS[3:6], "context", *ITERATION, "upsampling.1", "upsampling.2"]
    assert [part["name"] for part in read_engine(Path("n.engine"))[0].parts] == parts
    code, out, error = tool("inspect", "n.engine")
    assert code == 0
    assert "channel_sums + instance_norm_add + decoder.4 (" in out
    assert "cost_volume + volume_convolution + volume_stem + volume_convolution_gated (" in out
    assert "gru_output + iteration.4 + wide_block + wide_block + disparity_step 2 times (" in out
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine", "--no-kernels")
    assert (code, error) == (0, "")
    assert "kernels of our own" not in out
    assert (kernels_of("n.engine"), len(module.built)) == ([], len(PARTS) + len(parts))
    assert "--no-kernels" in read_engine(Path("n.engine"))[0].rebuild_command(Path("n.engine"))


@pytest.mark.parametrize("precision", ["fp16"])
def test_without_kernels_where_they_fail(
    module: ReferenceTensorRt, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an old GPU; and where what they compute fails the proof, or they do not fit what was built."""
    monkeypatch.setattr(FakeGpu, "__init__", of_capability("7.5", FakeGpu.__init__))
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine")
    assert (code, error, kernels_of("n.engine")) == (0, "", [])
    assert "without kernels of our own: Fake GPU has compute capability 7.5, less than 8.0" in out
    monkeypatch.setattr(FakeGpu, "__init__", of_capability("9.0", FakeGpu.__init__))

    monkeypatch.setattr(FakeGpu, "kernel", lambda *given: lambda *arguments: None)
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine")
    assert (code, error, kernels_of("n.engine")) == (0, "", [])
    assert "in fp16 with kernels of our own the engine fails its proof" in out
    assert "fails its proof" in read_engine(Path("n.engine"))[0].why_precision

    monkeypatch.setattr(trt, "misfit", lambda steps: "too small" if any(step.part.calls for step in steps) else None)
    code, out, error = tool("build-engine", "network.onnx", "-o", "n.engine")
    assert (code, error, kernels_of("n.engine")) == (0, "", [])
    assert "do not fit together: too small" in out
    assert "--no-kernels builds without them" in out


def of_capability(capability: str, begin: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: FakeGpu, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self.compute_capability = capability

    return __init__


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
