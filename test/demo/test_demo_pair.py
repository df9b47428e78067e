"""The demo's pairs: what a folder holds is read, what it lacks is said."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros.demo.pair import pair_in_folder, rendered_pair
from ffs_ros.errors import CalibrationError, FileError
from ffs_ros.pfm import write_pfm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two 6x4 images of plain red and plain blue, nothing else."""
    path = tmp_path / "pairs" / "mine"
    path.mkdir(parents=True)
    for side, bgr in (("left", (0, 0, 255)), ("right", (255, 0, 0))):
        cv2.imwrite(str(path / f"{side}.png"), np.full((4, 6, 3), bgr, np.uint8))
    return path


def test_images_alone_get_an_invented_calibration(folder):
    """Without calibration and truth: f = width, B = 0.1 m, marked as not calibrated, both things said."""
    pair = pair_in_folder(folder)
    assert pair.name == "mine"
    assert pair.left_HW3[0, 0].tolist() == [255, 0, 0]
    assert pair.right_HW3[0, 0].tolist() == [0, 0, 255]
    assert not pair.calibrated
    assert (pair.camera.fx_px, pair.camera.baseline_m, pair.camera.width, pair.camera.height) == (6.0, 0.1, 6, 4)
    assert pair.camera.principal_point_difference_px == 0
    assert pair.truth_HW is None
    assert "invented" in pair.remarks[0]
    assert "no ground truth" in pair.remarks[1]


def test_a_calibration_is_used(folder):
    """A Middlebury calib.txt gives the camera; one of another size is refused."""
    text = "cam0=[100 0 2.5; 0 100 1.5; 0 0 1]\ncam1=[100 0 3.5; 0 100 1.5; 0 0 1]\nbaseline=200\nheight=4\nwidth="
    (folder / "calib.txt").write_text(text + "6\n")
    pair = pair_in_folder(folder)
    assert pair.calibrated
    assert (pair.camera.fx_px, pair.camera.baseline_m) == (100.0, 0.2)
    assert pair.camera.principal_point_difference_px == -1.0
    (folder / "calib.txt").write_text(text + "12\n")
    with pytest.raises(CalibrationError, match="12x4"):
        pair_in_folder(folder)


def test_truth_in_a_pfm(folder):
    """disp_gt.pfm is taken as it is, inf is unknown and not scored."""
    write_pfm(folder / "disp_gt.pfm", np.array([[1.5, np.nan, 3, 4, 5, 6]] * 4, np.float32))
    pair = pair_in_folder(folder)
    np.testing.assert_array_equal(pair.truth_HW[2], np.array([1.5, np.nan, 3, 4, 5, 6], np.float32))
    np.testing.assert_array_equal(pair.scored_HW[2], [True, False, True, True, True, True])


def test_truth_in_16_bits(folder):
    """A 16-bit disp_gt.png is disparity * 256, 0 is unknown, whatever scale is given."""
    cv2.imwrite(str(folder / "disp_gt.png"), np.full((4, 6), 384, np.uint16) * (np.arange(6) > 0).astype(np.uint16))
    for gt_scale in (None, 4.0):
        np.testing.assert_array_equal(pair_in_folder(folder, gt_scale).truth_HW[0], [np.nan] + [1.5] * 5)


def test_truth_in_8_bits_needs_its_scale(folder):
    """Its scale comes from the user, or from manifest.json beside the folder; without either it is not used."""
    cv2.imwrite(str(folder / "disp_gt.png"), np.full((4, 6), 12, np.uint8))
    pair = pair_in_folder(folder)
    assert pair.truth_HW is None
    assert "GT_SCALE" in pair.remarks[1]
    manifest = [{"name": "other", "gt_scale": 8}, {"name": "mine", "gt_scale": 3}]
    (folder.parent / "manifest.json").write_text(json.dumps(manifest))
    assert pair_in_folder(folder).truth_HW[0, 0] == 4.0
    assert pair_in_folder(folder, 2.0).truth_HW[0, 0] == 6.0
    (folder.parent / "manifest.json").write_text('{"another": "program\'s manifest"}')
    assert pair_in_folder(folder).truth_HW is None


def test_what_does_not_fit_is_refused(folder):
    """A truth of another size, images of unequal sizes and a missing image are sentences."""
    write_pfm(folder / "disp_gt.pfm", np.ones((4, 5), np.float32))
    with pytest.raises(FileError, match="5x4 and the images are 6x4"):
        pair_in_folder(folder)
    cv2.imwrite(str(folder / "right.png"), np.zeros((4, 7, 3), np.uint8))
    with pytest.raises(FileError, match="6x4 and 7x4: expected equal sizes"):
        pair_in_folder(folder)
    (folder / "left.png").unlink()
    with pytest.raises(FileError, match=r"no left image: .*it holds disp_gt\.pfm, right\.png; rename to left\.\*"):
        pair_in_folder(folder)


def test_what_is_no_pair_is_said(folder, tmp_path):
    """A folder that is not there, a file in its place, other names, many of them, none."""
    with pytest.raises(FileError, match=r"there is no folder .*nowhere; check the name"):
        pair_in_folder(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"left\.png is a file; name its folder: .*mine$"):
        pair_in_folder(folder / "left.png")
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(FileError, match=r"no left image: .*it is empty$"):
        pair_in_folder(other)
    for number in range(7):
        (other / f"im{number}.png").touch()
    with pytest.raises(FileError, match=r"it holds im0\.png, .*, im4\.png, \.\.\.; rename to left\.\*, right\.\*$"):
        pair_in_folder(other)


def test_the_rendered_pair_knows_everything():
    """It is calibrated, verged, and has a truth in every pixel, of which the hidden ones are not scored."""
    pytest.importorskip("array_api_compat")
    pair = rendered_pair()
    assert pair.calibrated
    assert pair.camera.principal_point_difference_px != 0
    assert np.isfinite(pair.truth_HW).all()
    assert 0.9 < pair.scored_HW.mean() < 1.0


def test_the_real_pairs_are_understood(shared):
    """Calibration, ground truth and its scale are found in each folder of reference pairs that has them."""
    pairs = shared / "data" / "stereo"
    known = {name: pair_in_folder(pairs / name) for name in
             ("mb2014_adirondack_q", "mb2003_cones", "mb2001_tsukuba", "kitti2015_000000", "eth3d_playground_1l",
              "ffs_demo")}  # fmt: skip
    calibrated = {name: pair.calibrated for name, pair in known.items()}
    assert calibrated == {**dict.fromkeys(known, True), "mb2003_cones": False, "mb2001_tsukuba": False}
    # The ranges that the data's README lists.
    listed = {"mb2003_cones": (5.5, 55.0), "mb2001_tsukuba": (5.0, 14.0), "kitti2015_000000": (4.62, 64.09),
              "mb2014_adirondack_q": (7.0, 60.0), "eth3d_playground_1l": (2.13, 20.0)}  # fmt: skip
    for name, limits in listed.items():
        truth_HW = known[name].truth_HW
        assert (np.nanmin(truth_HW), np.nanmax(truth_HW)) == pytest.approx(limits, abs=0.01)
    assert known["ffs_demo"].truth_HW is None
    assert known["mb2014_adirondack_q"].camera.principal_point_difference_px == pytest.approx(-52.26475)
