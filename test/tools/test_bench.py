"""``ffs bench``: what is timed, in which order, what the figures are, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_cuda_driver import FakeDriver
from fake_tensorrt import FakeGpu, FakeTensorRt, fake_manifest, fake_plan

from ffs_ros.cli import main as ffs
from ffs_ros.engine import open_engine, trt
from ffs_ros.engine.manifest import install
from ffs_ros.engine.sgbm import SgbmEngine
from ffs_ros.engine.trt_versions import TensorRt
from ffs_ros.image_file import write_png
from ffs_ros.tools import bench, gpu_readings
from ffs_ros.tools.bench_facts import Facts, facts_of, floor_notes
from ffs_ros.tools.bench_runs import Latency, Runner, ratios, take_turns
from ffs_ros.tools.bench_table import table

SHORT = ("--frames", 2, "--warm-up", 0, "--threads", 1)
Benched = Callable[..., dict[str, Any]]


# Runs


def test_latency_of_known_times() -> None:
    """1 to 100 ms: the percentiles between neighbours, and pairs/s of the mean."""
    found = Latency.of([float(ms) for ms in range(100, 0, -1)])
    assert found == (100, 50.5, pytest.approx(95.05), pytest.approx(99.01), pytest.approx(1e3 / 50.5))


@pytest.mark.parametrize(("runs", "told"), [(1, 0), (19, 0), (20, 1), (99, 1), (100, 2)])
def test_a_tail_needs_runs_in_it(runs: int, told: int) -> None:
    """p95 of fewer than 20 runs and p99 of fewer than 100 would be the slowest run by another name."""
    found = Latency.of([2.0] * runs)
    assert (found.p50_ms, found.pairs_per_s) == (2.0, 500.0)
    assert [found.p95_ms, found.p99_ms] == [2.0] * told + [None] * (2 - told)


def test_engines_run_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A B A B, each with its stages, until both the rounds are made and the time has passed."""
    ran: list[str] = []
    now_s = [0.0]
    monkeypatch.setattr("ffs_ros.tools.bench_runs.time.perf_counter", lambda: now_s[0])

    def run(name: str, takes_s: float) -> Callable[[], None]:
        def once() -> None:
            ran.append(name)
            now_s[0] += takes_s

        return once

    def stages() -> Mapping[str, float]:
        ran.append("A's stages")
        return {"copy-in": 2.0, "inference": 10.0, "copy-out": 3.0}

    first, second = Runner(run("A", 0.030), stages), Runner(run("B", 0.060))
    take_turns([first, second], rounds=3)
    assert ran == ["A's stages", "A", "B"] * 3
    ran.clear()
    take_turns([first, second], seconds=0.2)
    assert ran == ["A's stages", "A", "B"] * 3
    latencies = first.latencies(), second.latencies()
    assert {name: one.p50_ms for name, one in latencies[0].items()} == {
        "copy-in": 2.0, "inference": 10.0, "copy-out": 3.0, "total": pytest.approx(30.0),
    }  # fmt: skip
    assert latencies[0]["total"].runs == latencies[0]["inference"].runs == 6
    assert ratios(*latencies) == {"total": pytest.approx(0.5)}
    first.forget()
    assert first.latencies() == {}


# Floors


@pytest.mark.parametrize(
    ("facts", "gpu", "unknown"),
    [
        (Facts(False), None, "it is not the network"),
        (Facts(True, None), None, "the file does not say how many iterations"),
        (Facts(True, 8), None, "it runs on no GPU; give --peak TFLOP/s GB/s"),
        (Facts(True, 8), "NVIDIA X", "what NVIDIA X can do is not in the table; give --peak TFLOP/s GB/s"),
    ],
)
def test_an_unknown_floor_says_why(facts: Facts, gpu: str | None, unknown: str) -> None:
    """And what to do about it."""
    assert unknown in floor_notes(facts, (480, 640), None, gpu, {})["unknown"]


# The command


