"""What grey levels alone say about an image: is there anything to be seen?

Legend of shapes: H and W rows and columns of an image.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

BRIGHT_SHARE = 0.99
LEAST_BRIGHT = 24
"""The brightest hundredth of a picture is brighter than this grey level of 255, also at night."""
_SATURATED = 250
_MOST_SATURATED = 0.5
_LEAST_CONTRAST = 6
"""Between the darkest and the brightest hundredth; an even wall under a lens's falling-off light has more."""


class Exposure(Enum):
    """What keeps an image from showing anything."""

    GOOD = "good"
    BLACK = "black"
    OVEREXPOSED = "overexposed"
    BLANK = "blank"


def exposure_of(grey_HW: np.ndarray) -> Exposure:
    """Judge a grey uint8 image."""
    dark, bright = np.quantile(grey_HW, [1.0 - BRIGHT_SHARE, BRIGHT_SHARE])
    if bright < LEAST_BRIGHT:
        return Exposure.BLACK
    if np.mean(grey_HW >= _SATURATED) > _MOST_SATURATED:
        return Exposure.OVEREXPOSED
    if bright - dark < _LEAST_CONTRAST:
        return Exposure.BLANK
    return Exposure.GOOD
