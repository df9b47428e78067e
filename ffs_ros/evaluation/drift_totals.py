"""What many comparisons say together, and the verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ffs_ros.errors import ListError
from ffs_ros.evaluation.drift import ENGINES, Drift, DriftResult, Thresholds
from ffs_ros.evaluation.panels import rank_of
from ffs_ros.evaluation.result import REGIONS, finite
from ffs_ros.evaluation.spread import Spread
from ffs_ros.evaluation.totals import MOST_LISTED
from ffs_ros.metrics import Pool

_NOTHING = Drift(math.nan, math.nan, math.nan, math.nan, math.nan)


class DriftTotals:
    """What many comparisons say together; add them in the list's order."""

    def __init__(self, thresholds: Thresholds, worst: int) -> None:
        self.thresholds = thresholds
        self.pairs = self.compared = self.unanswered = self.failed = self.exceeding = 0
        self.faults: list[str] = []
        self.exceeded: list[str] = []
        """What exceeds thresholds, in words, of the first pairs that do."""
        self.most = dict.fromkeys(Drift._fields, (-math.inf, ""))
        """The worst value of each figure, and the pair that it is of."""
        self.pools = {engine: {region: Pool() for region in REGIONS} for engine in ENGINES}
        self.spread = Spread()
        self.worst: list[DriftResult] = []
        self.listed: list[DriftResult] = []
        self._most_worst = worst
        self._sums = np.zeros(len(Drift._fields))

    @property
    def passed(self) -> bool:
        """No pair exceeds a threshold, and there was something to compare."""
        return self.compared > 0 and not self.exceeding and not self.failed

    def add(self, result: DriftResult) -> None:
        """One more pair."""
        self.pairs += 1
        if result.fault:
            self.failed += 1
            if len(self.faults) < ListError.MOST_SENTENCES:
                self.faults.append(result.fault)
            return
        for engine, regions in result.scores.items():
            for region, scores in regions.items():
                self.pools[engine][region].add(scores)
        if result.drift is None or result.spread is None:
            self.unanswered += 1
            return
        self.compared += 1
        self._judge(result, result.drift)
        self._sums += np.array(result.drift)
        self.spread.add(result.spread)
        if len(self.listed) < MOST_LISTED:
            self.listed.append(replace(result, pictures=(), spread=None))
        if result.pictures:
            self.worst = sorted([*self.worst, result], key=_rank, reverse=True)[: self._most_worst]

    def _judge(self, result: DriftResult, drift: Drift) -> None:
        for name, value in drift._asdict().items():
            badness = -value if name == "cosine" else value
            if not badness <= self.most[name][0]:
                self.most[name] = (math.inf if math.isnan(badness) else badness, result.path)
        failures = self.thresholds.failures(drift)
        self.exceeding += bool(failures)
        if failures and len(self.exceeded) < ListError.MOST_SENTENCES:
            self.exceeded.append(f"{result.path}: {'; '.join(failures)}")

    def mean(self) -> Drift:
        """Mean of the pairs."""
        return Drift(*(float(value) for value in self._sums / self.compared)) if self.compared else _NOTHING

    def worst_values(self) -> Drift:
        """The worst of the pairs in each figure; NaN where a pair has none."""
        values = {name: -value if name == "cosine" else value for name, (value, _) in self.most.items()}
        finite = {name: value if math.isfinite(value) else math.nan for name, value in values.items()}
        return Drift(**finite)

    def summary(self) -> dict[str, Any]:
        """``results.json``; null for what does not exist."""
        against_truth = {
            engine: {
                "per_image": {r: finite(pool.per_image()._asdict()) for r, pool in pools.items() if pool.pairs},
                "pooled": {r: finite(pool.per_pixel()._asdict()) for r, pool in pools.items() if pool.pairs},
            }
            for engine, pools in self.pools.items()
        }
        return {
            "passed": self.passed,
            "worst": finite(self.worst_values()._asdict()),
            "mean": finite(self.mean()._asdict()),
            "thresholds": vars(self.thresholds),
            "pairs": self.pairs,
            "compared": self.compared,
            "exceeding": self.exceeding,
            "unanswered": self.unanswered,
            "failed": self.failed,
            "against_truth": against_truth,
        }


def _rank(result: DriftResult) -> tuple[float, int]:
    return rank_of(math.nan if result.drift is None else result.drift.mean_px, result.place)
