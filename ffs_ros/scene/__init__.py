"""Rendered stereo pairs whose disparity is known exactly: endless, from a seed, without any file.

One implementation for every array library of the array API standard: NumPy for the demo and tests, torch on a GPU for
training. ``render_batch`` draws scenes at random; ``render_pair`` looks at one with a given camera.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ffs_ros.geometry import StereoCamera

from .composition import CALM, Style, compose
from .render import Drawn, RenderedBatch, Renderer
from .sensor import draw_sensors
from .texture import draw_paints
from .views import Offsets, views

__all__ = ["CALM", "DEMO_CAMERA", "DEMO_SEED", "RenderedBatch", "RenderedPair", "Style", "render_batch", "render_pair"]

DEMO_CAMERA = StereoCamera(
    width=640, height=480, fx_px=520.0, fy_px=520.0, cx_left_px=319.5, cx_right_px=323.5, cy_px=239.5, baseline_m=0.12
)
"""Slightly verged (the principal points differ by -4 px), so that a depth that forgets this is seen to be wrong."""
DEMO_SEED = 38
"""A calm scene with a floor and a wall, boxes, a cylinder, ellipsoids and rods, from near to far."""

TWO_RAYS: Offsets = ((-0.25, -0.25), (0.25, 0.25))


class RenderedPair(NamedTuple):
    """One pair as NumPy arrays, and the camera that took it."""

    camera: StereoCamera
    left_HW3: np.ndarray
    """uint8 RGB, as is ``right_HW3``."""
    right_HW3: np.ndarray
    disparity_HW: np.ndarray
    """float32 px of the left image, x_right = x_left - d; NaN where no surface is seen."""
    seen_by_both_HW: np.ndarray
    """bool; False where the point is hidden from the right camera or outside its image."""


def render_batch(
    xp: Any, seed: int, pairs: int, height: int, width: int, device: Any = None, *, max_disparity_px: float = 192.0,
    style: Style | None = None, camera: StereoCamera | None = None, offsets: Offsets = TWO_RAYS, occlusion: bool = True,
    renderer: Renderer | None = None, dtype: Any = None,
) -> RenderedBatch:  # fmt: skip
    """``pairs`` scenes drawn from ``seed``, seen by cameras drawn at random (or by ``camera``).

    ``xp``: a namespace of ``array_api_compat``; ``device`` as it names them. A seed gives the same pairs on every
    library but for rounding. Pictures are computed in float32, the truth in ``dtype`` (float32 unless given). Few
    surfaces are nearer than ``max_disparity_px``. ``offsets``: the rays per pixel. ``renderer`` keeps compiled
    functions from batch to batch.
    """
    style = style or Style()
    rng = np.random.default_rng(seed)
    scenes = compose(rng, pairs, height, width, max_disparity_px, style, camera)
    sensors = draw_sensors(rng, pairs, style)
    bend_px = style.rectification_px * rng.uniform(-1.0, 1.0, (pairs, 3)) / (1.0, 2.0, 2.0)
    every_view = views(scenes, offsets, bend_px if style.rectification_px > 0.0 else None)
    drawn = Drawn(scenes, every_view, *sensors, draw_paints(rng))
    has_panes = bool(rng.uniform() < 0.5) and style.panes > 0.0
    return (renderer or Renderer(xp)).render(
        drawn, height, width, has_panes=has_panes, occlusion=occlusion, device=device, dtype=dtype or xp.float32
    )


def render_pair(camera: StereoCamera = DEMO_CAMERA, seed: int = DEMO_SEED, style: Style = CALM) -> RenderedPair:
    """One scene seen by ``camera``, its truth in double precision; a seed always gives the same pair."""
    from array_api_compat import numpy as namespace

    xp: Any = namespace

    batch = render_batch(
        xp, seed, 1, camera.height, camera.width, style=style, camera=camera, dtype=xp.float64,
        max_disparity_px=0.25 * camera.width,
    )  # fmt: skip
    left, right = (image[0].astype(np.uint8) for image in (batch.left_BHW3, batch.right_BHW3))
    disparity, seen = batch.disparity_BHW[0].astype(np.float32), np.asarray(batch.seen_by_both_BHW)[0]
    return RenderedPair(camera, left, right, disparity, seen)
