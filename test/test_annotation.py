"""Annotation files as TAO and people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import piped

from ffs_ros.annotation import AnnotationList, StereoSample, read_annotations
from ffs_ros.errors import FileError, ListError


def listed(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_two_to_four_columns(tmp_path: Path) -> None:
    """Each line says how much is known about its pair."""
    path = listed(tmp_path, "/a/l.png /a/r.png\n/b/l.png /b/r.png /b/d.pfm\n/c/l.png /c/r.png /c/d.pfm /c/m.png\n")
    assert read_annotations(path) == [
        StereoSample("/a/l.png", "/a/r.png", None, None),
        StereoSample("/b/l.png", "/b/r.png", "/b/d.pfm", None),
        StereoSample("/c/l.png", "/c/r.png", "/c/d.pfm", "/c/m.png"),
    ]


def test_comments_blank_lines_and_line_ends(tmp_path: Path) -> None:
    """Also Windows' line ends and byte order mark, tabs, and a # inside a path."""
    text = (
        "\ufeff# left right disparity\r\n\r\n  /l#1.png\t /r.png   # the first\r\n   \n#/x.png /y.png\n'#2.png' /r.png"
    )
    assert read_annotations(listed(tmp_path, text)) == [
        StereoSample("/l#1.png", "/r.png"),
        StereoSample("#2.png", "/r.png"),
    ]


def test_line_ends_of_old_macs(tmp_path: Path) -> None:
    """A carriage return alone: two pairs were one of four columns, the second pair's images its truth and mask."""
    path = listed(tmp_path, "/a/l.png /a/r.png\r/b/l.png /b/r.png\r# none\r/c/l.png /c/r.png\r")
    assert read_annotations(path) == [StereoSample(f"/{name}/l.png", f"/{name}/r.png") for name in "abc"]
    with pytest.raises(ListError, match=r"list\.txt, line 3 has 1 of 2 to 4 columns"):
        AnnotationList(listed(tmp_path, "/a/l.png /a/r.png\r\r/b/l.png\r/c/l.png /c/r.png"))


def test_paths_with_spaces_stand_in_quotes(tmp_path: Path) -> None:
    """Either quote; a quote inside a path, and backslashes, stay as they are."""
    text = """"/my data/l.png" '/my data/"r".png' /bob's/d.pfm\n/a\\b.png /c.png\n"""
    assert read_annotations(listed(tmp_path, text)) == [
        StereoSample("/my data/l.png", '/my data/"r".png', "/bob's/d.pfm"),
        StereoSample("/a\\b.png", "/c.png"),
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
    assert first == StereoSample(str(data / "both.png"), "here.png")
    assert second == StereoSample(str(data / "beside.png"), "none.png")


def test_folders_that_only_one_place_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their files are that place's, whether they exist or not; in folders of both, each file is looked for."""
    data, working = tmp_path / "data", tmp_path / "working"
    for folder in (data / "scenes", data / "both", working / "both", working / "runs"):
        folder.mkdir(parents=True)
    (data / "both" / "l.png").touch()
    monkeypatch.chdir(working)
    found = read_annotations(listed(data, "scenes/l.png runs/r.png none/d.pfm\nboth/l.png both/r.png ../data/scenes\n"))
    assert found == [
        StereoSample(f"{data}/scenes/l.png", "runs/r.png", "none/d.pfm"),
        StereoSample(f"{data}/both/l.png", "both/r.png", f"{data}/../data/scenes"),
    ]
    monkeypatch.chdir(data)
    assert read_annotations(Path("list.txt"))[0].left == "scenes/l.png"


def test_urls_in_a_list_on_this_machine(tmp_path: Path) -> None:
    """Stay as they are, also where a folder has the name of their scheme; one slash after a colon makes a path."""
    (tmp_path / "s3:" / "b").mkdir(parents=True)
    (tmp_path / "s3:" / "b" / "l.png").touch()
    found = read_annotations(listed(tmp_path, "s3://b/l.png s3:/b/l.png gs://b/d.pfm"))
    assert found == [StereoSample("s3://b/l.png", f"{tmp_path}/s3:/b/l.png", "gs://b/d.pfm")]


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


def test_all_wrong_lines_are_said_together(tmp_path: Path) -> None:
    """The first twenty, and how many more there are."""
    with pytest.raises(ListError) as said:
        AnnotationList(listed(tmp_path, "".join("/l.png /r.png\n/l.png\n" for _ in range(25))))
    assert [sentence.split(" has ")[0] for sentence in said.value.args[:20]] == [
        f"{tmp_path}/list.txt, line {2 * number}" for number in range(1, 21)
    ]
    assert said.value.args[20:] == ("and 5 more like these; correct these first",)


@pytest.mark.parametrize("text", ["/l.png /r.png\n", "/l.png /r.png\n" * 3, "/l.png /r.png\n/l.png\n"])
def test_a_list_is_read_anew_each_time_and_may_not_change(tmp_path: Path, text: str) -> None:
    """Two passes are alike; pairs that vanish, come or are wrong now stop the pass, after those that are there."""
    pairs = AnnotationList(listed(tmp_path, "/l.png /r.png\n# none\n/l.png /r.png\n"))
    assert (
        list(pairs)
        == list(pairs)
        == [StereoSample("/l.png", "/r.png")] * len(pairs)
        == [("/l.png", "/r.png", None, None)] * 2
    )
    listed(tmp_path, text)
    with pytest.raises(FileError, match=r"list\.txt was changed while it was read; start again"):
        list(pairs)


@pytest.mark.timeout(60)
def test_a_pipe_is_read_once_and_gone_through_often(tmp_path: Path) -> None:
    """As ``<(command)`` of a shell is; relative paths are those of its folder. Nobody waits for one to be written."""
    (tmp_path / "r.png").touch()
    with piped(tmp_path / "pipe", "sleep 0.1; echo /l.png r.png"):
        pairs = AnnotationList(tmp_path / "pipe")
    assert list(pairs) == list(pairs) == [StereoSample("/l.png", f"{tmp_path}/r.png")]
    with pytest.raises(FileError, match="pipe lists no pair"):
        AnnotationList(tmp_path / "pipe")


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
    assert read_annotations(listed(tmp_path, f"{'l' * 5000} r"))[0].left == "l" * 5000


def test_missing_list(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(FileError, match=r"cannot read .*none\.txt: No such file or directory; check the name"):
        read_annotations(tmp_path / "none.txt")
