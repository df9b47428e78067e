"""The stereo pair that the demo plays: rendered, or read from a folder.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.camera_file import read_camera
from ffs_ros.errors import CalibrationError, FileError
from ffs_ros.geometry import StereoCamera
from ffs_ros.image_file import read_rgb
from ffs_ros.pfm import read_pfm
from ffs_ros.scene import render_pair

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".bmp", ".tif", ".tiff")
CALIBRATIONS = ("calib.txt", "K.txt", "calib*.txt", "*left*.yaml")
INVENTED_BASELINE_M = 0.1
MOST_NAMES_LISTED = 5


class DemoPair(NamedTuple):
    """Two rectified images and what is known about them."""

    name: str
    left_HW3: np.ndarray
    """uint8 RGB, as is ``right_HW3``."""
    right_HW3: np.ndarray
    camera: StereoCamera
    calibrated: bool
    """False where ``camera`` is invented, so that depths mean nothing."""
    truth_HW: np.ndarray | None
    """True disparity, float32 px, NaN where it is unknown; None without any."""
    scored_HW: np.ndarray | None
    """bool: where an answer can be expected to be right (not hidden from the right camera, as far as that is known)."""
    remarks: tuple[str, ...]
    """Sentences for the user."""


def rendered_pair() -> DemoPair:
    """The scene of ``ffs_ros.scene``, whose truth is exact."""
    pair = render_pair()
    return DemoPair(
        name="rendered",
        left_HW3=pair.left_HW3,
        right_HW3=pair.right_HW3,
        camera=pair.camera,
        calibrated=True,
        truth_HW=pair.disparity_HW,
        scored_HW=pair.seen_by_both_HW,
        remarks=("a rendered scene with exact ground truth",),
    )


def pair_in_folder(folder: Path, gt_scale: float | None = None) -> DemoPair:
    """The pair in ``folder``: left.* and right.*, a calibration file and disp_gt.pfm or disp_gt.png, if they are there.

    A 16-bit disp_gt.png holds disparity * 256 as KITTI's do, an 8-bit one disparity * ``gt_scale``, which is also found
    as ``gt_scale`` in a manifest.json beside the folder; 0 is unknown. Raises FileError when images are missing or
    something does not fit them.
    """
    _check_folder(folder)
    left_HW3, right_HW3 = (read_rgb(_image(folder, side)) for side in ("left", "right"))
    if left_HW3.shape != right_HW3.shape:
        raise FileError(f"the images in {folder} are {_size(left_HW3)} and {_size(right_HW3)}: expected equal sizes")
    height, width = left_HW3.shape[:2]
    camera, calibrated, camera_remark = _camera(folder, height, width)
    truth_HW, truth_remark = _truth(folder, gt_scale)
    if truth_HW is not None and truth_HW.shape != (height, width):
        raise FileError(f"the ground truth in {folder} is {_size(truth_HW)} and the images are {_size(left_HW3)}")
    return DemoPair(
        name=folder.resolve().name,
        left_HW3=left_HW3,
        right_HW3=right_HW3,
        camera=camera,
        calibrated=calibrated,
        truth_HW=truth_HW,
        scored_HW=None if truth_HW is None else np.isfinite(truth_HW),
        remarks=(camera_remark, truth_remark),
    )


def _check_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.exists():
        raise FileError(f"{folder} is a file; name its folder: {folder.parent}")
    raise FileError(f"there is no folder {folder}; check the name")


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _image(folder: Path, side: str) -> Path:
    for ending in IMAGE_ENDINGS:
        if (folder / f"{side}{ending}").is_file():
            return folder / f"{side}{ending}"
    names = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(names[:MOST_NAMES_LISTED]) + (", ..." if len(names) > MOST_NAMES_LISTED else "")
    found = f"it holds {listed}; rename to left.*, right.*" if names else "it is empty"
    raise FileError(f"{folder} has no {side} image: expected {side}.png (or .jpg, .pgm, ...); {found}")


def _camera(folder: Path, height: int, width: int) -> tuple[StereoCamera, bool, str]:
    for pattern in CALIBRATIONS:
        for path in sorted(folder.glob(pattern)):
            camera = read_camera(path, (height, width))
            try:
                camera.check_image_size(height, width)
            except CalibrationError:
                raise CalibrationError(
                    f"{path} is for {camera.width}x{camera.height} images and those beside it are {width}x{height}: "
                    "depth would be wrong; put the calibration of this size there, or none"
                ) from None
            return camera, True, f"calibration from {path.name}"
    invented = StereoCamera(
        width=width, height=height, fx_px=float(width), fy_px=float(width),
        cx_left_px=(width - 1) / 2, cx_right_px=(width - 1) / 2, cy_px=(height - 1) / 2, baseline_m=INVENTED_BASELINE_M,
    )  # fmt: skip
    return invented, False, (
        f"no calibration: invented f = {width} px and a baseline of {INVENTED_BASELINE_M} m, so depths mean nothing"
    )  # fmt: skip


def _truth(folder: Path, gt_scale: float | None) -> tuple[np.ndarray | None, str]:
    if (folder / "disp_gt.pfm").is_file():
        return read_pfm(folder / "disp_gt.pfm"), "ground truth from disp_gt.pfm"
    path = folder / "disp_gt.png"
    if not path.is_file():
        return None, "no ground truth (disp_gt.pfm or disp_gt.png), so no error"
    stored = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)
    if stored is None:
        raise FileError(f"{path} is not a readable picture; copy it again")
    scale = 256.0 if stored.dtype == np.uint16 else gt_scale or _scale_in_manifest(folder)
    if scale is None:
        return None, "the scale of the 8-bit disp_gt.png is not known (GT_SCALE=n gives it), so no error"
    truth_HW = stored.astype(np.float32) / np.float32(scale)
    truth_HW[stored == 0] = np.nan
    return truth_HW, f"ground truth from disp_gt.png, disparity = value / {scale:g}"


def _scale_in_manifest(folder: Path) -> float | None:
    """``gt_scale`` of the entry with this folder's name, in a list of entries beside the folder."""
    manifest = folder.resolve().parent / "manifest.json"
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))
        return next((entry.get("gt_scale") for entry in entries if entry.get("name") == folder.resolve().name), None)
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # not there, or a manifest of something else
