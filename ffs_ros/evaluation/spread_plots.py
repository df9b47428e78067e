"""The plots of a ``Spread``: how many pixels have which error, and how it grows with the disparity."""

from __future__ import annotations

import numpy as np

from ffs_ros.evaluation.plots import Bar, Plot, Tick
from ffs_ros.evaluation.spread import DISPARITY_EDGES_px, ERROR_EDGES_px, Spread

_LEAST_SHARE = 0.0005
"""Of all pixels: a bin of disparities with fewer says nothing."""


def spread_plots(spread: Spread, what: str = "error", disparity: str = "true disparity") -> list[Plot]:
    """The histogram, the mean and the share above 2 px by disparity; ``what`` is what the errors are."""
    pixels = max(int(spread.pixels_E.sum() + spread.missing), 1)
    shares = 100.0 * spread.pixels_E / pixels
    columns = _filled(spread.pixels_E)
    errors = [Bar(i - 1.0, i, shares[i], f"{_range(ERROR_EDGES_px, i)}: {shares[i]:.2f} %") for i in columns]
    error_ticks = _ticks(ERROR_EDGES_px)
    if spread.missing:
        share = 100.0 * float(spread.missing) / pixels
        errors.append(Bar(columns.stop + 0.5, columns.stop + 1.5, share, f"no answer: {share:.2f} %"))
        error_ticks = [tick for tick in error_ticks if tick.place < columns.stop] + [Tick(columns.stop + 1.0, "none")]
    histogram = Plot(
        f"Pixels by {what}",
        f"{what}, px",
        "% of the pixels",
        error_ticks,
        errors,
    )
    means = _bars(spread, spread.error_D / np.maximum(spread.answered_D, 1), "px")
    bad = _bars(spread, 100.0 * spread.bad_D / np.maximum(spread.pixels_D, 1), "%")
    x_label, ticks = f"{disparity}, px", _ticks(DISPARITY_EDGES_px)
    return [
        histogram,
        Plot(f"Mean {what} by disparity", x_label, f"mean {what}, px", ticks, means),
        Plot(f"{what.capitalize()} above 2 px by disparity", x_label, "% of the pixels", ticks, bad),
    ]


def _bars(spread: Spread, values_D: np.ndarray, unit: str) -> list[Bar]:
    """Bins are equally wide on the axis, as their edges' logarithms are."""
    shares_D = spread.pixels_D / max(int(spread.pixels_D.sum()), 1)
    return [
        Bar(
            i - 1.0,
            i,
            values_D[i],
            f"{_range(DISPARITY_EDGES_px, i)}: {values_D[i]:.3g} {unit}, {shares_D[i]:.1%} of the pixels",
        )
        for i in _filled(spread.pixels_D)
        if shares_D[i] >= _LEAST_SHARE
    ]


def _filled(pixels: np.ndarray) -> range:
    """From the first to the last bin that has any."""
    places = np.flatnonzero(pixels)
    return range(int(places[0]), int(places[-1]) + 1) if places.size else range(0)


def _ticks(edges: np.ndarray) -> list[Tick]:
    return [
        Tick(float(place), f"{edge:.2g}" if edge < 1 else f"{edge:.0f}")
        for place, edge in enumerate(edges)
        if float(np.log2(edge)).is_integer() and int(np.log2(edge)) % 2 == 0
    ]


def _range(edges: np.ndarray, index: int) -> str:
    if index == 0:
        return f"below {edges[0]:.3g} px"
    if index == len(edges):
        return f"{edges[-1]:.3g} px or more"
    return f"{edges[index - 1]:.3g} to {edges[index]:.3g} px"
