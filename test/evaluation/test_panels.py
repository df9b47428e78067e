"""The small pictures of a pair, and who needs them."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from ffs_ros.evaluation.panels import WorstSoFar, panels

NAN = np.nan


def opened(jpegs: list[bytes]) -> list[np.ndarray]:
    return [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for one in jpegs]


def scene(size: tuple[int, int] = (40, 60)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grey left image, a truth of 10 px that rises to 30 on the right, and an answer that is right."""
    truth = np.full(size, 10.0, np.float32)
    truth[:, size[1] // 2 :] = 30.0
    return np.full((*size, 3), 99, np.uint8), truth.copy(), truth


def test_left_truth_answer_and_error() -> None:
    """Near is warm, a right answer's error is black, a wrong one's bright, unknown truth grey, a hole white."""
    left, answer, truth = scene()
    answer[:10, :20] += 20.0
    answer[20:30, :20] = NAN
    truth[-10:, -20:] = NAN
    shown, true, found, error = opened(panels(left, answer, truth))
    assert abs(int(shown.mean()) - 99) <= 1
    assert true[5, 50, 0] > true[5, 5, 0]
    assert found[25, 5].max() < 40
    assert error[15, 10].max() < 10
    assert error[5, 5].min() > 230
    assert error[25, 5].min() > 230
    assert 10 < error[35, 50].mean() < 40


def test_answers_of_two_engines() -> None:
    """Their difference is white also where only one of them answers, with or without truth."""
    left, answer, truth = scene()
    other = answer.copy()
    answer[:10, :20], other[20:30, :20] = NAN, NAN
    other[:, 40:] += 4.0
    assert len(panels(left, answer, None, other)) == 4
    *_, error = opened(panels(left, answer, truth, other))
    assert error[5, 5].min() > 230
    assert error[25, 5].min() > 230
    assert error[15, 10].max() < 10
    assert 60 < error[15, 50].mean() < 200


def test_large_pictures_are_shrunk_by_what_is_known() -> None:
    """400 columns; a hole does not darken what is around it, and no edge becomes an error."""
    left, answer, truth = scene((300, 1200))
    truth[:, ::2] = NAN
    pictures = opened(panels(left, answer, truth))
    assert {picture.shape for picture in pictures} == {(100, 400, 3)}
    assert pictures[3].max() < 30
    assert sum(map(len, panels(left, answer, truth))) < 40_000


def test_a_map_without_any_answer_or_truth() -> None:
    """Pictures all the same."""
    left, answer, truth = scene()
    assert len(panels(left, answer * NAN, truth)) == 4
    assert len(panels(left, answer, truth * NAN)) == 4


@pytest.mark.parametrize("parts", [1, 3])
def test_the_worst_of_all_are_admitted_in_any_split(parts: int) -> None:
    """NaN is worse than any number, and of equals the one listed first."""
    rng = np.random.default_rng(parts)
    badness = rng.integers(0, 40, 200).astype(float)
    badness[[20, 150]] = NAN
    workers = [WorstSoFar(5) for _ in range(parts)]
    admitted = {place for place, value in enumerate(badness) if workers[place % parts].admits(value, place)}
    worst = sorted(range(200), key=lambda place: (-np.nan_to_num(badness[place], nan=99.0), place))[:5]
    assert set(worst) <= admitted
    assert len(admitted) < 60


def test_none_is_admitted_where_none_is_shown() -> None:
    """--worst 0; another process begins with none."""
    assert not WorstSoFar(0).admits(1.0, 0)
    one = WorstSoFar(1)
    assert one.admits(1.0, 0)
    assert not one.admits(0.5, 1)
    assert pickle.loads(pickle.dumps(one)).admits(0.5, 1)  # noqa: S301 (what was just dumped)
