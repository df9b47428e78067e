"""Calibration files of cameras and data sets -> StereoCamera. What a file is, its content says, not its name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ffs_ros.advice import cannot_read
from ffs_ros.errors import CalibrationError, FileError
from ffs_ros.geometry import StereoCamera
from ffs_ros.storage import opened_once

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_MOST_BYTES = 1 << 16
_MOST_BASELINE_M = 10.0
"""Longer baselines in a file that means metres are millimetres."""

FORMATS = """\
  Middlebury, ETH3D     cam0=[fx 0 cx; 0 fy cy; 0 0 1], cam1=, baseline= (mm), width=, height=
  K.txt                 nine numbers of K, then the baseline in metres
  KITTI                 P_rect_02:, P_rect_03:, S_rect_02:, or P2:/P3:, or P0:/P1:
  camera_calibration    left.yaml with right.yaml beside it"""

_ROS_MATRICES: dict[str, tuple[str, int | None]] = {
    "k": ("camera_matrix", 9),
    "d": ("distortion_coefficients", None),
    "r": ("rectification_matrix", 9),
    "p": ("projection_matrix", 12),
}
"""Of camera_calibration's files: what CameraInfo calls them, and how many numbers they have."""

_KNOWN = "Middlebury's or KITTI's calib.txt, K.txt or camera_calibration's left.yaml (ffs infer --help shows them)"

Size = tuple[int, int]


def read_camera(path: str | Path, image_size: Size | None = None) -> StereoCamera:
    """The rectified camera that ``path`` describes, in one of ``FORMATS``.

    ``image_size`` (rows, columns) serves the formats that do not say for which size they are (K.txt, KITTI's P lines);
    the others keep their own, for the caller to compare. Of KITTI's four cameras the colour pair 2, 3 is taken, or
    0, 1 where it is missing. Raises FileError when the file cannot be read or is none of these, CalibrationError when
    its numbers cannot give a depth.
    """
    path = Path(path)
    text = _text_of(path)
    for marker, reader in _READERS:
        if re.search(marker, text, re.MULTILINE):
            try:
                return reader(path, text, image_size)
            except CalibrationError as error:
                raise CalibrationError(f"{path}: {error}") from error
    raise FileError(f"{path} is no calibration that is known here: expected {_KNOWN}")


def read_camera_infos(path: str | Path, image_size: Size | None = None) -> tuple[SimpleNamespace, SimpleNamespace]:
    """Both ``sensor_msgs/CameraInfo``: ``width``, ``height``, ``distortion_model``, ``k``, ``d``, ``r`` and ``p``.

    Files of camera_calibration hold all of it, for raw images; of others it is the rectified images'. Raises as
    ``read_camera``.
    """
    path = Path(path)
    camera = read_camera(path, image_size)  # whatever is wrong with it
    text = _text_of(path)
    if re.search(_ROS_YAML, text, re.MULTILINE):
        left, right = _ros_yaml_infos(path, text)
        return left, right
    return _rectified_info(camera, "left"), _rectified_info(camera, "right")


