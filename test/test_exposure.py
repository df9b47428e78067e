"""Images that show nothing are told apart from dark, bright and even ones that do."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.exposure import Exposure, exposure_of

RNG = np.random.default_rng(0)


def grey(low: int, high: int, bright_share: float = 0.0) -> np.ndarray:
    """Uniform grey levels, a share of them saturated."""
    image = RNG.integers(low, high + 1, (60, 80), np.uint8)
    image[RNG.uniform(size=image.shape) < bright_share] = 255
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (grey(0, 12), Exposure.BLACK),
        (np.zeros((48, 64), np.uint8), Exposure.BLACK),
        (grey(0, 12, bright_share=0.05), Exposure.GOOD),  # a night with lamps
        (grey(0, 60), Exposure.GOOD),
        (grey(20, 200, bright_share=0.6), Exposure.OVEREXPOSED),
        (np.full((48, 64), 255, np.uint8), Exposure.OVEREXPOSED),
        (grey(20, 200, bright_share=0.4), Exposure.GOOD),  # half of it sky
        (grey(117, 120), Exposure.BLANK),
        (grey(100, 130), Exposure.GOOD),
        (np.full((1, 1), 99, np.uint8), Exposure.BLANK),
    ],
)
def test_grey_levels(image: np.ndarray, expected: Exposure) -> None:
    """Each of the four verdicts."""
    assert exposure_of(image) is expected
