"""A file, or a folder of files, appears complete or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ffs_ros.errors import FileError
from ffs_ros.whole_file import remove_unfinished, whole_file, whole_folder


def write_half_and_raise(path: Path, failure: BaseException) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise failure


def make_folder_and_raise(path: Path, failure: BaseException) -> None:
    with whole_folder(path) as folder:
        assert not folder.exists()
        folder.mkdir()
        raise failure


def test_file_appears_with_what_was_written(tmp_path: Path) -> None:
    """Until the block ends there is no file of that name; afterwards there is, and nothing else."""
    path = tmp_path / "depth.npy"
    with whole_file(path) as temporary:
        assert temporary.suffix == ".npy"
        temporary.write_bytes(b"complete")
        assert not path.exists()
    assert path.read_bytes() == b"complete"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError("bug"), KeyboardInterrupt()])
def test_early_end_leaves_the_old_file_and_no_litter(tmp_path: Path, failure: BaseException) -> None:
    """An exception, Ctrl-C included, keeps what was there and removes the temporary file."""
    path = tmp_path / "cloud.ply"
    path.write_bytes(b"old")
    with pytest.raises(type(failure)):
        write_half_and_raise(path, failure)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    """A folder that does not exist is named before anything is computed."""
    with pytest.raises(FileError, match=r"the folder .*nowhere does not exist"), whole_file(tmp_path / "nowhere" / "a"):
        pytest.fail("the block must not start")


def test_folder_or_device_is_not_replaced(tmp_path: Path) -> None:
    """Renaming onto /dev/null would replace the device for everybody."""
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(FileError, match="not a regular file"), whole_file(path):
            pytest.fail("the block must not start")


def test_full_disk_is_a_file_error_and_other_files_keep_theirs(tmp_path: Path) -> None:
    """An OSError of the output becomes a sentence; one about an input that the block reads stays itself."""
    path = tmp_path / "model.onnx"
    with pytest.raises(FileError, match="No space left on device"):
        write_half_and_raise(path, OSError(28, "No space left on device"))
    with pytest.raises(FileNotFoundError), whole_file(path):
        (tmp_path / "input").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_is_removed(tmp_path: Path) -> None:
    """Temporary files of this module alone; a folder of such a name stays."""
    mine = [tmp_path / "model.pth", tmp_path / ".hidden.pth", tmp_path / ".0123456789abcdef" / "file"]
    mine[2].parent.mkdir()
    for path in mine:
        path.write_bytes(b"mine")
    left = whole_file(tmp_path / "model.pth").__enter__()
    left.write_bytes(b"half")
    remove_unfinished(tmp_path)
    assert not left.exists()
    assert all(path.read_bytes() == b"mine" for path in mine)


def test_a_folder_appears_with_its_files(tmp_path: Path) -> None:
    """Until the block ends there is nothing of that name; afterwards there is, and nothing else."""
    path = tmp_path / "rec"
    with whole_folder(path) as folder:
        assert folder.name == "rec"
        folder.mkdir()
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_bytes(b"complete")
        assert not path.exists()
    assert (path / "inner" / "file").read_bytes() == b"complete"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError("bug"), KeyboardInterrupt()])
def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path: Path, failure: BaseException) -> None:
    """An exception, Ctrl-C included, removes what was written; what a killed process has left goes as well."""
    left_over = tmp_path / ".rec.unfinished" / "rec"
    left_over.mkdir(parents=True)
    (left_over / "half").write_bytes(b"half")
    with pytest.raises(type(failure)):
        make_folder_and_raise(tmp_path / "rec", failure)
    assert list(tmp_path.iterdir()) == []


def test_two_do_not_write_one_folder(tmp_path: Path) -> None:
    """The second one is refused and leaves the first one's work alone."""
    with whole_folder(tmp_path / "rec") as folder:
        folder.mkdir()
        (folder / "file").write_bytes(b"first")
        with pytest.raises(FileError, match="another process is writing"), whole_folder(tmp_path / "rec"):
            pytest.fail("the block must not start")
    assert (tmp_path / "rec" / "file").read_bytes() == b"first"


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    """One that exists, even empty, is not touched; a missing one above it is named; so is what the disk says."""
    (tmp_path / "rec").mkdir()
    with pytest.raises(FileError, match="exists already"), whole_folder(tmp_path / "rec"):
        pytest.fail("the block must not start")
    with (
        pytest.raises(FileError, match=r"the folder .*nowhere does not exist"),
        whole_folder(tmp_path / "nowhere" / "a"),
    ):
        pytest.fail("the block must not start")
    with pytest.raises(FileError, match="No space left on device"), whole_folder(tmp_path / "new"):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "new"):
        (tmp_path / "input").read_bytes()


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_names_that_the_file_system_does_not_take(tmp_path: Path, whole: Callable[[Path], Any]) -> None:
    """Before anything is computed."""
    for path in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "rec"):
        with pytest.raises(FileError, match="File name too long; name another output"), whole(path):
            pytest.fail("the block must not start")


def test_a_link_to_nothing(tmp_path: Path) -> None:
    """A folder cannot take its name; a file can."""
    link = tmp_path / "link"
    link.symlink_to("nothing")
    with pytest.raises(FileError, match="exists already"), whole_folder(link):
        pytest.fail("the block must not start")
    with whole_file(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.read_bytes() == b"new"
