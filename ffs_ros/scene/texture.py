"""Textures that wrap around, painted from a seed: fractal noise, leaves that cover each other, patterns that repeat.

All textures at all sizes make an atlas, one texel per row: (rows, 3) colours of about -1..1, mean near 0. Every size
holds the ``COUNT`` textures in half the side of the one before.

Legend of shapes: K textures of S x S texels; L leaves.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .noise import Array, device_of, fractal, uniform

SIDE = 256
LEAVES = 160
FRACTAL, THRESHOLDED, LEAVES_SHARE, REPEATED = 8, 4, 8, 4
"""Textures of each kind in an atlas."""
COUNT = FRACTAL + THRESHOLDED + LEAVES_SHARE + REPEATED
LEVELS = int(math.log2(SIDE)) + 1


class Paints(NamedTuple):
    """The numbers that make an atlas."""

    seed: Any
    slopes: Any
    """12 of the fractals, as for ``noise.fractal``."""
    thresholds: Any
    """4,1,1: those of the last fractals above it are one colour, the rest another."""
    chroma: Any
    """16,1,1,3: how the tint colours all but the leaves."""
    tint_slopes: Any
    leaf_radius: Any
    """8,L,2 texels along and beside the leaf."""
    leaf_turn: Any
    """8,L,2: cosine and sine."""
    leaf_is_disc: Any
    """8,L int64: 1 for discs, 0 for rectangles."""
    leaf_colours: Any
    """8,L+1,3: of the leaves, and of the ground."""
    grain_slopes: Any
    grain: Any
    """8,1,1,1: strength of the fractal on the leaves."""
    periods: Any
    """4 int64: texels from stripe to stripe, field to field, brick to brick, dot to dot."""
    marks: Any
    """2: share of a period that is stripe, and square of a dot's radius in periods."""


def draw_paints(rng: np.random.Generator) -> Paints:
    """Paints at random."""
    seed = rng.integers(2**31)
    slopes = rng.uniform(0.2, 1.2, FRACTAL + THRESHOLDED)
    thresholds = rng.uniform(-0.7, 0.7, (THRESHOLDED, 1, 1))
    stripe, mark, field, brick, dot = (
        rng.integers(2, 6), rng.uniform(0.2, 0.8), rng.integers(2, 6), rng.integers(2, 5), rng.integers(2, 6)
    )  # fmt: skip
    dot_size = rng.uniform(0.03, 0.15)
    coloured = COUNT - LEAVES_SHARE
    chroma, tint_slopes = rng.normal(0.0, 0.35, (coloured, 1, 1, 3)), rng.uniform(0.7, 1.3, coloured)
    leaves = [_draw_leaves(rng) for _ in range(LEAVES_SHARE)]
    radius, turn, is_disc, colours = map(np.stack, zip(*leaves, strict=True))
    return Paints(
        np.asarray(seed), slopes, thresholds, chroma, tint_slopes, radius, turn, is_disc, colours,
        rng.uniform(0.1, 0.8, LEAVES_SHARE), rng.uniform(0.0, 0.5, (LEAVES_SHARE, 1, 1, 1)),
        SIDE // 2 ** np.array((stripe, field, brick, dot)), np.array((mark, dot_size)),
    )  # fmt: skip


