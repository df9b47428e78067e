"""One pair evaluated: what all figures of an evaluation are made of. A result is plain data, wherever it was computed.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ffs_ros.errors import EngineLost, FfsError
from ffs_ros.evaluation.panels import WorstSoFar, panels
from ffs_ros.evaluation.protocols import PROTOCOLS, Answer, Figure, Figures
from ffs_ros.evaluation.samples import LoadedPair, Sample, load
from ffs_ros.evaluation.spread import Spread
from ffs_ros.matcher import StereoMatcher
from ffs_ros.metrics import PairScores, counted, errors_px, filled, scores_of

REGIONS = ("all", "all_answered", "non_occluded", "non_occluded_answered")
"""Pixels with truth, and those that both cameras see: with holes filled, and only those that have an answer."""


@dataclass(frozen=True)
class Rules:
    """How pairs are evaluated."""

    protocol: str = "native"
    """One of ``protocols.PROTOCOLS``."""
    max_disparity_px: float = math.inf
    """Truth from here on does not count."""


@dataclass(frozen=True)
class Result:
    """One pair's figures, or why there are none."""

    place: int
    """Of the sample."""
    scene: str
    path: str
    """Of the left image."""
    size: tuple[int, int] = (0, 0)
    """Rows and columns of the image, as of ``engine_size``."""
    engine_size: tuple[int, int] = (0, 0)
    scores: dict[str, PairScores] = field(default_factory=dict)
    """Region -> scores; without the regions in which no pixel counts."""
    figures: Figures = field(default_factory=dict)
    """Of the protocol."""
    spread: Spread | None = None
    pictures: tuple[bytes, ...] = ()
    """``panels.panels`` of a pair that may be among the worst."""
    fault: str = ""
    """Why the pair could not be evaluated."""

    @property
    def skipped(self) -> bool:
        """No pixel has truth that counts."""
        return not self.fault and not (self.figures and self.scores)

    def to_json(self) -> dict[str, Any]:
        """All of it as Python's JSON takes it, which has a word for NaN."""
        return {
            **self.row(),
            "place": self.place,
            "figures": {name: list(figure) for name, figure in self.figures.items()},
            "scores": {region: list(scores) for region, scores in self.scores.items()},
            "spread": None if self.spread is None else self.spread.to_json(),
            "pictures": [base64.b64encode(picture).decode() for picture in self.pictures],
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Result:
        """What ``to_json`` gave."""
        return cls(
            place=entry["place"],
            scene=entry["scene"],
            path=entry["path"],
            size=tuple(entry["orig_hw"]),
            engine_size=tuple(entry["engine_hw"]),
            scores={region: PairScores._make(values) for region, values in entry["scores"].items()},
            figures={name: Figure._make(values) for name, values in entry["figures"].items()},
            spread=None if entry["spread"] is None else Spread.from_json(entry["spread"]),
            pictures=tuple(map(base64.b64decode, entry["pictures"])),
            fault=entry.get("fault", ""),
        )

    def row(self) -> dict[str, Any]:
        """The pair in ``per_sample_results.json``: TAO's keys first, null for what does not exist."""
        row: dict[str, Any] = {
            "scene": self.scene,
            "path": self.path,
            "epe": None,
            "orig_hw": list(self.size),
            "engine_hw": list(self.engine_size),
        }
        row.update(finite({name: figure.value for name, figure in self.figures.items()}))
        for region, scores in self.scores.items():
            row[region] = finite(scores._asdict())
        if self.fault:
            row["fault"] = self.fault
        elif self.skipped:
            row["skipped"] = "no pixel has truth that counts"
        return row


@dataclass(frozen=True)
class Matched:
    """What an engine made of a pair."""

    pair: LoadedPair
    """As it was matched and is to be judged."""
    disparity_HW: np.ndarray
    engine_size: tuple[int, int]


def loaded(sample: Sample) -> LoadedPair | FfsError:
    """The files of a sample, or what is wrong with them."""
    try:
        return load(sample)
    except FfsError as error:
        return error


def matched(matcher: StereoMatcher, pair: LoadedPair | FfsError, rules: Rules) -> Matched | FfsError:
    """The engine's answer, or why there is none. Raises EngineLost when no other pair will have one either."""
    if isinstance(pair, FfsError):
        return pair
    try:
        engine_size = matcher.fit_of(*pair.left_HW3.shape[:2]).engine_size
        if PROTOCOLS[rules.protocol].at_engine_size:
            pair = stretched(pair, engine_size)
        return Matched(pair, matcher.match(pair.left_HW3, pair.right_HW3), engine_size)
    except EngineLost:
        raise
    except FfsError as error:
        return error


def judged(sample: Sample, _: Any, answer: Matched | FfsError, rules: Rules, worst: WorstSoFar) -> Result:
    """The result of a sample; with pictures when it may be among the worst."""
    if isinstance(answer, FfsError):
        return Result(sample.place, sample.scene, sample.files.left, fault=str(answer))
    left_HW3, _, truth_HW, seen_HW = answer.pair
    about = sample.place, sample.scene, sample.files.left, left_HW3.shape[:2], answer.engine_size
    if truth_HW is None:
        return Result(*about)
    filled_HW = filled(answer.disparity_HW)
    protocol = PROTOCOLS[rules.protocol]
    figures = protocol.measure(
        Answer(answer.disparity_HW, filled_HW, truth_HW, seen_HW, sample.dataset_name, rules.max_disparity_px)
    )
    scores, spread = region_scores(answer.disparity_HW, filled_HW, truth_HW, seen_HW, rules.max_disparity_px)
    pictures: tuple[bytes, ...] = ()
    if figures and worst.admits(figures[protocol.main].value, sample.place):
        pictures = tuple(panels(left_HW3, answer.disparity_HW, truth_HW))
    return Result(*about, scores, figures, spread, pictures)


def region_scores(
    disparity_HW: np.ndarray,
    filled_HW: np.ndarray,
    truth_HW: np.ndarray,
    seen_HW: np.ndarray | None,
    max_disparity_px: float = math.inf,
) -> tuple[dict[str, PairScores], Spread]:
    """Scores of each of ``REGIONS`` in which pixels count, and the spread of the errors of all pixels, holes filled.

    ``density`` is that of the answer before it was filled.
    """
    counted_HW = counted(truth_HW, max_disparity_px)
    errors, truth = errors_px(filled_HW, truth_HW, counted_HW), truth_HW[counted_HW]
    answered = np.isfinite(disparity_HW[counted_HW])
    selections = {"all": None, "all_answered": answered}
    if seen_HW is not None:
        seen = seen_HW[counted_HW]
        selections.update(non_occluded=seen, non_occluded_answered=seen & answered)
    scores = {}
    for region, selection in selections.items():
        chosen = [values if selection is None else values[selection] for values in (errors, truth, answered)]
        if chosen[0].size:
            scores[region] = scores_of(*chosen[:2])._replace(density=float(chosen[2].mean()))
    return scores, Spread.of(errors, truth)


def stretched(pair: LoadedPair, size: tuple[int, int]) -> LoadedPair:
    """The pair as TAO's TensorRT container evaluates it: everything bilinear to the engine's (rows, columns), truth in
    its pixels; next to what is unknown or masked all becomes unknown."""
    rows, columns = size

    def resized(picture: np.ndarray) -> np.ndarray:
        return cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_LINEAR)

    truth_HW = pair.truth_HW
    if truth_HW is not None:
        known_HW = truth_HW if pair.seen_HW is None else np.where(pair.seen_HW, truth_HW, np.float32(np.nan))
        truth_HW = resized(known_HW) * np.float32(columns / truth_HW.shape[1])
    return LoadedPair(resized(pair.left_HW3), resized(pair.right_HW3), truth_HW, None)


def finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as JSON takes them: None for what is not finite."""
    return {name: _number(value) for name, value in figures.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _float(value: float | None) -> float:
    return math.nan if value is None else value
