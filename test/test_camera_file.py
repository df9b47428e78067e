"""Calibrations of data sets and of ROS, with the numbers that are in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ffs_ros.camera_file import read_camera, read_camera_infos
from ffs_ros.errors import CalibrationError, FileError
from ffs_ros.geometry import StereoCamera

MIDDLEBURY = """\
cam0=[1040.5 0 361.25; 0 1040.5 246.5; 0 0 1]
cam1=[1040.5 0 413.5; 0 1040.5 246.5; 0 0 1]
doffs=52.25
baseline=176.252
width=720
height=497
ndisp=70
"""
KITTI = """\
calib_time: 09-Jan-2012 13:57:47
S_rect_00: 1.242000e+03 3.750000e+02
P_rect_00: 700.0 0 600.0 0.0 0 700.0 180.0 0 0 0 1 0
P_rect_01: 700.0 0 600.0 -350.0 0 700.0 180.0 0 0 0 1 0
S_rect_02: 1.242000e+03 3.750000e+02
P_rect_02: 700.0 0 600.0 42.0 0 700.0 180.0 0.2 0 0 1 0.003
P_rect_03: 700.0 0 600.0 -336.0 0 700.0 180.0 2.1 0 0 1 0.003
"""
FIRST_KITTI_PAIR = "P0: 700 0 600 0 0 700 180 0 0 0 1 0\nP1: 700 0 600 -350 0 700 180 0 0 0 1 0\n"
K_TXT = "754.5 0.0 489.25 0.0 754.5 265.25 0.0 0.0 1.0 \n0.063\n"
K_WITH_WORDS = """\
K (3x3 intrinsic matrix):
428.25 0.00000000 431.875
0.00000000 428.25 247.5
0.00000000 0.00000000 1.00000000

baseline (meters): 0.0625
"""


def ros_yaml(name: str, cx: float, tx: float, data: str = "[{}]", separator: str = ", ") -> str:
    p = separator.join(map(str, [500.0, 0.0, cx, tx, 0.0, 500.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]))
    return f"""\
image_width: 640
image_height: 480
camera_name: {name}
camera_matrix:
  rows: 3
  cols: 3
  data: [9, 0, 9, 0, 9, 9, 0, 0, 1]
distortion_model: plumb_bob
projection_matrix:
  rows: 3
  cols: 4
  data: {data.format(p)}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "camera"),
    [
        (MIDDLEBURY, StereoCamera(720, 497, 1040.5, 1040.5, 361.25, 413.5, 246.5, 0.176252)),
        (KITTI, StereoCamera(1242, 375, 700.0, 700.0, 600.0, 600.0, 180.0, 0.54)),
        (FIRST_KITTI_PAIR, StereoCamera(60, 40, 700.0, 700.0, 600.0, 600.0, 180.0, 0.5)),
        (K_TXT, StereoCamera(60, 40, 754.5, 754.5, 489.25, 489.25, 265.25, 0.063)),
        (K_WITH_WORDS, StereoCamera(60, 40, 428.25, 428.25, 431.875, 431.875, 247.5, 0.0625)),
    ],
    ids=["middlebury", "kitti", "kitti_p0_p1", "k_txt", "k_with_words"],
)
def test_formats_are_known_by_their_content(tmp_path: Path, text: str, camera: StereoCamera) -> None:
    """Whatever the file is called; the size comes from the file, or from the image where the file has none."""
    read = read_camera(write(tmp_path, "whatever", text), image_size=(40, 60))
    assert (read.width, read.height) == (camera.width, camera.height)
    for name in ("fx_px", "fy_px", "cx_left_px", "cx_right_px", "cy_px", "baseline_m"):
        assert getattr(read, name) == pytest.approx(getattr(camera, name), rel=1e-9), name


@pytest.mark.parametrize(("data", "separator"), [("[{}]", ", "), ("[{}]", ",\n         "), ("\n  - {}", "\n  - ")])
@pytest.mark.parametrize("named", ["left.yaml", "right.yaml"])
def test_ros_yaml_with_its_partner_beside_it(tmp_path: Path, named: str, data: str, separator: str) -> None:
    """Either file of the pair will do; the projection matrices count, not the camera matrices."""
    write(tmp_path, "left.yaml", ros_yaml("l", 320.0, 0.0, data, separator))
    write(tmp_path, "right.yaml", ros_yaml("r", 310.0, -50.0, data, separator))
    assert read_camera(tmp_path / named) == StereoCamera(640, 480, 500.0, 500.0, 320.0, 310.0, 240.0, 0.1)


def test_camera_infos_of_a_ros_pair_are_the_raw_cameras(tmp_path: Path) -> None:
    """K, D, R and P as camera_calibration writes them; what a file leaves away is empty."""
    more = "distortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [-0.2, 0.05, 1e-3, 0, 0]\n"
    more += "rectification_matrix:\n  rows: 3\n  cols: 3\n  data: [0, -1, 0, 1, 0, 0, 0, 0, 1]\n"
    write(tmp_path, "left.yaml", ros_yaml("l", 320.0, 0.0) + more)
    write(tmp_path, "right.yaml", ros_yaml("r", 310.0, -50.0))
    left, right = read_camera_infos(tmp_path / "left.yaml")
    assert (left.width, left.height, left.distortion_model) == (640, 480, "plumb_bob")
    assert left.k == [9, 0, 9, 0, 9, 9, 0, 0, 1]
    assert left.d == [-0.2, 0.05, 1e-3, 0, 0]
    assert left.r == [0, -1, 0, 1, 0, 0, 0, 0, 1]
    assert (left.p[2], left.p[3], right.p[2], right.p[3]) == (320.0, 0.0, 310.0, -50.0)
    assert (right.d, right.r) == ([], [])


