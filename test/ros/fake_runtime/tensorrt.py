"""TensorRT for processes that a test starts with this folder on their path: the fake, and a GPU to go with it.

The environment says how it behaves: ``FAKE_BUILDS`` a file that gets the process of each build, ``FAKE_BUILD_S`` how
long one takes, ``FAKE_SAYS`` a warning, ``FAKE_REFUSES`` what the builder says instead of building.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from fake_tensorrt import FakeGpu, FakeTensorRt

_set = os.environ.get
_fake = FakeTensorRt()
_fake.refuses = _set("FAKE_REFUSES", "")
_fake.says = list(filter(None, [_set("FAKE_SAYS")]))


def _opened_gpu(index: int) -> FakeGpu:
    _fake.gpu = FakeGpu()
    return _fake.gpu


def _build(config: Any) -> None:
    with Path(os.environ["FAKE_BUILDS"]).open("a") as builds:
        builds.write(f"{os.getpid()}\n")
    end = time.monotonic() + float(_set("FAKE_BUILD_S", "0"))
    config.progress_monitor.phase_start("Building", None, 4)
    config.progress_monitor.step_complete("Building", 0)
    while time.monotonic() < end:
        if not config.progress_monitor.step_complete("Building", 1):
            _fake.refuses = "cancelled"
            return
        time.sleep(0.02)


_fake.during_build = _build
for _name in ("ffs_ros.tools.build_engine", "ffs_ros.engine.trt"):
    if _name in sys.modules:
        sys.modules[_name].opened_gpu = _opened_gpu  # type: ignore[attr-defined]
if "ffs_ros.tools.progress_bar" in sys.modules:
    sys.modules["ffs_ros.tools.progress_bar"].LINE_EVERY_s = 0.1  # type: ignore[attr-defined]
sys.modules["tensorrt"] = _fake  # type: ignore[assignment]
