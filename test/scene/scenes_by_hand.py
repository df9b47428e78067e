"""Scenes that hold exactly the solids that a test asks for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from ffs_ros.geometry import StereoCamera
from ffs_ros.scene import CALM
from ffs_ros.scene.composition import COUNTS, PANES, N, compose
from ffs_ros.scene.render import Drawn, RenderedBatch, Renderer
from ffs_ros.scene.sensor import Sensors
from ffs_ros.scene.shapes import PATCH
from ffs_ros.scene.texture import draw_paints
from ffs_ros.scene.views import views

xp = pytest.importorskip("array_api_compat.numpy")

CAMERA = StereoCamera(
    width=96, height=64, fx_px=80.0, fy_px=80.0, cx_left_px=48.0, cx_right_px=45.0, cy_px=32.0, baseline_m=0.1
)
PLAIN = Sensors(*(np.array([value]) for value in ((1.0, 1.0, 1.0), 1.0, 0.0)), None, None, np.zeros(1), None)
"""Sensors that change nothing."""


class Solid(NamedTuple):
    """One solid that stands before the camera; ``axes`` as in ``shapes.Solids``."""

    kind: int
    centre: tuple[float, float, float]
    half_m: tuple[float, float, float]
    axes: np.ndarray = np.eye(3)


def rendered(solids: list[Solid], camera: StereoCamera = CAMERA, panes: tuple[Solid, ...] = ()) -> RenderedBatch:
    """One scene of these solids, its truth in float64."""
    rng = np.random.default_rng(0)
    scenes = compose(rng, 1, camera.height, camera.width, 64.0, CALM, camera)
    scenes.centre[..., 2], scenes.half_m[...] = -100.0, 1.0  # behind the camera
    ends = dict(zip(COUNTS, np.cumsum(list(COUNTS.values())), strict=True))
    for number, solid in enumerate(solids):
        place = ends[solid.kind] - 1 - number % COUNTS[solid.kind]
        _put(scenes, place, solid)
    for place, pane in zip(range(N, N + PANES), panes, strict=False):
        assert pane.kind == PATCH
        _put(scenes, place, pane)
    drawn = Drawn(scenes, views(scenes, ((0.0, 0.0),), None), PLAIN, PLAIN, draw_paints(rng))
    return Renderer(xp).render(
        drawn, camera.height, camera.width, has_panes=bool(panes), occlusion=True, device=None, dtype=xp.float64
    )


def _put(scenes: object, place: int, solid: Solid) -> None:
    for name in ("centre", "axes", "half_m"):
        getattr(scenes, name)[0, place] = getattr(solid, name)
