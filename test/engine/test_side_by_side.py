"""Parts that are built at the same time, in processes of their own: with a TensorRT that does what a script says."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import FakeGpu, FakeTensorRt

import ffs_ros.tools.build_engine  # noqa: F401 (so that all families of errors are known)
from ffs_ros.engine import side_by_side as module
from ffs_ros.engine import trt_build
from ffs_ros.engine.kernel_calls import Call, Prepared
from ffs_ros.engine.side_by_side import side_by_side, usual_jobs
from ffs_ros.engine.trt_build import Built, Refused, Settings, Source, build, in_turn
from ffs_ros.engine.trt_versions import RTX, TENSORRT, TensorRt, imported
from ffs_ros.errors import EngineError, FfsError, NotBuiltHere
from ffs_ros.tools import build_engine

SETTINGS = Settings("fp16", False, 4.0, 3, None)
Side = Callable[..., Built]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With the scripted runtime for this process and its workers: the file that gets a line for each build."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("SCRIPT_LOG", str(path))
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "kept"))
    monkeypatch.syspath_prepend(Path(__file__).with_name("scripted_runtime"))
    monkeypatch.setattr(build_engine, "opened_gpu", build_engine.opened_gpu)  # the runtime puts its own there
    before = sys.modules.pop("tensorrt", None)
    runtime: Any = imported(TENSORRT).trt
    monkeypatch.setattr(trt_build, "pin", runtime.held)
    yield path
    sys.modules.pop("tensorrt")
    if before is not None:
        sys.modules["tensorrt"] = before
    assert not any(runs(pid) for pid in pids(path))


def source(name: str, nodes: int, **script: Any) -> Source:
    content = json.dumps({"name": name, "images": name == "features", **script}).encode()
    return Source(name, content, nodes)


def made(sources: list[Source], jobs: int | None = 2, report: Callable[[float], bool] = lambda share: True) -> Built:
    """By ``jobs`` workers; with None in this process."""
    plans = in_turn if jobs is None else partial(side_by_side, jobs, 0)
    return build(imported(TENSORRT), FakeGpu(), Path("m.onnx"), sources, SETTINGS, report, plans)


def names(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def pids(log: Path) -> list[int]:
    return [int(line.split()[1]) for line in log.read_text().splitlines() if int(line.split()[1]) != os.getpid()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parts() -> list[Source]:
    """The second is the largest; kernels, repetitions, warnings and held layers differ."""
    kernel = Prepared(Call("cost_volume", ["a", "b"], "c", [1, 8, 16], 4), b"ptx;")
    said = "half of it obeys no constraint"
    features = source("features", 2, held=3, says=said, meets=2)
    iteration = source("iteration", 5, held=1, says="fp16 overflows", meets=2)
    upsampling = source("upsampling", 3, says=said)
    return [
        features,
        iteration._replace(repeat=8, carried={"in": "out"}, before=[kernel]),
        upsampling._replace(after=[kernel]),
    ]


def test_the_result_is_that_of_one_after_the_other(log: Path, tmp_path: Path) -> None:
    """The two largest are under way at once, or they would not end; what was measured is kept."""
    beside = made(parts())
    assert set(names(log)[:2]) == {"iteration", "upsampling"}
    assert len(set(pids(log))) == 3
    turns = made(parts(), None)
    assert pids(log) == pids(log)[:3]
    assert beside._replace(build_s=0) == turns._replace(build_s=0)
    assert beside.plan == b"plan of features;plan of iteration;ptx;plan of upsampling;ptx;"
    assert (beside.held_to_fp32, len(beside.warnings), beside.io) == (4, 2, "image")
    cache = next((tmp_path / "kept" / "timing").iterdir())
    assert set(cache.read_bytes().split()) == {b"features", b"iteration", b"upsampling"}


def test_the_largest_begin(log: Path) -> None:
    """They are what the others are built beside; results are in the sources' order all the same."""
    sizes = {"features": 3, "volume": 9, "iteration": 12, "upsampling": 1}
    built = made([source(name, nodes) for name, nodes in sizes.items()], jobs=1)
    assert names(log) == ["iteration", "volume", "features", "upsampling"]
    assert [part.name for part in built.parts] == list(sizes)


def test_the_plans_of_a_part_share_a_worker(log: Path) -> None:
    """A builder takes longer to start than a small plan to build."""
    sizes = {"features": 2, "decoder.1": 1, "decoder.2": 1, "iteration": 1, "decoder.3": 1}
    built = made([source(name, nodes) for name, nodes in sizes.items()], jobs=1)
    assert names(log) == ["decoder.1", "decoder.2", "decoder.3", "features", "iteration"]
    assert len(set(pids(log)[:3])) == 1
    assert len(set(pids(log))) == 3
    assert [part.name for part in built.parts] == list(sizes)
    assert built.plan == b"".join(f"plan of {name};".encode() for name in sizes)


