"""The difference of two answers, by hand and against a second implementation, and what is allowed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from checked_page import check

from ffs_ros.annotation import StereoSample
from ffs_ros.errors import FileError
from ffs_ros.evaluation.drift import Drift, DriftResult, Thresholds, compared, drift_of
from ffs_ros.evaluation.drift_report import drift_page, verdict
from ffs_ros.evaluation.drift_totals import DriftTotals
from ffs_ros.evaluation.panels import WorstSoFar
from ffs_ros.evaluation.samples import LoadedPair, Sample

NAN = np.nan


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def result(
    a: np.ndarray, b: np.ndarray, truth: np.ndarray | None = None, place: int = 0, worst: WorstSoFar | None = None
) -> DriftResult:
    sample = Sample(place, StereoSample(f"/{place}/l.png", f"/{place}/r.png"), "FSD", None)
    image = np.zeros((*a.shape, 3), np.uint8)
    return compared(sample, None, (LoadedPair(image, image, truth, None), a, b), worst or WorstSoFar(9))


def drift(a: np.ndarray, b: np.ndarray) -> Drift:
    found = drift_of(a, b)
    assert found is not None
    return found[0]


def test_a_difference_by_hand() -> None:
    """2 px are not more than 2 px; where one alone answers it is as bad as can be, and has no difference."""
    found = drift(row(3, 4, 10, NAN, 7, NAN), row(3, 6, 7, 5, NAN, NAN))
    assert found.mean_px == pytest.approx((0 + 2 + 3) / 3)
    assert found.max_px == 3.0
    assert found.bad2 == 3 / 5
    assert found.one_only == 2 / 5
    assert found.cosine == pytest.approx((9 + 24 + 70) / math.sqrt((9 + 16 + 100) * (9 + 36 + 49)))


def test_equal_answers() -> None:
    """No difference, holes included; 0 everywhere has a direction, too."""
    same = row(3, NAN, 10)
    assert drift(same, same.copy()) == Drift(0.0, 0.0, pytest.approx(1.0, abs=1e-12), 0.0, 0.0)
    assert drift(row(0, 0), row(0, 0)).cosine == 1.0
    assert drift(row(0, 0), row(0, 1)).cosine == 0.0


def test_answers_that_have_nothing_in_common() -> None:
    """Each in another place: no mean, and every pixel bad; no answer at all: no drift."""
    found = drift(row(3, NAN), row(NAN, 4))
    assert math.isnan(found.mean_px)
    assert (found.bad2, found.one_only) == (1.0, 1.0)
    assert drift_of(row(NAN), row(NAN)) is None


def test_a_second_implementation_says_the_same() -> None:
    """Python's numbers, one pixel after the other, to 1e-9."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        a = rng.uniform(0, 90, (9, 14)).astype(np.float32)
        b = np.abs(a + rng.normal(0, 2, a.shape)).astype(np.float32)
        a[rng.random(a.shape) < 0.2], b[rng.random(a.shape) < 0.1] = NAN, NAN
        pairs = [(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True) if x == x or y == y]
        both = [(x, y) for x, y in pairs if x == x and y == y]
        gaps = [abs(x - y) for x, y in both]
        squares = [math.fsum(x * x for x, _ in both), math.fsum(y * y for _, y in both)]
        expected = Drift(
            math.fsum(gaps) / len(gaps), max(gaps), math.fsum(x * y for x, y in both) / math.sqrt(math.prod(squares)),
            (sum(gap > 2 for gap in gaps) + len(pairs) - len(both)) / len(pairs), 1 - len(both) / len(pairs),
        )  # fmt: skip
        assert drift(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, None),
        ({"cosine": 0.9998}, "cosine 0.999800, expected at least 0.9999"),
        ({"mean_px": 0.11}, "mean difference 0.1100 px, expected at most 0.1 px"),
        ({"bad2": 0.0051}, "0.510% differ by more than 2 px, expected at most 0.500%"),
        ({"mean_px": NAN}, "mean difference nan px, expected at most 0.1 px"),
        ({"max_px": 99.0, "one_only": 0.004}, None),
    ],
)
def test_thresholds(changed: dict[str, float], sentence: str | None) -> None:
    """Those of the proof; exactly at one passes, NaN passes none."""
    at_the_limit = Drift(0.1, 5.0, 0.9999, 0.005, 0.0)
    assert Thresholds().failures(at_the_limit._replace(**changed)) == ([sentence] if sentence else [])


