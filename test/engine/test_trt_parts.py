"""An engine of several plans: built from a graph's parts, run in turns, with the answer of the whole graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeGpu, fake_manifest
from reference_tensorrt import ReferenceTensorRt

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.engine import EngineInfo  # noqa: E402
from ffs_ros.engine.manifest import install, manifest_path, read_engine  # noqa: E402
from ffs_ros.engine.parts import Part, as_notes, contents  # noqa: E402
from ffs_ros.engine.trt import TrtEngine  # noqa: E402
from ffs_ros.engine.trt_build import Built, Refused, Settings, Source, build  # noqa: E402
from ffs_ros.engine.trt_versions import TensorRt  # noqa: E402
from ffs_ros.errors import EngineError  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.graph.parts import parts_of  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

SIZE = (64, 96)
INFO = EngineInfo("parts.engine", "reference", 192.0, 32)
SETTINGS = Settings("fp32", False, 1.0, 3, None)


@pytest.fixture(scope="module", params=[1, 3], ids=lambda iterations: f"{iterations} iterations")
def network(request: pytest.FixtureRequest) -> Any:
    return build_model(open_checkpoint(WEIGHTS).tensors, SIZE, request.param)


@pytest.fixture
def module() -> ReferenceTensorRt:
    FakeGpu.held = 0
    return ReferenceTensorRt()


def built(module: ReferenceTensorRt, network: Any, tmp_path: Path, shares: list[float] | None = None) -> Built:
    def report(share: float) -> bool:
        if shares is not None:
            shares.append(share)
        return True

    sources = [Source(*part) for part in parts_of(network) or []]
    module.gpu = FakeGpu()
    return build(TensorRt("tensorrt", module), None, tmp_path / "m.onnx", sources, SETTINGS, report)


def pair(seed: int) -> dict[str, np.ndarray]:
    texture = np.random.default_rng(seed).integers(0, 256, (1, SIZE[0], SIZE[1] + 8, 3), dtype=np.uint8)
    return {"left": texture[:, :, :-8], "right": texture[:, :, 8:]}


@pytest.mark.parametrize("records", [True, False])
def test_it_answers_as_the_whole_graph(
    module: ReferenceTensorRt, network: Any, tmp_path: Path, records: bool
) -> None:  # fmt: skip
    """Also the second time, when the buffers hold what the first left; the runs never read what they write."""
    whole = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    one = built(module, network, tmp_path)
    module.gpu = FakeGpu(records=records)
    with TrtEngine(TensorRt("tensorrt", module), module.gpu, one.plan, INFO, one.parts) as engine:
        assert list(engine.inputs) == ["left", "right"]
        assert list(engine.outputs) == ["disparity"]
        for seed in (1, 2):
            answer = engine.infer(pair(seed))["disparity"]
            assert answer.mean() > 1
            np.testing.assert_allclose(answer, whole.run(["disparity"], pair(seed))[0], atol=1e-3)
        runs = sum(part.repeat for part in one.parts)
        assert engine.stages_ms(pair(3))["inference"] == runs * module.run_ms
    assert FakeGpu.held == 0


def test_every_part_is_built_once(module: ReferenceTensorRt, network: Any, tmp_path: Path) -> None:
    """The file is the plans one behind the other; the progress of all is one that only rises."""
    shares: list[float] = []
    one = built(module, network, tmp_path, shares)
    assert [part.name for part in one.parts] == [part.name for part in parts_of(network) or []]
    assert list(contents(one.plan, one.parts)) == module.built
    assert one.sizes == {bound: [1, *SIZE] for bound in ("min", "opt", "max")}
    assert one.io == "image"
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert len(shares) >= 8


def test_a_build_that_is_to_end_ends_between_parts(module: ReferenceTensorRt, network: Any, tmp_path: Path) -> None:
    """Where the runtime lets no part be stopped in its middle."""
    sources = [Source(*part) for part in parts_of(network) or []]
    with pytest.raises(Refused, match="the build was stopped"):
        build(TensorRt("tensorrt", module), None, tmp_path / "m.onnx", sources, SETTINGS, lambda share: share < 0.2)
    assert 0 < len(module.built) < len(sources)


def test_the_manifest_knows_the_parts(module: ReferenceTensorRt, network: Any, tmp_path: Path) -> None:
    """Written and read; parts that do not make up the file are refused with the command that builds it again."""
    one = built(module, network, tmp_path)
    path = tmp_path / "one.engine"
    repeat = max(part.repeat for part in one.parts)
    install(path, one.plan, fake_manifest(one.plan, parts=as_notes(one.parts), iterations=repeat))
    assert [Part(**part) for part in read_engine(path)[0].parts] == one.parts
    manifest_path(path).write_text(manifest_path(path).read_text().replace('"nbytes": 1', '"nbytes": 2'))
    with pytest.raises(EngineError, match="the parts do not make up the engine; build the engine again"):
        read_engine(path)


def test_one_plan_has_no_parts() -> None:
    """Its content is the file."""
    assert list(contents(b"plan", [])) == [b"plan"]
    assert list(contents(b"plan", [Part("a", 1, 1, {}), Part("b", 3, 2, {})])) == [b"p", b"lan"]
