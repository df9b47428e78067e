"""``status.json``: TAO's keys, a line for each thing that happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ffs_ros.errors import FileError
from ffs_ros.status_file import RUNNING, STARTED, SUCCESS, StatusFile, read_kpi


def test_lines_have_taos_keys_and_figures_stay(tmp_path: Path) -> None:
    """Once there are figures every later line has them."""
    status = StatusFile(tmp_path)
    status.write(STARTED, "Starting.")
    status.write(RUNNING, "Metrics.", {"epe": 0.5})
    status.write(SUCCESS, "Done.")
    lines = [json.loads(line) for line in status.path.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["STARTED", "RUNNING", "SUCCESS"]
    assert [set(line) - {"kpi"} for line in lines] == [{"date", "time", "status", "verbosity", "message"}] * 3
    assert [line.get("kpi") for line in lines] == [None, {"epe": 0.5}, {"epe": 0.5}]
    assert read_kpi(status.path) == {"epe": 0.5}


@pytest.mark.parametrize(
    ("kpi", "expected"),
    [
        ({"val/epe": 1.0, "val/bp2": 0.1}, {"epe": 1.0, "bp2": 0.1}),
        ({"epe": 2.0, "val/epe": 1.0, "val/d3": 0.0}, {"epe": 2.0, "d3": 0.0}),
    ],
)
def test_figures_are_read_with_and_without_prefix(tmp_path: Path, kpi: dict, expected: dict) -> None:
    """As TAO's two containers write them; the newest line counts."""
    path = tmp_path / "status.json"
    lines = [{"status": "RUNNING", "kpi": {"epe": 9.0}}, {"status": "RUNNING", "kpi": kpi}, {"status": "SUCCESS"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n")
    assert read_kpi(path) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{}\n", "has no figures"), ("", "has no figures"), ("{\n}", "is no status file"), ("[]\n", "has no figures")],
)
def test_other_files(tmp_path: Path, content: str, sentence: str) -> None:
    """One sentence each."""
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(FileError, match=sentence):
        read_kpi(tmp_path / "s.json")
    with pytest.raises(FileError, match=r"cannot read .*none\.json"):
        read_kpi(tmp_path / "none.json")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The reason; what is there stays."""
    (tmp_path / "status.json").mkdir()
    with pytest.raises(
        FileError, match=r"cannot write .*status\.json: Is a directory; what was written before is whole"
    ):
        StatusFile(tmp_path).write(STARTED, "Starting.")
