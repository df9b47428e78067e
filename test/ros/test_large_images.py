"""Images of a megabyte from camera to node to consumer, three processes, with the shipped profile: none gets lost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def test_with_the_profile_every_pair_and_every_output_arrives(checkout, tmp_path):
    """Of 150 pairs at 30 Hz all reach the node, each is published or replaced, and all that is published arrives.

    Before discovery a pair may also be one that nobody wants yet, or that came before its CameraInfo.
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
    assert result["reached"] == 150, run.stdout + run.stderr
    node = result["node"]
    assert node["paired"] == sum(node[end] for end in ("published", "replaced", "failed", "unwanted"))
    assert result["published"] + node["replaced"] >= 150
    assert result["published"] > 75
    assert result["arrived"] == {"disparity": result["published"], "depth/image_rect": result["published"]}
