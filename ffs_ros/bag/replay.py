"""A bag through the method: its images become pairs by the node's rules, and each pair is worked on, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ffs_ros.bag.codec import decoded
from ffs_ros.bag.depth_topic import depth_of_image, disparity_of_depth
from ffs_ros.bag.pair_work import Done, PairWork
from ffs_ros.bag.recorded import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, Bag, Recorded
from ffs_ros.calibration import Calibration
from ffs_ros.config import NodeConfig
from ffs_ros.errors import MessageError
from ffs_ros.pairing import Pairing
from ffs_ros.stereo_topics import StereoTopics
from ffs_ros.unpaired_reason import unpaired_reason

Counted = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""For how many images it is to count: for a block, what is called when one more is done."""


class LogClock:
    """Stands where the replay is in the bag."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> float:
        """Seconds."""
        return self.ns / 1e9


class Replay:
    """Takes the messages of one bag in their order."""

    def __init__(
        self,
        config: NodeConfig,
        topics: StereoTopics,
        calibration: Calibration,
        clock: LogClock,
        work: PairWork,
        on_done: Callable[[Any, Any, Done], None],
        depth_topic: str = "",
    ) -> None:
        """``calibration`` is by ``clock``, and has what ``topics`` name no topic for. ``on_done`` hears of every pair
        that was matched; ``depth_topic`` is a depth camera's, which the disparity is compared with.
        """
        rules: dict[str, Any] = {
            "approximate": config.approximate_sync,
            "tolerance_s": config.approximate_sync_tolerance_seconds,
            "queue_size": config.queue_size,
        }
        self.pairing = Pairing(self._take_pair, **rules)
        self.depth_pairing = Pairing(self._compare_with_depth, **rules)
        self.unusable_depth: dict[str, int] = {}
        """Depth images that could not be compared, by sentence."""
        self.why_unpaired = ""
        """Why images found no partner, with a remedy."""
        self._topics = topics
        self._calibration = calibration
        self._clock = clock
        self._work = work
        self._on_done = on_done
        self._depth_topic = depth_topic
        self._read_ns = 0
        self._jumps_back = 0
        self._takers: dict[str, tuple[Callable[[Any], None], tuple[str, ...]]] = {
            topics.left: (self.pairing.add_left, (IMAGE, COMPRESSED_IMAGE)),
            topics.right: (self.pairing.add_right, (IMAGE, COMPRESSED_IMAGE)),
            topics.left_info: (calibration.set_left, (CAMERA_INFO,)),
            topics.right_info: (calibration.set_right, (CAMERA_INFO,)),
            depth_topic: (self.depth_pairing.add_right, (IMAGE,)),
        }
        """Of each topic, and the types that it takes: a bag may have others under the same name."""
        self._takers.pop("", None)

    def run(self, bag: Bag, copy: Callable[[Recorded], None] | None, counted: Counted) -> None:
        """Replay all of it; every message goes through ``copy`` where there is one. Raises EngineLost, BagDamaged."""
        self._take_first_infos(bag)
        images = self._topics.left, self._topics.right
        names = self._takers.keys() if copy is None else {topic.name for topic in bag.counts}
        with counted(sum(count for topic, count in bag.counts.items() if topic.name in images)) as one_more:
            began_ns = time.monotonic_ns()
            for recorded in bag.messages(names):
                self._read_ns += time.monotonic_ns() - began_ns
                if copy is not None:
                    copy(recorded)
                self._take(recorded, bag.ros1)
                if recorded.topic.name in images:
                    one_more()
                began_ns = time.monotonic_ns()
        self.why_unpaired = self._why_unpaired()
        self.pairing.clear()
        self.depth_pairing.clear()

    def _why_unpaired(self) -> str:
        sides = {self._topics.left: self.pairing.left, self._topics.right: self.pairing.right}
        silent = [name for name, side in sides.items() if not side.received]
        if silent:
            return f"the bag has no readable image on {' and '.join(silent)}"
        unstamped = [name for name, side in sides.items() if side.unstamped]
        if not unstamped and not all(side.recent_stamps_ns for side in sides.values()):
            return "time jumped back in the bag before their partners came"
        if not any(side.unmatched or side.waiting_ns for side in sides.values()):
            return ""
        return unpaired_reason(self.pairing, self.pairing.paired, unstamped)[1]

    def _take_first_infos(self, bag: Bag) -> None:
        """A pair must not be lost because its CameraInfo was recorded behind it."""
        for name in (self._topics.left_info, self._topics.right_info):
            for recorded in bag.messages({name}):
                self._take(recorded, bag.ros1)
                if recorded.topic.msgtype == CAMERA_INFO:
                    break

    def _take(self, recorded: Recorded, ros1: bool) -> None:
        take, msgtypes = self._takers.get(recorded.topic.name, (None, ()))
        if take is None or recorded.topic.msgtype not in msgtypes:
            return
        self._clock.ns = recorded.log_ns
        began_ns = time.monotonic_ns()
        try:
            message = decoded(recorded, ros1)
        except MessageError:
            self._work.account.undecodable += 1
            return
        self._read_ns += time.monotonic_ns() - began_ns
        take(message)

    def _take_pair(self, left: Any, right: Any, arrival_ns: int) -> None:
        read_ns, self._read_ns = self._read_ns, 0
        if self.pairing.jumps_back > self._jumps_back:
            self._jumps_back = self.pairing.jumps_back
            self._work.start_over()
        done = self._work.take(left, right, self._clock.ns, read_ns)
        if done is not None:
            self._on_done(left, right, done)
            if self._depth_topic:
                self.depth_pairing.add_left(done)

    def _compare_with_depth(self, done: Done, depth: Any, arrival_ns: int) -> None:
        try:
            theirs_HW = disparity_of_depth(depth_of_image(depth), done.matched.camera)
        except MessageError as error:
            self.unusable_depth[str(error)] = self.unusable_depth.get(str(error), 0) + 1
        else:
            self._work.figures.depth_topic.add(done.matched.disparity_HW, theirs_HW)
