"""Engines run in turns, A B A B, so that whatever drifts while they run hits all alike; and what their times say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

TOTAL = "total"


class Latency(NamedTuple):
    """Of one stage of one engine. A percentile is None where there were too few runs to have one beyond it."""

    runs: int
    p50_ms: float
    p95_ms: float | None
    p99_ms: float | None
    pairs_per_s: float
    """One after the other."""

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Latency:
        """Of at least one time."""
        p95_ms, p99_ms = (
            float(np.percentile(times_ms, share)) if len(times_ms) * (100 - share) >= 100 else None
            for share in (95, 99)
        )
        return cls(len(times_ms), float(np.median(times_ms)), p95_ms, p99_ms, 1e3 / float(np.mean(times_ms)))


class Runner:
    """What is done for one engine in its turn, and how long it took."""

    def __init__(self, run: Callable[[], object], stages_ms: Callable[[], Mapping[str, float]] | None = None) -> None:
        """``run`` takes one pair to its disparity; ``stages_ms`` does it again and tells the time of each stage."""
        self._run = run
        self._stages_ms = stages_ms
        self._times_ms: dict[str, list[float]] = {}

    def turn(self) -> None:
        """One pair, as a robot's, and where the engine can tell its stages another for them."""
        stages_ms = dict(self._stages_ms()) if self._stages_ms else {}
        begin_s = time.perf_counter()
        self._run()
        stages_ms[TOTAL] = 1e3 * (time.perf_counter() - begin_s)
        for name, time_ms in stages_ms.items():
            self._times_ms.setdefault(name, []).append(time_ms)

    def forget(self) -> None:
        """The runs so far were for warming up."""
        self._times_ms.clear()

    def latencies(self) -> dict[str, Latency]:
        """Of each stage that the engine tells, and in all; after at least one turn."""
        return {name: Latency.of(times_ms) for name, times_ms in self._times_ms.items()}


def take_turns(runners: Sequence[Runner], seconds: float = 0.0, rounds: int = 1) -> None:
    """Rounds of one turn each, in order, until both ``seconds`` have passed and ``rounds`` have been made."""
    begin_s = time.perf_counter()
    made = 0
    while made < rounds or time.perf_counter() - begin_s < seconds:
        for runner in runners:
            runner.turn()
        made += 1


def ratios(first: Mapping[str, Latency], other: Mapping[str, Latency]) -> dict[str, float]:
    """Of the medians, first over other, of each stage that both tell."""
    return {name: latency.p50_ms / other[name].p50_ms for name, latency in first.items() if name in other}
