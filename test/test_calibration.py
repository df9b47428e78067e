"""CameraInfo is looked up for each pair and read again only when it changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ffs_ros.calibration import Calibration
from ffs_ros.errors import CalibrationError, MessageError
from ffs_ros.geometry import StereoCamera

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
    camera, left, rectification = calibration.of_pair(image(), image())
    assert camera.baseline_m == pytest.approx(0.1)
    assert left is calibration.left
    assert rectification is None


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
        calibration.of_pair(image(), image())
    assert parsed == [-8.0]
    calibration.set_right(info(-16.0))
    calibration.set_left(info())
    assert calibration.of_pair(image(), image())[0].baseline_m == pytest.approx(0.2)
    calibration.set_left(info(binning_x=2))
    calibration.set_right(info(-16.0, binning_x=2))
    assert calibration.of_pair(image(width=32), image(width=32))[0].width == 32
    calibration.set_right(info(-8.0))
    calibration.set_left(info())
    assert calibration.of_pair(image(), image())[0].width == 64


def test_a_bad_calibration_replaces_the_good_one(calibration: Calibration) -> None:
    """After a calibration that cannot be, no pair gets the depth of the one before; a good one helps again."""
    calibration.of_pair(image(), image())
    calibration.set_right(info(8.0))
    for _ in range(2):
        with pytest.raises(CalibrationError, match=r"P\[3\] = 8"):
            calibration.of_pair(image(), image())
    calibration.set_right(info(-8.0))
    calibration.of_pair(image(), image())


@pytest.mark.parametrize(("side", "topic"), [("left", "/l/camera_info"), ("right", "/r/camera_info")])
def test_a_missing_info_is_named_by_topic(calibration: Calibration, side: str, topic: str) -> None:
    """The sentence names the topic that delivers nothing."""
    setattr(calibration, side, None)
    with pytest.raises(CalibrationError, match=f"no CameraInfo has come on {topic}"):
        calibration.of_pair(image(), image())


def test_images_of_another_size_are_refused(calibration: Calibration) -> None:
    """The depth of a resized image would be wrong by the scale."""
    with pytest.raises(CalibrationError, match="the image is 32x24 but its calibration is for 64x48"):
        calibration.of_pair(image(height=24, width=32), image(height=24, width=32))


def test_frames_tell_swapped_images_where_they_can(calibration: Calibration) -> None:
    """Own frames per side, exchanged: refused. One frame for all, or frames unlike the infos': nothing to tell."""
    calibration.set_right(info(-8.0, frame_id="right"))
    with pytest.raises(CalibrationError, match="the image topics are swapped"):
        calibration.of_pair(image("right"), image("left"))
    for left, right in (("left", "right"), ("left", "left"), ("right", "right"), ("a", "b"), ("", "")):
        calibration.of_pair(image(left), image(right))


def test_half_of_a_change_gives_no_depth() -> None:
    """A new left CameraInfo beside an old right one is refused until a right one has come or a second has passed."""
    now_s = [0.0]
    calibration = Calibration("/l/camera_info", "/r/camera_info", clock=lambda: now_s[0])
    moved = SimpleNamespace(x_offset=20, y_offset=0, height=48, width=64)
    calibration.set_left(info())
    calibration.set_right(info(-8.0))
    calibration.of_pair(image(), image())

    now_s[0] = 10.0
    calibration.set_left(info(roi=moved))
    with pytest.raises(CalibrationError, match="/l/camera_info has changed, and none has come on /r/camera_info since"):
        calibration.of_pair(image(), image())
    now_s[0] = 10.1
    calibration.set_right(info(-8.0, roi=moved))
    camera = calibration.of_pair(image(), image()).camera
    assert (camera.cx_left_px, camera.cx_right_px) == (12.0, 12.0)

    now_s[0] = 20.0
    calibration.set_right(info(-16.0, roi=moved))
    with pytest.raises(CalibrationError, match="/r/camera_info has changed"):
        calibration.of_pair(image(), image())
    now_s[0] = 21.1
    assert calibration.of_pair(image(), image())[0].baseline_m == pytest.approx(0.2)


def test_halves_of_one_stamp_belong_together() -> None:
    """Whatever the order of arrival, equal stamps say that both are of one moment."""
    calibration = Calibration("/l/camera_info", "/r/camera_info", clock=lambda: 5.0)
    for baseline in (-8.0, -16.0):
        left, right = info(), info(baseline)
        left.header.stamp = right.header.stamp
        calibration.set_left(left)
        calibration.set_right(right)
        assert calibration.of_pair(image(), image())[0].baseline_m == pytest.approx(-baseline / 80.0)