@pytest.mark.parametrize("text", [MIDDLEBURY, KITTI, K_TXT])
def test_camera_infos_of_rectified_images(tmp_path: Path, text: str) -> None:
    """Of the other formats they say what the camera says, without a lens."""
    path = write(tmp_path, "calib.txt", text)
    camera = read_camera(path, image_size=(40, 60))
    infos = read_camera_infos(path, image_size=(40, 60))
    again = StereoCamera.from_camera_info(*infos)
    for name in ("width", "height", "fx_px", "fy_px", "cx_left_px", "cx_right_px", "cy_px", "baseline_m"):
        assert getattr(again, name) == pytest.approx(getattr(camera, name), rel=1e-12), name
    assert [info.r for info in infos] == [[1, 0, 0, 0, 1, 0, 0, 0, 1]] * 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (MIDDLEBURY.replace("cam1", "cam2"), "there is no cam1: expected 9"),
        (MIDDLEBURY.replace("width=720", "width="), "width has 0 numbers: expected 1"),
        (MIDDLEBURY.replace("doffs=52.25", "doffs=209"), "doffs is 209 but cam1's cx minus cam0's is 52.25"),
        (MIDDLEBURY.replace("baseline=176.252", "baseline=0"), r"P\[3\] = 0"),
        (K_TXT.replace("0.063", "63"), "these look like millimetres"),
        (K_TXT.replace("0.063", ""), "holds 9 numbers: expected the nine of K, then the baseline"),
        (K_TXT.replace("0.0 0.0 1.0", "0.0 1.0 1.0"), "is no camera matrix"),
        (KITTI.replace("P_rect_03", "X").replace("P_rect_01", "X"), "projection of one camera only"),
        (KITTI.replace("-336.0", ""), "P_rect_03 has 11 numbers: expected 12"),
        (ros_yaml("l", 320.0, 0.0), "expected a name with 'left' or 'right' in it"),
    ],
)
def test_calibrations_that_cannot_give_a_depth(tmp_path: Path, text: str, sentence: str) -> None:
    """The file's name, and what is wrong with it."""
    path = write(tmp_path, "calib.txt", text)
    with pytest.raises(CalibrationError, match=rf"calib\.txt: .*{sentence}"):
        read_camera(path, image_size=(40, 60))


def test_half_of_a_ros_pair(tmp_path: Path) -> None:
    """The partner's expected name is said."""
    path = write(tmp_path, "left.yaml", ros_yaml("l", 320.0, 0.0))
    with pytest.raises(CalibrationError, match=r"expected the right one beside it as right\.yaml"):
        read_camera(path)
    write(tmp_path, "right.yaml", ros_yaml("r", 320.0, 0.0).replace("projection", "other"))
    with pytest.raises(CalibrationError, match="projection_matrix has 0 numbers: expected 12"):
        read_camera(path)


def test_size_that_nobody_says(tmp_path: Path) -> None:
    """K.txt has no size, so somebody has to."""
    with pytest.raises(CalibrationError, match="does not say for which image size"):
        read_camera(write(tmp_path, "K.txt", K_TXT))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no calibration that is known here"),
        (b"hello\n", "is no calibration that is known here"),
        (b"\x89PNG\r\n\x1a\n\xff", "is not text"),
        (b"0 " * 600_000, "is larger than 65536 bytes"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """A picture, an empty file, an endless one."""
    path = tmp_path / "calib.txt"
    path.write_bytes(content)
    with pytest.raises(FileError, match=rf"calib\.txt {sentence}"):
        read_camera(path)


def test_missing_file(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(FileError, match=r"cannot read .*none\.txt: No such file or directory; check the name"):
        read_camera(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("file", "fx_px", "difference_px", "baseline_m"),
    [
        ("mb2014_adirondack_q/calib.txt", 1040.30525, -52.26475, 0.176252),
        ("eth3d_playground_1l/calib.txt", 542.019, 0.0, 0.0595549),
        ("ffs_demo/K.txt", 754.6680908203125, 0.0, 0.063),
        ("realsense_ir_tinynav/calib.txt", 428.25799561, 0.0, 0.0499905),
        ("kitti2015_000000/calib_cam_to_cam.txt", 721.5377, 0.0, (44.85728 + 339.5242) / 721.5377),
        ("kitti2012_000000/calib_inferred.txt", 707.0912, 0.0, 379.8145 / 707.0912),
    ],
)
def test_real_files(shared: Path, file: str, fx_px: float, difference_px: float, baseline_m: float) -> None:
    """Every calibration beside the real pairs."""
    camera = read_camera(shared / "data" / "stereo" / file, image_size=(480, 848))
    assert camera.fx_px == pytest.approx(fx_px, rel=1e-9)
    assert camera.principal_point_difference_px == pytest.approx(difference_px, abs=1e-9)
    assert camera.baseline_m == pytest.approx(baseline_m, rel=1e-6)
