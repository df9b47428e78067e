"""``ffs bag`` as a user starts it: without ROS, with its exit codes, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")

from recordings import CAMERA, DISPARITY_px, messages_of, stereo_stream, storage_file, write_bag

HIDDEN = ("rclpy", "torch", "onnx", "yaml", "message_filters", "sensor_msgs")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs."""
    texture = np.random.default_rng(6).integers(0, 255, (CAMERA.height, CAMERA.width + DISPARITY_px, 3), np.uint8)
    pair = texture[:, : CAMERA.width], texture[:, DISPARITY_px:]
    return write_bag(tmp_path_factory.mktemp("bag") / "rec", "mcap", stereo_stream([pair] * 40, CAMERA))


def command(*arguments: Any, hidden: Sequence[str] = HIDDEN) -> list[str]:
    """In an interpreter that cannot import ``hidden``."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({tuple(hidden)!r}))"
    return [sys.executable, "-c", f"{hide}; from ffs_ros.cli import main; main()", "bag", *map(str, arguments)]


def ffs_bag(*arguments: Any, hidden: Sequence[str] = HIDDEN) -> subprocess.CompletedProcess[str]:
    """What it says and how it ends."""
    return subprocess.run(command(*arguments, hidden=hidden), capture_output=True, text=True, check=False)


def test_a_bag_of_ros2_without_ros(bag: Path, tmp_path: Path) -> None:
    """The node's outputs, a report for people and programs, and a line for each pair."""
    out = tmp_path / "out"
    done = ffs_bag("sgbm", bag, "-o", out, "--max-disparity", "16", "--also", "points2", "--against", "sgbm")
    assert done.returncode == 0, done.stderr
    assert "40 left and 40 right images, 40 pairs, 40 matched" in done.stdout
    assert f"{out}: 160 messages" in done.stdout
    assert "against        sgbm: 0.000 px mean difference, bad-2 0.0%" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        "metadata.yaml", "out.mcap", "pairs.jsonl", "report.html", "report.json",
    ]  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    assert report["engine"]["name"] == "sgbm"
    assert report["parameters"]["max_disparity"] == 16
    assert report["flicker"]["median_px"] == 0.0
    assert report["latency_ms"]["inference"]["pairs"] == 39
    lines = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    assert len(lines) == len({line["stamp_ns"] for line in lines}) == 40
    assert [line["stamp_ns"] for line in lines] == sorted(line["stamp_ns"] for line in lines)
    page = (out / "report.html").read_text()
    assert "40 pairs, 40 of them matched." in page
    assert "http" not in page.replace("http-equiv", "")


def test_exit_code_3_for_a_damaged_bag(bag: Path, tmp_path: Path) -> None:
    """What could be read is done, and a sentence names the rest."""
    cut = tmp_path / "cut.mcap"
    content = storage_file(bag).read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    done = ffs_bag("sgbm", cut, "-o", tmp_path / "out", "--max-disparity", "16")
    assert done.returncode == 3
    assert len(messages_of(tmp_path / "out", "/disparity")) >= 18
    said = [line for line in done.stderr.splitlines() if line.startswith("ffs:")]
    assert len(said) == 1
    assert said[0].startswith(f"ffs: {cut} is damaged, it ends in the middle, after {len(content) // 2} bytes: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("nothing", "-o", "OUT"),
            "there is no bag nothing: expected the folder of a ROS 2 bag, its .mcap or .db3 file",
        ),
        (("BAG", "-o", "BAG"), "it exists already; remove it, or name another output"),
        (("BAG", "-o", "OUT/there/is/none"), "does not exist; make it first"),
        (("BAG", "-o", "/proc/out"), "cannot write /proc/out: "),
        (("BAG", "-o", "OUT", "--min-depth", "2", "--max-depth", "1"), "min_depth is 2 m and max_depth 1 m"),
        (
            ("BAG", "-o", "OUT", "--queue-size", "0"),
            "--queue-size is '0': expected an integer from 1 to 1000",
        ),
        (("BAG", "-o", "OUT", "--fit", "trim"), "--fit is 'trim': expected one of auto, pad, letterbox, resize"),
        (("BAG", "-o", "OUT", "--image-transport", "compressed"), "its images are /left/image_rect, /right/image_rect"),
        (("none.onnx", "BAG", "-o", "OUT"), "there is no engine file none.onnx"),
        (("BAG", "-o", "OUT", "--engine-size", "big"), "big"),
        (("BAG", "-o", "OUT", "--namespace", "front/2nd"), "--namespace is 'front/2nd': expected names with / between"),
        (("BAG", "-o", "OUT", "--namespace", "vorn/höher"), "--namespace is 'vorn/höher': expected names with"),
        (("N" * 300, "-o", "OUT"), "File name too long"),
        (("/dev/null", "-o", "OUT"), "/dev/null is neither a file nor a folder: expected the folder of a ROS 2 bag"),
    ],
)
def test_what_a_user_can_put_right(bag: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """One line, exit code 2, and nothing is left behind."""
    if arguments[0].endswith(".onnx"):
        pytest.importorskip("onnxruntime")
    names = {
        "BAG": str(bag),
        "OUT": str(tmp_path / "out"),
        "OUT/there/is/none": str(tmp_path / "out" / "there" / "none"),
    }
    given = [names.get(argument, argument) for argument in arguments]
    done = ffs_bag(*(given if given[0].endswith(".onnx") else ["sgbm", *given]))
    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("engine ")]
    assert line.startswith("ffs: ")
    assert sentence in line
    assert list(tmp_path.iterdir()) == []


def test_rosbags_is_asked_for_where_it_is_missing(bag: Path, tmp_path: Path) -> None:
    """``--help`` works without it."""
    done = ffs_bag("sgbm", bag, "-o", tmp_path / "out", hidden=("rosbags",))
    assert done.returncode == 2
    assert done.stderr.startswith("ffs: bags need the Python package 'rosbags', which is not installed; pip install ")
    assert "--approximate-sync-tolerance-seconds" in ffs_bag("--help", hidden=("rosbags",)).stdout


def wait_until(happened: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_in_the_middle_and_started_again(bag: Path, tmp_path: Path, number: signal.Signals) -> None:
    """No bag under the output's name; the next run clears up and writes what an undisturbed one does."""
    arguments = ("sgbm", bag, "-o", tmp_path / "out", "--max-disparity", "16", "--with-inputs")
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    unfinished = tmp_path / ".out.unfinished"
    try:
        wait_until((unfinished / "out" / "pairs.jsonl").exists, process)
        os.kill(process.pid, signal.SIGSTOP)  # whatever it has got to
        assert f"another process is writing {tmp_path / 'out'}: wait for its end" in ffs_bag(*arguments).stderr
        assert (unfinished / "out" / "pairs.jsonl").exists()
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(PATIENCE_S) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    finally:
        process.kill()
    assert not (tmp_path / "out").exists()
    assert unfinished.exists() == (number == signal.SIGKILL)
    assert ffs_bag(*arguments).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(messages_of(tmp_path / "out", "/disparity")) == 40
    assert len(messages_of(tmp_path / "out", "/left/image_rect")) == 40
