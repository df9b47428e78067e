"""Look-up of geometry and correlation around the current disparity, and the first layer of the motion encoder.

On each of two levels (planes; means of two planes) the network interpolates nine samples around the current disparity,
one plane apart. They share one fraction, so they lie between ten neighbours: sample t is (1 - f) n[t] + f n[t + 1].
The layer behind (``convc1``) is linear: it is applied to the neighbours, and only its results are blended.
Neighbours outside the volume read zeros, stored before, between and behind the two levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ffs_ros.graph.builder import Builder, Length, Size
from ffs_ros.graph.volume import PLANES

LEVELS = 2
TAPS = 9
CHANNELS = 28
NEIGHBOURS = np.arange(TAPS + 1, dtype=np.int32) - TAPS // 2
LEVEL_SCALE = np.array([1.0, 0.5], np.float32).reshape(LEVELS, 1, 1)


class Table(NamedTuple):
    """Entries of both levels for all P pixels (those of all images at 1/4), read by position."""

    entries: str
    """[entries] or [entries, channels]."""
    start: str
    """int32 [2,P,1]: the entry at position 0 of a level."""
    stride: str
    """int32 []: from one position to the next."""
    end: str
    """int32 [2,1,1]: first position behind the last; it reads zero, as -1 does."""


class Tables(NamedTuple):
    geometry: Table
    correlation: Table
    column: str
    """float32 [P,1]: where on its row a pixel is."""


def tables(b: Builder, volume: str, pairs: str, size: Size) -> Tables:
    """Tables of the geometry volume [B,28,48,H/4,W/4] and of the all-pairs correlation [B,H/4,W/4,W/4]."""
    rows, columns = b.grid(size, 4)
    pixel = b.count(b.length("Mul", size.batch, b.length("Mul", rows, columns)))
    row = b.node("Div", pixel, b.scalar(columns))
    column = b.unsqueeze(b.float32(b.sub(pixel, b.mul(row, b.scalar(columns)))), 1)
    geometry = geometry_table(b, volume, pixel, [size.batch, rows, columns])
    return Tables(geometry, correlation_table(b, pairs, pixel, [size.batch, rows, columns]), column)


def geometry_table(b: Builder, volume: str, pixel: str, extent: list[Length]) -> Table:
    """Planes of all pixels: zero, 48, zero, 24 means, zero. An entry holds the 28 channels of a plane at a pixel."""
    batch, area = extent[0], b.length("Mul", *extent[1:])
    zero = b.zeros([batch, CHANNELS, 1, area])
    planes = b.reshape(volume, [0, 0, PLANES, area])
    means = b.node("ReduceMean", b.reshape(volume, [0, 0, PLANES // 2, 2, area]), axes=[3], keepdims=0)
    planes = b.concat([zero, planes, zero, means, zero], axis=2)
    entries = b.reshape(b.transpose(planes, 0, 2, 3, 1), [-1, CHANNELS])
    # The planes of image i follow those of image i - 1.
    image = b.node("Div", pixel, b.scalar(area))
    first = b.add(pixel, b.mul(image, b.scalar(b.length("Mul", area, 3 * PLANES // 2 + 2))))
    starts = [b.add(first, b.scalar(b.length("Mul", area, plane))) for plane in (1, PLANES + 2)]
    return Table(entries, both_levels(b, starts), b.int32(b.scalar(area)), ends(b, [PLANES, PLANES // 2]))


def correlation_table(b: Builder, pairs: str, pixel: str, extent: list[Length]) -> Table:
    """Per pixel: zero, W/4 correlations, zero, W/8 means, zero."""
    columns, half = extent[2], b.length("Div", extent[2], 2)
    zero = b.zeros([*extent, 1])
    means = b.node("ReduceMean", b.reshape(pairs, [0, 0, 0, half, 2]), axes=[4], keepdims=0)
    entries = b.reshape(b.concat([zero, pairs, zero, means, zero], axis=3), [-1])
    first = b.mul(pixel, b.scalar(b.length("Add", b.length("Add", columns, half), 3)))
    starts = [b.add(first, np.array(1)), b.add(first, b.scalar(b.length("Add", columns, 2)))]
    return Table(entries, both_levels(b, starts), b.constant(np.array(1, np.int32)), ends(b, [columns, half]))


def both_levels(b: Builder, starts: list[str]) -> str:
    return b.int32(b.concat([b.reshape(start, [1, -1, 1]) for start in starts], axis=0))


def ends(b: Builder, lengths: list[Length]) -> str:
    return b.reshape(b.int32(b.shape(lengths)), [LEVELS, 1, 1])


def neighbours(b: Builder, table: Table, position: str) -> tuple[str, str]:
    """The ten entries around ``position`` [2,P,1], fp32, and its fraction: [2,P,10,...] and [2,P,1].

    Clamped as integers, so that not even NaN reads outside the table.
    """
    below = b.node("Floor", position)
    place = b.node("Min", b.node("Max", b.add(b.int32(below), NEIGHBOURS), np.array(-1, np.int32)), table.end)
    entry = b.add(b.mul(place, table.stride), table.start)
    return b.node("Gather", table.entries, entry, axis=0), b.lower(b.sub(position, below))


def looked_up(b: Builder, tables: Tables, disparity: str, grid: tuple[Length, Length]) -> str:
    """``convc1`` of the 522 values around the disparity [B,1,H/4,W/4]: [B,56,H/4,W/4] after its ReLU."""
    name = "update_block.encoder.convc1"
    geometry_weight, correlation_weight = look_up_weights(b.tensors[f"{name}.weight"][:, :, 0, 0])
    outputs = geometry_weight.shape[2] // 2
    disparity = b.reshape(disparity, [-1, 1])

    values, fraction = neighbours(b, tables.geometry, b.mul(disparity, LEVEL_SCALE))
    values = b.reshape(values, [LEVELS, -1, CHANNELS * (TAPS + 1)])
    here, difference = b.split(b.matmul(values, b.weight(f"{name}.geometry", geometry_weight)), [outputs] * 2, axis=2)
    result = b.add(here, b.mul(difference, fraction))

    values, fraction = neighbours(b, tables.correlation, b.mul(b.sub(tables.column, disparity), LEVEL_SCALE))
    here, following = b.slice(values, 2, 0, TAPS), b.slice(values, 2, 1, TAPS + 1)
    values = b.add(here, b.mul(b.sub(following, here), fraction))
    result = b.add(result, b.matmul(values, b.weight(f"{name}.correlation", correlation_weight)))

    result = b.add(b.sum(result, axis=0, keepdims=False), b.weight(f"{name}.bias", b.tensors[f"{name}.bias"]))
    return b.transpose(b.reshape(b.relu(result), [-1, *grid, outputs]), 0, 3, 1, 2)


def look_up_weights(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per level, for geometry [2, 280, 112] and correlation [2, 9, 56], of ``convc1``'s weight [56, 522].

    Its inputs are, level by level, 28 channels x 9 samples of geometry and 9 samples of correlation. The first half of
    the geometry's outputs belongs to the samples' lower neighbours, the second to the difference of upper and lower.
    """
    levels = weight.T.reshape(LEVELS, (CHANNELS + 1) * TAPS, -1)
    geometry = levels[:, : CHANNELS * TAPS].reshape(LEVELS, CHANNELS, TAPS, -1).swapaxes(1, 2)
    lower, upper = (np.pad(geometry, [(0, 0), tap, (0, 0), (0, 0)]) for tap in ((0, 1), (1, 0)))
    both = np.concatenate([lower, upper - lower], axis=3)
    return both.reshape(LEVELS, CHANNELS * (TAPS + 1), -1), levels[:, CHANNELS * TAPS :]
