"""Cost volume: how well each left pixel agrees with the right pixels 0 to 47 columns to its left, at 1/4."""

from __future__ import annotations

from ffs_ros.graph.builder import Builder, Length, Size
from ffs_ros.graph.layers import conv, unit_norm

GROUPS = 8
PLANES = 48
"""Disparities 0 to 47 at 1/4: 192 pixels."""


def cost_volume(b: Builder, f4: str, size: Size) -> str:
    """[B,32,48,H/4,W/4]: 8 group correlations, 12 channels of the left and 12 of the shifted right image."""
    rows, columns = b.grid(size, 4)
    with b.scope("correlation"):
        correlation = group_correlation(b, f4, rows, columns)
    with b.scope("concatenation"):
        left, right = left_and_right(b, conv(b, f4, "proj_cmb"))
        left = b.node("Expand", b.unsqueeze(left, 2), b.shape([1, 1, PLANES, 1, 1]))
        return b.concat([correlation, left, shifted(b, right, rows, columns)], axis=1)


def left_and_right(b: Builder, x: str) -> list[str]:
    """The two halves of the batch."""
    return b.nodes_of("Split", [x], 2, axis=0)


def group_correlation(b: Builder, f4: str, rows: Length, columns: Length) -> str:
    """[B,8,48,H/4,W/4]: cosine between left w and right w - d inside each group of channels; 0 where w < d.

    One product per group and row gives every pair of columns, M[w, w']. Its 48 diagonals become columns without
    another pass over M. With 47 zero columns before the right image, M has rows of L = W/4 + 47 entries, and pixel w
    wants entries w to w + 47, the largest disparity first. Zero rows below make it L + 1 rows; the same memory read as
    L rows of L + 1 entries has what pixel w wants at the beginning of row w.
    """
    length = b.length("Add", columns, PLANES - 1)
    left, right = left_and_right(b, unit_norm(b, b.reshape(f4, [0, GROUPS, -1, rows, columns]), axis=2))
    left = b.pad(b.transpose(left, 0, 1, 3, 4, 2), [0] * 5, [0, 0, 0, PLANES, 0])
    right = b.pad(b.transpose(right, 0, 1, 3, 2, 4), [0, 0, 0, 0, PLANES - 1], [0] * 5)
    pairs = b.reshape(b.matmul(left, right), [0, 0, 0, length, b.length("Add", length, 1)])
    band = b.slice(b.slice(pairs, 4, 0, PLANES), 3, 0, columns)
    return b.transpose(b.reverse(band, 4), 0, 1, 4, 2, 3)


def shifted(b: Builder, x: str, rows: Length, columns: Length) -> str:
    """[B,C,48,H,W] of [B,C,H,W]: plane d is ``x`` moved d columns to the right, zeros moving in.

    A plane whose rows end in 47 zeros, with one more zero behind it, is repeated 48 times; read in planes that are
    one entry shorter, every repetition begins one entry earlier.
    """
    length = b.length("Add", columns, PLANES - 1)
    plane = b.length("Mul", rows, length)
    padded = b.reshape(b.pad(x, [0] * 4, [0, 0, 0, PLANES - 1]), [0, 0, 1, plane])
    repeated = b.node("Expand", b.pad(padded, [0] * 4, [0, 0, 0, 1]), b.shape([1, 1, PLANES, 1]))
    flat = b.slice(b.reshape(repeated, [0, 0, -1]), 2, 0, b.length("Mul", plane, PLANES))
    return b.slice(b.reshape(flat, [0, 0, PLANES, rows, length]), 4, 0, columns)


def all_pairs(b: Builder, f4: str) -> str:
    """[B,H/4,W/4,W/4]: cosine between left w and right w' of the same row over all channels."""
    left, right = left_and_right(b, unit_norm(b, f4, axis=1))
    return b.matmul(b.transpose(left, 0, 2, 3, 1), b.transpose(right, 0, 2, 1, 3))
