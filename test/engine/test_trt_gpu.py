"""Engines on a real GPU: built, opened, run, closed, and every failure that only a GPU has.

Skipped where there is none. Graphs are tiny ones whose answer is known (left's red / 4); with
``FFS_GPU_ONNX=model.onnx``, exported elsewhere together with its proof set, the network itself too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import kernel_twins as twins
import numpy as np
import pytest

from ffs_ros.cli import main as ffs
from ffs_ros.engine import STAGES, open_engine
from ffs_ros.engine.cuda import _PyCudaGpu, opened_gpu
from ffs_ros.engine.kernel_calls import Ready, prepared, unfit
from ffs_ros.engine.kernel_launches import KERNELS
from ffs_ros.engine.manifest import manifest_path, read_manifest
from ffs_ros.errors import EngineError

pytest.importorskip("onnx")
from ffs_ros.graph.disparity_nodes import of_taps
from ffs_ros.graph.head_nodes import packed_depthwise, packed_layers, packed_taps
from ffs_ros.graph.kernel_nodes import packed
from ffs_ros.graph.motion_nodes import packed_rows
from ffs_ros.graph.volume_nodes import packed as packed_convolution
from ffs_ros.graph.volume_nodes import packed_bias

if importlib.util.find_spec("pycuda") is None:
    pytest.skip("PyCUDA is not installed (extra 'tensorrt')", allow_module_level=True)
if importlib.util.find_spec("tensorrt") is None and importlib.util.find_spec("tensorrt_rtx") is None:
    pytest.skip("neither TensorRT nor TensorRT-RTX is installed", allow_module_level=True)
try:
    opened_gpu(0).close()
except EngineError as error:
    pytest.skip(str(error), allow_module_level=True)

SIZE = (64, 96)
_SMALL_CHANGE_bytes = 16 * 2**20
"""What a driver may keep for itself between two readings."""


def build(*words: object) -> int:
    """The exit code of ``ffs build-engine``."""
    with pytest.raises(SystemExit) as end:
        ffs(["build-engine", *map(str, words)])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the engines of this file are; timing caches too."""
    folder = tmp_path_factory.mktemp("engines")
    before = os.environ.get("FFS_ENGINES")
    os.environ["FFS_ENGINES"] = str(folder)
    yield folder
    if before is None:
        del os.environ["FFS_ENGINES"]
    else:
        os.environ["FFS_ENGINES"] = before


@pytest.fixture(scope="module")
def fixed(folder: Path, tiny_onnx: Callable[..., Path]) -> Path:
    """An engine of one size."""
    path = folder / "fixed.engine"
    assert build(tiny_onnx(SIZE), "-o", path, "--unproven", "--precision", "fp32") == 0
    return path


@pytest.fixture(scope="module")
def open_size(folder: Path, tiny_onnx: Callable[..., Path]) -> Path:
    """An engine of open size."""
    path = folder / "open.engine"
    words = ["--unproven", "--precision", "fp32", "--min", "32x32", "--opt", "64x96", "--max", "128x160"]
    assert build(tiny_onnx(), "-o", path, *words) == 0
    return path


def pair(rows: int, columns: int, seed: int) -> dict[str, np.ndarray]:
    left, right = np.random.default_rng(seed).integers(0, 256, (2, 1, rows, columns, 3), dtype=np.uint8)
    return {"left": left, "right": right}


def check(engine: Any, rows: int, columns: int, seed: int) -> None:
    feeds = pair(rows, columns, seed)
    np.testing.assert_array_equal(engine.infer(feeds)["disparity"][0, 0], feeds["left"][0, ..., 0] * np.float32(0.25))


def free_bytes() -> int:
    gpu = opened_gpu(0)
    with gpu.current():
        free = gpu.memory_bytes()[0]
    gpu.close()
    return free


def test_a_thousand_frames_are_right_and_take_no_memory(fixed: Path) -> None:
    """Each answer is its own pair's; the run is recorded as a CUDA graph."""
    with open_engine(fixed) as engine:
        assert engine._replay.launch != engine._enqueue
        check(engine, *SIZE, seed=0)
        before = free_bytes()
        for seed in range(1000):
            check(engine, *SIZE, seed)
        assert before - free_bytes() < _SMALL_CHANGE_bytes


