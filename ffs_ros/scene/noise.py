"""Random fields that are the same on every array library: a hash of the place, so nothing is stored or shared.

A ``seed`` is an int64 array without axes, 0 .. 2^31 - 1 and a little more: a Python number would be compiled in.
"""

from __future__ import annotations

import math
from typing import Any

Array = Any
"""An array of the namespace ``xp`` that is passed along: NumPy's, torch's or another of the array API standard."""

_MASK = 0xFFFFFFFF


def device_of(array: Array) -> Any:
    """As ``xp.arange`` takes it; arrays of NumPy 1 do not say."""
    return getattr(array, "device", None)


def hashed(xp: Any, value: Array) -> Array:
    """int64 in 0 .. 2^32 - 1 -> int64 in the same range, well mixed; no product leaves 63 bits."""
    value = ((value ^ (value >> 16)) * 0x45D9F3B) & _MASK
    value = ((value ^ (value >> 15)) * 0x2C1B3C6D) & _MASK
    return value ^ (value >> 16)


def uniform(xp: Any, seed: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Numbers in [0, 1), or 1 where ``dtype`` rounds to it."""
    return xp.reshape(xp.astype(_bits(xp, seed, shape), dtype) / 2.0**32, shape)


def gaussian(xp: Any, seed: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Numbers of mean 0 and deviation 1: the sum of three uniform ones, at most 3 from the mean."""
    bits = _bits(xp, seed, shape)
    thirds = (bits & 0x3FF) + ((bits >> 10) & 0x3FF) + ((bits >> 20) & 0x3FF)
    return xp.reshape((xp.astype(thirds, dtype) - 1.5 * 1023) / 512.0, shape)


def _bits(xp: Any, seed: Array, shape: tuple[int, ...]) -> Array:
    place = xp.arange(math.prod(shape), dtype=xp.int64, device=device_of(seed))
    return hashed(xp, (place + (seed * 0x9E3779B1 & _MASK)) & _MASK)


def lattice_noise(xp: Any, nodes: Array, side: int) -> Array:
    """K,side,side values that pass smoothly from node to node of a K,n,n lattice, and from its end to its start."""
    count = nodes.shape[-1]
    place = xp.arange(side, dtype=nodes.dtype, device=device_of(nodes)) * (count / side)
    below = xp.astype(xp.floor(place), xp.int64)
    above = (below + 1) % count
    part = place - xp.astype(below, nodes.dtype)
    part = part * part * (3.0 - 2.0 * part)
    rows = xp.take(nodes, below, axis=1) * (1.0 - part)[:, None] + xp.take(nodes, above, axis=1) * part[:, None]
    return xp.take(rows, below, axis=2) * (1.0 - part) + xp.take(rows, above, axis=2) * part


def fractal(xp: Any, seed: Array, slopes: Array, side: int) -> Array:
    """K,side,side noise of mean about 0 and deviation about 1: octaves that lose a factor 2^-slope each."""
    total, power = 0.0, 0.0
    for octave in range(1, int(math.log2(side)) + 1):
        nodes = uniform(xp, seed + octave, (slopes.shape[0], 2**octave, 2**octave), slopes.dtype) - 0.5
        weight = 2.0 ** (-octave * slopes)
        total = total + lattice_noise(xp, weight[:, None, None] * nodes, side)
        power = power + weight**2
    return total / xp.sqrt(power / 24.0)[:, None, None]
