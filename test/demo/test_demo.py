"""``make demo`` as a whole: three processes on real topics."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros.demo.processes import Process, running
from ffs_ros.errors import FfsError

pytest.importorskip("rclpy")
pytest.importorskip("array_api_compat")


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with its picture in ``folder``."""
    command = [sys.executable, "-m", "ffs_ros.demo", "--out", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_demo_shows_what_the_node_does(tmp_path):
    """Figures for rate, latency, density and error, the engine's name, and a picture of three images side by side."""
    done = demo(tmp_path, "--engine", "sgbm")
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^(\w[\w ]*\w)\s{2,}(.+)$", done.stdout, re.MULTILINE))
    assert said["engine"].startswith("sgbm on OpenCV")
    assert float(re.match(r"\d+ at ([\d.]+) Hz", said["frames"])[1]) > 0.1
    assert float(re.match(r"(\d+) ms p50", said["latency"])[1]) > 1.0
    assert float(said["density"].partition("%")[0]) > 90.0
    assert float(said["error"].partition(" px")[0]) < 0.5
    assert float(said["depth error"].partition("%")[0]) < 3.0
    picture = cv2.imread(str(tmp_path / "rendered.png"))
    assert picture.shape[1] >= 3 * 640
    assert all(np.ptp(part) > 100 for part in np.array_split(picture, 3, axis=1))


def test_a_missing_engine_fails_with_the_nodes_words(tmp_path):
    """The node ends, the demo says why, exits 1 and writes no picture."""
    done = demo(tmp_path, "--engine", "no/such/engine.onnx")
    assert done.returncode == 1
    assert done.stderr.startswith("\ndemo failed: there is no engine file no/such/engine.onnx; check the path")
    assert done.stderr.count("\n") == 2
    assert not list(tmp_path.iterdir())


def test_a_folder_without_images_fails_with_a_sentence(tmp_path):
    """PAIR=folder needs left and right."""
    done = demo(tmp_path, "--pair", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no left image" in done.stderr


def test_a_process_that_breaks_is_quoted_whole(tmp_path):
    """Whatever is not the one sentence of a wrong set-up is a bug or a crash: its code and all its output are shown."""
    words = r"(?s)the node ended with exit code 1; it said: .*No module named"
    with pytest.raises(FfsError, match=words), running("node", ["ffs_ros.no_such_module"], tmp_path) as process:
        wait_for_its_end(process)


def wait_for_its_end(process: Process) -> None:
    """Raises what ``check_alive`` does when the process ends."""
    for _ in range(600):
        process.check_alive()
        time.sleep(0.05)
