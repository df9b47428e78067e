"""Changes of an image's colours; where things are stays as it was."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_DEGREES_PER_TURN = 360.0
"""OpenCV's hue of float32 images."""


class ColourChange(NamedTuple):
    """What happens to the colours, in this order; the defaults change nothing."""

    brightness: float = 1.0
    """Factor of all values."""
    contrast: float = 1.0
    """Factor of the distance from the mean grey: 0 leaves that grey."""
    saturation: float = 1.0
    """Factor of the distance from a pixel's own grey: 0 leaves a grey image."""
    hue_turns: float = 0.0
    """Rotation of the hue: 1 is the full circle."""
    gamma: float = 1.0
    """Exponent of values scaled to 0..1."""
    gain: float = 1.0
    """Factor after the exponent."""


def recoloured(image_HW3: np.ndarray, change: ColourChange) -> np.ndarray:
    """uint8 RGB (H,W,3) with the change applied, values kept within 0..255 after each step."""
    pixels: np.ndarray = image_HW3.astype(np.float32) / np.float32(255.0)
    if change.brightness != 1.0:
        pixels = np.clip(pixels * np.float32(change.brightness), 0.0, 1.0)
    if change.contrast != 1.0:
        pixels = _away_from(pixels, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).mean(dtype=np.float32), change.contrast)
    if change.saturation != 1.0:
        pixels = _away_from(pixels, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], change.saturation)
    if change.hue_turns != 0.0:
        hsv_HW3 = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        hsv_HW3[..., 0] = (hsv_HW3[..., 0] + np.float32(change.hue_turns * _DEGREES_PER_TURN)) % _DEGREES_PER_TURN
        pixels = cv2.cvtColor(hsv_HW3, cv2.COLOR_HSV2RGB)
    if (change.gamma, change.gain) != (1.0, 1.0):
        pixels = np.clip(np.float32(change.gain) * pixels ** np.float32(change.gamma), 0.0, 1.0)
    return np.rint(pixels * 255.0).astype(np.uint8)


def _away_from(pixels: np.ndarray, grey: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(grey + np.float32(factor) * (pixels - grey), 0.0, 1.0)
