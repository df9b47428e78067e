"""The steps of one pair of a batch, for ``parallel.Job``: what is finished is kept, the rest matched and written."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

import numpy as np

from ffs_ros.batch.outputs import Outputs
from ffs_ros.errors import EngineLost, FfsError
from ffs_ros.evaluation.samples import LoadedPair, Sample, Samples, faults_of, load
from ffs_ros.geometry import StereoCamera
from ffs_ros.matcher import StereoMatcher
from ffs_ros.picture_header import read_header


class Kind(Enum):
    """What became of a pair."""

    MADE = auto()
    KEPT = auto()
    """All its files were there."""
    FAILED = auto()


class Outcome(NamedTuple):
    """Of one pair."""

    kind: Kind
    fault: str = ""


class Loaded(NamedTuple):
    """A pair and its calibration, where one is needed."""

    pair: LoadedPair
    camera: StereoCamera | None


class Pairs:
    """Samples without the ground truth that a batch does not draw, so that nobody looks for it."""

    def __init__(self, samples: Samples, outputs: Outputs) -> None:
        self._samples, self._with_truth = samples, outputs.shows_truth

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        for sample in self._samples:
            if self._with_truth:
                yield sample
            else:
                yield sample._replace(files=sample.files._replace(disparity=None, mask=None))


def faults_of_pair(sample: Sample, outputs: Outputs) -> list[str]:
    """What is wrong with the files of a pair that is not finished, a sentence each."""
    if outputs.finished(sample):
        return []
    faults = faults_of(sample)
    if not faults and outputs.needs_camera:
        try:
            header = read_header(sample.files.left)
            outputs.camera_of(sample, (header.height, header.width))
        except FfsError as error:
            faults += error.args
    return faults


def loaded(sample: Sample, outputs: Outputs) -> Loaded | Outcome:
    """The files of a pair that is to be matched, otherwise what became of it."""
    try:
        if outputs.finished(sample):
            return Outcome(Kind.KEPT)
        pair = load(sample)
        return Loaded(pair, outputs.camera_of(sample, pair.left_HW3.shape[:2]))
    except FfsError as error:
        return Outcome(Kind.FAILED, str(error))


def matched(matcher: StereoMatcher, found: Loaded | Outcome) -> np.ndarray | Outcome:
    """The disparity. Raises EngineLost when no other pair will have one either."""
    if isinstance(found, Outcome):
        return found
    try:
        return matcher.match(found.pair.left_HW3, found.pair.right_HW3)
    except EngineLost:
        raise
    except FfsError as error:
        return Outcome(Kind.FAILED, str(error))


def written(sample: Sample, found: Any, answer: np.ndarray | Outcome, outputs: Outputs) -> Outcome:
    """Writes a pair's files. Raises FileError where that does not work, which the next pair would not change."""
    if isinstance(answer, Outcome):
        return answer
    outputs.write(sample, found.pair, found.camera, answer)
    return Outcome(Kind.MADE)
