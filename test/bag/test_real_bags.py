"""Real recordings and real pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import messages_of, stereo_stream, write_bag

from ffs_ros.bag.camera_topics import Asked
from ffs_ros.camera_file import read_camera
from ffs_ros.errors import CalibrationError, FfsError
from ffs_ros.image_file import read_rgb
from ffs_ros.metrics import bad_pixels

Replay = Callable[..., tuple[dict[str, Any], Path]]

# The T265's own factory calibration, Kannala and Brandt: fx, fy, cx, cy, then four of distortion.
T265 = {
    "left": (284.468, 285.51, 424.355, 393.742, 0.0008, 0.031, -0.03, 0.005),
    "right": (283.999, 285.266, 417.246, 400.402, -0.002, 0.039, -0.038, 0.007),
}
BASELINE_M, FOCAL_px = 0.064, 284.0


def t265_calibration(folder: Path) -> Path:
    """As camera_calibration would write it, with a rectified camera in the middle of the view."""
    for side, (fx, fy, cx, cy, *distortion) in T265.items():
        offset = -FOCAL_px * BASELINE_M if side == "right" else 0.0
        matrices = {
            "camera_matrix": (3, 3, [fx, 0, cx, 0, fy, cy, 0, 0, 1]),
            "distortion_coefficients": (1, 4, distortion),
            "rectification_matrix": (3, 3, [1, 0, 0, 0, 1, 0, 0, 0, 1]),
            "projection_matrix": (3, 4, [FOCAL_px, 0, 424, offset, 0, FOCAL_px, 400, 0, 0, 0, 1, 0]),
        }
        lines = ["image_width: 848", "image_height: 800", f"camera_name: {side}", "distortion_model: equidistant"]
        for name, (rows, columns, numbers) in matrices.items():
            lines += [f"{name}:", f"  rows: {rows}", f"  cols: {columns}", f"  data: {numbers}"]
        (folder / f"{side}.yaml").write_text("\n".join(lines) + "\n")
    return folder / "left.yaml"


def test_a_real_fisheye_recording_of_ros1(tmp_path: Path, shared: Path, replay: Replay) -> None:
    """Three raw pairs and no CameraInfo: rectified by a calibration file, most of what both see is matched twice over,
    and all 50 messages of the recording are in the new bag."""
    bag = shared / "data" / "stereo" / "ros1bag_t265_fisheye" / "trimmed_locoffice.bag"
    asked = Asked(rectify=True)
    with pytest.raises(FfsError, match=r"/camera_info: give a calibration file .* it has none at all"):
        replay(bag, asked, {"rectify": True})
    record, out = replay(
        bag, asked, {"rectify": True, "max_disparity": 64, "confidence_rate": 1000.0},
        camera=t265_calibration(tmp_path), with_inputs=True,
    )  # fmt: skip
    assert record["pairs"]["matched"] == 3
    assert record["density"]["mean"] > 0.5
    assert record["left_right"]["consistent"] > 0.7
    assert record["output"]["messages"] == {
        "/disparity": 3, "/depth/image_rect": 3, "/depth/camera_info": 3, "/camera/gyro/sample": 19,
        "/camera/odom/sample": 19, "/camera/accel/sample": 6, "/camera/fisheye1/image_raw": 3,
        "/camera/fisheye2/image_raw": 3,
    }  # fmt: skip
    info = messages_of(out, "/depth/camera_info")[0][1]
    np.testing.assert_array_equal(info.k, [FOCAL_px, 0, 424, 0, FOCAL_px, 400, 0, 0, 1])
    assert not info.d.any()
    text = (tmp_path / "left.yaml").read_text()
    (tmp_path / "left.yaml").write_text(text.replace("camera_matrix", "other_matrix"))
    with pytest.raises(FfsError, match="the left CameraInfo has K"):
        replay(bag, asked, {"rectify": True}, camera=tmp_path / "left.yaml")


def test_a_real_recording_of_one_camera(shared: Path, replay: Replay) -> None:
    """Compressed images of one camera: there is no pair to be found, and the error says what there is."""
    bag = shared / "data" / "stereo" / "ros1bag_raspicam_mono" / "aruco_images.bag"
    with pytest.raises(FfsError, match=r"no two image topics .* its images are /raspicam_node/image/compressed"):
        replay(bag)


@pytest.mark.parametrize("packed", ["", ".png", ".jpg"])
def test_a_real_pair_with_ground_truth(
    tmp_path: Path, shared: Path, replay: Replay, real_pair: Callable[[str], Any], packed: str
) -> None:
    """Adirondack from a bag, raw, as PNG and as JPEG: SGBM's published share of pixels that are off by more than 2 px,
    of those that it answers, within two points with the JPEG's artefacts."""
    pair = real_pair("mb2014_adirondack_q")
    camera = read_camera(shared / "data" / "stereo" / "mb2014_adirondack_q" / "calib.txt")
    images = (pair.left_HW3, pair.right_HW3)
    bag = write_bag(tmp_path / "rec", "sqlite3", stereo_stream([images], camera, packed=packed))
    _, out = replay(bag, parameters={"max_disparity": 80})
    message = messages_of(out, "/disparity")[0][1]
    found_HW = message.image.data.view(np.float32).reshape(message.image.height, -1)
    disparity_HW = np.where(found_HW > 0, found_HW + np.float32(camera.principal_point_difference_px), np.nan)
    answered_HW = np.isfinite(disparity_HW) & np.isfinite(pair.truth_HW)
    assert 100 * bad_pixels(disparity_HW, pair.truth_HW, answered_HW, 2.0) == pytest.approx(7.7, abs=3.0)


def test_a_calibration_for_another_size(tmp_path: Path, shared: Path, replay: Replay) -> None:
    """Its own sentence, once for all pairs."""
    folder = shared / "data" / "stereo" / "realsense_ir_tinynav"
    left_HW3, right_HW3 = read_rgb(folder / "left.png"), read_rgb(folder / "right.png")
    camera = read_camera(folder / "calib.txt", left_HW3.shape[:2])
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream([(left_HW3, right_HW3)], camera))
    with pytest.raises(FfsError, match="the image is 848x480 but its calibration is for 720x497"):
        replay(bag, camera=shared / "data" / "stereo" / "mb2014_adirondack_q" / "calib.txt")
    record, _ = replay(bag, camera=folder / "calib.txt", parameters={"max_disparity": 64})  # the size is the image's
    assert record["pairs"]["matched"] == 1
    (tmp_path / "K.txt").write_text("1 2 3\n")
    with pytest.raises(CalibrationError, match="it holds 3 numbers"):
        replay(bag, camera=tmp_path / "K.txt")
