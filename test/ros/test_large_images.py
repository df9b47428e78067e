"""Images of a megabyte from camera to node to consumer, three processes, with the shipped profile: they arrive."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def test_with_the_profile_every_pair_and_every_output_arrives(checkout, tmp_path):
    """Of 150 pairs at 30 Hz nearly all reach the node, each is published or replaced, and nearly all that is arrives.

    All of them where the machine has nothing else to do, as the benchmark shows; without the profile a fifth. Before
    discovery a pair may also be one that nobody wants yet, or that came before its CameraInfo.
    """
    for package in ("rclpy", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    figures = tmp_path / "figures.json"
    benchmark = checkout / "test" / "benchmarks" / "transport.py"
    command = [sys.executable, str(benchmark), "--pairs", "150", "--only", "with", "--json", str(figures)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(figures.read_text())["with"]
    assert result["sent"] == 150
    assert result["reached"] >= 0.9 * 150, run.stdout + run.stderr
    node = result["node"]
    assert node["paired"] == sum(node[end] for end in ("published", "replaced", "failed", "unwanted"))
    assert result["published"] + node["replaced"] >= result["reached"]
    assert result["published"] > 75
    for output in ("disparity", "depth/image_rect"):
        assert 0.9 * result["published"] <= result["arrived"][output] <= result["published"]
