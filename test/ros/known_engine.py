"""The node on an engine of any size whose answer is known: ``python known_engine.py --ros-args ...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tiny_engine import expected_disparity

from ffs_ros.engine import EngineInfo, TensorSpec

MAX_DISPARITY_px = 96.0


class KnownEngine:
    """Answers ``expected_disparity``, holes included, without a runtime."""

    def __init__(self) -> None:
        self.info = EngineInfo("known", "a test", MAX_DISPARITY_px, 1)
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs: Mapping[str, TensorSpec] = {"left": image, "right": image}
        self.outputs: Mapping[str, TensorSpec] = {"disparity": TensorSpec((1, 1, None, None), np.dtype(np.float32))}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"disparity": expected_disparity(feeds["left"][0], feeds["right"][0])[None, None]}

    def close(self) -> None:
        """Nothing is held."""


def open_engine(engine: Any, **_: Any) -> KnownEngine:
    """In place of ``ffs_ros.engine.open_engine``."""
    return KnownEngine()


if __name__ == "__main__":
    from ffs_ros import live_engine
    from ffs_ros.ros import node

    live_engine.open_engine = open_engine
    node.main()
