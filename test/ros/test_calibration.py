"""CameraInfo is looked up for each pair and read again only when it changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import StereoCamera
from ffs_ros.ros.calibration import Calibration

_STAMPS = itertools.count()


def info(offset: float = 0.0, frame_id: str = "left", **fields: Any) -> SimpleNamespace:
    """A CameraInfo of 64x48 with the given P[3]."""
    values = {
        "height": 48, "width": 64, "p": [80.0, 0.0, 32.0, offset, 0.0, 80.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0, "binning_y": 0, "roi": SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0),
        "header": SimpleNamespace(frame_id=frame_id, stamp=next(_STAMPS)),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **fields})


def image(frame_id: str = "left", height: int = 48, width: int = 64) -> SimpleNamespace:
    """The part of an image that matters here."""
    return SimpleNamespace(height=height, width=width, header=SimpleNamespace(frame_id=frame_id))


@pytest.fixture
def calibration() -> Calibration:
    """A good one."""
    made = Calibration("/l/camera_info", "/r/camera_info")
    made.set_left(info())
    made.set_right(info(-8.0))
    return made


def test_the_camera_and_the_left_info_come_back(calibration: Calibration) -> None:
    """Baseline from the right P, and the left message itself for depth/camera_info."""
    camera, left = calibration.camera_of(image(), image())
    assert camera.baseline_m == pytest.approx(0.1)
    assert left is calibration.left


def test_an_unchanged_calibration_is_read_once(calibration: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    """New messages with the same numbers cost no parsing; any number that matters does, on either side."""
    parsed: list[float] = []
    parse: Callable[..., StereoCamera] = StereoCamera.from_camera_info

    def counted(left: Any, right: Any) -> StereoCamera:
        parsed.append(right.p[3])
        return parse(left, right)

    monkeypatch.setattr(StereoCamera, "from_camera_info", counted)
    for _ in range(3):
        calibration.set_left(info())
        calibration.set_right(info(-8.0))
        calibration.camera_of(image(), image())
    assert parsed == [-8.0]
    calibration.set_right(info(-16.0))
    calibration.set_left(info())
    assert calibration.camera_of(image(), image())[0].baseline_m == pytest.approx(0.2)
    calibration.set_left(info(binning_x=2))
    calibration.set_right(info(-16.0, binning_x=2))
    assert calibration.camera_of(image(width=32), image(width=32))[0].width == 32
    calibration.set_right(info(-8.0))
    calibration.set_left(info())
    assert calibration.camera_of(image(), image())[0].width == 64


def test_a_bad_calibration_replaces_the_good_one(calibration: Calibration) -> None:
    """After a calibration that cannot be, no pair gets the depth of the one before; a good one helps again."""
    calibration.camera_of(image(), image())
    calibration.set_right(info(8.0))
    for _ in range(2):
        with pytest.raises(CalibrationError, match=r"P\[3\] = 8"):
            calibration.camera_of(image(), image())
    calibration.set_right(info(-8.0))
    calibration.camera_of(image(), image())


@pytest.mark.parametrize(("side", "topic"), [("left", "/l/camera_info"), ("right", "/r/camera_info")])
def test_a_missing_info_is_named_by_topic(calibration: Calibration, side: str, topic: str) -> None:
    """The sentence names the topic that delivers nothing."""
    setattr(calibration, side, None)
    with pytest.raises(CalibrationError, match=f"no CameraInfo has come on {topic}"):
        calibration.camera_of(image(), image())


def test_images_of_another_size_are_refused(calibration: Calibration) -> None:
    """The depth of a resized image would be wrong by the scale."""
    with pytest.raises(CalibrationError, match="the image is 32x24 but its calibration is for 64x48"):
        calibration.camera_of(image(height=24, width=32), image(height=24, width=32))


def test_frames_tell_swapped_images_where_they_can(calibration: Calibration) -> None:
    """Own frames per side, exchanged: refused. One frame for all, or frames unlike the infos': nothing to tell."""
    calibration.set_right(info(-8.0, frame_id="right"))
    with pytest.raises(CalibrationError, match="the image topics are swapped"):
        calibration.camera_of(image("right"), image("left"))
    for left, right in (("left", "right"), ("left", "left"), ("right", "right"), ("a", "b"), ("", "")):
        calibration.camera_of(image(left), image(right))


def test_half_of_a_change_gives_no_depth() -> None:
    """A new left CameraInfo beside an old right one is refused until a right one has come or a second has passed."""
    now_s = [0.0]
    calibration = Calibration("/l/camera_info", "/r/camera_info", clock=lambda: now_s[0])
    moved = SimpleNamespace(x_offset=20, y_offset=0, height=48, width=64)
    calibration.set_left(info())
    calibration.set_right(info(-8.0))
    calibration.camera_of(image(), image())

    now_s[0] = 10.0
    calibration.set_left(info(roi=moved))
    with pytest.raises(CalibrationError, match="/l/camera_info has changed, and none has come on /r/camera_info since"):
        calibration.camera_of(image(), image())
    now_s[0] = 10.1
    calibration.set_right(info(-8.0, roi=moved))
    camera, _ = calibration.camera_of(image(), image())
    assert (camera.cx_left_px, camera.cx_right_px) == (12.0, 12.0)

    now_s[0] = 20.0
    calibration.set_right(info(-16.0, roi=moved))
    with pytest.raises(CalibrationError, match="/r/camera_info has changed"):
        calibration.camera_of(image(), image())
    now_s[0] = 21.1
    assert calibration.camera_of(image(), image())[0].baseline_m == pytest.approx(0.2)


def test_halves_of_one_stamp_belong_together() -> None:
    """Whatever the order of arrival, equal stamps say that both are of one moment."""
    calibration = Calibration("/l/camera_info", "/r/camera_info", clock=lambda: 5.0)
    for baseline in (-8.0, -16.0):
        left, right = info(), info(baseline)
        left.header.stamp = right.header.stamp
        calibration.set_left(left)
        calibration.set_right(right)
        assert calibration.camera_of(image(), image())[0].baseline_m == pytest.approx(-baseline / 80.0)
