"""The engine of a running node, through its faults. All on the worker's thread, which owns it.

An engine that fails is opened once more; one that fails again soon is lost, and with a new process the GPU's context is
new too. Answers that are no numbers do not go away with a new process: for them there is ``fallback_engine``.
"""

from __future__ import annotations

import shlex
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from ffs_ros.config import NodeConfig
from ffs_ros.engine import EngineInfo, open_engine
from ffs_ros.engine_size import size_in
from ffs_ros.errors import EngineError, EngineFailed, EngineLost, FfsError, GpuError, UnfitImages
from ffs_ros.finding import Finding, Level
from ffs_ros.matcher import StereoMatcher
from ffs_ros.watched_engine import WatchedEngine

TRIAL_S = 60.0
"""An engine that was opened again has this long to fail again, and is lost then."""
PATIENCE_FRAMES = 3
"""So many answers in a row with too many pixels that are no numbers, and the fallback takes over."""
USUAL_SIZE = 320, 640
"""Rows and columns that an engine of open size answers if any, to be tried where it failed before it ever answered."""


class LiveEngine:
    """Opens what ``config`` names, and matches with it."""

    def __init__(self, config: NodeConfig, logger: Any, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises EngineError when there is no such engine or it does not run; NotBuiltHere where building helps."""
        self._config = config
        self._logger = logger
        self._clock = clock
        self.lost = False
        """There is no engine any more."""
        self.fell_back = False
        """The fallback runs."""
        self.non_finite_px = 0
        """Pixels that were no numbers, in all answers."""
        self._opened_again_s: float | None = None
        self._bad_in_a_row = 0
        self.opened_again = 0
        """How often it was, after failures."""
        self.last_fault = ""
        """What was wrong with it last, in a sentence; empty while nothing was."""
        self._answered_size: tuple[int, int] | None = None
        """Rows and columns of what the engine took last."""
        self._watched: WatchedEngine | None = None
        if config.fallback_engine:
            self._prove_fallback()
        self._open()
        self._bad_in_a_row = PATIENCE_FRAMES - 1  # nobody waits yet
        try:
            self._check_numbers()
        except EngineFailed as error:
            if not self.fell_back:
                self.close()
                raise EngineError(str(error)) from None

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        return self._info

    @property
    def _name(self) -> str:
        return self._config.fallback_engine if self.fell_back else self._config.engine

    @property
    def inference_ns(self) -> int:
        """How long the engine itself ran, of the latest ``match``."""
        return self._watched.inference_ns if self._watched else 0

    @property
    def fault(self) -> Finding | None:
        """What is wrong with it now. Any thread may ask."""
        if self.lost:
            return Finding("engine lost", Level.ERROR, self.last_fault)
        if self._watched is None:
            return Finding("engine failed", Level.ERROR, f"it failed and is being opened again: {self.last_fault}")
        if self._bad_in_a_row:
            return Finding("no numbers", Level.ERROR, self.last_fault)
        if self.fell_back:
            sentence = f"{self._info.name} has taken over from {self._config.engine}: {self.last_fault}"
            return Finding("fallback", Level.WARN, sentence)
        if self._on_trial:
            sentence = f"it failed less than {TRIAL_S:g} s ago and was opened again: {self.last_fault}"
            return Finding("engine failed", Level.WARN, sentence)
        return None

    @property
    def _on_trial(self) -> bool:
        """Whether it failed a short time ago, and must not again."""
        return self._opened_again_s is not None and self._clock() - self._opened_again_s < TRIAL_S

    def match(self, left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
        """The disparity of a pair; see ``StereoMatcher.match``.

        Raises EngineFailed when the engine does not answer, or with too many pixels that are no numbers: the next pair
        meets an engine that was opened again, or the fallback. EngineLost: there is no next pair.
        """
        if self._watched is None:
            raise EngineLost(self.last_fault)
        engine_size = self.matcher.fit_of(*left_HW3.shape[:2]).engine_size
        try:
            disparity_HW = self.matcher.match(left_HW3, right_HW3)
        except Exception as error:
            if error is self._watched.failure:  # otherwise the images were to blame
                self._recover(error, engine_size)
            raise
        self._answered_size = engine_size
        self._check_numbers()
        return disparity_HW

    def close(self) -> None:
        """Close the engine."""
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.close()

    # Opening

    def _open(self) -> None:
        config = self._config
        wanted = size_in(config.engine_size)
        opened = open_engine(self._name, max_disparity=config.max_disparity, gpu_index=config.gpu_index, size=wanted)
        self._watched = WatchedEngine(opened)
        self._info = opened.info
        try:
            self.matcher = StereoMatcher(self._watched, config.fit, size=wanted)
            size = self._warm_up(self.matcher.engine_size)
        except BaseException:
            self.close()
            raise
        note = f"; {opened.info.note}" if opened.info.note else ""
        self._logger.info(f"engine {opened.info.name} on {opened.info.runtime}, images of {size}{note}")

    def _warm_up(self, size: tuple[int | None, int | None]) -> str:
        """Match a blank pair, at the size that came last where the engine takes any; says at which."""
        height, width = size
        if height is None or width is None:
            if self._answered_size is not None:
                self.matcher.warm_up(*self._answered_size)
            return "any size"
        started_s = time.monotonic()
        self.matcher.warm_up(height, width)
        self._answered_size = height, width
        return f"{width}x{height}, warmed up in {time.monotonic() - started_s:.1f} s"

    def _prove_fallback(self) -> None:
        """Now, because the moment at which it is needed is a bad one to learn that it does not open."""
        self.fell_back = True
        try:
            self._open()
            self._check_numbers()
        except EngineError as error:
            kind = GpuError if isinstance(error, GpuError) else EngineError
            raise kind(f"fallback_engine: {error}") from None
        finally:
            self.close()
        self.fell_back, self._answered_size = False, None

    # Faults

    def _recover(self, error: Exception, engine_size: tuple[int, int]) -> None:
        """Raises UnfitImages when the images were to blame after all, EngineFailed or EngineLost otherwise."""
        what = str(error) if isinstance(error, FfsError) else repr(error)
        rows, columns = engine_size
        known_size = self._answered_size or USUAL_SIZE
        if engine_size != known_size and not self._answers(*engine_size) and self._answers(*known_size):
            raise UnfitImages(f"the engine fails on images of {columns}x{rows}, not on others: {what}") from error
        if self._answered_size is None:
            command = f"ffs bench {shlex.quote(self._name)} --size {rows}x{columns}"
            what += f"; it has not answered any pair yet: where {command} fails too, export or build it again"
        if not isinstance(error, FfsError):
            self._logger.error("".join(traceback.format_exception(error)))
        if self._on_trial:
            raise self._lose(f"the engine failed again, less than {TRIAL_S:g} s after it was opened again: {what}")
        self._logger.error(f"the engine failed, and is opened again: {what}")
        self._reopen(what)
        self.opened_again += 1
        self._opened_again_s = self._clock()
        raise EngineFailed("the engine failed on it, and was opened again") from error

    def _answers(self, height: int, width: int) -> bool:
        """Whether it answers a pair of this size."""
        with suppress(Exception):
            self.matcher.warm_up(height, width)
            return True
        return False

    def _reopen(self, why: str) -> None:
        self.last_fault = why
        try:
            self.close()
        except Exception as error:  # a GPU that failed frees nothing any more
            self._logger.warning(f"the engine that failed does not close: {error}")
        try:
            self._open()
        except Exception as error:
            raise self._lose(f"the engine failed ({why}) and does not open again: {error}") from error

    def _lose(self, why: str) -> EngineLost:
        self.lost, self.last_fault = True, why
        with suppress(Exception):
            self.close()
        return EngineLost(why)

    def _check_numbers(self) -> None:
        """Raises EngineFailed, after the fallback has taken over where there is one, for an answer that is not good."""
        assert self._watched is not None
        self.non_finite_px += self._watched.non_finite_px
        share = self._watched.non_finite_share
        if share <= self._config.max_non_finite_share:
            self._bad_in_a_row = 0
            return
        self._bad_in_a_row += 1
        self.last_fault = (
            f"{share:.1%} of the pixels that {self._info.name} answered are no numbers, and max_non_finite_share is "
            f"{self._config.max_non_finite_share:g}: fp16 is too little for this network, or its file is damaged; "
            "build it in fp32, or name such an engine in fallback_engine"
        )
        if self._bad_in_a_row >= PATIENCE_FRAMES and self._config.fallback_engine and not self.fell_back:
            self._take_over()
        raise EngineFailed(self.last_fault)

    def _take_over(self) -> None:
        """The fallback runs from now on."""
        self._logger.error(f"{self.last_fault}: {self._config.fallback_engine} takes over")
        self.fell_back, self._bad_in_a_row = True, 0
        self._reopen(self.last_fault)
