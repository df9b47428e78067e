"""Where cameras stand and where their rays go.

Legend of shapes: V views; B scenes; R rays of a span of pixels, row by row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .composition import Scenes
from .noise import Array, device_of
from .shapes import Rays

Offsets = tuple[tuple[float, float], ...]
"""Where in a pixel its rays go, from the centre, in pixels: (right, down)."""


class Span(NamedTuple):
    """Some of an image's pixels."""

    height: int
    width: int
    begin: int
    """Number of the first pixel, row by row."""
    end: int


class Views(NamedTuple):
    """One ray per pixel each: the left camera's at the first offset, at the next ..., then the right camera's, and last
    the left camera's through the centres."""

    position_m: Any
    """V,B: to the right of the left camera."""
    cx_px: Any
    """V,B: principal point, as is ``cy_px``."""
    cy_px: Any
    bend_px: Any
    """V,B,3: vertical error at the centre, and more per half image to the right and down; None for none at all."""


def views(scenes: Scenes, offsets: Offsets, bend_px: np.ndarray | None) -> Views:
    """Views of both cameras, the right one with the errors ``bend_px`` (B,3)."""
    rights = [False] * len(offsets) + [True] * len(offsets) + [False]
    places = np.array([*offsets, *offsets, (0.0, 0.0)])
    is_right = np.array(rights)[:, None]
    return Views(
        position_m=is_right * scenes.baseline_m,
        cx_px=np.where(is_right, scenes.cx_right_px, scenes.cx_left_px) - places[:, :1],
        cy_px=scenes.cy_px - places[:, 1:],
        bend_px=None if bend_px is None else is_right[..., None] * bend_px,
    )


def rays_of(xp: Any, every: Views, view: Array, focal_px: Array, span: Span) -> Rays:
    """The rays of one view, whose number is the only entry of ``view``."""
    position_m, cx, cy = (xp.take(table, view, axis=0)[0] for table in (every.position_m, every.cx_px, every.cy_px))
    pixel = xp.arange(span.begin, span.end, dtype=xp.int64, device=device_of(focal_px))
    row = xp.astype(pixel // span.width, focal_px.dtype)
    column = xp.astype(pixel % span.width, focal_px.dtype)
    x, y = column - cx[:, None], row - cy[:, None]
    if every.bend_px is not None:
        bend = xp.take(every.bend_px, view, axis=0)[0][..., None]
        y = (
            y
            + bend[:, 0]
            + bend[:, 1] * (2.0 * column / span.width - 1.0)
            + bend[:, 2] * (2.0 * row / span.height - 1.0)
        )
    origin = xp.stack((position_m, 0.0 * position_m, 0.0 * position_m), axis=-1)
    return Rays(origin, x / focal_px[:, None], y / focal_px[:, None])
