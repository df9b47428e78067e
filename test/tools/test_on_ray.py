"""``ffs infer --list`` and ``ffs eval`` on a Ray cluster: the files of a single process, also after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shifted_pairs import shifted_pairs

from ffs_ros import cli
from ffs_ros.pfm import write_pfm

PAIRS = 60


def ffs(*arguments: object) -> int:
    """The exit code of ``ffs ARGUMENTS``."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` but the log, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "status.json"
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a list of pairs with ground truth."""
    folder = tmp_path_factory.mktemp("data")
    plain = shifted_pairs(folder, PAIRS, (96, 240)).read_text().splitlines()
    lines = []
    for number, line in enumerate(plain):
        truth = folder / f"p{number:03d}" / "truth.pfm"
        write_pfm(truth, np.full((96, 240), 8 + number % 16, np.float32))
        lines.append(f"{line} {truth}\n")
    (folder / "list.txt").write_text("".join(lines))
    return folder


def killed_when(command: list[object], there: str, out: Path) -> None:
    """Runs ``ffs COMMAND`` and kills it once a file like ``there`` is in ``out``."""
    words = [sys.executable, "-m", "ffs_ros", *map(str, command), "-o", str(out)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        while not list(out.rglob(there)):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)


def test_a_batch_on_a_cluster(data: Path, ray_address: str, tmp_path: Path, capsys: Any) -> None:
    """Killed in the middle, again on the cluster, and in this process: the same files."""
    run = ["infer", "sgbm", "--list", data / "list.txt", "--outputs", "pfm,png"]
    killed_when([*run, "--ray", ray_address, "--workers", 2], "left.png", tmp_path / "out")
    time.sleep(1.0)  # the cluster ends the workers of a driver that is gone, perhaps with a file more
    assert 0 < len(list((tmp_path / "out").rglob("left.png"))) < PAIRS
    assert ffs(*run, "--ray", ray_address, "--workers", 2, "-o", tmp_path / "out") == 0
    assert " kept; " in capsys.readouterr().out
    assert ffs(*run, "--workers", 1, "-o", tmp_path / "whole") == 0
    assert len(tree(tmp_path / "out")) == 2 * PAIRS + 1
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_an_evaluation_on_a_cluster(data: Path, ray_address: str, tmp_path: Path) -> None:
    """Killed after a part of it, again on the cluster, and in this process: the same files, and no parts are left."""
    run = ["eval", "sgbm", "--list", data / "list.txt", "--worst", 3]
    killed_when([*run, "--ray", ray_address, "--workers", 2], "000000.json", tmp_path / "out")
    assert not (tmp_path / "out" / "results.json").exists()
    assert ffs(*run, "--ray", ray_address, "--workers", 2, "-o", tmp_path / "out") == 0
    assert ffs(*run, "--workers", 1, "-o", tmp_path / "whole") == 0
    assert set(tree(tmp_path / "out")) == {"results.json", "per_sample_results.json", "report.html"}
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert json.loads((tmp_path / "out" / "results.json").read_text())["evaluated"] == PAIRS


def test_what_is_wrong_there_is_said_here(data: Path, ray_address: str, tmp_path: Path, capsys: Any) -> None:
    """An engine that does not open, a pair that is damaged, a cluster that is not there."""
    run = ["infer", "--list", data / "list.txt", "--ray"]
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    assert ffs("infer", tmp_path / "broken.onnx", *run[1:], ray_address, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "broken.onnx" in said
    assert len(said.splitlines()) == 1
    assert ffs(*run, "nonsense", "-o", tmp_path / "out") == 2
    assert "cannot work with a Ray cluster at 'nonsense'" in capsys.readouterr().err
    assert ffs("infer", "none.onnx", *run[1:], ray_address, "-o", tmp_path / "out") == 2
    assert "cannot read none.onnx" in capsys.readouterr().err
