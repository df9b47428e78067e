"""An engine that knows how long it ran, so that the node can tell its own share of the latency."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

import numpy as np

from ffs_ros.engine import Engine


class TimedEngine:
    """Is ``engine``, and keeps the duration of its latest ``infer``."""

    def __init__(self, engine: Engine) -> None:
        self.info = engine.info
        self.inputs = engine.inputs
        self.outputs = engine.outputs
        self.inference_ns = 0
        self._engine = engine

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; ``inference_ns`` is how long it took."""
        started_ns = time.monotonic_ns()
        results = self._engine.infer(feeds)
        self.inference_ns = time.monotonic_ns() - started_ns
        return results

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def __enter__(self) -> TimedEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
