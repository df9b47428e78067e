"""An evaluation that was killed goes on: what is finished is read, the rest computed, and the results are the same."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from ffs_ros.annotation import StereoSample
from ffs_ros.evaluation.parts import PART, Parts
from ffs_ros.evaluation.protocols import Figure
from ffs_ros.evaluation.result import Result
from ffs_ros.evaluation.samples import Sample, Samples, Source
from ffs_ros.evaluation.spread import Spread
from ffs_ros.metrics import PairScores

COUNT = 2 * PART + 5


def samples_of(count: int = COUNT, folder: str = "a") -> Samples:
    pairs = [StereoSample(f"{folder}/{number}.png", "r.png", "d.pfm") for number in range(count)]
    return Samples([Source(pairs, "GenericDataset")])


def result_of(sample: Sample, fault: str = "") -> Result:
    epe = math.nan if sample.place == 3 else math.inf if sample.place == 4 else sample.place / 7
    scores = {"all": PairScores(epe, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 100)} if not fault else {}
    return Result(
        sample.place, sample.scene, sample.files.left, (4, 6), (32, 32), scores, {"epe": Figure(epe)}, Spread(),
        (bytes([sample.place]),), fault,
    )  # fmt: skip


class Computed:
    """Computes results, counts them, and may break off or fail."""

    def __init__(self, until: int = COUNT, failing: int = -1) -> None:
        self.places: list[int] = []
        self._until, self._failing = until, failing

    def __call__(self, samples: Iterable[Sample]) -> Generator[Result, None, None]:
        for sample in samples:
            if sample.place == self._until:
                raise KeyboardInterrupt
            self.places.append(sample.place)
            yield result_of(sample, "cannot be read" if sample.place == self._failing else "")


def same(found: list[Result], expected: list[Result]) -> bool:
    """NaN included."""
    return [repr(one.to_json()) for one in found] == [repr(one.to_json()) for one in expected]


EXPECTED = [result_of(sample) for sample in samples_of()]


def test_a_killed_one_goes_on_where_it_was(tmp_path: Path) -> None:
    """The files it had finished are not computed again; NaN, infinity and pictures come back as they were."""
    with pytest.raises(KeyboardInterrupt):
        list(Parts(tmp_path, samples_of(), "about").results(Computed(until=PART + 7)))
    second = Computed()
    assert same(list(Parts(tmp_path, samples_of(), "about").results(second)), EXPECTED)
    assert second.places == list(range(PART, COUNT))
    third = Computed()
    parts = Parts(tmp_path, samples_of(), "about")
    (tmp_path / "parts" / "000001.json").unlink()
    assert same(list(parts.results(third)), EXPECTED)
    assert third.places == list(range(PART, 2 * PART))
    parts.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("samples", "about"), [(samples_of(folder="b"), "about"), (samples_of(), "other"), (samples_of(COUNT - 1), "about")]
)
def test_parts_of_another_evaluation_are_none(samples: Samples, about: str, tmp_path: Path) -> None:
    """Other samples, or other rules or engines."""
    list(Parts(tmp_path, samples_of(), "about").results(Computed()))
    computed = Computed()
    assert same(list(Parts(tmp_path, samples, about).results(computed)), [result_of(sample) for sample in samples])
    assert computed.places == list(range(len(samples)))


def test_pairs_that_failed_are_tried_again(tmp_path: Path) -> None:
    """With those of the same file; what is damaged is computed, too."""
    list(Parts(tmp_path, samples_of(), "about").results(Computed(failing=PART + 1)))
    (tmp_path / "parts" / "000002.json").write_text('{"of": ')
    computed = Computed()
    assert same(list(Parts(tmp_path, samples_of(), "about").results(computed)), EXPECTED)
    assert computed.places == list(range(PART, COUNT))
