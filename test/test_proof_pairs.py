"""The pairs that engines are proven on."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.proof_pairs import proof_pairs


@pytest.mark.parametrize(
    ("size", "shifts"), [((32, 32), [2, 10]), ((96, 160), [13, 53]), ((64, 480), [40, 160]), ((32, 1024), [40, 160])]
)
def test_shifts(size, shifts):
    """Up to 160 px and a third of the width; the right image is the left one moved, texture all over."""
    _, *shifted = proof_pairs(size)
    assert [pair.shift_px for pair in shifted] == shifts
    for pair in shifted:
        assert (pair.left_HW3.shape, pair.left_HW3.dtype) == ((*size, 3), np.uint8)
        np.testing.assert_array_equal(pair.right_HW3[:, : -pair.shift_px], pair.left_HW3[:, pair.shift_px :])
        assert min(part.std() for part in np.array_split(pair.left_HW3, 8, axis=1)) > 15


def test_relief():
    """The left image is the right one moved by a known slope with waves, at most a quarter of the width."""
    pair = proof_pairs((64, 320))[0]
    assert (pair.shift_px, pair.left_HW3.dtype, pair.right_HW3.shape) == (None, np.uint8, (64, 320, 3))
    column = np.arange(320)
    for row in range(64):
        known = 80 * np.clip(0.1 + 0.8 * row / 64 + 0.1 * np.sin(9 * row / 64) * np.sin(12 * column / 320), 0, 1)
        expected = np.stack([np.interp(column - known, column, channel) for channel in pair.right_HW3[row].T], axis=1)
        np.testing.assert_allclose(pair.left_HW3[row, 80:], expected[80:], rtol=0, atol=1.01)
    assert known.max() > 70


def test_same_in_every_run():
    """A seed decides."""
    for one, other in zip(proof_pairs((32, 64)), proof_pairs((32, 64)), strict=True):
        np.testing.assert_array_equal(one.left_HW3, other.left_HW3)
        np.testing.assert_array_equal(one.right_HW3, other.right_HW3)
