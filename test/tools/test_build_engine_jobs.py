"""``ffs build-engine --jobs``: parts built side by side, and that no worker outlives the command, however that ends."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.engine.manifest import read_engine  # noqa: E402
from ffs_ros.errors import BuildError  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.tools.build_arguments import add_arguments, command  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

HERE = Path(__file__).parent
PARTS = 10
WORDS = ["build-engine", "network.onnx", "-o", "n.engine", "--unproven", "--jobs", "2", "--no-kernels"]
Begun = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def network() -> bytes:
    return bytes(build_model(open_checkpoint(WEIGHTS).tensors, (64, 96), 2).SerializeToString())


@pytest.fixture
def begun(network: bytes, tmp_path: Path) -> Iterator[Begun]:
    """Starts Python with these words where a graph and the scripted runtime are; each build takes that long."""
    (tmp_path / "network.onnx").write_bytes(network)
    (tmp_path / "log").touch()
    paths = [HERE.parent / "engine" / "scripted_runtime", HERE.parent, HERE.parent.parent]
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, takes_s: float = 0.0, stdin: str | None = None) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]),
            "FFS_ENGINES": str(tmp_path / "kept"),
            "SCRIPT_LOG": str(tmp_path / "log"),
            "SCRIPT_TAKES_S": str(takes_s),
        }
        one = subprocess.Popen(
            [sys.executable, *words], cwd=tmp_path, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(one)
        return one

    yield begin
    for one in started:
        one.kill()
        one.communicate()
    wait_for(lambda: not any(runs(pid) for pid in workers(tmp_path)))


def workers(folder: Path) -> list[int]:
    return [int(line.split()[1]) for line in (folder / "log").read_text().splitlines()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("way", ["module", "standard input"])
def test_however_the_command_is_started(begun: Begun, tmp_path: Path, way: str) -> None:
    """A worker does not read the program that started it once more: there may be no such file, and nobody guards it."""
    program = f"from ffs_ros.cli import main\nmain({WORDS})\n" if way == "standard input" else None
    process = begun("-") if program else begun("-m", "ffs_ros", *WORDS)
    out, err = process.communicate(program, timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "building n.engine in fp16, 2 parts side by side ..." in out
    manifest, content = read_engine(tmp_path / "n.engine")
    assert len(manifest.parts) == PARTS
    assert content.startswith(b"plan of left-right;plan of ")
    assert len(set(workers(tmp_path)) - {process.pid}) == PARTS
    assert "--jobs 2" in manifest.rebuild_command(tmp_path / "n.engine")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_stops_its_workers(begun: Begun, tmp_path: Path, number: signal.Signals) -> None:
    """Nobody says anything, and no file stays. A terminal sends Ctrl-C to all processes of its group."""
    process = begun("-m", "ffs_ros", *WORDS, takes_s=600)
    wait_for(lambda: len(workers(tmp_path)) == 2)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert not any(runs(pid) for pid in workers(tmp_path))
    assert files(tmp_path) == ["log", "network.onnx"]


def test_ctrl_c_while_workers_start(begun: Begun, tmp_path: Path) -> None:
    """They are Python that is still importing."""
    process = begun("-m", "ffs_ros", *WORDS, takes_s=600)
    children = Path(f"/proc/{process.pid}/task")
    wait_for(lambda: sum(len((task / "children").read_text().split()) for task in children.iterdir()) >= 2)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")


def test_workers_end_with_a_command_that_is_killed(begun: Begun, tmp_path: Path) -> None:
    """They would go on for minutes."""
    process = begun("-m", "ffs_ros", *WORDS, takes_s=600)
    wait_for(lambda: len(workers(tmp_path)) == 2)
    process.kill()
    process.wait()
    wait_for(lambda: not any(runs(pid) for pid in workers(tmp_path)))
    assert files(tmp_path) == ["log", "network.onnx"]


def test_a_worker_that_dies_is_one_sentence(begun: Begun, tmp_path: Path) -> None:
    """And no other attempt."""
    process = begun("-m", "ffs_ros", *WORDS, takes_s=600)
    wait_for(lambda: len(workers(tmp_path)) == 2)
    os.kill(workers(tmp_path)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert "ended with SIGKILL, for lack of memory as a rule, so nothing was written" in err
    assert "build one part after the other (--jobs 1)" in err
    assert files(tmp_path) == ["log", "network.onnx"]


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["m.onnx", "-o", "m.engine", *words])


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5", "1000"])
def test_a_number_of_jobs_that_is_none(number: str) -> None:
    """In one sentence."""
    with pytest.raises(BuildError, match=f"--jobs is '{number}': expected a number of parts from 1"):
        arguments(f"--jobs={number}")


def test_the_rebuild_command_has_what_was_given() -> None:
    """The usual number is that of the machine that builds again."""
    assert "--jobs" not in command(arguments(), 8, Path("m.engine"))
    assert command(arguments("--jobs", "3"), 8, Path("m.engine"))[-4:-2] == ["--jobs", "3"]
