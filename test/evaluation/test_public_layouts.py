"""The benchmarks' own folders become lists of pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ffs_ros.errors import FileError
from ffs_ros.evaluation.layouts import pairs_of


def made(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def below(root: Path, layout: str) -> list[list[str | None]]:
    return [[file and str(Path(file).relative_to(root)) for file in pair] for pair in pairs_of(layout, root)]


def test_middlebury_version_3(tmp_path: Path) -> None:
    """Sorted scenes, with or without mask; the test set has no truth and is left out."""
    root = made(
        tmp_path,
        *(f"MiddEval3/trainingQ/Piano/{name}" for name in ("im0.png", "im1.png", "disp0GT.pfm", "mask0nocc.png")),
        *(f"MiddEval3/trainingQ/Adirondack/{name}" for name in ("im0.png", "im1.png", "disp0GT.pfm", "calib.txt")),
        *(f"MiddEval3/testQ/Hoops/{name}" for name in ("im0.png", "im1.png")),
    )
    scene = "MiddEval3/trainingQ"
    assert below(root, "middlebury") == [
        [f"{scene}/Adirondack/im0.png", f"{scene}/Adirondack/im1.png", f"{scene}/Adirondack/disp0GT.pfm", None],
        [f"{scene}/Piano/im0.png", f"{scene}/Piano/im1.png", f"{scene}/Piano/disp0GT.pfm",
         f"{scene}/Piano/mask0nocc.png"],
    ]  # fmt: skip


def test_middlebury_of_other_years(tmp_path: Path) -> None:
    """2014 and 2021 have disp0.pfm, 2005 and 2006 view1 and view5, 2003 im2 and im6."""
    root = made(
        tmp_path, "a/im0.png", "a/im1.png", "a/disp0.pfm", "b/view1.png", "b/view5.png", "b/disp1.png",
        "c/im2.png", "c/im6.png", "c/disp2.png", "d/im2.ppm", "d/im6.ppm", "d/disp2.pgm",
    )  # fmt: skip
    assert below(root, "middlebury") == [
        ["a/im0.png", "a/im1.png", "a/disp0.pfm", None],
        ["b/view1.png", "b/view5.png", "b/disp1.png", None],
        ["c/im2.png", "c/im6.png", "c/disp2.png", None],
        ["d/im2.ppm", "d/im6.ppm", "d/disp2.pgm", None],
    ]


def test_a_scene_without_truth_is_listed_for_the_check_to_name(tmp_path: Path) -> None:
    """A missing file is not a shorter list."""
    assert below(made(tmp_path, "a/im0.png", "a/im1.png"), "middlebury") == [
        ["a/im0.png", "a/im1.png", "a/disp0GT.pfm", None]
    ]


@pytest.mark.parametrize("root", ["", "training"])
def test_kitti_2015(tmp_path: Path, root: str) -> None:
    """The frames with truth, and disp_noc_0 as what both cameras see; from the folder or the one above."""
    made(
        tmp_path / "training", *(f"image_2/00000{i}_1{j}.png" for i in (1, 0) for j in (0, 1)),
        "image_3/000000_10.png", "disp_occ_0/000000_10.png", "disp_noc_0/000000_10.png",
    )  # fmt: skip
    pairs = [[file and Path(file).parts[-2:] for file in pair] for pair in pairs_of("kitti", tmp_path / root)]
    assert pairs == [
        [("image_2", "000000_10.png"), ("image_3", "000000_10.png"), ("disp_occ_0", "000000_10.png"),
         ("disp_noc_0", "000000_10.png")],
        [("image_2", "000001_10.png"), ("image_3", "000001_10.png"), ("disp_occ_0", "000001_10.png"), None],
    ]  # fmt: skip


def test_kitti_2012(tmp_path: Path) -> None:
    """Colour where it is there, else grey."""
    made(tmp_path, "colored_0/000000_10.png", "image_0/000000_10.png")
    assert below(tmp_path, "kitti")[0][:3] == [
        "colored_0/000000_10.png",
        "colored_1/000000_10.png",
        "disp_occ/000000_10.png",
    ]
    (tmp_path / "colored_0" / "000000_10.png").unlink()
    (tmp_path / "colored_0").rmdir()
    assert below(tmp_path, "kitti")[0][:3] == [
        "image_0/000000_10.png",
        "image_1/000000_10.png",
        "disp_occ/000000_10.png",
    ]


def test_eth3d(tmp_path: Path) -> None:
    """The truth is in a folder beside, or in the scene's own."""
    root = made(
        tmp_path, "two_view_training/delivery/im0.png", "two_view_training/delivery/im1.png",
        "two_view_training_gt/delivery/disp0GT.pfm", "two_view_training_gt/delivery/mask0nocc.png",
        "two_view_training/terrace/im0.png", "two_view_training/terrace/im1.png",
        "two_view_training/terrace/disp0GT.pfm", "two_view_testing/lakeside/im0.png",
    )  # fmt: skip
    assert below(root, "eth3d") == [
        ["two_view_training/delivery/im0.png", "two_view_training/delivery/im1.png",
         "two_view_training_gt/delivery/disp0GT.pfm", "two_view_training_gt/delivery/mask0nocc.png"],
        ["two_view_training/terrace/im0.png", "two_view_training/terrace/im1.png",
         "two_view_training/terrace/disp0GT.pfm", None],
    ]  # fmt: skip


@pytest.mark.parametrize("layout", ["middlebury", "kitti", "eth3d"])
def test_a_folder_without_a_pair(tmp_path: Path, layout: str) -> None:
    """What was expected there."""
    with pytest.raises(FileError, match=f"holds no pair in the layout '{layout}': expected .*png"):
        pairs_of(layout, tmp_path)
    with pytest.raises(FileError, match=r"there is no folder .*none; check the name"):
        pairs_of(layout, tmp_path / "none")
