"""The pairs of lists and layouts, and what is wrong with their files."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros.annotation import StereoSample
from ffs_ros.errors import FileError, ListError
from ffs_ros.evaluation.samples import Sample, Samples, Source, check_files, faults_of, listed, load
from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm

ANSWER = np.full((8, 12), 20.0, np.float32)


def list_of(folder: Path, *lines: str, name: str = "list.txt") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def test_several_lists_are_one_after_the_other(tmp_path: Path) -> None:
    """Each pair has its place in all of them; a second pass gives the same."""
    first = list_of(tmp_path, "/a/l.png /a/r.png /a/d.pfm", "/b/l.png /b/r.png", name="1.txt")
    second = list_of(tmp_path, "/c/l.png /c/r.png /c/d.png /c/m.png", name="2.txt")
    samples = listed([first, second], "kitti", gt_scale=4.0)
    assert len(samples) == 3
    assert [(sample.place, sample.scene) for sample in samples] == [(0, "a"), (1, "b"), (2, "c")]
    assert list(samples)[2] == Sample(2, StereoSample("/c/l.png", "/c/r.png", "/c/d.png", "/c/m.png"), "Kitti", 4.0)


def test_a_long_list_is_read_as_far_as_it_is_asked_for(tmp_path: Path) -> None:
    """The first pairs come before the end is read, which is gone by then: that is said when it is come to."""
    path = list_of(tmp_path, *(f"/{i}/l.png /{i}/r.png" for i in range(20_000)))
    samples = listed([path], "FSD")
    remaining = iter(samples)
    assert [sample.scene for sample in islice(remaining, 3)] == ["0", "1", "2"]
    path.write_text(path.read_text()[: path.stat().st_size // 2])
    with pytest.raises(FileError, match=r"list\.txt was changed while it was read; start again"):
        list(remaining)


def test_what_is_wrong_in_several_lists_is_said_at_once(tmp_path: Path) -> None:
    """Wrong lines of one, and another that is not there."""
    path = list_of(tmp_path, "alone.png", "l.png r.png", "'l.png r.png")
    with pytest.raises(ListError) as error:
        listed([path, tmp_path / "none.txt"], "FSD")
    assert [sentence.split(":")[0] for sentence in error.value.args] == [
        f"{path}, line 1 has 1 of 2 to 4 columns", f"{path}, line 3", f"cannot read {tmp_path / 'none.txt'}",
    ]  # fmt: skip


def test_an_unknown_data_set(tmp_path: Path) -> None:
    """Before any list is read."""
    with pytest.raises(FileError, match="dataset_name 'Mars' does not exist"):
        listed([tmp_path / "none.txt"], "Mars")


def test_good_files_have_no_fault(write_pair: Callable[..., str]) -> None:
    """With and without truth and mask."""
    lines = [
        write_pair("a", ANSWER),
        write_pair("b", ANSWER, ANSWER),
        write_pair("c", ANSWER, ANSWER, np.ones((8, 12), bool)),
    ]
    assert [faults_of(Sample(0, StereoSample(*line.split()), "Eth3d", None)) for line in lines] == [[], [], []]


@pytest.mark.parametrize(
    ("dataset", "gt_scale", "pixels", "fault"),
    [
        ("Kitti", None, np.ones((8, 12), np.uint16), None),
        ("Kitti", None, np.ones((8, 12), np.uint8), "1 channels of uint8: expected one of 16 bits, 256 steps a pixel"),
        ("FSD", None, np.ones((8, 12, 3), np.uint8), None),
        ("FSD", None, np.ones((8, 12), np.uint8), "a grey picture of 8 bits"),
        ("FSD", 4.0, np.ones((8, 12), np.uint8), None),
        ("FSD", None, np.ones((8, 12, 4), np.uint8), "4 channels of uint8: expected three"),
        ("FSD", None, np.ones((9, 12, 3), np.uint8), "12x9 and"),
    ],
)
def test_truth_is_looked_at_by_its_header(
    tmp_path: Path,
    write_pair: Callable[..., str],
    dataset: str,
    gt_scale: float | None,
    pixels: np.ndarray,
    fault: str | None,
) -> None:
    """Size and encoding, before anything is unpacked."""
    left, right = write_pair("a", ANSWER).split()
    cv2.imwrite(str(tmp_path / "truth.png"), pixels)
    found = faults_of(Sample(0, StereoSample(left, right, str(tmp_path / "truth.png")), dataset, gt_scale))
    assert len(found) == (fault is not None)
    assert all(fault in sentence for sentence in found)


def test_truth_in_another_kind_of_file(tmp_path: Path, write_pair: Callable[..., str]) -> None:
    """A JPEG holds no disparities, except where a scale is given for what is in it."""
    left, right = write_pair("a", ANSWER).split()
    cv2.imwrite(str(tmp_path / "truth.jpg"), np.ones((8, 12), np.uint8))
    sample = Sample(0, StereoSample(left, right, str(tmp_path / "truth.jpg")), "FSD", None)
    assert faults_of(sample) == [
        f"{tmp_path / 'truth.jpg'} cannot hold ground truth: expected a .png, .pfm, .npy or .npz file"
    ]
    assert faults_of(sample._replace(gt_scale=2.0)) == []


@pytest.mark.parametrize(
    ("name", "array", "fault"),
    [
        ("t.npy", np.ones((8, 12), np.float64), None),
        ("t.npz", np.ones((8, 12), np.float32), None),
        ("t.npz", np.ones((9, 12), np.float32), "12x9 and"),
        ("t.npy", np.ones((8, 12), np.int64), "holds int64 (8, 12): expected floats (height, width)"),
        ("t.npy", np.ones((8, 12, 3)), "holds float64 (8, 12, 3): expected floats"),
        ("t.npy", np.full((8, 12), {}), "not a NumPy file of numbers"),
        ("none.npy", None, "No such file or directory"),
    ],
)
def test_truth_in_arrays(
    name: str, array: np.ndarray | None, fault: str | None, tmp_path: Path, write_pair: Callable[..., str]
) -> None:
    """NumPy's files hold floats of two dimensions; anything else is said before the work."""
    left, right = write_pair("a", ANSWER).split()
    if array is not None:
        (np.save if name.endswith("npy") else np.savez)(tmp_path / name, array)
    found = faults_of(Sample(0, StereoSample(left, right, str(tmp_path / name)), "FSD", None))
    assert len(found) == (fault is not None)
    assert all(fault in sentence for sentence in found)


