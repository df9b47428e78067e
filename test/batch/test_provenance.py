"""Nobody continues a batch with something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ffs_ros.batch.provenance import FILE, begin
from ffs_ros.errors import FileError

ABOUT = {"engine": "a.onnx", "fit": "auto", "sizes": (1, 2)}


def test_begun_once_and_continued(tmp_path: Path) -> None:
    """In a new folder, or an empty one; a hidden file is nothing."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").touch()
    assert [begin(tmp_path / "out", ABOUT) for _ in range(2)] == [False, True]
    assert json.loads((tmp_path / "out" / FILE).read_text())["engine"] == "a.onnx"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"engine": "a.onnx", "sizes": [1, 2]}', "made otherwise: fit was not there and is auto. Give the same"),
        (
            json.dumps({**ABOUT, "fit": "x" * 99, "sizes": [1]}),
            r"fit was x{57}\.\.\. and is auto; sizes was \[1\] and",
        ),
        ("{", f"{FILE} is damaged: name a new folder"),
        ("[]", f"{FILE} is not what a batch writes"),
    ],
)
def test_what_was_otherwise_is_said(content: str, sentence: str, tmp_path: Path) -> None:
    """And the file stays."""
    (tmp_path / FILE).write_text(content)
    with pytest.raises(FileError, match=sentence):
        begin(tmp_path, ABOUT)
    assert (tmp_path / FILE).read_text() == content


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """Its files could not be told from those of the batch."""
    (tmp_path / "a.pfm").touch()
    with pytest.raises(FileError, match=f"holds files, and no {FILE} that says what made them"):
        begin(tmp_path, ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pfm"]
