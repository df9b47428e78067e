"""Annotation files as TAO and people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ffs_ros.annotation import StereoSample, read_annotations
from ffs_ros.errors import FileError


def listed(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_two_to_four_columns(tmp_path: Path) -> None:
    """Each line says how much is known about its pair."""
    path = listed(tmp_path, "/a/l.png /a/r.png\n/b/l.png /b/r.png /b/d.pfm\n/c/l.png /c/r.png /c/d.pfm /c/m.png\n")
    assert read_annotations(path) == [
        StereoSample(Path("/a/l.png"), Path("/a/r.png"), None, None),
        StereoSample(Path("/b/l.png"), Path("/b/r.png"), Path("/b/d.pfm"), None),
        StereoSample(Path("/c/l.png"), Path("/c/r.png"), Path("/c/d.pfm"), Path("/c/m.png")),
    ]


def test_comments_blank_lines_and_line_ends(tmp_path: Path) -> None:
    """Also Windows' line ends and byte order mark, tabs, and a # inside a path."""
    text = (
        "\ufeff# left right disparity\r\n\r\n  /l#1.png\t /r.png   # the first\r\n   \n#/x.png /y.png\n'#2.png' /r.png"
    )
    assert read_annotations(listed(tmp_path, text)) == [
        StereoSample(Path("/l#1.png"), Path("/r.png")),
        StereoSample(Path("#2.png"), Path("/r.png")),
    ]


def test_paths_with_spaces_stand_in_quotes(tmp_path: Path) -> None:
    """Either quote; a quote inside a path, and backslashes, stay as they are."""
    text = """"/my data/l.png" '/my data/"r".png' /bob's/d.pfm\n/a\\b.png /c.png\n"""
    assert read_annotations(listed(tmp_path, text)) == [
        StereoSample(Path("/my data/l.png"), Path('/my data/"r".png'), Path("/bob's/d.pfm")),
        StereoSample(Path("/a\\b.png"), Path("/c.png")),
    ]


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the list's folder when the file is there, else from the working folder as TAO has it."""
    data, working = tmp_path / "data", tmp_path / "working"
    for folder in (data, working):
        folder.mkdir()
        (folder / "both.png").touch()
    (data / "beside.png").touch()
    (working / "here.png").touch()
    monkeypatch.chdir(working)
    first, second = read_annotations(listed(data, "both.png here.png\nbeside.png none.png"))
    assert first == StereoSample(data / "both.png", Path("here.png"))
    assert second == StereoSample(data / "beside.png", Path("none.png"))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/l.png", r"line 2 has 1 of 2 to 4 columns: expected 'left right'"),
        ("/my data/l.png /my data/r.png /d.pfm", r"line 2 has 5 of 2 to 4 columns: .*put a path with spaces in quotes"),
        ("/l.png ''", r"line 2: a quote .*holds nothing"),
        ('"/l.png /r.png', r"line 2: a quote is not closed"),
        ('"/l".png /r.png', r"line 2: a quote .*ends inside a path"),
    ],
)
def test_wrong_lines(tmp_path: Path, line: str, sentence: str) -> None:
    """The file, the line's number and what to do."""
    with pytest.raises(FileError, match=rf"list\.txt, {sentence}"):
        read_annotations(listed(tmp_path, f"/l.png /r.png\n{line}\n/l.png /r.png\n"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "lists no pair"),
        (b"# only\n\n", "lists no pair"),
        (b"\x89PNG\r\n\x1a\n\xff", "is not text"),
        (b"l\0 r", "is not text"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, sentence: str) -> None:
    """An empty list, or a picture in place of the list."""
    with pytest.raises(FileError, match=rf"list\.txt {sentence}"):
        read_annotations(listed(tmp_path, content))


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    """Reported when the pair is read, as any other missing file."""
    assert read_annotations(listed(tmp_path, f"{'l' * 5000} r"))[0].left == Path("l" * 5000)


def test_missing_list(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(FileError, match=r"cannot read .*none\.txt: No such file or directory; check the name"):
        read_annotations(tmp_path / "none.txt")
