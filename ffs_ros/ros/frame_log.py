"""What happened to the pairs and how long it took: counted for good, timed for the last thousand."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class FrameTimes(NamedTuple):
    """One published pair; points in time are of the monotonic clock, which processes of one machine share."""

    stamp_ns: int
    """The left image's stamp, which all outputs carry."""
    arrival_ns: int
    """When the second image of the pair reached the node."""
    started_ns: int
    """When the worker took the pair."""
    decode_ns: int
    """How long both images took to become RGB, and the CameraInfo a camera."""
    inference_ns: int
    """How long the engine itself ran."""
    depth_ns: int
    """How long disparity, depth and their messages took to make."""
    publish_ns: int
    """How long the middleware took to take them."""
    published_ns: int
    """When the last of the outputs had been handed to the middleware."""
    age_ns: int
    """Time of the node's clock since the stamp, then; means something only where camera and node share a clock."""

    @property
    def latency_ms(self) -> float:
        """From the second image's arrival until everything is published."""
        return (self.published_ns - self.arrival_ns) / 1e6

    @property
    def overhead_ms(self) -> float:
        """What the node adds to the engine: latency minus inference."""
        return self.latency_ms - self.inference_ns / 1e6


class FrameCounts(NamedTuple):
    """What became of the pairs: each that was ``paired`` ends in exactly one of the others, or is still in flight."""

    paired: int = 0
    published: int = 0
    """At least one output was published."""
    replaced: int = 0
    """A newer one overtook it while it waited for the worker."""
    rejected: int = 0
    """It could not be used: its images, its calibration, its size."""
    failed: int = 0
    """The engine failed on it, or this program."""
    unwanted: int = 0
    """Nobody subscribed to anything of it."""

    @property
    def in_flight(self) -> int:
        """Those that wait for the worker or that it is at: 2 at most, 0 at rest."""
        return self.paired - sum(self[1:])


class FrameLog:
    """Counts and times pairs; any thread may add, and ``counts`` is a consistent snapshot."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = FrameCounts()
        self.reason = ""
        """Why the last pair that was rejected or failed was."""
        self.times: deque[FrameTimes] = deque(maxlen=1000)

    @property
    def counts(self) -> FrameCounts:
        """What became of the pairs so far."""
        with self._lock:
            return self._counts

    def count(self, fate: str, more: int = 1) -> None:
        """Add to one of the fields of ``FrameCounts``."""
        with self._lock:
            self._counts = self._counts._replace(**{fate: getattr(self._counts, fate) + more})

    def percentiles_ms(self, name: str, percentiles: tuple[int, ...] = (50, 99)) -> Mapping[int, float]:
        """Percentile -> milliseconds of ``latency_ms`` or ``overhead_ms`` over the recorded pairs; NaN without any."""
        values = [getattr(times, name) for times in list(self.times)]
        return {p: float(np.percentile(values, p)) if values else float("nan") for p in percentiles}
