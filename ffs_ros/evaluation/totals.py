"""What many results say together: sums in float64, in the order of the list, and nothing else is kept of a pair."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ffs_ros.errors import ListError
from ffs_ros.evaluation.panels import rank_of
from ffs_ros.evaluation.protocols import PROTOCOLS
from ffs_ros.evaluation.result import REGIONS, Result, Rules, finite
from ffs_ros.evaluation.spread import Spread
from ffs_ros.metrics import PairScores, Pool

MOST_LISTED = 200


class Totals:
    """Add every result once, in the list's order: the sums are then the same, whoever computed the results."""

    def __init__(self, rules: Rules, worst: int) -> None:
        """``worst``: how many of the worst pairs to keep, with their pictures."""
        self.rules = rules
        self.pairs = self.evaluated = self.skipped = self.unanswered = 0
        self.faults: list[str] = []
        """The first sentences; ``failed`` counts all."""
        self.failed = 0
        self.pools = {region: Pool() for region in REGIONS}
        self.spread = Spread()
        self.worst: list[Result] = []
        """The worst first."""
        self.listed: list[Result] = []
        """The first pairs, without pictures: all of them where there are few."""
        self._most_worst = worst
        self._figures: dict[str, tuple[float, float]] = {}

    def add(self, result: Result) -> None:
        """One more pair."""
        self.pairs += 1
        if result.fault:
            self.failed += 1
            if len(self.faults) < ListError.MOST_SENTENCES:
                self.faults.append(result.fault)
            return
        if result.skipped:
            self.skipped += 1
            return
        self.evaluated += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(replace(result, pictures=(), spread=None))
        self.unanswered += "all_answered" not in result.scores
        for region, scores in result.scores.items():
            self.pools[region].add(scores)
        for name, (value, weight) in result.figures.items():
            weighted, weights = self._figures.get(name, (0.0, 0.0))
            self._figures[name] = weighted + value * weight, weights + weight
        if result.spread is not None:
            self.spread.add(result.spread)
        if result.pictures:
            self.worst = sorted([*self.worst, result], key=self._rank, reverse=True)[: self._most_worst]

    @property
    def figures(self) -> dict[str, float]:
        """The protocol's figures of all pairs."""
        means = {name: weighted / weights for name, (weighted, weights) in self._figures.items()}
        return PROTOCOLS[self.rules.protocol].finish(means)

    def per_image(self) -> dict[str, PairScores]:
        """Region -> means of the pairs' scores."""
        return {region: pool.per_image() for region, pool in self.pools.items() if pool.pairs}

    def per_pixel(self) -> dict[str, PairScores]:
        """Region -> scores of all pixels together."""
        return {region: pool.per_pixel() for region, pool in self.pools.items() if pool.pairs}

    def summary(self) -> dict[str, Any]:
        """``results.json``: the protocol's figures first, as TAO has its own; null for what does not exist."""
        return {
            **finite(self.figures),
            "protocol": self.rules.protocol,
            "pairs": self.pairs,
            "evaluated": self.evaluated,
            "skipped": self.skipped,
            "failed": self.failed,
            "unanswered": self.unanswered,
            "per_image": {region: finite(scores._asdict()) for region, scores in self.per_image().items()},
            "pooled": {region: finite(scores._asdict()) for region, scores in self.per_pixel().items()},
        }

    def _rank(self, result: Result) -> tuple[float, int]:
        return rank_of(result.figures[PROTOCOLS[self.rules.protocol].main].value, result.place)
