"""One pair evaluated: scores of each region, pictures of the worst, and all of it as plain data."""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.annotation import StereoSample
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.errors import EngineError, EngineLost, FileError, UnfitImages
from ffs_ros.evaluation.panels import WorstSoFar
from ffs_ros.evaluation.result import Matched, Result, Rules, judged, loaded, matched, region_scores, stretched
from ffs_ros.evaluation.samples import LoadedPair, Sample
from ffs_ros.matcher import StereoMatcher
from ffs_ros.metrics import filled

NAN = np.nan
SAMPLE = Sample(3, StereoSample("/data/piano/left.png", "/data/piano/right.png", "/data/piano/d.pfm"), "FSD", None)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def pair(truth: np.ndarray | None, seen: np.ndarray | None = None, size: tuple[int, int] = (1, 6)) -> LoadedPair:
    image = np.zeros((*size, 3), np.uint8)
    return LoadedPair(image, image, truth, seen)


def result(disparity: np.ndarray, truth: np.ndarray | None, seen: np.ndarray | None = None, **rules: Any) -> Result:
    answer = Matched(pair(truth, seen, disparity.shape), disparity, (32, 32))
    return judged(SAMPLE, None, answer, Rules(**rules), WorstSoFar(1))


def test_scores_of_every_region() -> None:
    """Filled and answered, of all pixels and of those that both cameras see."""
    disparity, truth = row(10, NAN, 30, 41, 50, NAN), row(10, 14, 31, 43, NAN, 57)
    seen = np.array([[True, True, True, False, True, False]])
    found = region_scores(disparity, filled(disparity), truth, seen)[0]
    assert {region: (scores.epe, scores.density, scores.pixels) for region, scores in found.items()} == {
        "all": ((0 + 4 + 1 + 2 + 7) / 5, 3 / 5, 5),
        "all_answered": (1.0, 1.0, 3),
        "non_occluded": ((0 + 4 + 1) / 3, 2 / 3, 3),
        "non_occluded_answered": (0.5, 1.0, 2),
    }


def test_regions_without_a_pixel_are_left_out() -> None:
    """No mask, or no answer at all."""
    truth = row(10, 14)
    assert set(region_scores(truth, truth, truth, None)[0]) == {"all", "all_answered"}
    assert set(region_scores(truth * NAN, truth * NAN, truth, None)[0]) == {"all"}
    assert region_scores(truth, truth, truth * NAN, None)[0] == {}


def test_a_result_survives_json() -> None:
    """Everything comes back as it was."""
    truth = row(10, 14, 31, 43, NAN, 57)
    first = result(row(10, NAN, 30, 41, 50, NAN), truth, np.ones((1, 6), bool), protocol="tao")
    second = Result.from_json(json.loads(json.dumps(first.to_json())))
    assert second.figures.keys() == first.figures.keys()
    assert all(second.figures[name] == first.figures[name] for name in first.figures if name != "val/rmse_log")
    assert (second.scores, second.pictures, second.size) == (first.scores, first.pictures, (1, 6))
    assert (second.place, second.scene, second.engine_size) == (3, "piano", (32, 32))
    assert len(first.pictures) == 4
    assert first.spread is not None
    assert second.spread is not None
    assert second.spread.to_json() == first.spread.to_json()


def test_a_row_has_taos_keys_first() -> None:
    """And null where there is no number."""
    found = result(row(10, 12), row(10, 10)).row()
    assert list(found)[:5] == ["scene", "path", "epe", "orig_hw", "engine_hw"]
    assert (found["scene"], found["epe"], found["orig_hw"]) == ("piano", 1.0, [1, 2])
    assert result(row(NAN, NAN), row(10, 10)).row()["epe"] is None
    assert result(row(NAN, NAN), row(10, 10)).row()["bp2"] == 1.0


@pytest.mark.parametrize("truth", [None, row(NAN, 0), row(60, 70)])
def test_a_pair_without_truth_that_counts_is_skipped(truth: np.ndarray | None) -> None:
    """None, unknown everywhere, or beyond the limit."""
    found = result(row(10, 12), truth, max_disparity_px=50.0)
    assert found.skipped
    assert found.row()["skipped"] == "no pixel has truth that counts"
    assert found.pictures == ()