def test_without_a_recording_the_answer_is_the_same(fixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA graphs are not to be had."""
    monkeypatch.setattr(_PyCudaGpu, "recorded", lambda self, enqueue: None)
    with open_engine(fixed) as engine:
        check(engine, *SIZE, seed=3)


@pytest.mark.parametrize("records", [True, False])
def test_stages_are_timed_by_the_gpu(fixed: Path, monkeypatch: pytest.MonkeyPatch, records: bool) -> None:
    """Each takes some time, together no longer than the host saw; answers before and after are right."""
    if not records:
        monkeypatch.setattr(_PyCudaGpu, "recorded", lambda self, enqueue: None)
    with open_engine(fixed) as engine:
        feeds = pair(*SIZE, seed=1)
        for _ in range(10):
            check(engine, *SIZE, seed=2)
            begin_s = time.perf_counter()
            stages_ms = engine.stages_ms(feeds)
            seen_ms = 1e3 * (time.perf_counter() - begin_s)
            assert list(stages_ms) == [*STAGES]
            assert all(stage_ms > 0.0 for stage_ms in stages_ms.values())
            assert sum(stages_ms.values()) < seen_ms
        assert isinstance(engine._timed_replay.launch, partial) != records


def test_an_engine_is_measured(fixed: Path, folder: Path) -> None:
    """``ffs bench``: every stage, the GPU's name and memory, and more frames leave no memory behind."""
    out = folder / "bench.json"
    with pytest.raises(SystemExit) as end:
        ffs(["bench", str(fixed), "--against", str(fixed), "--seconds", "2", "-o", str(out)])
    assert end.value.code == 0
    record = json.loads(out.read_text())
    assert record["gpu"]["name"] == read_manifest(fixed).gpu
    for engine in record["engines"]:
        latency = engine["latency"]
        assert all(latency[name]["p50_ms"] > 0.0 for name in (*STAGES, "total"))
        assert sum(latency[name]["p50_ms"] for name in STAGES) < latency["total"]["p50_ms"] * 2
        assert 0.0 <= engine["gpu_MB"] <= engine["gpu_peak_MB"] < 1000.0
    assert 0.5 < record["ratios_of_medians"][0]["total"] < 2.0


def test_opening_and_closing_gives_memory_back(fixed: Path) -> None:
    """Twenty times; nothing is left."""
    open_engine(fixed).close()
    before = free_bytes()
    for seed in range(20):
        with open_engine(fixed) as engine:
            check(engine, *SIZE, seed)
    assert before - free_bytes() < _SMALL_CHANGE_bytes


def test_several_engines_in_turns(fixed: Path, open_size: Path) -> None:
    """In one thread, closed in the order in which they were opened."""
    first, second, third = open_engine(fixed), open_engine(open_size), open_engine(fixed)
    for seed in range(10):
        check(first, *SIZE, seed)
        check(second, 32 * (1 + seed % 4), 96, seed)
        check(third, *SIZE, seed + 1)
    first.close()
    check(third, *SIZE, 5)
    second.close()
    third.close()


def test_engines_in_threads_of_their_own(fixed: Path) -> None:
    """Each opened, used and closed by its thread: no context has to be current before."""
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            with open_engine(fixed) as engine:
                for step in range(100):
                    check(engine, *SIZE, 1000 * seed + step)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_engine_that_another_thread_opened(fixed: Path) -> None:
    """One at a time is enough; the context is current only while the engine works."""
    engine = open_engine(fixed)
    with ThreadPoolExecutor(1) as other:
        other.submit(check, engine, *SIZE, 2).result()  # which raises what was raised there
    check(engine, *SIZE, 3)
    engine.close()


def test_sizes_change_and_wrong_ones_do_no_harm(open_size: Path) -> None:
    """Within the range right, outside a sentence, and then right again."""
    with open_engine(open_size) as engine:
        for seed, (rows, columns) in enumerate([(32, 32), (128, 160), (64, 96), (64, 96), (32, 160)]):
            check(engine, rows, columns, seed)
        for rows, columns in [(160, 160), (64, 100)]:
            with pytest.raises(EngineError, match="--min and --max"):
                engine.infer(pair(rows, columns, 0))
        check(engine, 64, 64, 9)


def test_out_of_memory_says_what_was_needed_and_free(open_size: Path) -> None:
    """With the GPU filled by another program; afterwards the engine opens."""
    gpu = opened_gpu(0)
    with gpu.current():
        for size in (2**30, 2**26, 2**22, 2**18):  # down to the last crumbs
            with suppress(MemoryError):
                while True:
                    gpu.buffer(size)
    try:
        with pytest.raises(EngineError, match=r"MB of GPU memory and .* MB were free on |says: .*memory"):
            open_engine(open_size)
    finally:
        gpu.close()
    open_engine(open_size).close()


@pytest.mark.parametrize(
    ("entry", "value", "sentence"),
    [
        ("gpu", "NVIDIA Imaginary 9000", "was built for NVIDIA Imaginary 9000"),
        ("compute_capability", "1.0", r"compute capability 1\.0"),
        ("runtime_version", "0.1", r"was built by tensorrt(_rtx)? 0\.1 and .* is installed here"),
    ],
)
def test_a_manifest_of_elsewhere(fixed: Path, folder: Path, entry: str, value: str, sentence: str) -> None:
    """Another GPU or version, found before TensorRT sees the file."""
    path = folder / f"other_{entry}.engine"
    path.write_bytes(fixed.read_bytes())
    content = json.loads(manifest_path(fixed).read_text())
    manifest_path(path).write_text(json.dumps({**content, entry: value}))
    with pytest.raises(EngineError, match=f"{sentence}.*ffs build-engine "):
        open_engine(path)


def test_a_cut_engine(fixed: Path, folder: Path) -> None:
    """Found by its length; and, with a manifest that was made to fit, by TensorRT itself, in a sentence."""
    import hashlib

    plan = fixed.read_bytes()[:-1000]
    path = folder / "cut.engine"
    path.write_bytes(plan)
    content = json.loads(manifest_path(fixed).read_text())
    manifest_path(path).write_text(json.dumps(content))
    with pytest.raises(EngineError, match="it was cut short or replaced"):
        open_engine(path)
    made_to_fit = {"engine_bytes": len(plan), "engine_sha256": hashlib.sha256(plan).hexdigest()}
    manifest_path(path).write_text(json.dumps({**content, **made_to_fit}))
    with pytest.raises(EngineError, match="cannot be loaded: TensorRT"):
        open_engine(path)
    with open_engine(fixed) as engine:
        check(engine, *SIZE, seed=1)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_right(name: str) -> None:
    """Loaded, started, recorded and replayed as an engine does it."""
    gpu = opened_gpu(0)
    try:
        if fault := unfit(gpu):
            pytest.skip(fault)
        check_kernel(gpu, name)
    finally:
        gpu.close()


def constants_of(name: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Of a kernel for the size that ``check_kernel`` takes."""

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    hidden = twins.size_of("wide_block", 1, 1, 1)[-1]
    if name.startswith("volume_convolution"):
        return [packed_convolution(normal(28, 32, 3, 3, 3) / 30), packed_bias(normal(28))]
    return {
        "head_attention": [normal(10108) / 5],
        "first_disparity": [of_taps(normal(1, 28, 3, 3, 3) / 9)],
        "disparity_features": [packed_rows(normal(18, 7, 7) / 7), np.pad(normal(18), (0, 6))],
        "look_up_convc1": [packed(normal(56, twins.SAMPLES) / 30), normal(56)],
        "wide_block": [
            packed_depthwise(normal(50, 36) / 10),
            packed_layers(normal(hidden, 36) / 5, normal(hidden), normal(36, hidden) / 5),
            normal(40),
        ],
        "disparity_step": [packed_taps(normal(36, 3, 3)), normal(1)],
    }.get(name, [])


def check_kernel(gpu: Any, name: str) -> None:
    rng, size = np.random.default_rng(3), (2, 3, 37)
    size = twins.size_of(name, *size)
    launch = KERNELS[name].launch(*size)
    given = [rng.normal(size=spec.shape).astype(spec.dtype) for spec in launch.reads]
    if name.startswith("instance_norm"):
        given[1] = np.abs(given[1])  # squares are
    constants = constants_of(name, rng)
    names = [f"given {index}" for index in range(len(given))]
    with gpu.current():
        ready = Ready(gpu, *prepared(name, names, "made", size, [one.tobytes() for one in constants]))
        addresses = {}
        for key, array in zip(names, given, strict=True):
            pinned = gpu.pinned(array.nbytes)
            pinned[:] = array.reshape(-1).view(np.uint8)
            addresses[key] = gpu.buffer(array.nbytes)
            gpu.upload(addresses[key], pinned)
        result = gpu.pinned(launch.writes.dtype.itemsize * int(np.prod(launch.writes.shape)))
        into = gpu.buffer(result.nbytes)

        def run() -> None:
            ready.enqueue(addresses, into)
            gpu.download(result, into)

        expected = np.zeros_like(result)
        buffers = [one.reshape(-1).view(np.uint8) for one in (*given, *constants, expected)]
        twins.run_twin(name, buffers, launch.numbers, launch.grid[2])
        run()
        gpu.synchronize()
        replay = gpu.recorded(run)
        assert replay is not None
        for _ in range(2):
            found, wanted = (one.view(launch.writes.dtype).astype(np.float32) for one in (result, expected))
            assert not twins.close(found, wanted, 2e-3)
            result[:] = 0
            replay.launch()
            gpu.synchronize()
        replay.free()


def test_the_network_of_a_proof_set(folder: Path) -> None:
    """The graph that ``FFS_GPU_ONNX`` names is built in the precision that the runtime gives it, and proven."""
    source = os.environ.get("FFS_GPU_ONNX")
    if not source:
        pytest.skip("FFS_GPU_ONNX names no graph to build on this GPU")
    path = folder / "network.engine"
    assert build(source, "-o", path) == 0
    manifest = read_manifest(path)
    print(json.dumps({"build_s": manifest.build_s, "bytes": manifest.engine_bytes, **manifest.proof}, indent=2))
    assert manifest.proof["state"] in ("passed", "reported only")
    with open_engine(path) as engine:
        shape = engine.inputs["left"].shape
        if None not in shape:
            assert np.isfinite(engine.infer(pair(*shape[1:3], 0))["disparity"]).all()