def test_what_is_no_image_or_mask(tmp_path: Path, write_pair: Callable[..., str]) -> None:
    """A map in their place, also one with three channels in place of truth."""
    _, right, truth = write_pair("a", ANSWER, ANSWER).split()
    np.save(tmp_path / "seen.npy", np.ones((8, 12), np.uint8))
    (tmp_path / "colours.pfm").write_bytes(b"PF\n12 8\n-1.0\n" + bytes(8 * 12 * 12))
    files = StereoSample(truth, right, str(tmp_path / "colours.pfm"), str(tmp_path / "seen.npy"))
    assert faults_of(Sample(0, files, "FSD", None)) == [
        f"{truth} is no picture of 8 or 16 bits: expected PNG, JPEG or the like",
        f"{tmp_path / 'colours.pfm'} holds a colour picture (PF): expected one channel (Pf)",
        f"{tmp_path / 'seen.npy'} is no picture of 8 or 16 bits: expected PNG, JPEG or the like",
    ]


def test_only_the_first_faults_of_many_are_said(tmp_path: Path) -> None:
    """And how many there are more."""
    path = list_of(tmp_path, *(f"/none/{i}.png /none/r{i}.png" for i in range(3000)))
    with pytest.raises(ListError) as error:
        check_files(listed([path], "FSD"))
    assert len(error.value.args) == ListError.MOST_SENTENCES + 1
    assert error.value.args[0].startswith("cannot read /none/0.png")
    assert error.value.args[-1] == f"and {6000 - ListError.MOST_SENTENCES} more like these; correct these first"


def test_truth_is_needed_unless_it_is_not(tmp_path: Path, write_pair: Callable[..., str]) -> None:
    """A list without any truth can be compared, not evaluated; some pairs may lack it."""
    bare, whole = write_pair("a", ANSWER), write_pair("b", ANSWER, ANSWER)
    check_files(listed([list_of(tmp_path, bare)], "FSD"), needs_truth=False)
    check_files(listed([list_of(tmp_path, bare, whole)], "FSD"))
    with pytest.raises(FileError, match=r"no pair has ground truth, .*a/left\.png for one"):
        check_files(listed([list_of(tmp_path, bare)], "FSD"))


def test_a_sample_is_read(tmp_path: Path, write_pair: Callable[..., str]) -> None:
    """Images, truth with NaN where it is unknown or negative, and what both cameras see."""
    truth = ANSWER.copy()
    truth[0, :3] = np.nan, -1.0, 0.0
    seen = np.zeros((8, 12), bool)
    seen[2:] = True
    pair = load(Sample(0, StereoSample(*write_pair("a", ANSWER, truth, seen).split()), "FSD", None))
    assert pair.left_HW3.dtype == np.uint8
    assert (pair.left_HW3[0, 0] == (80, 0, 0)).all()
    np.testing.assert_array_equal(pair.truth_HW[0, :4], [np.nan, np.nan, 0.0, 20.0])
    np.testing.assert_array_equal(pair.seen_HW, seen)


def test_sizes_are_looked_at_again_when_a_sample_is_read(tmp_path: Path, write_pair: Callable[..., str]) -> None:
    """What came between the check and the work is one sentence."""
    left, right, truth = write_pair("a", ANSWER, ANSWER).split()
    write_pfm(truth, np.ones((8, 11), np.float32))
    with pytest.raises(FileError, match=r"truth\.pfm is 11x8 and .*left\.png is 12x8: expected one size"):
        load(Sample(0, StereoSample(left, right, truth), "FSD", None))


def test_sources_of_different_data_sets(tmp_path: Path) -> None:
    """Each pair is read in its own encoding."""
    for name, value in (("k", 512), ("c", 64)):
        write_png(tmp_path / f"{name}.png", np.full((2, 3), value, np.uint16))
    write_png(tmp_path / "l.png", np.zeros((2, 3, 3), np.uint8))
    write_png(tmp_path / "r.png", np.ones((2, 3, 3), np.uint8))
    pairs = {name: [StereoSample(*(str(tmp_path / f) for f in ("l.png", "r.png", f"{name}.png")))] for name in "kc"}
    samples = Samples([Source(pairs["k"], "kitti"), Source(pairs["c"], "CREStereo")])
    check_files(samples)
    assert [float(load(sample).truth_HW[0, 0]) for sample in samples] == [2.0, 2.0]