def code_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        ffs([str(argument) for argument in ("bench", *arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def benched(tmp_path: Path) -> Benched:
    """The JSON of ``ffs bench ARGUMENTS``, two frames each."""

    def run(*arguments: object) -> dict[str, Any]:
        out = tmp_path / "bench.json"
        assert code_of(*arguments, "-o", out, *SHORT) == 0
        record: dict[str, Any] = json.loads(out.read_text())
        assert record["ffs_ros_version"]
        return record

    return run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two images of noise, 40 rows and 70 columns."""
    paths = tmp_path / "left.png", tmp_path / "right.png"
    for seed, path in enumerate(paths):
        write_png(path, np.random.default_rng(seed).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    return paths


@pytest.mark.parametrize("io", ["image", "tensor"])
def test_engines_on_the_cpu(
    benched: Benched, tiny_onnx: Callable[..., Path], io: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The size is the one that an engine fixes; what was not measured is null, '-' in the table, or said."""
    record = benched(tiny_onnx(size=(64, 96), io=io, iterations="8", precision="fp32"), "--against", "sgbm")
    assert (record["pair"], record["matcher_included"], record["image_size"]) == ("generated", False, [64, 96])
    assert record["sensors"] == {"unknown": "no GPU is used"}
    network, sgbm = record["engines"]
    assert (network["engine"], network["io"], network["size"]) == ("tiny.onnx", io, [64, 96])
    assert (network["iterations"], network["precision"], network["gpu_MB"]) == (8, "fp32", None)
    assert network["floor"] == {"unknown": "it runs on no GPU; give --peak TFLOP/s GB/s"}
    assert sgbm["floor"] == {"unknown": "it is not the network"}
    for one in (network, sgbm):
        latency = one["latency"]
        assert list(latency) == ["copy-in", "inference", "copy-out", "total"]
        assert [latency[name] for name in ("copy-in", "inference", "copy-out")] == [None] * 3
        assert list(latency["total"]) == ["runs", "p50_ms", "p95_ms", "p99_ms", "pairs_per_s"]
        assert latency["total"]["runs"] == 2
        assert latency["total"]["p50_ms"] > 0.0
        assert isinstance(one["host_MB"], float)
    medians = [one["latency"]["total"]["p50_ms"] for one in (network, sgbm)]
    assert record["ratios_of_medians"] == [{"total": pytest.approx(medians[0] / medians[1])}]
    said = capsys.readouterr().out
    assert said == table(record) + "\n"
    assert "a generated pair of 64x96 (rows x columns): the engine's own time, without the matcher\n" in said
    assert len(re.findall(r"inference( +-){5}\n", said)) == 2
    assert re.search(r"tiny\.onnx / sgbm: total \d", said)


def test_the_floor_of_given_hardware(benched: Benched, tiny_onnx: Callable[..., Path]) -> None:
    """0.84 ms at 480x640 and 8 iterations with what an H200 can do, and the ratio of the median to it."""
    record = benched(tiny_onnx(iterations="8"), "--peak", 790, 4300)
    assert record["image_size"] == [480, 640]
    found = record["engines"][0]["floor"]
    assert found["ms"] == found["compute_ms"] == pytest.approx(0.84, abs=0.005)
    assert found["memory_ms"] == pytest.approx([0.33, 0.70], abs=0.006)
    total_ms = record["engines"][0]["latency"]["total"]["p50_ms"]
    assert found["ratios"] == {"total": pytest.approx(total_ms / found["ms"])}


def test_what_is_fed_is_the_generated_pair(
    benched: Benched, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the size that is asked for; one run to be ready, one to warm up, two that count."""
    seen: list[np.ndarray] = []
    infer = SgbmEngine.infer
    monkeypatch.setattr(SgbmEngine, "infer", lambda self, feeds: seen.append(feeds["left"]) or infer(self, feeds))
    benched("sgbm", "--against", tiny_onnx(), "--size", "64x128")
    assert [left.shape for left in seen] == [(1, 64, 128, 3)] * 4
    assert seen[0].std() > 30  # texture
    assert all(left is seen[0] for left in seen)


def test_the_usual_size_is_the_files(benched: Benched, tiny_onnx: Callable[..., Path]) -> None:
    """Where it notes a range."""
    path = tiny_onnx(sizes="32x64 64x160 128x320")
    assert facts_of(str(path)) == Facts(True, None, None, (64, 160))
    assert benched("sgbm", "--against", path)["image_size"] == [64, 160]


def test_a_pair_goes_through_the_matcher(
    benched: Benched, pair: tuple[Path, Path], tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each engine takes it in its own size; the table says what is included."""
    record = benched(tiny_onnx(size=(64, 96)), "--against", "sgbm", tiny_onnx(size=(32, 64)), "--pair", *pair)
    assert (record["matcher_included"], record["image_size"]) == (True, [40, 70])
    assert record["pair"] == [str(path) for path in pair]
    assert [one["size"] for one in record["engines"]] == [[64, 96], [40, 70], [32, 64]]
    assert "70x40: total includes the matcher, which fits images and disparity\n" in capsys.readouterr().out


def test_seconds_and_warm_up(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> None:
    """What warmed up does not count; all engines have as many runs."""
    out = tmp_path / "b.json"
    arguments = tiny_onnx(size=(32, 32)), "--against", "sgbm", "--seconds", 0.3, "--warm-up", 0.1, "-o", out
    assert code_of(*arguments) == 0
    record = json.loads(out.read_text())
    runs = {one["latency"]["total"]["runs"] for one in record["engines"]}
    assert len(runs) == 1
    assert runs.pop() >= 10
    assert record["warm_up_s"] == 0.1


# Engines that tell their stages


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    """This machine has the fake runtime and one H200."""
    module = FakeTensorRt()
    FakeGpu.held = 0

    def gpu(index: int) -> FakeGpu:
        module.gpu = FakeGpu(name="NVIDIA H200")
        return module.gpu

    monkeypatch.setattr(trt, "imported", lambda runtime: TensorRt(runtime, module))
    monkeypatch.setattr(trt, "opened_gpu", gpu)
    driver = FakeDriver(lambda: module.gpu.free if module.gpu else 10**9)
    monkeypatch.setattr(gpu_readings, "opened", lambda index: gpu_readings.Gpu(driver, index))
    monkeypatch.setenv("PATH", "")
    return module


def test_stages_memory_and_floor_on_a_gpu(
    benched: Benched, module: FakeTensorRt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stages are the GPU's, the memory what is gone from what was free, the floor the H200's by its name."""
    path = tmp_path / "bp2.engine"
    install(path, fake_plan(None), fake_manifest(fake_plan(None), gpu="NVIDIA H200", sizes={
        "min": [1, 32, 32], "opt": [1, 32, 64], "max": [1, 64, 128],
    }))  # fmt: skip
    record = benched(path, "--against", "sgbm")
    assert record["gpu"] == {"name": "NVIDIA H200", "multiprocessors": 132}
    assert record["image_size"] == [32, 64]
    assert record["sensors"]["unknown"].startswith("nvidia-smi does not run here")
    engine, sgbm = record["engines"]
    assert {name: one["p50_ms"] for name, one in engine["latency"].items() if name != "total"} == {
        "copy-in": 2.0, "inference": 10.0, "copy-out": 3.0,
    }  # fmt: skip
    assert engine["latency"]["inference"]["pairs_per_s"] == 100.0
    # Two images of 64x128 bytes x 3 and a disparity of 64x128 x 4, each twice: the fake counts pinned memory too. And
    # what lives during a run.
    assert engine["gpu_MB"] == engine["gpu_peak_MB"] == pytest.approx((2 * 64 * 128 * (2 * 3 + 4) + 1000) / 1e6)
    assert sgbm["gpu_MB"] is None
    assert (engine["iterations"], engine["floor"]["tflops"]) == (8, 790.0)
    assert engine["floor"]["ratios"]["inference"] == pytest.approx(10.0 / engine["floor"]["ms"])
    assert FakeGpu.held == 0
    said = capsys.readouterr().out
    assert re.search(r"copy-in +2\.000 +- +- +500\.0 +2\n", said)
    assert "inference is" in said
    assert "clocks and power: unknown: nvidia-smi does not run here" in said


def test_a_pair_of_another_size_on_a_gpu(
    benched: Benched, module: FakeTensorRt, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    """The stages are those of the pair as the matcher feeds it."""
    path = tmp_path / "bp2.engine"
    install(path, fake_plan(), fake_manifest(fake_plan(), gpu="NVIDIA H200"))
    engine = benched(path, "--pair", *pair)["engines"][0]
    assert engine["size"] == [32, 64]
    assert engine["latency"]["inference"]["p50_ms"] == 10.0


def test_what_the_table_says_of_readings() -> None:
    """Those that are told, with their limits."""
    figures = {
        name: {"least": 1, "median": value, "most": 9999}
        for name, value in (("sm_clock_MHz", 1500.0), ("most_sm_clock_MHz", 1980.0), ("power_W", 690.5))
    }
    record = {
        "engines": [], "ratios_of_medians": [], "image_size": [32, 32], "matcher_included": False,
        "sensors": {"readings": 20, **figures},
    }  # fmt: skip
    assert table(record).splitlines()[-1] == (
        "clocks and power: SM 1500 of 1980 MHz; memory not told; power 690.5 W; temperature not told (medians of 20 "
        "readings, all engines together)"
    )


# Bad input


def test_bad_input_is_one_sentence_and_no_output(
    tmp_path: Path, tiny_onnx: Callable[..., Path], pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; nothing is written, and nothing that was there is touched."""
    out = tmp_path / "bench.json"
    out.write_text("before")
    small, large, opened = tiny_onnx(size=(32, 64)), tiny_onnx(size=(64, 96)), tiny_onnx()
    write_png(tmp_path / "other.png", np.zeros((40, 71, 3), np.uint8))
    for arguments, sentence in (
        (("nothing",), "'nothing' is no engine that this version can open"),
        (("sgbm", "--against", "none.onnx"), "there is no engine file none.onnx"),
        (
            (opened, "--size", "64x100"),
            "the size is 64x100: 'tiny.onnx' takes rows and columns that are multiples of 32",
        ),
        (("sgbm", "--size", "16x64"), "--size is '16x64': expected rows x columns, each 32 to 9999"),
        (("sgbm", "--size", "big"), "--size is 'big': expected rows x columns"),
        ((small, "--size", "64x96"), "--size is 64x96 and 'tiny.onnx' takes 32x64; leave --size away"),
        ((small, "--against", large), "'tiny.onnx' takes 64x96 and another engine 32x64: expected one size"),
        ((small, "--pair", pair[0], tmp_path / "other.png"), "other.png is 71x40: expected the two rectified images"),
        ((small, "--pair", pair[0], "none.png"), "none.png: No such file"),
        ((tiny_onnx(output="disp"),), "gives 'disp' float32"),
    ):
        assert code_of(*arguments, "-o", out, *SHORT) == 2, arguments
        said = capsys.readouterr()
        assert sentence in said.err, arguments
        assert said.err.count("\n") == 1
        assert said.out == ""
        assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "left.png", "other.png", "right.png"]


def test_an_output_that_cannot_be_written_is_said_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, or a folder of that name."""
    monkeypatch.setattr(bench, "open_engine", lambda *_, **__: pytest.fail("an engine was opened"))
    for out, sentence in ((tmp_path / "none" / "b.json", "does not exist"), (tmp_path, "is not a regular file")):
        assert code_of("sgbm", "-o", out) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seconds", "-1"), ("--seconds", "nan"), ("--warm-up", "inf"), ("--frames", "0"), ("--peak", "0", "1"),
        ("--peak", "790"), ("--frames", "3", "--seconds", "3"), ("--size", "32x32", "--pair", "a", "b"),
        ("--gpu-index", "-1"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's own words."""
    assert code_of("sgbm", *arguments) == 2
    assert "ffs bench: error: " in capsys.readouterr().err


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle; engines are closed."""
    closed: list[str] = []

    def interrupt(self: SgbmEngine, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    monkeypatch.setattr(SgbmEngine, "infer", interrupt)
    monkeypatch.setattr(SgbmEngine, "close", lambda self: closed.append("sgbm"))
    assert code_of("sgbm", "-o", tmp_path / "b.json", "--size", "32x32") == 130
    assert list(tmp_path.iterdir()) == []
    assert closed == ["sgbm"]


def test_the_shipped_network_is_known() -> None:
    """By its name alone: iterations and precision are in its file."""
    facts = facts_of("ffs-synthetic")
    assert (facts.is_network, facts.iterations, facts.precision) == (True, 8, "fp32")
    with open_engine("sgbm") as engine:
        assert not engine.info.on_gpu
