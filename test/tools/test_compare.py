"""``ffs compare`` from the command line to its verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import ffs, held, piped

from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm
from ffs_ros.status_file import read_kpi


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A list of two pairs, the second without truth; ``tiny_onnx`` answers a quarter of the left image's red."""
    lines = []
    for name in "ab":
        left = np.random.default_rng(ord(name)).integers(0, 256, (32, 64, 3), np.uint8)
        write_png(tmp_path / f"{name}_left.png", left)
        write_png(tmp_path / f"{name}_right.png", 255 - left)
        lines.append(f"{name}_left.png {name}_right.png")
    truth = np.random.default_rng(ord("a")).integers(0, 256, (32, 64, 3), np.uint8)[..., 0] / np.float32(4) + 1
    write_pfm(tmp_path / "truth.pfm", truth)
    (tmp_path / "list.txt").write_text(f"{lines[0]} truth.pfm\n{lines[1]}\n")
    return tmp_path / "list.txt"


def test_two_files_of_one_network(
    tmp_path: Path, pairs: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """An 8-bit and a normalised input give the same numbers: passed, exit code 0, and all files are there."""
    out = tmp_path / "out"
    assert ffs("compare", tiny_onnx(), tiny_onnx(io="tensor"), "--list", pairs, "-o", out) == 0
    assert "Passed: 2 of 2 pairs" in capsys.readouterr().out
    found = json.loads((out / "results.json").read_text())
    assert found["passed"] is True
    assert found["worst"]["max_px"] < 1e-4
    assert [engine["name"] for engine in found["engines"]] == ["tiny.onnx", "tiny.onnx"]
    for engine in "ab":  # the truth is 1 px more than the answer
        assert found["against_truth"][engine]["per_image"]["all"]["epe"] == pytest.approx(1.0, abs=1e-4)
    assert read_kpi(out / "status.json")["mean_px"] < 1e-4
    assert "A: tiny.onnx" in (out / "report.html").read_text()
    assert len(json.loads((out / "per_sample_results.json").read_text())) == 2


def test_a_threshold_that_is_exceeded_is_exit_code_1(
    tmp_path: Path, pairs: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the pairs that exceed it on stderr; other thresholds, another verdict."""
    command = ("compare", tiny_onnx(), "sgbm", "--max-disparity", 16, "--list", pairs, "-o", tmp_path / "out")
    assert ffs(*command) == 1
    said = capsys.readouterr()
    assert "Not passed: 2 of 2 pairs, 2 exceed a threshold." in said.out
    assert [line.split(": ")[0] for line in said.err.splitlines()] == [
        str(tmp_path / "a_left.png"),
        str(tmp_path / "b_left.png"),
    ]
    assert ffs(*command, "--least-cosine", -1, "--largest-mean", 999, "--largest-bad2", 100) == 0


def test_sgbm_runs_in_several_processes_with_the_same_result(tmp_path: Path, pairs: Path) -> None:
    """Byte for byte; of a list out of a pipe, which cannot be sent to them."""
    made = []
    for workers in (1, 2):
        out, copy = tmp_path / f"out{workers}", tmp_path / "pipe"
        options = ("--list", copy, "-o", out, "--workers", workers, "--max-disparity", 16)
        with piped(copy, f"cat {pairs}"):
            assert ffs("compare", "sgbm", "sgbm", *options) == 0
        copy.unlink()
        made.append({path.name: path.read_bytes() for path in out.iterdir() if path.name != "status.json"})
    assert made[0] == made[1]


def test_one_comparison_at_a_time_writes_into_a_folder(
    tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second one is refused, and does not touch the first one's log."""
    with held(tmp_path):
        assert ffs("compare", "sgbm", "sgbm", "--list", pairs, "-o", tmp_path) == 2
    assert "another comparison is writing into" in capsys.readouterr().err
    assert not (tmp_path / "status.json").exists()


def test_a_checkpoint_is_an_engine(tmp_path: Path) -> None:
    """The network in PyTorch and its graph in ONNX Runtime, with the weights that ship, agree."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    from ffs_ros.weights import WEIGHTS

    texture = np.random.default_rng(0).integers(0, 256, (32, 80, 3), np.uint8)
    write_png(tmp_path / "l.png", texture[:, :64])
    write_png(tmp_path / "r.png", texture[:, 9:73])
    (tmp_path / "list.txt").write_text("l.png r.png\n")
    out = tmp_path / "out"
    assert ffs("compare", "ffs-synthetic", WEIGHTS, "--list", tmp_path / "list.txt", "-o", out) == 0
    found = json.loads((out / "results.json").read_text())
    assert 0.0 < found["worst"]["max_px"] < 2e-3
    assert found["engines"][1]["runtime"].startswith("PyTorch")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--largest-mean", "nan"], "argument --largest-mean: 'nan': expected a number"),
        (["--least-cosine", "much"], "argument --least-cosine: 'much': expected a number"),
        (["--iterations", "0"], "argument --iterations: '0': expected 1 to 64"),
        (["--max-disparity", "0"], "--max-disparity is 0: expected"),
        (["--engine-size", "3"], "engine_size is '3': expected rows x columns"),
        (["--workers", "0"], "argument --workers: '0': expected 1 to 1024"),
        (["--gt-scale", "-1"], "argument --gt-scale: '-1': expected a number above 0"),
    ],
)
def test_wrong_arguments(pairs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    """One sentence and exit 2."""
    assert ffs("compare", "sgbm", "sgbm", "--list", pairs, *arguments) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_nothing_to_compare(tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every right image became damaged behind its header."""
    for name in "ab":
        path = tmp_path / f"{name}_right.png"
        path.write_bytes(path.read_bytes()[:-30])
    assert ffs("compare", "sgbm", "sgbm", "--list", pairs, "-o", tmp_path / "out") == 2
    assert "none of 2 pairs could be compared" in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()
