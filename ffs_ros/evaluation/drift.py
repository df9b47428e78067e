"""How far two engines' answers to a pair are from each other, and whether that is near enough.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ffs_ros.errors import EngineLost, FfsError
from ffs_ros.evaluation.panels import WorstSoFar, panels
from ffs_ros.evaluation.result import finite, region_scores
from ffs_ros.evaluation.samples import LoadedPair, Sample
from ffs_ros.evaluation.spread import Spread
from ffs_ros.matcher import StereoMatcher
from ffs_ros.metrics import PairScores, filled
from ffs_ros.proof import LARGEST_BAD2, LEAST_COSINE, LARGEST_MEAN_px

BAD_px = 2.0
ENGINES = ("a", "b")


class Drift(NamedTuple):
    """The difference of two answers, or means of several."""

    mean_px: float
    """Of |a - b| where both answer."""
    max_px: float
    cosine: float
    """Of the angle between both as vectors, where both answer."""
    bad2: float
    """Share of the pixels with any answer where they differ by more than 2 px, or only one answers."""
    one_only: float
    """Share of the pixels with any answer where only one answers."""


@dataclass(frozen=True)
class Thresholds:
    """What each pair must keep; by default what an exported or built engine is held to (``proof``)."""

    least_cosine: float = LEAST_COSINE
    largest_mean_px: float = LARGEST_MEAN_px
    largest_bad2: float = LARGEST_BAD2

    def failures(self, drift: Drift) -> list[str]:
        """The thresholds that are exceeded, in words. Written so that NaN keeps none."""
        failures = []
        if not drift.cosine >= self.least_cosine:
            failures.append(f"cosine {drift.cosine:.6f}, expected at least {self.least_cosine:g}")
        if not drift.mean_px <= self.largest_mean_px:
            failures.append(f"mean difference {drift.mean_px:.4f} px, expected at most {self.largest_mean_px:g} px")
        if not drift.bad2 <= self.largest_bad2:
            failures.append(f"{drift.bad2:.3%} differ by more than 2 px, expected at most {self.largest_bad2:.3%}")
        return failures


@dataclass(frozen=True)
class DriftResult:
    """One pair compared, or why it was not."""

    place: int
    scene: str
    path: str
    size: tuple[int, int] = (0, 0)
    drift: Drift | None = None
    """None when neither engine answers any pixel."""
    scores: dict[str, dict[str, PairScores]] = field(default_factory=dict)
    """Of each of ``ENGINES`` against the truth, by region; empty where there is no truth."""
    spread: Spread | None = None
    """Of the differences, by the disparity of the second engine."""
    pictures: tuple[bytes, ...] = ()
    fault: str = ""

    def row(self) -> dict[str, Any]:
        """The pair in ``per_sample_results.json``; null for what does not exist."""
        row: dict[str, Any] = {"scene": self.scene, "path": self.path, "orig_hw": list(self.size)}
        if self.drift is not None:
            row.update(finite(self.drift._asdict()))
        for engine, regions in self.scores.items():
            row[engine] = {region: finite(scores._asdict()) for region, scores in regions.items()}
        if self.fault:
            row["fault"] = self.fault
        return row


def drift_of(a_HW: np.ndarray, b_HW: np.ndarray) -> tuple[Drift, np.ndarray] | None:
    """The drift of two answers (float px, NaN for holes), and |a - b| where any of them answers, NaN where only one
    does; None when neither answers any pixel."""
    in_a_HW, in_b_HW = np.isfinite(a_HW), np.isfinite(b_HW)
    any_HW = in_a_HW | in_b_HW
    if not any_HW.any():
        return None
    both_HW = in_a_HW & in_b_HW
    a, b = a_HW[any_HW].astype(np.float64), b_HW[any_HW].astype(np.float64)
    difference = np.abs(a - b)
    both = both_HW[any_HW]
    common = difference[both]
    lengths = math.sqrt(float(np.sum(a[both] ** 2)) * float(np.sum(b[both] ** 2)))
    if not common.size:
        return Drift(math.nan, math.nan, math.nan, 1.0, 1.0), difference
    drift = Drift(
        mean_px=float(common.mean()),
        max_px=float(common.max()),
        cosine=float(np.sum(a[both] * b[both])) / lengths if lengths else float(not common.any()),
        bad2=float(np.mean(~(difference <= BAD_px))),
        one_only=float(np.mean(~both)),
    )
    return drift, difference


def matched_by_both(
    matchers: tuple[StereoMatcher, StereoMatcher], pair: LoadedPair | FfsError
) -> tuple[LoadedPair, np.ndarray, np.ndarray] | FfsError:
    """Both answers, or why there are none. Raises EngineLost when no other pair will have one either."""
    if isinstance(pair, FfsError):
        return pair
    try:
        a_HW, b_HW = (matcher.match(pair.left_HW3, pair.right_HW3) for matcher in matchers)
    except EngineLost:
        raise
    except FfsError as error:
        return error
    return pair, a_HW, b_HW


def compared(
    sample: Sample, _: Any, answers: tuple[LoadedPair, np.ndarray, np.ndarray] | FfsError, worst: WorstSoFar
) -> DriftResult:
    """The result of a sample; with pictures when it may be among the worst."""
    if isinstance(answers, FfsError):
        return DriftResult(sample.place, sample.scene, sample.files.left, fault=str(answers))
    pair, a_HW, b_HW = answers
    result = DriftResult(sample.place, sample.scene, sample.files.left, pair.left_HW3.shape[:2])
    if pair.truth_HW is not None:
        scores = {
            engine: region_scores(map_HW, filled(map_HW), pair.truth_HW, pair.seen_HW)[0]
            for engine, map_HW in zip(ENGINES, (a_HW, b_HW), strict=True)
        }
        result = replace(result, scores={engine: found for engine, found in scores.items() if found})
    found = drift_of(a_HW, b_HW)
    if found is None:
        return result
    drift, difference = found
    reference = np.where(np.isfinite(b_HW), b_HW, a_HW)
    spread = Spread.of(difference, reference[np.isfinite(reference)])
    pictures: tuple[bytes, ...] = ()
    if worst.admits(drift.mean_px, sample.place):
        pictures = tuple(panels(pair.left_HW3, a_HW, pair.truth_HW, b_HW))
    return replace(result, drift=drift, spread=spread, pictures=pictures)
