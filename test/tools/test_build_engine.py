"""``ffs build-engine`` with a TensorRT of arrays: what is built, what is refused, and that nothing half-made stays."""

from __future__ import annotations

import _thread
import argparse
import hashlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeGpu, FakeTensorRt

from ffs_ros.cli import main as ffs
from ffs_ros.engine import trt_build
from ffs_ros.engine.manifest import read_engine, read_manifest
from ffs_ros.engine.onnxrt import OnnxEngine
from ffs_ros.engine.precision_pins import Held
from ffs_ros.engine.trt_versions import RTX, TENSORRT, TensorRt
from ffs_ros.errors import EngineError, ExportError
from ffs_ros.proof import NOTE, answered, proof_path
from ffs_ros.proof_pairs import proof_pairs
from ffs_ros.tools import build_engine, build_graph
from ffs_ros.tools.build_arguments import outputs_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZE = (32, 64)
Built = Callable[..., tuple[int, str, str]]


@pytest.fixture
def module() -> FakeTensorRt:
    """TensorRT 10, which can be weakly or strongly typed."""
    return FakeTensorRt()


@pytest.fixture
def built(
    module: FakeTensorRt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Built:
    """Runs the command in an empty folder where the fakes are installed; exit code, output, errors."""
    FakeGpu.held = 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "kept"))

    def gpu(index: int) -> FakeGpu:
        if module.gpu is False:
            raise EngineError("no NVIDIA GPU is usable here")
        module.gpu = FakeGpu()
        return module.gpu

    def runtime(name: str) -> TensorRt:
        return TensorRt(RTX if not module.can_time else TENSORRT, module)

    module.can_time = True
    monkeypatch.setattr(build_engine, "imported", runtime)
    monkeypatch.setattr(build_engine, "opened_gpu", gpu)

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            ffs(["build-engine", *map(str, words)])
        captured = capsys.readouterr()
        assert FakeGpu.held == 0
        return int(end.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def proven_onnx(tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A graph that brings a proof set, of the precision that its metadata names; its weights count as trained."""
    import onnx

    monkeypatch.setattr("ffs_ros.proof.Proof.passed", property(lambda self: not self.failures))

    def write(precision: str = "fp32", **metadata: str) -> Path:
        path = tiny_onnx(SIZE, precision=precision, height="32", width="64", iterations="8", **metadata)
        with OnnxEngine(path, None) as engine:
            content = answered(engine, proof_pairs(SIZE)).content()
        proof_path(path).write_bytes(content)
        model = onnx.load(path)
        model.metadata_props.add(key=NOTE, value=hashlib.sha256(content).hexdigest())
        onnx.save(model, path)
        return path

    return write


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def only_fp32_is_right(disparity: np.ndarray, precision: str) -> np.ndarray:
    return disparity * np.nan if precision == "fp16" else disparity


def test_an_fp16_graph_is_built_strongly_typed_and_proven(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """The graph says what is fp16: no flag. The manifest has what the engine is and how near it came."""
    source = proven_onnx("fp16", max_disparity="96", checkpoint_sha256="7aee")
    code, out, _ = built(source, "-o", "bp2.engine")
    assert code == 0, out
    manifest, _ = read_engine(tmp_path / "bp2.engine")
    assert (manifest.precision, manifest.strongly_typed, manifest.io) == ("fp16", True, "image")
    assert manifest.sizes == {"min": [1, 32, 64], "opt": [1, 32, 64], "max": [1, 32, 64]}
    assert (manifest.iterations, manifest.max_disparity, manifest.gpu) == (8, 96.0, "Fake GPU")
    assert manifest.weights == {"checkpoint_sha256": "7aee"}
    assert manifest.proof["figures"]["mean_px"] == 0.0
    assert (module.configs[0].flags, module.configs[0].workspace) == (set(), 4 * 2**30)
    assert f"bp2.engine: fp16, {manifest.engine_bytes / 1e6:.1f} MB" in out


def test_a_weakly_typed_runtime_obeys_pins(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt
) -> None:
    """TensorRT 8.6: the fp16 flag, constraints that are obeyed, and no TensorFloat-32 in the fp32 parts."""
    built(proven_onnx("fp32"), "-o", "bp2.engine", "--precision", "fp16")
    assert module.configs[0].flags == {"FP16", "OBEY_PRECISION_CONSTRAINTS"}
    assert module.configs[0].tactic_sources == 0b11


def test_layers_without_a_kernel_of_their_type_are_let_go(
    built: Built,
    proven_onnx: Callable[..., Path],
    module: FakeTensorRt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One more attempt with the fp32 places held alone; the output and the manifest say so."""
    free: list[int] = []
    layer = SimpleNamespace(name="Conv_7", num_outputs=1, reset_precision=lambda: None, reset_output_type=free.append)
    monkeypatch.setattr(trt_build, "pin", lambda trt, network, full_nodes: Held([layer] * 3, [layer] * 2, []))

    def works(config: Any) -> None:
        module.refuses = "" if free else "Error Code 10: Could not find any implementation for node gru/Conv_7"

    module.during_build = works
    code, out, err = built(proven_onnx("fp32"), "-o", "bp2.engine", "--precision", "fp16")
    assert code == 0
    assert "layers held to fp32: 3, to fp16: 0\n" in out
    warning = "2 layers that are fp16 in the graph have no kernel of that precision with their neighbours"
    assert err.startswith(f"  warning: {warning}")
    assert [one.split(":")[0] for one in read_manifest(tmp_path / "bp2.engine").warnings] == [warning]
    assert free == [0, 0]


def test_auto_falls_back_to_fp32_and_says_why(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """fp16 answers NaN here: the engine that is installed is fp32, and both output and manifest say why."""
    module.answer = only_fp32_is_right
    code, out, _ = built(proven_onnx("fp32"), "-o", "bp2.engine")
    assert code == 0
    manifest = read_manifest(tmp_path / "bp2.engine")
    assert manifest.precision == "fp32"
    assert manifest.why_precision.startswith("in fp16 the engine fails its proof: 32x64 in relief: it answers NaN")
    assert manifest.why_precision in out
    assert module.configs[1].flags == set()


@pytest.mark.parametrize("asked", ["auto", "fp16"])
def test_weights_that_cannot_be_exported_in_fp16(
    asked: str, built: Built, proven_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From a checkpoint whose fp16 graph fails already in the export, auto takes fp32 and says why; fp16 ends."""
    in_fp32 = proven_onnx("fp32")

    def exported(_checkpoint: Path, _out: Path, precision: str, *_: object) -> Path:
        if precision == "fp16":
            raise ExportError("the fp16 graph is too coarse")
        return in_fp32

    monkeypatch.setattr(build_graph, "_exported", exported)
    (tmp_path / "mine.safetensors").write_bytes(b"weights")
    code, out, err = built(tmp_path / "mine.safetensors", "-o", "mine.engine", "--precision", asked)
    if asked == "fp16":
        assert (code, err.count("\n")) == (2, 1)
        assert "the fp16 graph is too coarse" in err
        assert not (tmp_path / "mine.engine").exists()
        return
    assert code == 0, err
    manifest = read_manifest(tmp_path / "mine.engine")
    assert manifest.precision == "fp32"
    assert manifest.why_precision == "in fp16 the fp16 graph is too coarse"
    assert manifest.why_precision in out


def test_an_engine_that_fails_its_proof_is_not_installed(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """Asked for fp16 alone: which check failed and what to try; what was there stays."""
    source = proven_onnx("fp32")
    built(source, "-o", "bp2.engine")
    before = read_engine(tmp_path / "bp2.engine")
    module.answer = only_fp32_is_right
    code, _, err = built(source, "-o", "bp2.engine", "--precision", "fp16")
    assert code == 2
    assert "bp2.engine was not installed: in fp16 the engine fails its proof" in err
    assert "build it with --precision fp32" in err
    assert read_engine(tmp_path / "bp2.engine") == before


def test_a_little_off_is_too_much(built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt) -> None:
    """0.2 px in the mean, where 0.1 is allowed."""
    module.answer = lambda disparity, precision: disparity + 0.2
    code, _, err = built(proven_onnx("fp16"), "-o", "bp2.engine")
    assert code == 2
    assert "differs from the fp32 answers by 0.200 px in the mean, expected at most 0.1" in err
    assert "ffs export CHECKPOINT -o" in err
    assert "--precision fp32 --size 32x64 --iters 8" in err


def test_a_strongly_typed_runtime_wants_an_fp16_graph(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """TensorRT 11 and TensorRT-RTX: from an fp32 graph the command that exports the other; auto takes fp32."""
    module.BuilderFlag = FakeTensorRt(weak=False).BuilderFlag
    source = proven_onnx("fp32")
    command = "--precision fp16 --size 32x64 --iters 8"
    code, _, err = built(source, "-o", "bp2.engine", "--precision", "fp16")
    assert code == 2
    assert f"takes every value's type from the graph, and {source} is fp32; for fp16: ffs export CHECKPOINT -o" in err
    assert command in err
    assert files(tmp_path) == []
    assert built(source, "-o", "bp2.engine")[0] == 0
    manifest = read_manifest(tmp_path / "bp2.engine")
    assert manifest.precision == "fp32"
    assert command in manifest.why_precision


def test_two_precisions_that_contradict(built: Built, proven_onnx: Callable[..., Path], tmp_path: Path) -> None:
    """An fp16 graph has no fp32."""
    code, _, err = built(proven_onnx("fp16"), "-o", "bp2.engine", "--precision", "fp32")
    assert code == 2
    assert "computes in fp16; for fp32: ffs export CHECKPOINT -o" in err
    assert files(tmp_path) == []


def test_a_graph_without_a_proof_set_is_held_to_onnx_runtime(
    built: Built, tiny_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """TAO's graphs bring none; where ONNX Runtime is not installed only --unproven builds, and the manifest says so."""
    source = tiny_onnx(SIZE)
    code, out, _ = built(source, "-o", "bp2.engine")
    assert code == 0
    assert "ONNX Runtime makes one" in out
    assert read_manifest(tmp_path / "bp2.engine").proof["figures"]["mean_px"] == 0.0


def test_unproven_only_when_asked_for(
    built: Built, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a proof set and without ONNX Runtime."""
    monkeypatch.setattr(build_graph, "find_spec", lambda name: None)
    source = tiny_onnx(SIZE)
    code, _, err = built(source, "-o", "bp2.engine")
    assert code == 2
    assert "pip install onnxruntime; or build it with --unproven" in err
    assert files(tmp_path) == []
    assert built(source, "-o", "bp2.engine", "--unproven")[0] == 0
    assert read_manifest(tmp_path / "bp2.engine").proof == {"state": "unproven"}


def test_without_a_gpu_the_proof_is_owed(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """TensorRT-RTX ahead of time: the engine is for any GPU and brings its proof set; TensorRT itself wants a GPU."""
    module.gpu, module.can_time = False, False
    source = proven_onnx("fp16")
    code, out, _ = built(source, "-o", "bp2.engine")
    assert code == 0
    assert "the proof is owed" in out
    manifest = read_manifest(tmp_path / "bp2.engine")
    assert (manifest.gpu, manifest.proof["state"]) == (None, "owed")
    assert (tmp_path / "bp2.engine.proof.npz").is_file()
    module.can_time = True
    code, _, err = built(source, "-o", "other.engine")
    assert code == 2
    assert "builds on the GPU that is to run the engine: no NVIDIA GPU is usable here" in err
    assert "--runtime tensorrt_rtx builds without one" in err


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            "Error Code 10: could not find any implementation due to insufficient workspace",
            "give more with --workspace",
        ),
        ("Error Code 1: Cuda Runtime (out of memory)", "the GPU's memory is full: end other programs on it"),
        (
            "Error Code 2: misaligned address",
            "try --one-plan, another --optimization-level, --precision fp32 or another version",
        ),
    ],
)
def test_a_builder_that_gives_up(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path, said: str, remedy: str
) -> None:
    """What it said, what it means, and no file."""
    module.refuses = said
    code, _, err = built(proven_onnx("fp16"), "-o", "bp2.engine", "--workspace", "0.5", "--no-timing-cache")
    assert code == 2
    assert remedy in err
    assert f"it says: {said}" in err
    assert files(tmp_path) == []


def test_warnings_about_precision_are_shown(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """Each once, in the output and in the manifest; others are not."""
    module.says = ["No implementation of layer gru obeys the requested constraints"] * 2 + ["CUDA lazy loading is off"]
    _, _, err = built(proven_onnx("fp16"), "-o", "bp2.engine")
    assert err == "  warning: No implementation of layer gru obeys the requested constraints\n"
    assert read_manifest(tmp_path / "bp2.engine").warnings == [module.says[0]]


def test_an_interrupted_build_leaves_nothing(
    built: Built,
    proven_onnx: Callable[..., Path],
    module: FakeTensorRt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C while the builder works stops it at its next report; exit code 130, no file, nothing held."""
    stopped = []

    def works(config: Any) -> None:
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 10)
        for step in range(10):
            stopped.append(not monitor.step_complete("Building", step))
            if step == 4:
                _thread.interrupt_main()
                time.sleep(0.6)
        module.refuses = "Error Code 9: build cancelled"

    module.during_build = works
    code, _, _ = built(proven_onnx("fp16"), "-o", "bp2.engine", "--no-timing-cache")
    assert code == 130
    assert stopped == [False] * 5 + [True] * 5
    assert files(tmp_path) == []


def test_sigterm_leaves_nothing_either(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """Also no temporary folder; and the signal means afterwards what it meant before."""

    def works(config: Any) -> None:
        config.progress_monitor.phase_start("build", None, 2)
        config.progress_monitor.step_complete("build", 0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.6)

    def passed_over(number: int, frame: object) -> None:
        pass

    module.during_build = works
    before = signal.signal(signal.SIGTERM, passed_over)
    try:
        code, _, _ = built(proven_onnx("fp16"), "-o", "bp2.engine", "--no-timing-cache")
        assert signal.getsignal(signal.SIGTERM) is passed_over
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 130
    assert files(tmp_path) == []


def test_the_rebuild_command_builds_the_same(built: Built, proven_onnx: Callable[..., Path], tmp_path: Path) -> None:
    """What the manifest names is what was asked for, from any folder, for any shell."""
    source = proven_onnx("fp32")
    words = [
        "--precision",
        "fp16",
        "--workspace",
        "2.5",
        "--optimization-level",
        "1",
        "--no-timing-cache",
        "--unproven",
    ]
    built(source, "-o", "bp2.engine", *words)
    first = read_manifest(tmp_path / "bp2.engine")
    command = shlex.split(first.rebuild_command(tmp_path / "again.engine"))
    assert command == ["ffs", "build-engine", str(source.resolve()), *words, "-o", str(tmp_path / "again.engine")]
    built(*command[2:])
    again = json.loads((tmp_path / "again.engine.json").read_text())
    differing = {key for key, value in vars(first).items() if again[key] != value}
    assert differing <= {"command", "built_at", "build_s"}


def test_timing_caches_are_shared(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """What one build measured the next one knows; with --no-timing-cache nothing is read or kept."""
    source = proven_onnx("fp16")
    module.during_build = lambda config: config.cache.lines.add(b"conv")
    built(source, "-o", "a.engine", "--no-timing-cache")
    assert not (tmp_path / "kept").exists()
    built(source, "-o", "a.engine")
    known = []
    module.during_build = lambda config: known.extend(config.cache.lines)
    built(source, "-o", "b.engine")
    assert known == [b"conv"]
    assert files(tmp_path / "kept") == ["timing/tensorrt_10.3.0_Fake_GPU.cache"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "bp2.trt"], "expected a name that ends in .engine"),
        (["-o", "none/bp2.engine"], "the folder none of the output does not exist"),
        (["-o", "a.engine", "--max", "64x128"], "needs both --min and --max"),
        (["-o", "a.engine", "--min", "32x40", "--max", "64x128"], "multiples of 32"),
        (["-o", "a.engine", "--min", "96x96", "--max", "64x128"], "expected no axis that falls"),
        (["-o", "a.engine", "--min", "32x32", "--max", "64x128"], "has one size, 32x64: leave --min"),
        (["-o", "a.engine", "--iters", "4;8"], "expected numbers, such as --iters 4,8"),
        (["-o", "a.engine", "--iters", "4"], "has 8 iterations and --iters asks for 4"),
        (["-o", "a.engine", "--iters", "8,4"], "has 8 iterations and --iters asks for 8,4"),
        (["-o", "/proc/a.engine"], "cannot write into /proc: "),
        *(
            (["-o", "a.engine", "--workspace", text], f"'{text}': expected GiB above 0, at most 1024")
            for text in ("0", "-1", "nan", "inf", "1e9", "four")
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    built: Built, proven_onnx: Callable[..., Path], tmp_path: Path, words: list[str], sentence: str
) -> None:
    """Before anything is built; no file appears."""
    code, _, err = built(proven_onnx("fp16"), *words)
    assert code == 2
    assert sentence in err
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        ([], None),
        (["--min", "32x32", "--max", "64x128"], [[1, 32, 32], [1, 64, 128], [1, 64, 128]]),
        (["--min", "32x32", "--opt", "32x64", "--max", "64x128"], [[1, 32, 32], [1, 32, 64], [1, 64, 128]]),
        (["--min", "32x32", "--max", "4x64x128"], None),
    ],
)
def test_open_axes_get_a_range(
    built: Built, tiny_onnx: Callable[..., Path], tmp_path: Path, words: list[str], sizes: list[list[int]] | None
) -> None:
    """A range is needed, and only for what is open."""
    code, _, err = built(tiny_onnx(), "-o", "a.engine", "--unproven", *words)
    if sizes is None:
        assert code == 2
        wanted = (
            "takes 1x-1x-1 (pairs, rows, columns; -1 is open), and the range asks for 4x64x128" if words else "--min"
        )
        assert wanted in err
    else:
        assert list(read_manifest(tmp_path / "a.engine").sizes.values()) == sizes


def test_an_open_batch_alone_is_one_pair(built: Built, tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    """As in TAO's graphs by default, whose rows and columns are known; more pairs are had by asking."""
    model = onnx.load(tiny_onnx(SIZE, io="tensor"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch_size"
    path = tmp_path / "open_batch.onnx"
    onnx.save(model, path)
    assert built(path, "-o", "a.engine", "--unproven")[0] == 0
    assert list(read_manifest(tmp_path / "a.engine").sizes.values()) == [[1, *SIZE]] * 3
    rows, columns = SIZE
    bounds = ["--min", f"{rows}x{columns}", "--max", f"4x{rows}x{columns}"]
    assert built(path, "-o", "b.engine", "--unproven", *bounds)[0] == 0
    assert list(read_manifest(tmp_path / "b.engine").sizes.values()) == [[1, *SIZE], [4, *SIZE], [4, *SIZE]]


def test_the_range_that_a_graph_was_exported_for_is_its_engines(
    built: Built, tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """``ffs export --dynamic-size`` notes it."""
    assert built(tiny_onnx(sizes="32x32 32x64 64x64"), "-o", "a.engine", "--unproven")[0] == 0
    assert list(read_manifest(tmp_path / "a.engine").sizes.values()) == [[1, 32, 32], [1, 32, 64], [1, 64, 64]]


def test_several_iterations_are_several_engines(tmp_path: Path) -> None:
    """One keeps the name that was given."""
    args = argparse.Namespace(out=tmp_path / "bp2.engine", iters="4,8")
    assert outputs_of(args) == {4: tmp_path / "bp2_4iters.engine", 8: tmp_path / "bp2_8iters.engine"}
    args.iters = "4"
    assert outputs_of(args) == {4: tmp_path / "bp2.engine"}


def test_a_graph_that_does_not_say_its_iterations_is_no_engine_of_several(
    built: Built, tiny_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    """TAO's: two engines of the same graph would have names that say otherwise."""
    code, _, err = built(tiny_onnx(SIZE), "-o", "a.engine", "--iters", "4,8", "--unproven")
    assert code == 2
    assert "has an unknown number of iterations and --iters asks for 4,8" in err
    assert files(tmp_path) == []


def test_a_folder_in_the_place_of_the_engine(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """Found before minutes were spent, also where the name is made."""
    (tmp_path / "a_4iters.engine").mkdir()
    assert (
        "a_4iters.engine exists and is not a regular file"
        in built(proven_onnx(), "-o", "a.engine", "--iters", "8,4")[2]
    )
    assert module.configs == []


def test_a_source_that_is_replaced_while_it_is_built(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """The manifest has the hash of what the engine was made of."""
    source = proven_onnx("fp16")
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    module.during_build = lambda config: source.write_bytes(b"another export")
    assert built(source, "-o", "a.engine")[0] == 0
    assert read_manifest(tmp_path / "a.engine").source_sha256 == before


def test_a_timing_cache_that_cannot_be_kept_costs_no_engine(
    built: Built, proven_onnx: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder cannot be made: the next build measures again, and this one is installed."""
    (tmp_path / "kept").touch()
    assert built(proven_onnx("fp16"), "-o", "a.engine")[0] == 0
    assert read_manifest(tmp_path / "a.engine").proof["state"] != "unproven"
    assert "the timing cache was not kept, so the next build measures every kernel again: " in caplog.text


@pytest.mark.parametrize(
    ("notes", "found"),
    [
        ({"iterations": "eight"}, "iterations = 'eight', expected a number from 1"),
        ({"iterations": "0"}, "iterations = '0'"),
        ({"max_disparity": "nan"}, "max_disparity = 'nan', expected pixels, above 0"),
        ({"max_disparity": "-192"}, "max_disparity = '-192'"),
    ],
)
def test_metadata_that_makes_no_sense(
    built: Built, tiny_onnx: Callable[..., Path], tmp_path: Path, notes: dict[str, str], found: str
) -> None:
    """Before the build: its manifest could not be read again."""
    code, _, err = built(tiny_onnx(SIZE, **notes), "-o", "a.engine", "--unproven")
    assert code == 2
    assert f"its metadata says ffs_ros.{found}" in err
    assert files(tmp_path) == []


def test_a_graph_that_answers_nan_itself_proves_nothing(
    built: Built, tiny_onnx: Callable[..., Path], module: FakeTensorRt
) -> None:
    """Its engine would owe a proof that none can pass."""
    import onnx

    source = tiny_onnx(SIZE)
    model = onnx.load(source)
    next(one for one in model.graph.initializer if one.name == "scale").float_data[:] = [float("nan")]
    onnx.save(model, source)
    code, _, err = built(source, "-o", "a.engine")
    assert code == 2
    assert "itself answers NaN or infinity: its weights are damaged" in err
    assert module.configs == []


def test_a_gpu_that_was_asked_for_by_number_is_not_done_without(
    built: Built, proven_onnx: Callable[..., Path], module: FakeTensorRt, tmp_path: Path
) -> None:
    """TensorRT-RTX would build ahead of time, and owe the proof, as if there were no GPU at all."""
    module.gpu, module.can_time = False, False
    code, _, err = built(proven_onnx("fp16"), "-o", "a.engine", "--gpu-index", "5")
    assert code == 2
    assert "no NVIDIA GPU is usable here" in err
    assert files(tmp_path) == []


def test_a_missing_source_and_a_broken_one(built: Built, tmp_path: Path) -> None:
    """No such file; a file that the parser refuses."""
    assert "there is no file none.onnx" in built("none.onnx", "-o", "a.engine")[2]
    (tmp_path / "empty.onnx").touch()
    assert "cannot read empty.onnx (no ModelProto)" in built("empty.onnx", "-o", "a.engine", "--unproven")[2]


def test_a_proof_set_makes_torch_and_onnx_runtime_needless(
    built: Built, proven_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is built on a robot has neither."""
    source = proven_onnx("fp16")
    for name in ("torch", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    assert built(source, "-o", "a.engine")[0] == 0
