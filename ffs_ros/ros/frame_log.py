"""What happened to the pairs and how long it took: counted for good, timed for the last thousand."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class FrameTimes(NamedTuple):
    """One published pair; all times are of the monotonic clock, which processes of one machine share."""

    stamp_ns: int
    """The left image's stamp, which all outputs carry."""
    arrival_ns: int
    """When the second image of the pair reached the node."""
    started_ns: int
    """When the worker took the pair."""
    inference_ns: int
    """How long the engine itself ran."""
    published_ns: int
    """When the last of the outputs had been handed to the middleware."""

    @property
    def latency_ms(self) -> float:
        """From the second image's arrival until everything is published."""
        return (self.published_ns - self.arrival_ns) / 1e6

    @property
    def overhead_ms(self) -> float:
        """What the node adds to the engine: latency minus inference."""
        return self.latency_ms - self.inference_ns / 1e6


@dataclass
class FrameLog:
    """Every pair that was ``paired`` ends in exactly one of the other counters."""

    paired: int = 0
    replaced: int = 0
    """Pairs that a newer one overtook while they waited for the worker."""
    published: int = 0
    """Pairs of which at least one output was published."""
    failed: int = 0
    """Pairs that could not be used; the log says why."""
    unwanted: int = 0
    """Pairs that nobody subscribed to anything of."""
    times: deque[FrameTimes] = field(default_factory=lambda: deque(maxlen=1000))

    def percentiles_ms(self, name: str, percentiles: tuple[int, ...] = (50, 99)) -> Mapping[int, float]:
        """Percentile -> milliseconds of ``latency_ms`` or ``overhead_ms`` over the recorded pairs; NaN without any."""
        values = [getattr(times, name) for times in list(self.times)]
        return {p: float(np.percentile(values, p)) if values else float("nan") for p in percentiles}
