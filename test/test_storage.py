"""Files by path and by URL: in fsspec's memory, over HTTP on this machine, and what is said where it does not work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from http_store import http_store

from ffs_ros.annotation import AnnotationList, StereoSample
from ffs_ros.errors import FileError
from ffs_ros.ground_truth import read_disparity
from ffs_ros.image_file import read_rgb, write_png
from ffs_ros.pfm import read_pfm, write_pfm
from ffs_ros.picture_header import read_header
from ffs_ros.storage import exists, is_empty, is_url, joined, located, read_bytes, remove, suffix_of, upload
from ffs_ros.whole_file import whole_file

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def http() -> Iterator[str]:
    """The URL of an HTTP server on this machine."""
    with http_store() as (url, _):
        yield url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a/b.png", "s3://bucket/a/b.png"),
        ("https://host:8000/a.png?sign=1", "https://host:8000/a.png?sign=1"),
        ("simplecache::gs://bucket/a", "simplecache::gs://bucket/a"),
        ("file:///data/a.png", Path("/data/a.png")),
        ("local:///data/a.png", Path("/data/a.png")),
        ("data//a:b.png", Path("data/a:b.png")),
        ("/data/a://b", Path("/data/a:/b")),
        ("C:/a", Path("C:/a")),
    ],
)
def test_what_was_typed_is_a_path_or_a_url(text: str, expected: object) -> None:
    """A URL has a scheme; file:// is a path."""
    assert located(text) == expected
    assert is_url(located(text)) == isinstance(expected, str)


@pytest.mark.parametrize("text", ["", "s3://", "simplecache::s3:///"])
def test_what_names_nothing(text: str) -> None:
    """A variable of the shell that is empty, say; results would go into the working folder."""
    with pytest.raises(FileError, match=rf"'{text}' names no file or folder"):
        located(text)


def test_names_in_folders_and_endings() -> None:
    """With one slash between; what a URL asks for after the name is no part of it."""
    assert joined("s3://bucket/out/", "a/b.pfm") == "s3://bucket/out/a/b.pfm"
    assert joined(Path("out"), "a/b.pfm") == Path("out/a/b.pfm")
    assert [suffix_of(name) for name in ("http://host/a.PNG?x=b.jpg", Path("a.b/c"), "d.Pfm")] == [".png", "", ".pfm"]


@pytest.mark.parametrize("store", ["memory", "tmp_path", "http"])
def test_files_come_back_as_they_were_written(store: str, request: pytest.FixtureRequest) -> None:
    """Pictures, maps and their headers."""
    folder = request.getfixturevalue(store)
    rgb_HW3 = np.random.default_rng(0).integers(0, 256, (7, 11, 3), np.uint8)
    map_HW = np.array([[1.5, np.nan], [0.0, 700.25]], np.float32)
    picture, disparity = joined(folder, "a.png"), joined(folder, "a.pfm")
    assert not exists(picture)
    write_png(picture, rgb_HW3)
    write_pfm(disparity, map_HW)
    assert exists(picture)
    np.testing.assert_array_equal(read_rgb(picture), rgb_HW3)
    np.testing.assert_array_equal(read_pfm(disparity), map_HW)
    np.testing.assert_array_equal(read_disparity(disparity, "GenericDataset"), map_HW)
    assert (read_header(picture)[:3], read_header(disparity)[:3]) == ((7, 11, 3), (2, 2, 1))


def test_removing_and_emptiness(memory: str, tmp_path: Path) -> None:
    """A folder is empty before it is there, too; removing what is not there is nothing."""
    for folder in (memory, tmp_path / "new"):
        assert is_empty(folder)
        Path(tmp_path / "new").mkdir(exist_ok=True)
        with whole_file(joined(folder, "a.txt")) as temporary:
            temporary.write_text("a")
        assert not is_empty(folder)
        remove(joined(folder, "a.txt"))
        remove(joined(folder, "a.txt"))
        assert is_empty(folder)


