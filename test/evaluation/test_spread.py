"""Pixels by error and by disparity, in bins whose edges are powers of two."""

from __future__ import annotations

import numpy as np

from ffs_ros.evaluation.spread import DISPARITY_EDGES_px, ERROR_EDGES_px, Spread
from ffs_ros.evaluation.spread_plots import spread_plots

NAN = np.nan


def bin_of(edges: np.ndarray, value: float) -> int:
    return int(np.searchsorted(edges, value, side="right"))


def test_every_pixel_is_in_the_bin_of_its_error() -> None:
    """Edges belong to the bin above them; 0 and huge errors to the first and the last."""
    errors = np.concatenate([ERROR_EDGES_px, ERROR_EDGES_px * 1.1, ERROR_EDGES_px * 0.99, [0.0, 1e6]])
    spread = Spread.of(errors, np.ones(errors.size))
    expected = np.bincount([bin_of(ERROR_EDGES_px, error) for error in errors], minlength=len(ERROR_EDGES_px) + 1)
    np.testing.assert_array_equal(spread.pixels_E, expected)


def test_errors_by_disparity() -> None:
    """Of each bin the pixels, those off by more than 2 px, and the sum; no answer is bad and has no error."""
    errors = np.array([0.5, 2.0, 2.5, NAN, 1.0])
    spread = Spread.of(errors, np.array([10.0, 10.1, 10.2, 10.3, 300.0], np.float32))
    near, far = bin_of(DISPARITY_EDGES_px, 10.0), bin_of(DISPARITY_EDGES_px, 300.0)
    assert [spread.pixels_D[i] for i in (near, far)] == [4, 1]
    assert [spread.answered_D[i] for i in (near, far)] == [3, 1]
    assert [spread.bad_D[i] for i in (near, far)] == [2, 0]
    assert [spread.error_D[i] for i in (near, far)] == [5.0, 1.0]
    assert (int(spread.missing), int(spread.pixels_E.sum())) == (1, 4)


def test_spreads_add_up() -> None:
    """Two halves are the whole."""
    rng = np.random.default_rng(0)
    errors, truth = rng.exponential(2.0, 1000), rng.uniform(0.1, 500, 1000)
    errors[::7] = NAN
    together = Spread.of(errors[:400], truth[:400])
    together.add(Spread.of(errors[400:], truth[400:]))
    for name, values in vars(Spread.of(errors, truth)).items():
        np.testing.assert_allclose(vars(together)[name], values)


def test_plots_say_shares_and_means() -> None:
    """The bars' heights, from the first to the last bin that has pixels; what has no answer stands apart."""
    errors = np.array([0.5] * 6 + [3.0] * 3 + [NAN])
    histogram, mean, bad = spread_plots(Spread.of(errors, np.full(10, 20.0)))
    heights = [bar.value for bar in histogram.bars]
    assert (heights[0], heights[-2], heights[-1]) == (60.0, 30.0, 10.0)
    assert histogram.ticks[-1].label == "none"
    assert [bar.value for bar in mean.bars] == [12.0 / 9]
    assert [bar.value for bar in bad.bars] == [40.0]


def test_plots_of_nothing() -> None:
    """No pixel, no bar."""
    assert [len(plot.bars) for plot in spread_plots(Spread())] == [0, 0, 0]
