"""How long TensorRT's kernels take on one GPU, measured once and shared by all builds, also those at the same time."""

from __future__ import annotations

import fcntl
import logging
import re
import threading
from pathlib import Path
from typing import Any

from ffs_ros.engine.folder import engine_folder
from ffs_ros.engine.manifest import locked
from ffs_ros.engine.trt_versions import TensorRt
from ffs_ros.errors import FileError
from ffs_ros.whole_file import whole_file

keeping = threading.Lock()
"""Held while the file is written: whoever ends this process in its middle takes it first, so that no half stays."""
_log = logging.getLogger(__name__)


def cache_path(tensorrt: TensorRt, gpu: str) -> Path:
    """One file for each runtime version and GPU."""
    name = re.sub(r"[^A-Za-z0-9.]+", "_", f"{tensorrt.runtime}-{tensorrt.version}-{gpu}")
    return engine_folder() / "timing" / f"{name}.cache"


def use_cache(config: Any, path: Path) -> Any:
    """Give ``config`` what is known so far; returns what ``keep_cache`` wants."""
    cache = _known(config, path)
    if cache is None or not config.set_timing_cache(cache, False):  # of another driver, say
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def keep_cache(config: Any, path: Path) -> None:
    """Add what this build measured to the file, and keep what other builds have added since.

    Only warns where that is not possible (a full disk, a folder of somebody else's): the plan took minutes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent, fcntl.LOCK_EX):
            measured = config.get_timing_cache()
            if (known := _known(config, path)) is not None:
                measured.combine(known, False)
            with keeping, whole_file(path) as file:
                file.write_bytes(bytes(measured.serialize()))
    except (FileError, OSError) as error:
        _log.warning("the timing cache was not kept, so the next build measures every kernel again: %s", error)


def _known(config: Any, path: Path) -> Any | None:
    """What the file holds; None where there is none, or the runtime cannot make sense of it."""
    try:
        return config.create_timing_cache(path.read_bytes())
    except OSError:
        return None