def test_a_block_that_fails_leaves_what_was_there(memory: str) -> None:
    """Nothing is put in place of a file whose successor was not finished."""
    url = joined(memory, "a.txt")
    with whole_file(url) as temporary:
        temporary.write_text("first")
    with suppress(KeyboardInterrupt), whole_file(url) as temporary:
        temporary.write_text("seco")
        raise KeyboardInterrupt
    assert read_bytes(url) == b"first"


class Sftp(fsspec.get_filesystem_class("memory")):
    """A file system whose files others see while they are written."""

    protocol = ("sftp", "ssh")
    full = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("sftp:/"))

    def pipe_file(self, path: str, value: bytes, **_: object) -> None:
        raise AssertionError("writes under the final name")

    def mv(self, old: str, new: str, **_: object) -> None:
        assert Path(old).parent == Path(new).parent
        if self.full:
            raise OSError("disk full")
        super().mv(old, new)


def test_where_half_files_can_be_seen_the_name_comes_last(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SFTP and the like: under another name in the same folder, then moved; a move that fails leaves nothing."""
    fsspec.register_implementation("sftp", Sftp, clobber=True)
    (tmp_path / ".12.png").write_bytes(b"content")
    upload(tmp_path / ".12.png", "sftp://bucket/new/a.png")
    monkeypatch.setattr(Sftp, "full", True)
    with pytest.raises(FileError, match=r"cannot write sftp://bucket/new/b.png: disk full"):
        upload(tmp_path / ".12.png", "sftp://bucket/new/b.png")
    assert list(fsspec.filesystem("memory").store) == ["/bucket/new/a.png"]


def test_lists_lie_in_stores_too(memory: str, tmp_path: Path) -> None:
    """Relative paths are then the list's; URLs and absolute paths stay what they are, in local lists as well."""
    text = '# pairs\na/l.png a/r.png\nhttp://host/l.png "s3://bucket/r 1.png" /data/d.pfm\n'
    with whole_file(joined(memory, "lists/all.txt")) as temporary:
        temporary.write_text(text)
    pairs = AnnotationList(joined(memory, "lists/all.txt"))
    second = StereoSample("http://host/l.png", "s3://bucket/r 1.png", "/data/d.pfm")
    expected = [StereoSample("memory://bucket/lists/a/l.png", "memory://bucket/lists/a/r.png"), second]
    assert (len(pairs), list(pairs), list(pairs)) == (2, expected, expected)
    (tmp_path / "all.txt").write_text(text)
    assert list(AnnotationList(tmp_path / "all.txt")) == [StereoSample("a/l.png", "a/r.png"), second]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("memory://bucket/none.png", "cannot read memory://bucket/none.png: there is no such file; check the name"),
        ("xyz://bucket/a.png", "Protocol not known: xyz"),
        ("http://127.0.0.1:9/a.png", "check the address, the network and the credentials"),
    ],
)
def test_what_cannot_be_read_is_said(url: str, sentence: str) -> None:
    """In one sentence each."""
    with pytest.raises(FileError, match=sentence) as said:
        read_rgb(url)
    assert "\n" not in str(said.value)


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec itself, or the package of one store; paths need neither."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(FileError, match=r"Install s3fs.*pip install"):
        read_bytes("s3://bucket/a.png")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(FileError, match=r"cannot read s3://bucket/a.png: URLs need the Python package fsspec"):
        read_bytes("s3://bucket/a.png")
    assert read_bytes(__file__).startswith(b'"""Files')


def test_nothing_is_written_where_nothing_can_be(http: str, tmp_path: Path) -> None:
    """A server that refuses is named."""
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(FileError, match=r"cannot write http://127.0.0.1:\d+/refused/a: 403"):
        upload(tmp_path / "a", f"{http}/refused/a")


@pytest.mark.timeout(60)
def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    """Nobody waits for one to be written, or reads one without end."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/dev/zero")
    for reads in (read_bytes, read_header, read_rgb):
        for name in ("pipe.png", "link.png"):
            with pytest.raises(FileError, match=f"{name} is a pipe or a device: expected a file"):
                reads(tmp_path / name)
    with pytest.raises(FileError, match=r"link\.png is a pipe or a device: expected a file"):
        AnnotationList(tmp_path / "link.png")
