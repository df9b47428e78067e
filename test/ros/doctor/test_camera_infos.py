"""Calibrations that are missing, wrong or restless are found without anybody wanting depth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ffs_ros.calibration import Calibration
from ffs_ros.finding import Level
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor.camera_infos import CameraInfos

TOPICS = ("/left/camera_info", "/right/camera_info")
NO_REGION = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)


def header(frame_id: str = "camera") -> Any:
    return SimpleNamespace(frame_id=frame_id, stamp=SimpleNamespace(sec=1, nanosec=0))


def image(height: int = 48, width: int = 64, frame_id: str = "camera") -> Any:
    return SimpleNamespace(height=height, width=width, header=header(frame_id))


def info(p3: float = 0.0, fx: float = 80.0, frame_id: str = "camera") -> Any:
    p = [fx, 0.0, 32.0, p3, 0.0, 80.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return SimpleNamespace(
        height=48, width=64, p=p, binning_x=0, binning_y=0, roi=NO_REGION, header=header(frame_id)
    )  # fmt: skip


class Input:
    """What has come so far."""

    def __init__(self, left: Any = None, right: Any = None) -> None:
        self.calibration = Calibration(*TOPICS)
        self.pairing = Pairing(lambda *pair: None, approximate=False, tolerance_s=0.01, queue_size=5)
        self.pairing.left.newest, self.pairing.right.newest = image(), image()
        if left is not None:
            self.calibration.set_left(left)
        if right is not None:
            self.calibration.set_right(right)
        self.infos = CameraInfos(self.calibration, self.pairing, TOPICS)

    def found(self) -> tuple[str, Level, str]:
        """The only finding."""
        (finding,) = self.infos.look(5.0)
        return finding.name, finding.level, finding.sentence


def test_good_calibrations_and_none_before_images_come() -> None:
    """Nothing to say."""
    assert Input(info(), info(-8.0)).infos.look(5.0) == []
    nothing_came = Input()
    nothing_came.pairing.right.newest = None
    assert nothing_came.infos.look(5.0) == []


def test_missing_ones_are_named() -> None:
    """The first that is missing, and the remedy of a driver that sends it once; not where the graph says why."""
    name, level, sentence = Input(info()).found()
    assert (name, level) == ("no CameraInfo", Level.ERROR)
    assert "no CameraInfo has come on /right/camera_info" in sentence
    assert "durability: transient_local and reliability: reliable" in sentence
    assert Input(info()).infos.look(5.0, {"/right/camera_info"}) == []
    assert len(Input().infos.look(5.0, {"/right/camera_info"})) == 1


def test_unusable_ones_are_named() -> None:
    """By what depth would stumble over: sign and zero of P[3], focal lengths of 0, sizes, frames."""
    for left, right, sentence in (
        (info(), info(8.0), "P[3] = 8"),
        (info(), info(0.0), "there is no baseline"),
        (info(-8.0), info(0.0), "swapped"),
        (info(fx=0.0), info(-8.0), "not calibrated"),
    ):
        name, level, said = Input(left, right).found()
        assert (name, level) == ("CameraInfo unusable", Level.ERROR)
        assert sentence in said
    other_size = Input(info(), info(-8.0))
    other_size.pairing.left.newest = other_size.pairing.right.newest = image(96, 128)
    assert "is 128x96 but its calibration is for 64x48" in other_size.found()[2]
    swapped = Input(info(frame_id="left"), info(-8.0, frame_id="right"))
    swapped.pairing.left.newest, swapped.pairing.right.newest = image(frame_id="right"), image(frame_id="left")
    assert "the image topics are swapped" in swapped.found()[2]


def test_a_change_is_fine_and_changing_on_is_not() -> None:
    """A new setting is one change; two cameras on one topic change with every message."""
    both = Input(info(), info(-8.0))
    both.calibration.set_left(info(fx=80.001))
    assert both.infos.look(5.0) == []
    for count in range(6):
        both.calibration.set_right(info(-8.0 - count % 2))
    name, level, sentence = both.found()
    assert (name, level) == ("CameraInfo changes", Level.WARN)
    assert sentence.startswith("/right/camera_info changed 5 times in 5.0 s")
    assert both.infos.look(5.0) == []
