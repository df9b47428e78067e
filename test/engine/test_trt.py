"""The TensorRT engine's own part, with a runtime and a GPU of arrays: buffers, shapes, recording, failures, proofs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from fake_tensorrt import FakeGpu, FakeTensorRt, fake_manifest, fake_plan

from ffs_ros.engine import EngineInfo, Staged, open_engine, trt
from ffs_ros.engine.manifest import OWED, PASSED, install, owed_proof_path, read_manifest
from ffs_ros.engine.trt import TrtEngine
from ffs_ros.engine.trt_versions import TensorRt
from ffs_ros.errors import EngineError, GpuError
from ffs_ros.proof import answered, prove
from ffs_ros.proof_pairs import proof_pairs

INFO = EngineInfo("fake.engine", "fake", 192.0, 32)


@pytest.fixture
def module() -> FakeTensorRt:
    return FakeTensorRt()


@pytest.fixture(autouse=True)
def _nothing_stays() -> None:
    FakeGpu.held = 0


def opened(module: FakeTensorRt, plan: bytes, gpu: FakeGpu | None = None) -> TrtEngine:
    module.gpu = gpu or FakeGpu()
    return TrtEngine(TensorRt("tensorrt", module), module.gpu, plan, INFO)


def pair(rows: int, columns: int, seed: int = 1) -> dict[str, np.ndarray]:
    left, right = np.random.default_rng(seed).integers(0, 256, (2, 1, rows, columns, 3), dtype=np.uint8)
    return {"left": left, "right": right}


def test_answers_are_the_engines_and_the_callers_own(module: FakeTensorRt) -> None:
    """Names, shapes and types come from the engine; each answer is a copy."""
    with opened(module, fake_plan()) as engine:
        assert engine.inputs["left"] == ((1, 32, 64, 3), np.dtype(np.uint8))
        assert engine.outputs == {"disparity": ((1, 1, 32, 64), np.dtype(np.float32))}
        first, second = pair(32, 64, 1), pair(32, 64, 2)
        answers = [engine.infer(feeds)["disparity"] for feeds in (first, second)]
    for feeds, answer in zip((first, second), answers, strict=True):
        np.testing.assert_array_equal(answer[0, 0], feeds["left"][0, ..., 0] * np.float32(0.25))


def test_frames_replay_one_recording_and_allocate_nothing(module: FakeTensorRt) -> None:
    """Ready when opened: run once and recorded; after that each pair is one launch."""
    with opened(module, fake_plan()) as engine:
        assert module.gpu is not None
        allocations, uploads = module.gpu.allocations, module.gpu.uploads
        assert uploads == 4  # two images: once to warm up, once while recording
        for seed in range(5):
            engine.infer(pair(32, 64, seed))
        assert (module.gpu.allocations, module.gpu.uploads, module.gpu.launches) == (allocations, uploads, 5)


def test_what_cannot_be_recorded_is_enqueued(module: FakeTensorRt) -> None:
    """The answer is the same without a CUDA graph."""
    with opened(module, fake_plan(), FakeGpu(records=False)) as engine:
        feeds = pair(32, 64)
        np.testing.assert_array_equal(engine.infer(feeds)["disparity"][0, 0], feeds["left"][0, ..., 0] / np.float32(4))
        assert module.gpu is not None
        assert module.gpu.launches == 0


@pytest.mark.parametrize("records", [True, False])
def test_stages_are_timed_on_the_stream(module: FakeTensorRt, records: bool) -> None:
    """Two copies of 1 ms, a run of 10 ms, a copy of 3 ms, on the recording of their own or enqueued; then as before."""
    with opened(module, fake_plan(), FakeGpu(records=records)) as engine:
        assert isinstance(engine, Staged)
        assert engine.stages_ms(pair(32, 64, 1)) == {"copy-in": 2.0, "inference": 10.0, "copy-out": 3.0}
        assert module.gpu is not None
        uploads = module.gpu.uploads
        module.run_ms = 20.0
        assert engine.stages_ms(pair(32, 64, 2))["inference"] == (10.0 if records else 20.0)
        assert module.gpu.uploads == (uploads if records else uploads + 2)
        feeds = pair(32, 64, 3)
        np.testing.assert_array_equal(engine.infer(feeds)["disparity"][0, 0], feeds["left"][0, ..., 0] / np.float32(4))
    assert FakeGpu.held == 0


def test_stages_of_another_size(module: FakeTensorRt) -> None:
    """The recording with the clock is made anew too; sizes outside the range are refused as in a run."""
    with opened(module, fake_plan(None)) as engine:
        for rows, columns in ((32, 64), (64, 128)):
            feeds = pair(rows, columns)
            assert list(engine.stages_ms(feeds).values()) == [2.0, 10.0, 3.0]
            np.testing.assert_array_equal(engine._host["left"], feeds["left"])
        with pytest.raises(EngineError, match="--min and --max"):
            engine.stages_ms(pair(96, 64))
    assert FakeGpu.held == 0


def test_closing_frees_everything_and_twice_is_fine(module: FakeTensorRt) -> None:
    """Buffers, pinned memory and the recording; running afterwards says so."""
    engine = opened(module, fake_plan())
    assert FakeGpu.held == 8  # three tensors twice, what lives during a run, and the recording
    engine.close()
    engine.close()
    assert FakeGpu.held == 0
    with pytest.raises(EngineError, match=r"'fake\.engine' is closed"):
        engine.infer(pair(32, 64))


def test_two_engines_in_one_process(module: FakeTensorRt) -> None:
    """Closing one leaves the other as it was."""
    first = opened(module, fake_plan())
    gpu = module.gpu
    second = opened(module, fake_plan())
    second.close()
    module.gpu = gpu
    feeds = pair(32, 64)
    assert first.infer(feeds)["disparity"][0, 0, 0, 0] == feeds["left"][0, 0, 0, 0] / 4
    first.close()
    assert FakeGpu.held == 0


def test_open_sizes_are_prepared_when_they_change(module: FakeTensorRt) -> None:
    """Within the range every multiple of 32; the recording is made anew, the buffers are not."""
    with opened(module, fake_plan(None)) as engine:
        assert module.gpu is not None
        assert engine.inputs["left"].shape == (1, None, None, 3)
        allocations = module.gpu.allocations
        for rows, columns in ((32, 64), (64, 128), (32, 64), (32, 64)):
            feeds = pair(rows, columns)
            answer = engine.infer(feeds)["disparity"]
            np.testing.assert_array_equal(answer[0, 0], feeds["left"][0, ..., 0] * np.float32(0.25))
        assert module.gpu.allocations == allocations
        assert FakeGpu.held == 8
        assert module.gpu.uploads == 3 * 4


@pytest.mark.parametrize(("rows", "columns"), [(96, 64), (32, 160), (32, 48)])
def test_sizes_outside_the_range_never_reach_the_runtime(module: FakeTensorRt, rows: int, columns: int) -> None:
    """Too large, or no multiple of 32: a sentence, and the engine goes on."""
    with opened(module, fake_plan(None)) as engine:
        with pytest.raises(EngineError, match=rf"given 'left' uint8 \[1,{rows},{columns},3\].* --min and --max"):
            engine.infer(pair(rows, columns))
        engine.infer(pair(32, 32))


def test_wrong_feeds_are_named(module: FakeTensorRt) -> None:
    """As for every engine."""
    with (
        opened(module, fake_plan()) as engine,
        pytest.raises(EngineError, match=r"'left' uint8 \[1,32,32,3\]; expected 'left' uint8 \[1,32,64,3\]"),
    ):
        engine.infer(pair(32, 32))


@pytest.mark.parametrize(
    ("free", "context_bytes", "contexts", "needed_MB"),
    [(10**6, 5_000_000, 1, "5"), (20_000, 1000, 1, "0"), (10**6, 1000, 0, "0")],
    ids=["what lives during a run", "a tensor", "the runtime's own"],
)
def test_out_of_memory_says_how_much_was_needed_and_free(
    module: FakeTensorRt, free: int, context_bytes: int, contexts: int, needed_MB: str
) -> None:
    """Whether the runtime or a buffer runs short; nothing stays held."""
    module.context_bytes, module.contexts_left = context_bytes, contexts
    sentence = rf"needs {needed_MB} MB of GPU memory and {free // 10**6} MB were free on Fake GPU: end other programs"
    with pytest.raises(GpuError, match=sentence):
        opened(module, fake_plan(), FakeGpu(free=free))
    assert FakeGpu.held == 0
    assert module.gpu is not None
    assert module.gpu.closed


def test_a_plan_that_the_runtime_refuses(module: FakeTensorRt) -> None:
    """Its own words, and what to do; nothing stays held."""
    module.loads = False
    with pytest.raises(EngineError, match=r"cannot be loaded: TensorRT 10\.3\.0 says: Serialization assertion"):
        opened(module, fake_plan())
    assert FakeGpu.held == 0


# Opening by name


@pytest.fixture
def here(module: FakeTensorRt, monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    """This machine has the fake runtime and the fake GPU."""

    def gpu(index: int) -> FakeGpu:
        module.gpu = FakeGpu()
        return module.gpu

    monkeypatch.setattr(trt, "imported", lambda runtime: TensorRt(runtime, module))
    monkeypatch.setattr(trt, "opened_gpu", gpu)
    return module


def test_a_built_engine_opens(here: FakeTensorRt, tmp_path: Path) -> None:
    """The info is the manifest's."""
    path = tmp_path / "bp2.engine"
    install(path, fake_plan(), fake_manifest(fake_plan(), weights={"weights": "ffs-synthetic"}))
    with open_engine(path) as engine:
        assert engine.info.runtime == "TensorRT 10.3.0 fp16 (Fake GPU, GPU 0)"
        assert engine.info.max_disparity == 192.0
        assert engine.info.device == "Fake GPU"
        assert engine.info.dense
        assert "trained on rendered scenes" in engine.info.note
        assert engine.infer(pair(32, 64))["disparity"].shape == (1, 1, 32, 64)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"gpu": "Other GPU"},
            r"was built for Other GPU \(compute capability 9\.0\) and this GPU is Fake GPU ",
        ),
        (
            {"compute_capability": "8.7"},
            r"\(compute capability 8\.7\) and this GPU is Fake GPU .*; build it here",
        ),
        ({"runtime_version": "8.6.1"}, r"was built by tensorrt 8\.6\.1 and 10\.3\.0 is installed here; build it again"),
    ],
)
def test_an_engine_of_elsewhere_gives_the_command_that_builds_it_here(
    here: FakeTensorRt, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    """The command is quoted, with the path that was opened."""
    path = tmp_path / "my engine.engine"
    install(path, fake_plan(), fake_manifest(fake_plan(), **changes))
    command = f": ffs build-engine '/models/my model.onnx' --precision fp16 -o '{path}'"
    with pytest.raises(EngineError, match=sentence) as error:
        open_engine(path)
    assert str(error.value).endswith(command)
    assert here.gpu is None or here.gpu.closed


def test_no_gpu_asked_for(here: FakeTensorRt, tmp_path: Path) -> None:
    """gpu_index None keeps to the CPU, where no such engine runs."""
    path = tmp_path / "bp2.engine"
    install(path, fake_plan(), fake_manifest(fake_plan()))
    with pytest.raises(EngineError, match="runs on a GPU only"):
        open_engine(path, gpu_index=None)


def test_what_is_missing_to_run_it_is_not_missing_to_run_another(
    here: FakeTensorRt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the runtime nor the GPU; the kind of error stays, since a GPU may come back."""
    path = tmp_path / "bp2.engine"
    install(path, fake_plan(), fake_manifest(fake_plan()))
    for name, error in (("opened_gpu", GpuError("no GPU")), ("imported", EngineError("no TensorRT"))):
        monkeypatch.setattr(trt, name, Mock(side_effect=error))
        with pytest.raises(type(error), match=f"^{error}; or use the engine that needs none: engine:=sgbm"):
            open_engine(path)


def owing(here: FakeTensorRt, path: Path) -> None:
    """An engine that was built without a GPU, and the proof set that it is held to."""
    with opened(here, fake_plan()) as engine:
        content = answered(engine, proof_pairs((32, 64))).content()
    proof = {"state": OWED, "file_sha256": hashlib.sha256(content).hexdigest()}
    install(path, fake_plan(), fake_manifest(fake_plan(), gpu=None, compute_capability=None, proof=proof), content)


def test_an_owed_proof_is_made_once(here: FakeTensorRt, tmp_path: Path) -> None:
    """At the first opening; then the manifest says so and the proof set is gone."""
    path = tmp_path / "ahead.engine"
    owing(here, path)
    open_engine(path).close()
    proof = read_manifest(path).proof
    assert proof["state"] in (PASSED, "reported only")
    assert proof["figures"]["mean_px"] == 0.0
    assert not owed_proof_path(path).exists()
    open_engine(path).close()


def test_an_owed_proof_that_fails_keeps_the_engine_shut(
    here: FakeTensorRt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the failed check and the command; nothing stays held."""
    path = tmp_path / "ahead.engine"
    owing(here, path)
    here.answer = lambda disparity, precision: disparity * np.nan
    monkeypatch.setattr("ffs_ros.proof.Proof.passed", False)
    with pytest.raises(EngineError, match=r"fails its proof: .*NaN or infinity.*: ffs build-engine "):
        open_engine(path)
    assert read_manifest(path).proof["state"] == OWED
    assert FakeGpu.held == 0


def test_an_owed_proof_without_its_file(here: FakeTensorRt, tmp_path: Path) -> None:
    """The proof set has to travel with the engine."""
    path = tmp_path / "ahead.engine"
    owing(here, path)
    owed_proof_path(path).unlink()
    with pytest.raises(Exception, match=r"cannot read .*ahead\.engine\.proof\.npz, the proof set of ahead\.engine"):
        open_engine(path)
    assert FakeGpu.held == 0


def test_two_images_of_two_sizes(module: FakeTensorRt) -> None:
    """Each within the range: one of them would be read past its end, or not to it."""
    with opened(module, fake_plan(None)) as engine:
        feeds = {"left": pair(32, 64)["left"], "right": pair(64, 64)["right"]}
        with pytest.raises(EngineError, match=r"'right' uint8 \[1,64,64,3\]; expected images of one size"):
            engine.infer(feeds)


def test_an_engine_for_several_pairs_at_the_least_is_proven(module: FakeTensorRt) -> None:
    """With as many as it must have; each pair's answer is compared once."""
    plan = json.loads(fake_plan(None))
    for shapes in plan["profile"].values():
        shapes[0][0], shapes[1][0], shapes[2][0] = 2, 3, 4
    for shape in plan["inputs"].values():
        shape[0] = -1
    with opened(module, fake_plan(None)) as one:
        proof_set = answered(one, proof_pairs((32, 64)))
    with opened(module, json.dumps(plan).encode()) as several:
        assert several.inputs["left"].shape == (None, None, None, 3)
        assert prove(several, proof_set, 2).figures["mean_px"] == 0.0
        assert several._host["left"].shape == (2, 32, 64, 3)
        with pytest.raises(EngineError, match="it was built for"):
            prove(several, proof_set)