def test_only_pairs_that_may_be_the_worst_have_pictures() -> None:
    """One of a kind here: the second is worse than the first, the third is not."""
    worst = WorstSoFar(1)
    pictures = [
        judged(SAMPLE, None, Matched(pair(row(10, 10)), row(10 + error, 10), (32, 32)), Rules(), worst).pictures
        for error in (1, 3, 2)
    ]
    assert [len(some) for some in pictures] == [4, 4, 0]
    assert all(cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) is not None for one in pictures[0])


class Answering:
    """An engine of open size that answers 7 px, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs = {"left": image, "right": image}
        self.outputs = {"disparity": TensorSpec((1, 1, None, None), np.dtype(np.float32))}
        self.info = EngineInfo("answering", "a test", 192.0, 32)
        self.error = error

    def infer(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.error:
            raise self.error
        return {"disparity": np.full((1, 1, *feeds["left"].shape[1:3]), 7.0, np.float32)}


def test_a_file_that_cannot_be_read_is_the_result(tmp_path: Any) -> None:
    """Its sentence goes through all steps, so that the others go on."""
    sample = Sample(0, StereoSample(str(tmp_path / "l.png"), str(tmp_path / "r.png")), "FSD", None)
    error = loaded(sample)
    assert isinstance(error, FileError)
    assert matched(StereoMatcher(Answering()), error, Rules()) is error
    assert "l.png" in judged(sample, error, error, Rules(), WorstSoFar(1)).fault


def test_what_an_engine_cannot_take_is_the_result() -> None:
    """Unless the engine is lost for all."""
    error = UnfitImages("too small")
    assert matched(StereoMatcher(Answering(error)), pair(None, size=(40, 60)), Rules()) is error
    with pytest.raises(EngineLost):
        matched(StereoMatcher(Answering(EngineLost("gone"))), pair(None, size=(40, 60)), Rules())
    assert isinstance(
        matched(StereoMatcher(Answering(), "pad", size=(32, 32)), pair(None, size=(40, 60)), Rules()), EngineError
    )


def test_matching_keeps_the_pairs_own_size_unless_the_protocol_does_not() -> None:
    """tao-deploy stretches images and truth to the engine's size: half the width is half the disparity."""
    truth = np.full((64, 128), 14.0, np.float32)
    matcher = StereoMatcher(Answering(), "resize", size=(32, 64))
    native = matched(matcher, pair(truth, size=(64, 128)), Rules())
    assert isinstance(native, Matched)
    assert native.disparity_HW.shape == (64, 128)
    assert (native.disparity_HW == 14.0).all()
    deploy = matched(matcher, pair(truth, size=(64, 128)), Rules("tao-deploy"))
    assert isinstance(deploy, Matched)
    assert deploy.disparity_HW.shape == deploy.pair.left_HW3.shape[:2] == deploy.engine_size == (32, 64)
    assert (deploy.pair.truth_HW == 7.0).all()
    assert judged(SAMPLE, None, deploy, Rules("tao-deploy", 192.0), WorstSoFar(0)).figures["epe"].value == 0.0


def test_stretching_loses_what_is_next_to_unknown_truth() -> None:
    """As bilinear resizing does in TAO's TensorRT container; a mask makes unknown what it does not keep."""
    truth = np.full((4, 8), 10.0, np.float32)
    truth[0, 0] = NAN
    seen = np.ones((4, 8), bool)
    seen[3, 7] = False
    small = stretched(pair(truth, seen, (4, 8)), (2, 4))
    assert small.seen_HW is None
    assert small.truth_HW is not None
    np.testing.assert_array_equal(np.isnan(small.truth_HW), [[True, False, False, False], [False, False, False, True]])
    assert small.truth_HW[0, 1] == 5.0
    assert math.isclose(float(np.nanmax(small.truth_HW)), 5.0)
