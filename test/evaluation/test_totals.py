"""Sums over many results are the same whoever computed them, and keep nothing of a pair but the worst."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

from ffs_ros.annotation import StereoSample
from ffs_ros.evaluation.panels import WorstSoFar
from ffs_ros.evaluation.protocols import PROTOCOLS
from ffs_ros.evaluation.result import Matched, Result, Rules, judged
from ffs_ros.evaluation.samples import LoadedPair, Sample
from ffs_ros.evaluation.totals import MOST_LISTED, Totals

WORST = 3


def results_of(protocol: str, parts: int) -> list[Result]:
    """Results of 24 random pairs, in order, as ``parts`` processes would compute them, each with its own pairs."""
    rng = np.random.default_rng(1)
    image = np.zeros((20, 30, 3), np.uint8)
    workers = [WorstSoFar(WORST) for _ in range(parts)]
    rules = Rules(protocol, 192.0)
    found = []
    for place in range(24):
        truth = rng.uniform(1, 60, (20, 30)).astype(np.float32)
        disparity = (truth + rng.normal(0, rng.uniform(0, 5), truth.shape)).astype(np.float32).clip(0)
        disparity[rng.random(truth.shape) < 0.1] = np.nan
        truth[rng.random(truth.shape) < 0.2] = np.nan
        sample = Sample(place, StereoSample(f"/{place}/l.png", "r"), "Kitti", None)
        pair = LoadedPair(image, image, truth if place % 7 else None, rng.random(truth.shape) < 0.8)
        found.append(judged(sample, None, Matched(pair, disparity, (32, 32)), rules, workers[place % parts]))
    return found


def added(results: list[Result], protocol: str) -> Totals:
    totals = Totals(Rules(protocol, 192.0), WORST)
    for result in results:
        totals.add(result)
    return totals


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_split_does_not_matter(protocol: str) -> None:
    """To the last bit, also when the results went through JSON and through pickle."""
    whole = added(results_of(protocol, 1), protocol)
    split = results_of(protocol, 5)
    shards = [json.loads(json.dumps(result.to_json())) for result in split]
    for other in (
        added(split, protocol),
        added([Result.from_json(shard) for shard in shards], protocol),
        added(pickle.loads(pickle.dumps(split)), protocol),  # noqa: S301 (what was just dumped)
    ):
        assert other.summary() == whole.summary()
        assert other.spread.to_json() == whole.spread.to_json()
        assert [(one.place, one.pictures) for one in other.worst] == [(one.place, one.pictures) for one in whole.worst]


def test_the_worst_pairs_are_kept_with_their_pictures() -> None:
    """By the protocol's main figure, the worst first."""
    results = results_of("native", 2)
    totals = added(results, "native")
    ranked = sorted((r for r in results if r.figures), key=lambda r: -r.figures["epe"].value)
    assert [one.place for one in totals.worst] == [one.place for one in ranked[:WORST]]
    assert all(len(one.pictures) == 4 for one in totals.worst)


def test_figures_are_weighted_as_the_protocol_says() -> None:
    """KITTI's D1 over all pixels, its 3-px outliers as a mean of images, and TAO's second root."""
    results = results_of("kitti", 1)
    figures = added(results, "kitti").figures
    some = [result.figures for result in results if result.figures]
    pixels = sum(one["d1_all"].weight for one in some)
    assert figures["d1_all"] == pytest.approx(sum(one["d1_all"].value * one["d1_all"].weight for one in some) / pixels)
    assert figures["out3_all"] == pytest.approx(np.mean([one["out3_all"].value for one in some]))
    tao = added(results_of("tao", 1), "tao").figures
    assert tao["val/rmse"] == pytest.approx(math.sqrt(tao["rmse"]))
    assert tao["val/epe"] == tao["epe"]


def test_counts() -> None:
    """Evaluated, skipped, failed and unanswered; a failure takes part in nothing else."""
    results = results_of("native", 1)
    results[5] = Result(5, "5", "/5/l.png", fault="/5/l.png is damaged")
    image, truth = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.float32)
    blank = Matched(LoadedPair(image, image, truth, None), truth * np.nan, (32, 32))
    results[6] = judged(Sample(6, StereoSample("/6/l.png", "r"), "FSD", None), None, blank, Rules(), WorstSoFar(1))
    summary = added(results, "native").summary()
    assert [summary[name] for name in ("pairs", "evaluated", "skipped", "failed", "unanswered")] == [24, 19, 4, 1, 1]
    assert summary["epe"] is None  # the mean of a map without any answer does not exist
    assert 0 < summary["bp2"] < 1


def test_memory_does_not_grow_with_the_pairs() -> None:
    """Of ten thousand results a few are kept: the worst, the first sentences, the first rows."""
    totals = Totals(Rules(), WORST)
    result = next(one for one in results_of("native", 1) if one.pictures)
    for _ in range(5000):
        totals.add(result)
        totals.add(Result(0, "", "", fault="damaged"))
    assert len(totals.worst) == WORST
    assert len(totals.listed) == MOST_LISTED
    assert len(totals.faults) == 20
    assert not any(one.pictures or one.spread for one in totals.listed)
