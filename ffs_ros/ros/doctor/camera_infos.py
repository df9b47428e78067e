"""Calibrations that do not come, are none, or do not stay."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ffs_ros.calibration import Calibration
from ffs_ros.errors import FfsError
from ffs_ros.finding import Finding, Level
from ffs_ros.lens import Lens
from ffs_ros.pairing import Pairing


class CameraInfos:
    """What is wrong with the CameraInfo that come, whether or not anybody wants depth."""

    def __init__(self, calibration: Calibration, pairing: Pairing, topics: tuple[str, str]) -> None:
        self._calibration = calibration
        self._pairing = pairing
        self._topics = topics
        self._seen_changes = calibration.changes
        # One of its own, because the worker's may be in use. It makes no maps, which the node's thread has no time for.
        self._reading = Calibration(*topics)

    def look(self, elapsed_s: float, cut_off: Set[str] = frozenset()) -> list[Finding]:
        """Nothing while no images come, nor about topics in ``cut_off``, where the reason is known."""
        seen, self._seen_changes = self._seen_changes, self._calibration.changes
        left, right = self._pairing.left.newest, self._pairing.right.newest
        if left is None or right is None:
            return []
        infos = self._calibration.left, self._calibration.right
        missing = {topic for topic, info in zip(self._topics, infos, strict=True) if info is None}
        if missing and missing <= cut_off:
            return []
        self._reading.left, self._reading.right = infos
        try:
            self._reading.of_pair(left, right)
            if self._calibration.rectify:
                for side, info in zip(("left", "right"), infos, strict=True):
                    Lens.of(side, info)
        except FfsError as error:
            return [Finding("no CameraInfo" if missing else "CameraInfo unusable", Level.ERROR, str(error))]
        return self._changes([now - before for now, before in zip(self._seen_changes, seen, strict=True)], elapsed_s)

    def _changes(self, changes: Sequence[int], elapsed_s: float) -> list[Finding]:
        if max(changes) < 2:  # once is a new setting
            return []
        topic, count = max(zip(self._topics, changes, strict=True), key=lambda pair: pair[1])
        return [
            Finding(
                "CameraInfo changes",
                Level.WARN,
                f"{topic} changed {count} times in {elapsed_s:.1f} s: expected one calibration while the camera is not "
                "set anew; look for a second publisher (ros2 topic info -v), or a driver that calibrates itself",
            )
        ]
