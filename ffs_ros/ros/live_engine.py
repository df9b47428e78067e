"""The engine of a running node: opened, warmed up and closed, all on the worker's thread, which owns it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ffs_ros.config import NodeConfig
from ffs_ros.engine import EngineInfo, open_engine
from ffs_ros.engine.contract import stereo_inputs
from ffs_ros.matcher import StereoMatcher
from ffs_ros.ros.timed_engine import TimedEngine


class LiveEngine:
    """Opens what ``config`` names, and matches with it."""

    def __init__(self, config: NodeConfig, logger: Any) -> None:
        """Raises EngineError when there is no such engine or it does not run; NotBuiltHere where building helps."""
        opened = open_engine(config.engine, max_disparity=config.max_disparity, gpu_index=config.gpu_index)
        self._engine = TimedEngine(opened)
        try:
            self.matcher = StereoMatcher(self._engine, config.fit)
            size = self._warm_up()
        except BaseException:
            self._engine.close()
            raise
        note = f"; {opened.info.note}" if opened.info.note else ""
        logger.info(f"engine {opened.info.name} on {opened.info.runtime}, images of {size}{note}")

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        return self._engine.info

    @property
    def inference_ns(self) -> int:
        """How long the engine itself ran, of the latest ``match``."""
        return self._engine.inference_ns

    def match(self, left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
        """The disparity of a pair; see ``StereoMatcher.match``."""
        return self.matcher.match(left_HW3, right_HW3)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def _warm_up(self) -> str:
        """What images it takes, in words."""
        height, width = stereo_inputs(self._engine).size
        if height is None or width is None:
            return "any size"
        started_s = time.monotonic()
        self.matcher.warm_up(height, width)
        return f"{width}x{height}, warmed up in {time.monotonic() - started_s:.1f} s"