@pytest.mark.parametrize("monitor", [False, True])
def test_progress(log: Path, monkeypatch: pytest.MonkeyPatch, monitor: bool) -> None:
    """By the nodes of the parts that are done; and of those under way where the runtime tells."""
    if monitor:
        monkeypatch.setenv("SCRIPT_MONITOR", "yes")
    shares: list[float] = []

    def report(share: float) -> bool:
        shares.append(share)
        return True

    made([source("features", 1), source("iteration", 3)], jobs=1, report=report)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    known = {0.375, 0.875} if monitor else set()
    assert {0.75, 1.0} | known <= set(shares) <= {0.0, 0.75, 1.0} | known


def test_an_error_is_that_of_the_builder(log: Path, tmp_path: Path) -> None:
    """The same class and sentence as in this process; the other worker ends at once."""
    sources = [source("features", 2, refuses="Error Code 2: no", meets=2), source("iteration", 3, takes_s=600)]
    with pytest.raises(Refused) as beside:
        made(sources)
    assert not any(runs(pid) for pid in pids(log))
    with pytest.raises(Refused) as alone:
        made(sources[:1], None)
    assert str(beside.value) == str(alone.value)
    assert "it says: Error Code 2: no" in str(beside.value)
    assert list((tmp_path / "kept").rglob("*.*")) == []


def test_a_bug_keeps_its_traceback(log: Path) -> None:
    """As far as the line in the worker."""
    with pytest.raises(RuntimeError, match="a bug") as error:
        made([source("features", 2, raises="a bug"), source("iteration", 3)])
    assert "build_serialized_network" in str(error.value.__cause__)


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGKILL, "SIGKILL, for lack of memory as a rule"), (signal.SIGSEGV, "SIGSEGV")],
    ids=["killed", "crashed"],
)
def test_a_worker_that_dies(log: Path, number: signal.Signals, cause: str) -> None:
    """Which part, how, and what to try; not a refusal, after which something else would be built for minutes."""
    sources = [source("features", 2, takes_s=600), source("iteration", 3, meets=2, signal=number)]
    with pytest.raises(EngineError) as error:
        made(sources)
    assert type(error.value) is EngineError
    assert str(error.value) == (
        f"the process that built the part iteration ended with {cause}, so nothing was written; build one part after "
        "the other (--jobs 1), with more --workspace or at another --optimization-level"
    )
    assert not any(runs(pid) for pid in pids(log))


def test_whoever_reports_may_stop(log: Path, tmp_path: Path) -> None:
    """In the middle of parts that cannot be stopped by themselves, and that let no other thread run."""
    with pytest.raises(Refused, match="the build was stopped, so nothing was written"):
        made(
            [source("features", 2, takes_s=600), source("iteration", 3, deaf_s=600)],
            report=lambda share: len(names(log)) < 2,
        )
    assert not any(runs(pid) for pid in pids(log))
    assert list((tmp_path / "kept").rglob("*.*")) == []


def test_a_cache_that_is_being_written_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is to end waits for it."""
    ended = threading.Event()
    monkeypatch.setattr(module.os, "_exit", lambda code: ended.set())
    ours, theirs = module.Pipe()
    threading.Thread(target=module._end_with, args=(theirs,), daemon=True).start()
    with module.keeping:
        ours.close()
        assert not ended.wait(0.2)
    assert ended.wait(10)
    module.keeping.release()


def families(kind: type[FfsError]) -> Iterator[type[FfsError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from families(one)


@pytest.mark.parametrize("kind", list(families(FfsError)), ids=lambda kind: kind.__name__)
def test_errors_go_from_one_process_to_another(kind: type[FfsError]) -> None:
    """With class and words."""
    error = kind(Path("a.engine"), "said") if kind is NotBuiltHere else kind("said")  # type: ignore[call-arg,arg-type]
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert (type(again), str(again)) == (kind, "said")


@pytest.mark.parametrize(
    ("version", "runtime", "cores", "host_GiB", "workspace_GiB", "jobs"),
    [
        ("8.6.1", TENSORRT, 16, 100, 4.0, 8),
        ("8.6.1", TENSORRT, 3, 100, 4.0, 1),
        ("8.6.1", TENSORRT, 16, 10, 4.0, 3),
        ("8.6.1", TENSORRT, 16, 2, 4.0, 1),
        ("8.6.1", TENSORRT, 16, 100, 30.0, 2),
        ("10.3.0", TENSORRT, 16, 100, 4.0, 1),
        ("1.1", RTX, 16, 100, 4.0, 1),
    ],
)
def test_what_is_usual(
    monkeypatch: pytest.MonkeyPatch, version: str, runtime: str, cores: int, host_GiB: int, workspace_GiB: float,
    jobs: int,
) -> None:  # fmt: skip
    """Where the builder mostly compiles: half the cores, as far as both memories reach. On a GPU of 80 GiB."""
    monkeypatch.setattr(module, "cores", lambda: cores)
    monkeypatch.setattr(module, "_host_bytes", lambda: host_GiB * 2**30)
    gpu = FakeGpu(free=80 * 2**30)
    assert usual_jobs(TensorRt(runtime, FakeTensorRt(version)), gpu, workspace_GiB) == jobs


def test_memory_of_this_machine() -> None:
    """In bytes."""
    assert 2**27 < module._host_bytes() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
