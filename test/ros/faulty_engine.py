"""The node on an engine that fails when the picture says so: ``python faulty_engine.py [--impatient] --ros-args ...``.

The camera chooses the fault by the left image's first pixel, so a test provokes it over the ROS graph.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.errors import EngineError, GpuError

FAULTY, SOUND, UNPLUGGED, MUTE = "faulty", "sound", "unplugged", "mute"
"""Names for the parameters ``engine`` and ``fallback_engine``; the second has no faults, the third no GPU, the fourth
never answers."""
DISPARITY_px = 8.0


class Fault(IntEnum):
    """Red of the left image's first pixel."""

    NONE = 0
    GPU = 201
    """Raises what a GPU engine does when CUDA has failed."""
    BUG = 202
    SOME_NAN = 203
    """In one pixel of a thousand."""
    MANY_NAN = 204
    """In every other row."""
    INFINITE = 205
    """In one pixel of a thousand."""
    SLOW = 206
    """Takes two seconds."""
    STAYS_BROKEN = 207
    """As GPU, and does not open again."""


class FaultyEngine:
    """Takes images of any size and answers 8 px everywhere, unless a fault was asked for."""

    broken = False

    def __init__(self, name: str = FAULTY) -> None:
        if FaultyEngine.broken and name == FAULTY:
            raise GpuError("the GPU failed (context is destroyed); start the program again")
        self.info = EngineInfo(name, "a test", 64.0, 1, device="GPU of a test", dense=True)
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs: Mapping[str, TensorSpec] = {"left": image, "right": image}
        self.outputs: Mapping[str, TensorSpec] = {"disparity": TensorSpec((1, 1, None, None), np.dtype(np.float32))}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        left_HW3 = feeds["left"][0]
        fault = int(left_HW3[0, 0, 0]) if self.info.name == FAULTY else Fault.NONE
        disparity_HW = np.full(left_HW3.shape[:2], DISPARITY_px, np.float32)
        if fault == Fault.STAYS_BROKEN:
            FaultyEngine.broken = True
        if fault in (Fault.GPU, Fault.STAYS_BROKEN):
            raise GpuError("the GPU failed (an illegal memory access was encountered); start the program again")
        if self.info.name == MUTE:
            raise EngineError("no kernel image is available for execution")
        if fault == Fault.BUG:
            raise ZeroDivisionError("a bug in the engine")
        if fault == Fault.SLOW:
            time.sleep(2.0)
        if fault == Fault.MANY_NAN:
            disparity_HW[::2] = np.nan
        if fault in (Fault.SOME_NAN, Fault.INFINITE):
            disparity_HW.flat[::1000] = np.nan if fault == Fault.SOME_NAN else np.inf
        return {"disparity": disparity_HW[None, None]}

    def close(self) -> None:
        """Nothing is held."""


def open_engine(engine: str | Path, **_: Any) -> Any:
    """In place of ``ffs_ros.engine.open_engine``."""
    if str(engine) == UNPLUGGED:
        raise GpuError("no NVIDIA GPU can be used here (unknown error); check nvidia-smi")
    if str(engine) not in (FAULTY, SOUND, MUTE):
        raise EngineError(f"there is no engine file {engine}")
    return FaultyEngine(str(engine))


if __name__ == "__main__":
    from ffs_ros import live_engine
    from ffs_ros.ros import diagnostics, health, node

    if "--impatient" in sys.argv:
        health.WINDOW_S = health.LONGEST_INFERENCE_S = node.REPORT_PERIOD_S = 0.5
        diagnostics.PERIOD_S = 0.1
    live_engine.open_engine = open_engine
    node.main()
