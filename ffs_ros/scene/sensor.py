"""What cameras do to light: blur, exposure, vignetting, noise, colour and rounding. A pair's cameras differ a little.

Legend of shapes: B pairs; H, W rows and columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .composition import Style
from .noise import Array, device_of, gaussian

_LUMA = (0.299, 0.587, 0.114)


class Sensors(NamedTuple):
    """The cameras of one side, one row per pair."""

    gain: Any
    """B,3: exposure and white balance."""
    gamma: Any
    """B"""
    vignetting: Any
    """B: share of the light that the corners lack."""
    noise: Any
    """B: deviation at full light, grey levels; None for none, as for ``blur_px``."""
    blur_px: Any
    """B: deviation of the blur."""
    grey: Any
    """B: 1 for a camera without colour, else 0."""
    noise_seed: Any
    """One for all; None without noise."""


def draw_sensors(rng: np.random.Generator, pairs: int, style: Style) -> tuple[Sensors, Sensors]:
    """The left and the right cameras."""
    gain = np.exp(rng.normal(0.3, 0.25, (pairs, 1)) + rng.normal(0.0, 0.06, (pairs, 3)))
    gamma = np.exp(rng.normal(-0.3, 0.25, pairs))
    vignetting = rng.uniform(0.0, 0.35, pairs)
    noise = style.noise * rng.uniform(size=pairs) ** 2
    blur = style.blur_px * rng.uniform(size=pairs)
    grey = (rng.uniform(size=pairs) < style.grey).astype(np.float64)
    differs = style.exposure * (rng.uniform(size=(pairs, 1)) < 0.6)
    right_gain = gain * np.exp(differs * (rng.normal(size=(pairs, 1)) + 0.3 * rng.normal(size=(pairs, 3))))
    right_gamma = gamma * np.exp(0.3 * differs[:, 0] * rng.normal(size=pairs))
    right_noise = noise * np.exp(differs[:, 0] * rng.normal(size=pairs))
    right_blur = np.clip(blur + 0.3 * style.blur_px * rng.normal(size=pairs), 0.0, None)
    seed = rng.integers(2**31)

    def sensors(gain: Any, gamma: Any, noise: Any, blur: Any, seed: Any) -> Sensors:
        if style.noise == 0.0:
            noise, seed = None, None
        return Sensors(gain, gamma, vignetting, noise, None if style.blur_px == 0.0 else blur, grey, seed)

    return (
        sensors(gain, gamma, noise, blur, seed),
        sensors(right_gain, right_gamma, right_noise, right_blur, seed + 1),
    )


def expose(xp: Any, light: Array, sensors: Sensors) -> Array:
    """B,H,W,3 light -> the picture: float, whole numbers 0..255."""
    _, height, width, _ = light.shape
    one = (slice(None), None, None)
    if sensors.blur_px is not None:
        light = _blurred(xp, _blurred(xp, light, sensors.blur_px, 1), sensors.blur_px, 2)
    row = xp.arange(height, dtype=light.dtype, device=device_of(light))[None, :, None] / height - 0.5
    column = xp.arange(width, dtype=light.dtype, device=device_of(light))[None, None, :] / width - 0.5
    fall = 1.0 - 2.0 * (row**2 + column**2) * sensors.vignetting[one]
    grey = sensors.grey[one][..., None]
    luma = sum(weight * light[..., channel] for channel, weight in enumerate(_LUMA))[..., None]
    light = (light * (1.0 - grey) + luma * grey) * fall[..., None]
    gain = sensors.gain[:, None, None, :]
    light = light * (gain * (1.0 - grey) + gain[..., 1:2] * grey)
    bright = 255.0 * xp.clip(light, 0.0, 1.0) ** sensors.gamma[one][..., None]
    if sensors.noise is not None:
        noise = gaussian(xp, sensors.noise_seed, tuple(light.shape), light.dtype)
        noise = noise * (1.0 - grey) + noise[..., :1] * grey
        bright = bright + sensors.noise[one][..., None] * xp.sqrt(0.2 + 0.8 * bright / 255.0) * noise
    return xp.clip(xp.round(bright), 0.0, 255.0)


def _blurred(xp: Any, light: Array, deviation_px: Array, axis: int) -> Array:
    """A three-tap blur of this deviation (at most 0.8 px) along rows or columns; the edge is replicated."""
    side = xp.clip(deviation_px**2 / 2.0, 0.0, 1.0 / 3.0)[:, None, None, None]
    length = light.shape[axis]
    before = (slice(None),) * axis + (slice(0, 1),)
    after = (slice(None),) * axis + (slice(length - 1, length),)
    body = ((slice(None),) * axis + (slice(0, length - 1),), (slice(None),) * axis + (slice(1, length),))
    back = xp.concat((light[before], light[body[0]]), axis=axis)
    ahead = xp.concat((light[body[1]], light[after]), axis=axis)
    return light * (1.0 - 2.0 * side) + (back + ahead) * side
