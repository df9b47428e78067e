"""What is done with one pair of a bag: match it, write the outputs, and see what it is like."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, NamedTuple

from ffs_ros.bag.account import Account
from ffs_ros.bag.figures import Figures, PairFigures
from ffs_ros.bag.frames import Frames
from ffs_ros.bag.output_bag import OutputBag
from ffs_ros.bag.outputs import messages_of, messages_of_second_pass
from ffs_ros.calibration import Calibrated, Calibration
from ffs_ros.config import NodeConfig
from ffs_ros.errors import EngineFailed, EngineLost, FfsError
from ffs_ros.left_right_check import agreement, right_disparity
from ffs_ros.limits import limits_of
from ffs_ros.live_engine import LiveEngine
from ffs_ros.matched_pair import Matched, matched_pair, rectified_images
from ffs_ros.pace import Pace
from ffs_ros.sync import stamp_ns


class Done(NamedTuple):
    """A pair that was matched."""

    header: Any
    """The left image's."""
    matched: Matched
    """Within the limits."""
    log_ns: int
    """When the second of its images was recorded."""
    figures: PairFigures


class PairWork:
    """Takes pairs to ``output``, ``figures`` and ``account``."""

    def __init__(
        self,
        config: NodeConfig,
        engine: LiveEngine,
        calibration: Calibration,
        output: OutputBag,
        wanted: Collection[str],
        against: LiveEngine | None = None,
    ) -> None:
        """``wanted`` are names of ``OUTPUTS``; ``against`` is a second engine that answers each pair as well."""
        self.figures = Figures()
        self.account = Account()
        self.frames = Frames()
        self._config = config
        self._engine = engine
        self._calibration = calibration
        self._output = output
        self._wanted = wanted
        self._against = against
        self._limits = limits_of(asdict(config))
        self._log_ns = 0
        self._second_passes = Pace(clock=lambda: self._log_ns / 1e9)

    def start_over(self) -> None:
        """Time jumped back in the bag."""
        self.figures.start_over()
        self.account.start_over()

    def take(self, left: Any, right: Any, log_ns: int, read_ns: int) -> Done | None:
        """Work on a pair whose second image was recorded at ``log_ns`` and whose messages took ``read_ns`` to read.

        None where the pair was there before or something is wrong with it, which is noted. Raises EngineLost.
        """
        if self.account.is_repeated(left, right):
            return None
        self._log_ns = log_ns
        try:
            done, calibrated = self._match(left, right, read_ns)
        except EngineLost:
            raise
        except EngineFailed as error:
            self.account.note(self.account.failed, str(error), left)
        except FfsError as error:
            self.account.note(self.account.rejected, str(error), left)
        else:
            self.account.matched += 1
            return self._compared(done, calibrated)
        return None

    def _match(self, left: Any, right: Any, read_ns: int) -> tuple[Done, Calibrated]:
        started_ns = time.monotonic_ns()
        calibrated = self._calibration.of_pair(left, right)
        images = rectified_images(left, right, calibrated, self._config.bit_depth)
        decoded_ns = time.monotonic_ns()
        matched = matched_pair(self._engine, images, calibrated, self._config.mask_out_of_view)
        inference_ns = self._engine.inference_ns
        matched_ns = time.monotonic_ns()
        matched = matched._replace(disparity_HW=self._limits.applied(matched.disparity_HW, matched.camera))
        messages = list(
            messages_of(
                self._wanted, left.header, calibrated.left_info, matched, self._limits, self._config.depth_encoding
            )
        )
        made_ns = time.monotonic_ns()
        for name, message in messages:
            self._output.write(name, message, self._log_ns)
        ended_ns = time.monotonic_ns()
        found = self.figures.add(matched, self._log_ns)
        if self.account.matched:  # the first pair also pays for what a runtime does once
            self.figures.add_times(
                {
                    "read": read_ns / 1e6,
                    "decode": (decoded_ns - started_ns) / 1e6,
                    "inference": inference_ns / 1e6,
                    "outputs": (made_ns - matched_ns) / 1e6,
                    "write": (ended_ns - made_ns) / 1e6,
                    "total": (read_ns + ended_ns - started_ns) / 1e6,
                }
            )
        return Done(left.header, matched, self._log_ns, found), calibrated

    def _compared(self, done: Done, calibrated: Calibrated) -> Done:
        """With what a second pass and a second engine say."""
        matched, found, other_HW = done.matched, done.figures, None
        stamp = stamp_ns(done)
        if self._second_passes.due(self._config.confidence_rate):
            self._second_passes.start()
            with self._noted(done):
                found = found._replace(consistent=self._consistent(done))
        if self._against is not None:
            with self._noted(done):
                images = matched.left_HW3, matched.right_HW3
                other = matched_pair(self._against, images, calibrated, self._config.mask_out_of_view)
                other_HW = self._limits.applied(other.disparity_HW, matched.camera)
                found = found._replace(against=self.figures.against.add(str(stamp), matched.disparity_HW, other_HW))
        self.frames.add(stamp, matched.left_HW3, matched.disparity_HW, other_HW)
        return done._replace(figures=found)

    def _consistent(self, done: Done) -> float | None:
        """The share of the answers that a second pass agrees with, which also writes its outputs."""
        matched = done.matched
        answer_HW = right_disparity(self._engine.match, matched.left_HW3, matched.right_HW3)
        agreed = agreement(matched.disparity_HW, answer_HW)
        for name, message in messages_of_second_pass(self._wanted, done.header, agreed):
            self._output.write(name, message, self._log_ns)
        return self.figures.add_second_pass(matched.disparity_HW, agreed.confidence_HW)

    @contextmanager
    def _noted(self, done: Done) -> Iterator[None]:
        """What fails in the block takes nothing back of what was written."""
        try:
            yield
        except FfsError as error:
            if self._engine.lost:
                raise
            self.account.note(self.account.incomplete, str(error), done)