def raw_info(offset: float = 0.0, **fields: Any) -> SimpleNamespace:
    """A CameraInfo of raw images."""
    lens = {
        "k": [70.0, 0.0, 30.0, 0.0, 70.0, 25.0, 0.0, 0.0, 1.0], "d": [-0.1, 0.01, 0.0, 0.0, 0.0],
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], "distortion_model": "plumb_bob",
    }  # fmt: skip
    return info(offset, **{**lens, **fields})


@pytest.fixture
def raw_calibration() -> Calibration:
    """A good one of raw images."""
    made = Calibration("/l/camera_info", "/r/camera_info", rectify=True)
    made.set_left(raw_info())
    made.set_right(raw_info(-8.0))
    return made


def test_raw_images_come_with_their_rectification(raw_calibration: Calibration) -> None:
    """The left CameraInfo is the rectified image's, whose K is that of P and whose D is none; the message stays."""
    camera, left, rectification = raw_calibration.of_pair(image(), image())
    assert camera.fx_px == 80.0
    assert rectification is not None
    assert rectification.left.fractions_HW.shape == (48, 64)
    assert (left.k, left.d, left.distortion_model) == (
        [80.0, 0.0, 32.0, 0.0, 80.0, 24.0, 0.0, 0.0, 1.0],
        [0.0] * 5,
        "plumb_bob",
    )
    assert left.r == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert (left.p, left.header) == (raw_calibration.left.p, raw_calibration.left.header)
    assert raw_calibration.left.k[0] == 70.0


@pytest.mark.parametrize(
    "change",
    [
        {"k": [71.0, 0.0, 30.0, 0.0, 70.0, 25.0, 0.0, 0.0, 1.0]},
        {"d": [-0.2, 0.01, 0.0, 0.0, 0.0]},
        {"r": [1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0]},
        {"d": [-0.1, 0.01, 0.0, 0.0], "distortion_model": "equidistant"},
        {"binning_x": 1, "binning_y": 1},
    ],
)
def test_maps_are_made_once_for_a_calibration(raw_calibration: Calibration, change: dict[str, Any]) -> None:
    """The same numbers keep the maps; any number of the lens that changes makes new ones, on rectified images none."""
    first = raw_calibration.of_pair(image(), image()).rectification
    raw_calibration.set_left(raw_info())
    raw_calibration.set_right(raw_info(-8.0))
    assert raw_calibration.of_pair(image(), image()).rectification is first
    raw_calibration.set_right(raw_info(-8.0, **change))
    raw_calibration.set_left(raw_info())
    if "r" in change:
        with pytest.raises(CalibrationError, match="by the right CameraInfo nothing of its image would be left"):
            raw_calibration.of_pair(image(), image())
        raw_calibration.set_right(raw_info(-8.0))
        raw_calibration.set_left(raw_info())
    again = raw_calibration.of_pair(image(), image()).rectification
    assert again is not None
    assert again is not first


def test_the_lens_means_nothing_for_rectified_images(calibration: Calibration) -> None:
    """A driver may fill K, D and R of a rectified image with anything."""
    calibration.set_left(raw_info(k=[float("nan")] * 9, r=[0.0] * 9, d=[1.0] * 3))
    assert calibration.of_pair(image(), image()).rectification is None


def test_compressed_images_say_their_size_in_their_file(calibration: Calibration) -> None:
    """Only the size in the file's head counts, before anything is unpacked; one that says none is the left camera's."""
    header = SimpleNamespace(frame_id="left")
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes([0, 0, 0, 64, 0, 0, 0, 48])
    good = SimpleNamespace(format="png", data=png, header=header)
    calibration.of_pair(good, good)
    other = SimpleNamespace(format="png", data=png[:-1] + b"\x49", header=header)
    with pytest.raises(CalibrationError, match="the image is 64x73 but its calibration is for 64x48"):
        calibration.of_pair(other, other)
    with pytest.raises(MessageError, match="the left image is 64x48 and the right one 64x73: expected equal sizes"):
        calibration.of_pair(good, other)
    with pytest.raises(MessageError, match="right camera: the compressed image"):
        calibration.of_pair(good, SimpleNamespace(format="png", data=b"", header=header))
    with pytest.raises(MessageError, match="left camera: the compressed image"):
        calibration.of_pair(SimpleNamespace(format="png", data=b"", header=header), good)
