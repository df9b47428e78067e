"""What becomes of one pair: convert, match, publish, account. All on the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ffs_ros.calibration import Calibration
from ffs_ros.errors import EngineFailed, FfsError
from ffs_ros.left_right_check import right_disparity
from ffs_ros.live_engine import LiveEngine
from ffs_ros.matched_pair import Matched, matched_pair, rectified_images
from ffs_ros.ros.frame_log import FrameLog, FrameTimes
from ffs_ros.ros.outputs import Outputs, Wanted
from ffs_ros.sync import stamp_ns


class Pipeline:
    """Takes pairs of Image or CompressedImage messages to ``outputs`` and says in ``frames`` what became of them."""

    def __init__(
        self,
        engine: LiveEngine,
        calibration: Calibration,
        outputs: Outputs,
        frames: FrameLog,
        clock_ns: Callable[[], int],
    ) -> None:
        """``clock_ns`` gives the node's time."""
        self._engine = engine
        self._calibration = calibration
        self._outputs = outputs
        self._frames = frames
        self._clock_ns = clock_ns
        self.newest: Matched | None = None
        """The pair that was matched last, for whoever looks at its pixels."""
        self._started_ns: int | None = None

    @property
    def busy_s(self) -> float:
        """For how long the pair in work has been; 0 between pairs. Any thread may ask."""
        started_ns = self._started_ns
        return 0.0 if started_ns is None else (time.monotonic_ns() - started_ns) / 1e9

    def process(self, left: Any, right: Any, arrival_ns: int, live: Mapping[str, Any]) -> bool:
        """Publish what is wanted of one pair, whose second image came at ``arrival_ns`` of the monotonic clock.

        ``live`` are the live parameters' values, by name, that hold for it. Gives whether anything was wanted.
        Raises EngineFailed when the engine failed, another FfsError for a pair that cannot be used, anything else for a
        bug; it is counted either way.
        """
        self._started_ns = time.monotonic_ns()
        fate = "failed"
        try:
            wanted = self._outputs.wanted(live["confidence_rate"])
            matched = self._publish(wanted, left, right, arrival_ns, self._started_ns, live) if any(wanted) else None
            fate = "published" if any(wanted) else "unwanted"
            if matched is not None and wanted.second_pass:
                self._publish_second_pass(wanted, left.header, matched, live)
            return any(wanted)
        except BaseException as error:
            if fate != "published":  # a second pass that fails takes nothing back
                if isinstance(error, FfsError) and not isinstance(error, EngineFailed):
                    fate = "rejected"
                self._frames.reason = str(error) if isinstance(error, FfsError) else f"a bug, {error!r}"
            raise
        finally:
            self._frames.count(fate)
            self._started_ns = None

    def _publish(
        self, wanted: Wanted, left: Any, right: Any, arrival_ns: int, started_ns: int, live: Mapping[str, Any]
    ) -> Matched | None:
        """Gives what the engine answered, where that was needed."""
        matched = None
        # Before decoding, because it compares the size that a compressed image claims.
        calibrated = self._calibration.of_pair(left, right)
        if wanted.matching:
            images = rectified_images(left, right, calibrated, live["bit_depth"])
        decoded_ns = time.monotonic_ns()
        if wanted.matching:
            self.newest = matched = matched_pair(self._engine, images, calibrated, live["mask_out_of_view"])
        matched_ns = time.monotonic_ns()
        publish_ns = self._outputs.publish(wanted, left.header, calibrated.left_info, matched, live)
        published_ns = time.monotonic_ns()
        stamp = stamp_ns(left)
        self._frames.times.append(
            FrameTimes(
                stamp_ns=stamp,
                arrival_ns=arrival_ns,
                started_ns=started_ns,
                decode_ns=decoded_ns - started_ns,
                inference_ns=self._engine.inference_ns if matched else 0,
                depth_ns=published_ns - matched_ns - publish_ns,
                publish_ns=publish_ns,
                published_ns=published_ns,
                age_ns=self._clock_ns() - stamp,
            )
        )
        return matched

    def _publish_second_pass(self, wanted: Wanted, header: Any, matched: Matched, live: Mapping[str, Any]) -> None:
        """After everything else of the pair, so that only the next one waits, and for no longer than a match."""
        right_disparity_HW = right_disparity(self._engine.match, matched.left_HW3, matched.right_HW3)
        self._outputs.publish_second_pass(wanted, header, matched, right_disparity_HW, live)
