"""Textures that wrap around, painted from a seed: fractal noise, leaves that cover each other, patterns that repeat.

Legend of shapes: K textures of S x S texels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .noise import Array, fractal, uniform

SIDE = 256
LEAVES = 160
FRACTAL, THRESHOLDED, LEAVES_SHARE, REPEATED = 8, 4, 8, 4
"""Textures of each kind in an atlas."""
COUNT = FRACTAL + THRESHOLDED + LEAVES_SHARE + REPEATED


class Atlas(NamedTuple):
    """All textures at all sizes, one texel per row."""

    texels: Array
    """(rows, 3): about -1..1, mean near 0."""
    level_starts: Array
    """int64: row at which a level begins; each holds K textures of half the side of the one before."""


def paint(xp: Any, rng: np.random.Generator, dtype: Any, device: Any = None) -> Atlas:
    """An atlas of ``COUNT`` textures; the same ``rng`` state gives the same one on every array library."""
    seed = int(rng.integers(2**31))

    def tensor(values: np.ndarray) -> Array:
        return xp.asarray(values, dtype=dtype, device=device)

    smooth = fractal(xp, seed, tensor(rng.uniform(0.2, 1.2, FRACTAL + THRESHOLDED)), SIDE)
    binary = xp.astype(smooth[FRACTAL:] > tensor(rng.uniform(-0.7, 0.7, (THRESHOLDED, 1, 1))), dtype)
    grey = xp.concat((smooth[:FRACTAL], 2.4 * binary - 1.2, _repeated(xp, rng, tensor, device)))
    chroma = tensor(rng.normal(0.0, 0.35, (len(grey), 1, 1, 3)))
    tint = fractal(xp, seed + 100, tensor(rng.uniform(0.7, 1.3, len(grey))), SIDE)
    colours = grey[..., None] + tint[..., None] * chroma
    leaves = xp.stack([_leaves(xp, seed + 200 + k, rng, tensor, device) for k in range(LEAVES_SHARE)])
    grain = fractal(xp, seed + 300, tensor(rng.uniform(0.1, 0.8, LEAVES_SHARE)), SIDE)
    leaves = leaves + (tensor(rng.uniform(0.0, 0.5, (LEAVES_SHARE, 1, 1))) * grain)[..., None]
    level = xp.concat((colours, leaves)) * 0.5

    rows, starts, start = [], [], 0
    while True:
        side = level.shape[1]
        rows.append(xp.reshape(level, (-1, 3)))
        starts.append(start)
        start += COUNT * side * side
        if side == 1:
            return Atlas(xp.concat(rows), xp.asarray(starts, dtype=xp.int64, device=device))
        level = xp.mean(xp.reshape(level, (COUNT, side // 2, 2, side // 2, 2, 3)), axis=(2, 4))


def look_up(xp: Any, atlas: Atlas, texture: Array, u: Array, v: Array, footprint: Array) -> Array:
    """Colours (n,3) of textures ``texture`` (n, int64) at ``u``, ``v`` (n, in texels of the largest size).

    ``footprint``: texels that a pixel covers (n); coarser levels stand for the mean over it (Williams, 1983).
    """
    levels = atlas.level_starts.shape[0]
    level = xp.clip(xp.log2(xp.clip(footprint, 1.0, None)), 0.0, levels - 1.001)
    below = xp.astype(xp.floor(level), xp.int64)
    part = (level - xp.astype(below, level.dtype))[:, None]
    fine, coarse = (_bilinear(xp, atlas, texture, u, v, below + step) for step in (0, 1))
    return fine * (1.0 - part) + coarse * part


def _bilinear(xp: Any, atlas: Atlas, texture: Array, u: Array, v: Array, level: Array) -> Array:
    side = SIDE >> level
    scale = xp.astype(side, u.dtype) / SIDE
    u, v = u * scale - 0.5, v * scale - 0.5
    column, row = xp.floor(u), xp.floor(v)
    across, down = (u - column)[:, None], (v - row)[:, None]
    column, row = xp.astype(column, xp.int64) & (side - 1), xp.astype(row, xp.int64) & (side - 1)
    right, below = (column + 1) & (side - 1), (row + 1) & (side - 1)
    start = xp.take(atlas.level_starts, level, axis=0) + texture * side * side

    def texels(at_row: Array, at_column: Array) -> Array:
        return xp.take(atlas.texels, start + at_row * side + at_column, axis=0)

    upper = texels(row, column) * (1.0 - across) + texels(row, right) * across
    lower = texels(below, column) * (1.0 - across) + texels(below, right) * across
    return upper * (1.0 - down) + lower * down


def _leaves(xp: Any, seed: int, rng: np.random.Generator, tensor: Any, device: Any) -> Array:
    """S,S,3: discs and rectangles of many sizes that hide each other, which gives edges the statistics that photographs
    have (Lee, Mumford and Huang, 2001)."""
    largest, smallest = 70.0, rng.uniform(1.5, 6.0)
    share = rng.uniform(0.0, 1.0, LEAVES)
    radius = 1.0 / np.sqrt(share / smallest**2 + (1.0 - share) / largest**2)  # density falls with the radius cubed
    aspect = np.exp(rng.normal(0.0, 0.5, LEAVES))
    angle = rng.uniform(0.0, np.pi, LEAVES)
    is_disc = rng.uniform(size=LEAVES) < rng.uniform()
    dtype = tensor(np.zeros(1)).dtype
    place = uniform(xp, seed, (2, LEAVES, 1), dtype, device) * SIDE
    texel = xp.arange(SIDE * SIDE, dtype=xp.int64, device=device)
    across = xp.astype(texel % SIDE, dtype) - place[0]
    down = xp.astype(texel // SIDE, dtype) - place[1]
    across, down = (offset - SIDE * xp.round(offset / SIDE) for offset in (across, down))  # L,S*S
    cosine, sine = tensor(np.cos(angle)[:, None]), tensor(np.sin(angle)[:, None])
    along = xp.abs(cosine * across + sine * down) / tensor((radius * aspect)[:, None])
    beside = xp.abs(cosine * down - sine * across) / tensor((radius / aspect)[:, None])
    disc = xp.asarray(is_disc[:, None], device=device)
    outside = xp.where(disc, along**2 + beside**2, xp.maximum(along, beside)) > 1.0
    order = xp.arange(LEAVES, dtype=xp.int64, device=device)[:, None]
    first = xp.min(xp.where(outside, LEAVES, order), axis=0)  # LEAVES: none covers the texel
    brightness = rng.normal(0.0, 1.0, (LEAVES + 1, 1))
    colours = tensor(brightness + rng.normal(0.0, 0.4, (LEAVES + 1, 3)))
    return xp.reshape(xp.take(colours, first, axis=0), (SIDE, SIDE, 3))


def _repeated(xp: Any, rng: np.random.Generator, tensor: Any, device: Any) -> Array:
    """REPEATED,S,S: stripes, a chequerboard, bricks and dots, each several times across."""
    place = xp.arange(SIDE, dtype=xp.int64, device=device)

    def periods(highest: int) -> int:
        return 2 ** int(rng.integers(2, highest + 1))

    def cell(count: int, along: Array) -> Array:
        """Where in its cell each texel lies, 0..1."""
        size = SIDE // count
        return xp.astype(along % size, tensor(np.zeros(1)).dtype) / size

    dtype = tensor(np.zeros(1)).dtype
    count = periods(5)
    stripes = xp.astype(cell(count, place) < rng.uniform(0.2, 0.8), dtype)[None, :] + xp.zeros(
        (SIDE, 1), dtype=dtype, device=device
    )
    count = periods(5)
    size = SIDE // count
    board = xp.astype((place[:, None] // size + place[None, :] // size) % 2, dtype)
    count = periods(4)
    size = SIDE // count
    row = place[:, None] // (size // 2)
    in_brick = cell(count, place[None, :] + (row % 2) * (size // 2))
    mortar = (in_brick < 0.06) | (cell(2 * count, place[:, None]) < 0.12)
    bricks = xp.astype(mortar, dtype)
    count = periods(5)
    dots = (cell(count, place[:, None]) - 0.5) ** 2 + (cell(count, place[None, :]) - 0.5) ** 2
    dots = xp.astype(dots < rng.uniform(0.03, 0.15), dtype)
    return 2.4 * xp.stack((stripes, board, bricks, dots)) - 1.2
