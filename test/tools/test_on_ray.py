"""``ffs infer --list`` and ``ffs eval`` on a Ray cluster: the files of a single process, also after kill -9."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import ffs, killed_when, tree
from shifted_pairs import shifted_pairs

PAIRS = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of pairs with ground truth."""
    return shifted_pairs(tmp_path_factory.mktemp("data"), PAIRS, (96, 240), with_truth=True)


def test_a_batch_on_a_cluster(data: Path, ray_address: str, tmp_path: Path, capsys: Any) -> None:
    """Killed in the middle, again on the cluster, and in this process: the same files."""
    run = ["infer", "sgbm", "--list", data, "--outputs", "pfm,png"]
    killed_when("left.png", tmp_path / "out", *run, "--ray", ray_address, "--workers", 2)
    time.sleep(1.0)  # the cluster ends the workers of a driver that is gone, perhaps with a file more
    assert 0 < len(list((tmp_path / "out").rglob("left.png"))) < PAIRS
    assert ffs(*run, "--ray", ray_address, "--workers", 2, "-o", tmp_path / "out") == 0
    assert " kept; " in capsys.readouterr().out
    assert ffs(*run, "--workers", 1, "-o", tmp_path / "whole") == 0
    assert len(tree(tmp_path / "out")) == 2 * PAIRS + 1
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_an_evaluation_on_a_cluster(data: Path, ray_address: str, tmp_path: Path) -> None:
    """Killed after a part of it, again on the cluster, and in this process: the same files, and no parts are left."""
    run = ["eval", "sgbm", "--list", data, "--worst", 3]
    killed_when("000000.json", tmp_path / "out", *run, "--ray", ray_address, "--workers", 2)
    assert not (tmp_path / "out" / "results.json").exists()
    assert ffs(*run, "--ray", ray_address, "--workers", 2, "-o", tmp_path / "out") == 0
    assert ffs(*run, "--workers", 1, "-o", tmp_path / "whole") == 0
    assert set(tree(tmp_path / "out")) == {"results.json", "per_sample_results.json", "report.html"}
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert json.loads((tmp_path / "out" / "results.json").read_text())["evaluated"] == PAIRS


def test_what_is_wrong_there_is_said_here(data: Path, ray_address: str, tmp_path: Path, capsys: Any) -> None:
    """An engine that does not open, a pair that is damaged, a cluster that is not there."""
    run = ["infer", "--list", data, "--ray"]
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    assert ffs("infer", tmp_path / "broken.onnx", *run[1:], ray_address, "-o", tmp_path / "out") == 2
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("ffs: "))  # it may have waited
    assert "broken.onnx" in said
    assert ffs(*run, "nonsense", "-o", tmp_path / "out") == 2
    assert "cannot work with a Ray cluster at 'nonsense'" in capsys.readouterr().err
    assert ffs("infer", "none.onnx", *run[1:], ray_address, "-o", tmp_path / "out") == 2
    assert "cannot read none.onnx" in capsys.readouterr().err
