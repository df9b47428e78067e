"""The demo's verdict: right messages have no faults, and each kind of wrong one is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffs_ros.demo.pair import DemoPair
from ffs_ros.demo.verdict import Scores, disparity_of, faults, score, shortcomings
from ffs_ros.geometry import StereoCamera

CAMERA = StereoCamera(
    width=5, height=3, fx_px=50.0, fy_px=50.0, cx_left_px=2.0, cx_right_px=6.0, cy_px=1.0, baseline_m=0.2
)
TRUTH_HW = np.array([[2, 4, 6, 8, np.nan]] * 3, np.float32)


@pytest.fixture
def pair() -> DemoPair:
    """A verged camera (principal points 4 px apart) and five columns of truth, the last of them unknown."""
    image_HW3 = np.zeros((3, 5, 3), np.uint8)
    return DemoPair("p", image_HW3, image_HW3, CAMERA, True, TRUTH_HW, np.isfinite(TRUTH_HW), ())


@pytest.fixture
def frame() -> Any:
    """The right messages for a disparity that is the truth plus half a pixel, with a hole in the second column."""
    header = SimpleNamespace(frame_id="eye", stamp=SimpleNamespace(sec=7, nanosec=5))
    message_HW = np.array(
        [[6.5, 0, 10.5, 12.5, 5.0]] * 3, np.float32
    )  # d - (cx_left - cx_right), 0 where there is none
    depth_HW = np.array([[10 / 6.5, np.nan, 10 / 10.5, 10 / 12.5, 10 / 5.0]] * 3, np.float32)

    def image(map_HW: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(
            header=header, height=3, width=5, encoding="32FC1", is_bigendian=0, step=20, data=map_HW.tobytes()
        )

    return SimpleNamespace(
        disparity=SimpleNamespace(
            header=header, image=image(message_HW), f=50.0, t=0.2, min_disparity=1e-3, max_disparity=20.0, delta_d=0.1,
            valid_window=SimpleNamespace(x_offset=0, y_offset=0, width=5, height=3),
        ),
        depth=image(depth_HW),
        depth_info=SimpleNamespace(header=header, height=3, width=5, p=[50, 0, 2, 0, 0, 50, 1, 0, 0, 0, 1, 0]),
    )  # fmt: skip


def faults_of(frame: Any, pair: DemoPair) -> list[str]:
    return list(faults(frame, pair, "eye", {7_000_000_005}))


def test_right_messages_have_no_faults(frame, pair):
    """What the definitions ask for passes."""
    assert faults_of(frame, pair) == []


def changed(**values: Any) -> Callable[[Any], None]:
    """A change to one message: attribute paths and their new values."""

    def change(frame: Any) -> None:
        for path, value in values.items():
            *parents, last = path.split("__")
            target = frame
            for name in parents:
                target = getattr(target, name)
            setattr(target, last, value)

    return change


OTHER_TIME = SimpleNamespace(frame_id="eye", stamp=SimpleNamespace(sec=8, nanosec=5))
FLAT = np.full((3, 5), 1.0, np.float32).tobytes()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (changed(depth__header=OTHER_TIME), "depth has the header"),
        (changed(depth_info__header=OTHER_TIME), "info has the header"),
        (changed(disparity__image__header=OTHER_TIME), "disparity.image has the header"),
        (changed(disparity__header__stamp=OTHER_TIME.stamp), "none of the left image's"),
        (changed(disparity__header__frame_id="right_eye"), "none of the left image's"),
        (changed(disparity__image__width=6), "instead of"),
        (changed(depth__encoding="16UC1"), "instead of"),
        (changed(depth__step=24), "instead of"),
        (changed(depth__data=b""), "instead of"),
        (changed(disparity__f=51.0), "f, t"),
        (changed(disparity__t=-0.2), "f, t"),
        (changed(disparity__min_disparity=0.0), "0 < min < max"),
        (changed(disparity__delta_d=0.0), "0 < delta"),
        (changed(disparity__max_disparity=12.0), "beyond its max_disparity"),
        (changed(disparity__valid_window__width=0), "valid window"),
        (changed(disparity__valid_window__x_offset=1), "valid window"),
        (changed(depth_info__p=[50, 0, 6, 0, 0, 50, 1, 0, 0, 0, 1, 0]), "camera_info"),
        (changed(depth_info__width=4), "camera_info"),
        (changed(depth__data=FLAT), "f t / disparity"),
    ],
)
def test_a_wrong_message_is_found(frame, pair, change, word):
    """Each field that is not what it should be gives a sentence about it."""
    frame = copy.deepcopy(frame)
    change(frame)
    assert any(word in sentence for sentence in faults_of(frame, pair))


def test_depth_where_there_is_no_disparity_is_found(frame, pair):
    """A depth in the hole of the disparity is a fault, unless it is farther than min_disparity can say."""
    depth_HW = np.frombuffer(frame.depth.data, np.float32).reshape(3, 5).copy()
    depth_HW[1, 1] = 20_000.0
    frame.depth.data = depth_HW.tobytes()
    assert faults_of(frame, pair) == []
    depth_HW[1, 1] = 3.0
    frame.depth.data = depth_HW.tobytes()
    assert faults_of(frame, pair) == ["depth has answers where disparity has none"]


def test_the_score_is_in_plain_disparity(frame, pair):
    """The principal points' difference is put back; holes count against density only, unknown truth against nothing."""
    np.testing.assert_array_equal(disparity_of(frame.disparity, pair)[0], [2.5, np.nan, 6.5, 8.5, 1.0])
    scores = score(frame, pair)
    assert scores.density == pytest.approx(0.8)
    assert scores.mean_error_px == pytest.approx(0.5)
    assert scores.wrong_by_3_px == 0.0
    # d = 2, 6, 8 is 6, 10, 12 px beyond infinity, and 0.5 px more makes it nearer by 0.5/6.5, 0.5/10.5, 0.5/12.5.
    assert scores.median_depth_error == pytest.approx(0.5 / 10.5, rel=1e-5)


def test_an_invented_calibration_has_no_depth_error(frame, pair):
    """A pair without calibration is scored in pixels only, one without truth by its density only."""
    assert score(frame, pair._replace(calibrated=False)).median_depth_error is None
    assert score(frame, pair._replace(truth_HW=None, scored_HW=None)) == Scores(density=pytest.approx(0.8))


@pytest.mark.parametrize(
    ("scores", "rendered", "words"),
    [
        (Scores(0.95, 0.2, 0.01, 0.01), True, []),
        (Scores(0.5), False, []),
        (Scores(0.5, 2.0, 0.2, None), False, []),
        (Scores(0.2), False, ["20.0% of the pixels have an answer: left and right may be swapped"]),
        (Scores(0.9, 30.0, 0.8, None), False, ["off by more than 3 px: expected at most 50%; check GT_SCALE"]),
        (Scores(0.7, 0.2, 0.0, 0.01), True, ["70.0% of the pixels"]),
        (Scores(0.95, 1.2, 0.0, 0.01), True, ["mean error is 1.20 px: expected at most 0.50 px"]),
        (Scores(0.95, 0.2, 0.0, 0.2), True, ["depth error is 20.0%: expected at most 3%"]),
        (Scores(0.95, float("nan"), 0.0, None), True, ["mean error is nan px", "depth error is not known"]),
    ],
)
def test_a_result_that_cannot_be_right_is_said(scores, rendered, words):
    """Real pairs may be hard but not hopeless; the rendered one has a known answer."""
    sentences = list(shortcomings(scores, rendered))
    assert len(sentences) == len(words)
    assert all(word in sentence for word, sentence in zip(words, sentences, strict=True))