def _text_of(path: Path) -> str:
    try:
        with opened_once(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise FileError(f"{path} is larger than {_MOST_BYTES} bytes: expected a calibration in text")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise FileError(cannot_read(path, error)) from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not text: expected {_KNOWN}") from error


def _middlebury(path: Path, text: str, image_size: Size | None) -> StereoCamera:
    entries = dict(re.findall(r"^[ \t]*(\w+)[ \t]*=(.*)$", text, re.MULTILINE))
    left, right = (_numbers(entries, name, 9) for name in ("cam0", "cam1"))
    baseline_mm, width, height = (_numbers(entries, name, 1)[0] for name in ("baseline", "width", "height"))
    doffs_px = right[2] - left[2]
    stated_px = _numbers(entries, "doffs", 1)[0] if "doffs" in entries else doffs_px
    if abs(stated_px - doffs_px) > 0.1:
        raise CalibrationError(
            f"doffs is {stated_px:g} but cam1's cx minus cam0's is {doffs_px:g}: expected them equal; "
            "scale doffs with cam0 and cam1"
        )
    return _camera(left, right, baseline_mm / 1000.0, (int(height), int(width)))


def _k_and_baseline(path: Path, text: str, image_size: Size | None) -> StereoCamera:
    numeric_lines = re.findall(rf"^[ \t]*{_NUMBER}(?:[ \t,]+{_NUMBER})*[ \t]*$", text, re.MULTILINE)
    values = [float(number) for line in numeric_lines for number in re.findall(_NUMBER, line)]
    named = re.search(rf"^[ \t]*baseline[^:=\n]*[:=][ \t]*({_NUMBER})", text, re.MULTILINE | re.IGNORECASE)
    if named:
        values.append(float(named[1]))
    if len(values) != 10:
        raise CalibrationError(f"it holds {len(values)} numbers: expected the nine of K, then the baseline in metres")
    k, baseline_m = values[:9], values[9]
    if k[6:] != [0.0, 0.0, 1.0] or k[3] != 0.0:
        raise CalibrationError(f"{k} is no camera matrix: expected fx 0 cx, 0 fy cy, 0 0 1")
    if baseline_m > _MOST_BASELINE_M:
        raise CalibrationError(f"the baseline is {baseline_m:g} m: expected metres, these look like millimetres")
    return _camera(k, k, baseline_m, _known(image_size))


def _kitti(path: Path, text: str, image_size: Size | None) -> StereoCamera:
    entries = dict(re.findall(r"^[ \t]*(\w+)[ \t]*:(.*)$", text, re.MULTILINE))
    for left, right in (("P_rect_02", "P_rect_03"), ("P_rect_00", "P_rect_01"), ("P2", "P3"), ("P0", "P1")):
        if left in entries and right in entries:
            break
    else:
        raise CalibrationError("it has the projection of one camera only: expected P_rect_02 and P_rect_03, or a pair")
    size_name = left.replace("P", "S", 1)
    if size_name in entries:
        width, height = _numbers(entries, size_name, 2)
        image_size = (int(height), int(width))
    return _camera_of_projections(_numbers(entries, left, 12), _numbers(entries, right, 12), _known(image_size))


def _ros_yaml(path: Path, text: str, image_size: Size | None) -> StereoCamera:
    return StereoCamera.from_camera_info(*_ros_yaml_infos(path, text))


def _ros_yaml_infos(path: Path, text: str) -> list[SimpleNamespace]:
    sides = ("left", "right")
    own = next((side for side in sides if side in path.name), None)
    if own is None:
        raise CalibrationError("it is one camera of a pair: expected a name with 'left' or 'right' in it")
    other = sides[own == "left"]
    beside = path.with_name(path.name.replace(own, other))
    if not beside.is_file():
        raise CalibrationError(f"it is the {own} camera of a pair: expected the {other} one beside it as {beside.name}")
    texts = {own: text, other: _text_of(beside)}
    infos = []
    for side in sides:
        entries = dict(re.findall(r"^(image_width|image_height|distortion_model):(.*)$", texts[side], re.MULTILINE))
        width, height = (int(_numbers(entries, name, 1)[0]) for name in ("image_width", "image_height"))
        info = SimpleNamespace(width=width, height=height, distortion_model=entries.get("distortion_model", "").strip())
        for name, (key, count) in _ROS_MATRICES.items():
            matrix = re.search(rf"^{key}:.*?\bdata:(.*?)(?=^[A-Za-z]|\Z)", texts[side], re.MULTILINE | re.DOTALL)
            numbers = {key: matrix[1] if matrix else ""}
            setattr(info, name, _numbers(numbers, key, count) if matrix or name == "p" else [])
        infos.append(info)
    return infos


def _rectified_info(camera: StereoCamera, side: str) -> SimpleNamespace:
    k = camera.matrix(side).ravel().tolist()
    offset = -camera.fx_px * camera.baseline_m if side == "right" else 0.0
    return SimpleNamespace(
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        k=k,
        d=[0.0] * 5,
        r=np.eye(3).ravel().tolist(),
        p=[*k[:3], offset, *k[3:6], 0.0, *k[6:], 0.0],
    )


_ROS_YAML = r"^projection_matrix:"
_READERS: tuple[tuple[str, Callable[[Path, str, Size | None], StereoCamera]], ...] = (
    (r"^[ \t]*cam0[ \t]*=", _middlebury),
    (_ROS_YAML, _ros_yaml),
    (r"^[ \t]*P(_rect_0)?\d[ \t]*:", _kitti),
    (rf"^[ \t]*{_NUMBER}([ \t,]+{_NUMBER}){{2}}", _k_and_baseline),
)


def _numbers(entries: dict[str, str], name: str, count: int | None) -> list[float]:
    """``count`` of them; any number for None."""
    values = [float(number) for number in re.findall(_NUMBER, entries.get(name, ""))]
    if count is not None and len(values) != count:
        found = f"{name} has {len(values)} numbers" if name in entries else f"there is no {name}"
        raise CalibrationError(f"{found}: expected {count}")
    if not all(map(math.isfinite, values)):
        raise CalibrationError(f"{name} holds a number that is too large: expected pixels, metres or millimetres")
    return values


def _known(image_size: Size | None) -> Size:
    if image_size is None:
        raise CalibrationError("it does not say for which image size it is: give the size of the images")
    return image_size


def _camera(left_k: list[float], right_k: list[float], baseline_m: float, size: Size) -> StereoCamera:
    left_p, right_p = ([*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0] for k in (left_k, right_k))
    right_p[3] = -right_k[0] * baseline_m
    return _camera_of_projections(left_p, right_p, size)


def _camera_of_projections(left_p: list[float], right_p: list[float], size: Size) -> StereoCamera:
    height, width = size
    return StereoCamera.from_camera_info(*(SimpleNamespace(width=width, height=height, p=p) for p in (left_p, right_p)))
