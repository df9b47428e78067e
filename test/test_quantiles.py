"""Quantiles in bounded memory are those of all values, within half a percent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ffs_ros.quantiles import Quantiles


@pytest.mark.parametrize("scale", [0.02, 1.0, 1e6])
def test_quantiles_of_many_values(scale: float) -> None:
    """Of a long tail, added in parts and one by one."""
    values = scale * np.random.default_rng(1).lognormal(0.0, 1.5, 20_000)
    sketch = Quantiles()
    sketch.add(values[:9000].reshape(90, 100))
    for value in values[9000:9100]:
        sketch.add(float(value))
    sketch.add(values[9100:])
    for share in (0.01, 0.25, 0.5, 0.95, 0.999):
        assert sketch.quantile(share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"), rel=0.0051)
    assert sketch.count == values.size
    assert sketch.mean == pytest.approx(values.mean())
    assert (sketch.least, sketch.largest) == (values.min(), values.max())


def test_no_values_and_zeros() -> None:
    """Nothing is NaN, and what is next to nothing is 0."""
    sketch = Quantiles()
    sketch.add(np.array([]))
    assert math.isnan(sketch.quantile(0.5))
    assert math.isnan(sketch.mean)
    sketch.add(np.array([0.0, 0.0, 1e-9, 5.0]))
    assert [sketch.quantile(share) for share in (0.0, 0.5, 0.75)] == [0.0, 0.0, 0.0]
    assert sketch.quantile(1.0) == 5.0


def test_memory_does_not_grow() -> None:
    """However many and however different the values are."""
    sketch = Quantiles()
    sketch.add(np.geomspace(1e-12, 1e15, 100_000))
    assert sketch._counts.nbytes < 30_000
    assert sketch.quantile(0.5) == pytest.approx(10**1.5, rel=0.01)