def test_both_against_the_truth() -> None:
    """Each engine's own errors, where there is truth."""
    found = result(row(10, 12), row(11, 12), row(10, 12))
    assert [found.scores[engine]["all"].epe for engine in "ab"] == [0.0, 0.5]
    assert result(row(10, 12), row(11, 12)).scores == {}
    assert result(row(10, 12), row(11, 12), row(NAN, NAN)).scores == {}


def test_a_row_holds_all_of_it() -> None:
    """Drift, and both engines' scores by region."""
    found = result(row(10, NAN), row(11, NAN), row(10, 12)).row()
    assert (found["mean_px"], found["bad2"]) == (1.0, 0.0)
    assert found["a"]["all_answered"]["epe"] == 0.0
    assert found["orig_hw"] == [1, 2]


def totals_of(*results: DriftResult, worst: int = 2) -> DriftTotals:
    totals = DriftTotals(Thresholds(), worst)
    for one in results:
        totals.add(one)
    return totals


def test_the_verdict_is_the_worst_pairs() -> None:
    """One pair beyond a threshold is enough, and named; the mean of the pairs stands beside it."""
    base = np.full((20, 20), 30.0, np.float32)
    good, bad = result(base, base + 0.05, place=0), result(base, base + 0.3, place=1)
    assert totals_of(good, good).passed
    totals = totals_of(good, bad)
    assert not totals.passed
    assert totals.exceeded == ["/1/l.png: mean difference 0.3000 px, expected at most 0.1 px"]
    assert totals.worst_values().mean_px == pytest.approx(0.3, rel=1e-5)
    assert totals.mean().mean_px == pytest.approx(0.175, rel=1e-5)
    assert [one.place for one in totals.worst] == [1, 0]
    assert verdict(totals) == "Not passed: 2 of 2 pairs, 1 exceed a threshold."


def test_the_worst_of_each_figure_may_be_of_another_pair() -> None:
    """The least cosine, and the greatest of the others."""
    first, second = result(row(10, 10), row(10, 14)), result(row(50, 50), row(55, 55))
    assert first.drift is not None
    assert second.drift is not None
    worst = totals_of(first, second).worst_values()
    assert (worst.cosine, worst.mean_px, worst.bad2) == (first.drift.cosine, 5.0, 1.0)
    assert totals_of(second, first).worst_values() == worst


def test_pairs_without_any_answer_and_failed_ones() -> None:
    """The first are counted apart; a failed one does not pass."""
    blank, good = result(row(NAN), row(NAN)), result(row(5), row(5))
    failed = compared(Sample(2, StereoSample("l", "r"), "FSD", None), None, FileError("l is damaged"), WorstSoFar(1))
    totals = totals_of(good, blank)
    assert (totals.passed, totals.unanswered) == (True, 1)
    totals = totals_of(good, failed)
    assert (totals.passed, totals.faults) == (False, ["l is damaged"])
    assert not totals_of(blank).passed


def test_summary_has_no_number_that_json_lacks() -> None:
    """Null for what does not exist."""
    summary = totals_of(result(row(3, NAN), row(NAN, 4), row(3, 4))).summary()
    assert summary["worst"]["mean_px"] is None
    assert summary["worst"]["bad2"] == 1.0
    assert summary["mean"]["cosine"] is None
    assert summary["against_truth"]["a"]["per_image"]["all"]["epe"] == 0.5


def test_the_page_of_a_comparison() -> None:
    """Well-formed, with the engines' names; with truth there are five pictures of a pair, else four."""
    rng = np.random.default_rng(0)
    a = rng.uniform(5, 60, (30, 50)).astype(np.float32)
    for truth, pictures in ((a + 1, 5), (None, 4)):
        found = result(a, a + rng.normal(0, 1, a.shape).astype(np.float32), truth)
        totals = totals_of(found, replace(found, place=1), DriftResult(2, "", "", fault="x is damaged"))
        text = drift_page(totals, ("<a>.onnx", "b.pth"), "a against b", ["line"])
        check(text)
        assert text.count("data:image/jpeg") == 2 * pictures
        assert "&lt;a&gt;.onnx" in text
        assert ("Against the truth" in text) == (truth is not None)
        assert "x is damaged" in text
        assert "disparity of b.pth" in text