def _draw_leaves(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Radii, turns, shapes and colours of one texture's leaves."""
    largest, smallest = 70.0, rng.uniform(1.5, 6.0)
    share = rng.uniform(0.0, 1.0, LEAVES)
    radius = 1.0 / np.sqrt(share / smallest**2 + (1.0 - share) / largest**2)  # density falls with the radius cubed
    aspect = np.exp(rng.normal(0.0, 0.5, LEAVES))
    angle = rng.uniform(0.0, np.pi, LEAVES)
    is_disc = (rng.uniform(size=LEAVES) < rng.uniform()).astype(np.int64)
    colours = rng.normal(0.0, 1.0, (LEAVES + 1, 1)) + rng.normal(0.0, 0.4, (LEAVES + 1, 3))
    return (
        np.stack((radius * aspect, radius / aspect), -1),
        np.stack((np.cos(angle), np.sin(angle)), -1),
        is_disc,
        colours,
    )


def paint(xp: Any, paints: Paints, rows_at_once: int = SIDE) -> Array:
    """The atlas. ``rows_at_once``: of a texture of leaves; fewer keep the intermediate results small."""
    smooth = fractal(xp, paints.seed, paints.slopes, SIDE)
    binary = xp.astype(smooth[FRACTAL:] > paints.thresholds, smooth.dtype)
    grey = xp.concat((smooth[:FRACTAL], 2.4 * binary - 1.2, _repeated(xp, paints)))
    tint = fractal(xp, paints.seed + 100, paints.tint_slopes, SIDE)
    colours = grey[..., None] + tint[..., None] * paints.chroma
    grain = fractal(xp, paints.seed + 300, paints.grain_slopes, SIDE)
    leaves = xp.stack([_leaves(xp, paints, number, rows_at_once) for number in range(LEAVES_SHARE)])
    leaves = leaves + paints.grain * grain[..., None]
    level = xp.concat((colours, leaves)) * 0.5

    rows = [xp.reshape(level, (-1, 3))]
    for _ in range(1, LEVELS):
        level = level[:, 0::2] + level[:, 1::2]
        level = 0.25 * (level[:, :, 0::2] + level[:, :, 1::2])
        rows.append(xp.reshape(level, (-1, 3)))
    return xp.concat(rows)


def look_up(xp: Any, atlas: Array, texture: Array, u: Array, v: Array, footprint: Array) -> Array:
    """Colours (...,3) of textures ``texture`` (int64) at ``u``, ``v`` (in texels of the largest size).

    ``footprint``: texels that a pixel covers; coarser levels stand for the mean over it (Williams, 1983).
    """
    level = xp.clip(xp.log2(xp.clip(footprint, 1.0, None)), 0.0, LEVELS - 1.001)
    below = xp.astype(xp.floor(level), xp.int64)
    part = (level - xp.astype(below, level.dtype))[..., None]
    fine, coarse = (_bilinear(xp, atlas, texture, u, v, below + step) for step in (0, 1))
    return fine * (1.0 - part) + coarse * part


def _bilinear(xp: Any, atlas: Array, texture: Array, u: Array, v: Array, level: Array) -> Array:
    side = SIDE >> level
    scale = xp.astype(side, u.dtype) / SIDE
    u, v = u * scale - 0.5, v * scale - 0.5
    column, row = xp.floor(u), xp.floor(v)
    across, down = (u - column)[..., None], (v - row)[..., None]
    last = side - 1
    column, row = xp.astype(column, xp.int64) & last, xp.astype(row, xp.int64) & last
    right, below = (column + 1) & last, (row + 1) & last
    square = side * side
    start = COUNT * 4 * (SIDE * SIDE - square) // 3 + texture * square  # the sizes before it are a geometric series
    upper, lower = start + row * side, start + below * side

    def texels(place: Array) -> Array:
        return xp.reshape(xp.take(atlas, xp.reshape(place, (-1,)), axis=0), (*place.shape, 3))

    top = texels(upper + column) * (1.0 - across) + texels(upper + right) * across
    bottom = texels(lower + column) * (1.0 - across) + texels(lower + right) * across
    return top * (1.0 - down) + bottom * down


def _leaves(xp: Any, paints: Paints, number: int, rows_at_once: int) -> Array:
    """S,S,3: discs and rectangles of many sizes that hide each other, which gives edges the statistics that photographs
    have (Lee, Mumford and Huang, 2001)."""
    radius, turn = paints.leaf_radius[number][..., None], paints.leaf_turn[number][..., None]
    where = SIDE * uniform(xp, paints.seed + 200 + number, (2, LEAVES, 1), radius.dtype)
    texel = xp.arange(SIDE, dtype=radius.dtype, device=device_of(radius))
    across, down = texel - where[0], texel - where[1]
    across, down = (offset - SIDE * xp.round(offset / SIDE) for offset in (across, down))  # L,S
    cosine, sine = turn[:, 0], turn[:, 1]
    along_x, along_y = (cosine * across / radius[:, 0])[:, None], (sine * down / radius[:, 0])[..., None]
    beside_x, beside_y = (-sine * across / radius[:, 1])[:, None], (cosine * down / radius[:, 1])[..., None]
    is_disc = (paints.leaf_is_disc[number] > 0)[:, None, None]
    order = xp.arange(LEAVES, dtype=xp.int64, device=device_of(radius))[:, None, None]
    first = []
    for row in range(0, SIDE, rows_at_once):
        rows = slice(row, row + rows_at_once)
        along, beside = along_x + along_y[:, rows], beside_x + beside_y[:, rows]
        along, beside = along * along, beside * beside
        outside = xp.where(is_disc, along + beside, xp.maximum(along, beside)) > 1.0
        first.append(xp.min(xp.where(outside, LEAVES, order), axis=0))  # LEAVES: none covers the texel
    chosen = xp.reshape(xp.concat(first), (-1,))
    return xp.reshape(xp.take(paints.leaf_colours[number], chosen, axis=0), (SIDE, SIDE, 3))


def _repeated(xp: Any, paints: Paints) -> Array:
    """REPEATED,S,S: stripes, a chequerboard, bricks and dots, each several times across."""
    dtype = paints.marks.dtype
    place = xp.arange(SIDE, dtype=xp.int64, device=device_of(paints.marks))
    row, column = place[:, None] + 0 * place, place + 0 * place[:, None]
    stripe, field, brick, dot = (paints.periods[kind] for kind in range(REPEATED))

    def cell(along: Array, period: Array) -> Array:
        """Where in its cell each texel lies, 0..1."""
        return xp.astype(along % period, dtype) / xp.astype(period, dtype)

    stripes = cell(column, stripe) < paints.marks[0]
    board = (row // field + column // field) % 2 > 0
    course = row // (brick // 2)
    bricks = (cell(column + (course % 2) * (brick // 2), brick) < 0.06) | (cell(row, brick // 2) < 0.12)
    dots = (cell(row, dot) - 0.5) ** 2 + (cell(column, dot) - 0.5) ** 2 < paints.marks[1]
    return 2.4 * xp.astype(xp.stack((stripes, board, bricks, dots)), dtype) - 1.2
