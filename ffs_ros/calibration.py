"""The newest CameraInfo of each side, and the stereo camera that they describe together."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import StereoCamera
from ffs_ros.rectification import StereoRectification
from ffs_ros.wire import size_of_pair

PATIENCE_S = 1.0
"""How long a change of one side's CameraInfo waits for the other side's; a driver may also send that one only once."""


class Calibrated(NamedTuple):
    """What the two CameraInfo say about a pair of images."""

    camera: StereoCamera
    left_info: Any
    """The rectified left image's CameraInfo."""
    rectification: StereoRectification | None
    """What the images are to go through first; None for images that are rectified."""


class Calibration:
    """Keeps the two CameraInfo and reads them again only when they change.

    They are looked up when a pair is worked on, not paired by stamp: a driver may send them once, or later than the
    images. Setting and reading may happen on different threads.
    """

    def __init__(
        self, left_topic: str, right_topic: str, rectify: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """With ``rectify`` the images are raw, and K, D and R count beside P."""
        self.left: Any = None
        self.right: Any = None
        self._topics = left_topic, right_topic
        self.rectify = rectify
        self._clock = clock
        self._arrived_s = [0.0, 0.0]
        self._changed_s = [0.0, 0.0]
        self.changes = (0, 0)
        """How often each side's numbers have changed."""
        self._numbers: Any = None
        self._camera: StereoCamera | None = None
        self._rectification: StereoRectification | None = None

    def set_left(self, info: Any) -> None:
        """Take a left CameraInfo."""
        self._note_arrival(0, self.left, info)
        self.left = info

    def set_right(self, info: Any) -> None:
        """Take a right CameraInfo."""
        self._note_arrival(1, self.right, info)
        self.right = info

    def _note_arrival(self, side: int, before: Any, info: Any) -> None:
        self._arrived_s[side] = self._clock()
        if before is not None and self._numbers_of(before) != self._numbers_of(info):
            self._changed_s[side] = self._arrived_s[side]
            left, right = self.changes
            self.changes = (left + 1, right) if side == 0 else (left, right + 1)

    def of_pair(self, left_image: Any, right_image: Any) -> Calibrated:
        """What holds for these images, Image or CompressedImage.

        Raises CalibrationError when a CameraInfo is missing, they describe no stereo camera or not that of the images,
        MessageError when the images' sizes differ or cannot be.
        """
        left, right = self.left, self.right
        for info, topic in zip((left, right), self._topics, strict=True):
            if info is None:
                raise CalibrationError(
                    f"images arrive but no CameraInfo has come on {topic}: depth needs both; start the driver's "
                    "camera_info or remap the topic (for a driver that sends it only once set durability: "
                    f"transient_local and reliability: reliable in qos_overrides.{topic}.subscription)"
                )
        numbers = self._numbers_of(left), self._numbers_of(right)
        if self._camera is None or numbers != self._numbers:
            camera = StereoCamera.from_camera_info(left, right)
            if self._camera is not None:
                self._check_changed_together(left, right, numbers)
            self._camera, self._numbers, self._rectification = camera, numbers, None
        _check_sides(left_image, right_image, left, right)
        self._camera.check_image_size(*size_of_pair(left_image, right_image))
        if not self.rectify:
            return Calibrated(self._camera, left, None)
        if self._rectification is None:
            self._rectification = StereoRectification.of(left, right, self._camera)
        return Calibrated(self._camera, _rectified_info(left), self._rectification)

    def _numbers_of(self, info: Any) -> tuple[Any, ...]:
        """Everything in a CameraInfo that the camera and its rectification depend on."""
        roi = info.roi
        lens = (tuple(info.k), tuple(info.d), tuple(info.r), info.distortion_model) if self.rectify else ()
        return (
            info.height, info.width, tuple(info.p), info.binning_x, info.binning_y,
            roi.x_offset, roi.y_offset, roi.height, roi.width, *lens,
        )  # fmt: skip

    def _check_changed_together(self, left: Any, right: Any, numbers: Any) -> None:
        """Raises CalibrationError while only one side's half of a change (a moved region of interest) has come: the
        principal points of two different calibrations give a wrong depth."""
        changed = [new != old for new, old in zip(numbers, self._numbers, strict=True)]
        if all(changed) or left.header.stamp == right.header.stamp:
            return
        side, other = (0, 1) if changed[0] else (1, 0)
        changed_s = self._changed_s[side]
        if self._arrived_s[other] < changed_s and self._clock() - changed_s < PATIENCE_S:
            raise CalibrationError(
                f"{self._topics[side]} has changed, and none has come on {self._topics[other]} since; "
                "a driver should publish both with each pair"
            )


def _rectified_info(raw_info: Any) -> Any:
    """The CameraInfo of the image that was rectified as ``raw_info`` says: the pinhole camera of its P."""
    info = copy.copy(raw_info)
    p = info.p
    info.k = [p[0], 0.0, p[2], 0.0, p[5], p[6], 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.distortion_model, info.d = "plumb_bob", [0.0] * 5
    return info


def _check_sides(left_image: Any, right_image: Any, left_info: Any, right_info: Any) -> None:
    """Raises CalibrationError when the frames say that the images, but not their CameraInfo, are swapped."""
    images = left_image.header.frame_id, right_image.header.frame_id
    infos = left_info.header.frame_id, right_info.header.frame_id
    if images[0] != images[1] and images == infos[::-1]:
        raise CalibrationError(
            f"the left image's frame_id {images[0][:80]!r} is that of the right CameraInfo, and the other way round: "
            "the image topics are swapped; exchange the remaps of the left and the right image"
        )
