"""The pictures of pairs that were only listened to: decoded when they are looked at."""

from __future__ import annotations

from typing import Any

from ffs_ros.calibration import Calibration
from ffs_ros.errors import FfsError
from ffs_ros.finding import Finding, Level
from ffs_ros.matcher import check_pair
from ffs_ros.ros.doctor.images import Images, Sample
from ffs_ros.wire import errors_of, rgb_from_message


class HeardPictures:
    """Samples ``newest``, whatever pair that is when it is asked to."""

    def __init__(self, calibration: Calibration, topics: tuple[str, str]) -> None:
        self.newest: tuple[Any, Any] | None = None
        self.samples = 0
        """Pairs that were looked at, or would have been had they been fit."""
        self._calibration = calibration
        self._seen: tuple[Any, Any] | None = None
        self._unusable: list[Finding] = []
        self._bugs: list[BaseException] = []
        self._images = Images(topics, self._bugs.append, calm=1, polite=False)

    def sample(self) -> None:
        """Have the newest pair looked at, unless it was before."""
        if self.newest is None or self.newest is self._seen:
            return
        self._seen = self.newest
        self.samples += 1
        self._unusable = []
        try:
            with errors_of("left"):
                left_HW3 = rgb_from_message(self.newest[0])
            with errors_of("right"):
                right_HW3 = rgb_from_message(self.newest[1])
            check_pair(left_HW3, right_HW3)
        except FfsError as error:
            self._unusable = [Finding("unusable image", Level.ERROR, str(error))]
            return
        try:
            calibrated = self._calibration.of_pair(*self.newest)
        except FfsError:  # a finding of its own
            if not self._calibration.rectify:
                self._images.offer(Sample(left_HW3, right_HW3, 0.0))
            return
        if calibrated.rectification is not None:
            left_HW3, right_HW3 = calibrated.rectification.images(left_HW3, right_HW3)
        self._images.offer(Sample(left_HW3, right_HW3, calibrated.camera.principal_point_difference_px))

    def look(self) -> list[Finding]:
        """What is wrong with them; the last look."""
        self.close()
        if self._bugs:
            raise self._bugs[0]
        return self._unusable + self._images.findings()

    def close(self) -> None:
        """Look at no more."""
        self._images.close()
