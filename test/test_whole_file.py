"""A file appears complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ffs_ros.errors import FileError
from ffs_ros.whole_file import remove_unfinished, whole_file


def write_half_and_raise(path: Path, failure: BaseException) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(b"half")
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
