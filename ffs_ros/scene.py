"""A rendered stereo pair whose disparity is known exactly, for the demo and for tests.

Surfaces are intersected with one ray per pixel centre, so the ground truth has no discretisation. A surface's colour
is a function of the point alone, so both cameras see the same thing there, and it holds no detail that the left
camera's pixels cannot carry.

Legend of shapes: H and W rows and columns. Points and rays are in the left camera's frame (x right, y down, z forward),
in metres; a ray's z is 1, so the distance along it is the depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ffs_ros.geometry import StereoCamera

DEMO_CAMERA = StereoCamera(
    width=640, height=480, fx_px=520.0, fy_px=520.0, cx_left_px=319.5, cx_right_px=323.5, cy_px=239.5, baseline_m=0.12
)
"""Slightly verged (the principal points differ by -4 px), so that a depth that forgets this is seen to be wrong."""


class RenderedPair(NamedTuple):
    """What both cameras see, and what is true."""

    camera: StereoCamera
    left_HW3: np.ndarray
    """uint8 RGB, as is ``right_HW3``."""
    right_HW3: np.ndarray
    disparity_HW: np.ndarray
    """float32 px of the left image, x_right = x_left - d; NaN where no surface is seen."""
    seen_by_both_HW: np.ndarray
    """bool; False where the point is hidden from the right camera or outside its image."""


class Surface(Protocol):
    """Something that rays hit."""

    def depth(self, origin_3: np.ndarray, rays_HW3: np.ndarray) -> np.ndarray:
        """Depth (H,W) of the first point in front of ``origin_3`` (z = 0) on each ray, inf where there is none."""
        ...

    def normals(self, points_HW3: np.ndarray) -> np.ndarray:
        """Unit normal (H,W,3) of either sign at points of the surface."""
        ...


@dataclass(frozen=True)
class Plane:
    """All points p with ``normal`` . p = ``offset_m``; the normal has length 1."""

    normal: tuple[float, float, float]
    offset_m: float

    def depth(self, origin_3: np.ndarray, rays_HW3: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            depth_HW = (self.offset_m - origin_3 @ np.array(self.normal)) / (rays_HW3 @ np.array(self.normal))
        return np.where(depth_HW > 0.0, depth_HW, np.inf)

    def normals(self, points_HW3: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.array(self.normal), points_HW3.shape)


@dataclass(frozen=True)
class Box:
    """A box with faces across the axes, between its ``low`` and ``high`` corner."""

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]

    def depth(self, origin_3: np.ndarray, rays_HW3: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            one = (np.array(self.low_m) - origin_3) / rays_HW3
            other = (np.array(self.high_m) - origin_3) / rays_HW3
        enter_HW = np.minimum(one, other).max(axis=-1)
        leave_HW = np.maximum(one, other).min(axis=-1)
        return np.where((enter_HW > 0.0) & (enter_HW <= leave_HW), enter_HW, np.inf)

    def normals(self, points_HW3: np.ndarray) -> np.ndarray:
        low, high = np.array(self.low_m), np.array(self.high_m)
        nearness_HW3 = np.abs((points_HW3 - (low + high) / 2) / ((high - low) / 2))
        return np.eye(3)[nearness_HW3.argmax(axis=-1)]


@dataclass(frozen=True)
class Sphere:
    """A ball."""

    centre_m: tuple[float, float, float]
    radius_m: float

    def depth(self, origin_3: np.ndarray, rays_HW3: np.ndarray) -> np.ndarray:
        to_centre = np.array(self.centre_m) - origin_3
        square_HW = (rays_HW3**2).sum(axis=-1)
        along_HW = rays_HW3 @ to_centre
        with np.errstate(invalid="ignore"):
            root_HW = np.sqrt(along_HW**2 - square_HW * (to_centre @ to_centre - self.radius_m**2))
            depth_HW = (along_HW - root_HW) / square_HW
            return np.where(depth_HW > 0.0, depth_HW, np.inf)

    def normals(self, points_HW3: np.ndarray) -> np.ndarray:
        return (points_HW3 - np.array(self.centre_m)) / self.radius_m


DEMO_SCENE: tuple[Surface, ...] = (
    Plane((0.0, 1.0, 0.0), 0.9),  # the ground, seen from 0.9 m
    Plane((0.19611614, 0.0, 0.98058068), 6.8),  # a wall that runs away to the left
    Box((-1.6, 0.1, 3.2), (-0.7, 0.9, 4.0)),
    Box((0.35, -0.5, 2.2), (0.75, 0.9, 2.6)),
    Box((1.3, -0.9, 4.6), (2.4, 0.9, 5.2)),
    Sphere((-0.35, 0.55, 2.1), 0.35),
    Sphere((0.1, -0.9, 4.4), 0.5),
)


def render_pair(
    camera: StereoCamera = DEMO_CAMERA, surfaces: Sequence[Surface] = DEMO_SCENE, seed: int = 0
) -> RenderedPair:
    """Look at ``surfaces`` with both cameras; ``seed`` picks the textures, and a seed always gives the same pair."""
    left_eye, right_eye = np.zeros(3), np.array([camera.baseline_m, 0.0, 0.0])
    left_rays_HW3 = _rays(camera, camera.cx_left_px)
    points_HW3, left_index_HW = _cast(surfaces, left_eye, left_rays_HW3)
    depth_HW = points_HW3[..., 2]
    disparity_HW = camera.fx_px * camera.baseline_m / depth_HW + camera.principal_point_difference_px
    disparity_HW[left_index_HW < 0] = np.nan

    # The right camera looks along the line to each point: what it meets there is the point itself or hides it.
    with np.errstate(invalid="ignore"):
        rays_to_points_HW3 = (points_HW3 - right_eye) / depth_HW[..., None]
        met_HW3, _ = _cast(surfaces, right_eye, rays_to_points_HW3)
        x_right_HW = np.arange(camera.width) - disparity_HW
        in_view_HW = (x_right_HW >= 0.0) & (x_right_HW <= camera.width - 1.0)
        seen_by_both_HW = in_view_HW & (met_HW3[..., 2] > depth_HW * (1.0 - 1e-6))

    right_points_HW3, right_index_HW = _cast(surfaces, right_eye, _rays(camera, camera.cx_right_px))
    return RenderedPair(
        camera=camera,
        left_HW3=_colours(camera, surfaces, points_HW3, left_index_HW, seed),
        right_HW3=_colours(camera, surfaces, right_points_HW3, right_index_HW, seed),
        disparity_HW=disparity_HW.astype(np.float32),
        seen_by_both_HW=seen_by_both_HW,
    )


def _rays(camera: StereoCamera, cx_px: float) -> np.ndarray:
    x_W = (np.arange(camera.width) - cx_px) / camera.fx_px
    y_H = (np.arange(camera.height) - camera.cy_px) / camera.fy_px
    return np.dstack((*np.meshgrid(x_W, y_H), np.ones((camera.height, camera.width))))


def _cast(surfaces: Sequence[Surface], origin_3: np.ndarray, rays_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first point (H,W,3) on each ray, inf deep where there is none, and its surface's index (H,W), or -1."""
    depths_SHW = np.stack([surface.depth(origin_3, rays_HW3) for surface in surfaces])
    index_HW = depths_SHW.argmin(axis=0)
    depth_HW = depths_SHW.min(axis=0)
    with np.errstate(invalid="ignore"):
        points_HW3 = origin_3 + depth_HW[..., None] * rays_HW3
    return points_HW3, np.where(np.isfinite(depth_HW), index_HW, -1)


_WAVES = 32
_WAVELENGTHS_m = (0.015, 0.6)
_FADE_cycles_per_px = (0.10, 0.22)
"""Waves are full below the first and gone above the second; 0.5 would be the sampling limit."""
_LIGHT = np.array([-0.36, -0.80, -0.48])


def _colours(
    camera: StereoCamera, surfaces: Sequence[Surface], points_HW3: np.ndarray, index_HW: np.ndarray, seed: int
) -> np.ndarray:
    """uint8 RGB of points: for each surface a sum of waves in space, with a fixed light. Black where nothing is."""
    rgb_HW3 = np.zeros(points_HW3.shape)
    for index, surface in enumerate(surfaces):
        random = np.random.default_rng((seed, index))
        base_3 = random.uniform(80.0, 170.0, 3)
        rows, columns = np.nonzero(index_HW == index)
        points_N3 = points_HW3[rows, columns]
        normals_N3 = surface.normals(points_N3)
        wave_N3 = _waves(camera, points_N3, normals_N3, random)
        light_N = 0.75 + 0.25 * np.abs(normals_N3 @ _LIGHT)
        rgb_HW3[rows, columns] = (base_3 + 26.0 * wave_N3) * light_N[:, None]
    return np.clip(np.rint(rgb_HW3), 0.0, 255.0).astype(np.uint8)


def _waves(
    camera: StereoCamera, points_N3: np.ndarray, normals_N3: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """A texture (N,3) of about unit deviation: waves of random direction, each faded where pixels are too coarse."""
    # How a point of the surface moves when the left camera's pixel moves by one column or row.
    depth_N1 = points_N3[:, 2:]
    rays_N3 = points_N3 / depth_N1
    facing_N1 = (normals_N3 * rays_N3).sum(axis=1, keepdims=True)
    facing_N1 = np.where(np.abs(facing_N1) < 1e-9, 1e-9, facing_N1)
    per_column_N3 = depth_N1 / camera.fx_px * (np.array([1.0, 0, 0]) - normals_N3[:, :1] / facing_N1 * rays_N3)
    per_row_N3 = depth_N1 / camera.fy_px * (np.array([0, 1.0, 0]) - normals_N3[:, 1:2] / facing_N1 * rays_N3)

    sum_N3 = np.zeros(points_N3.shape)
    for wavelength_m in np.geomspace(*_WAVELENGTHS_m, _WAVES):
        direction_3 = random.normal(size=3)
        wave_3 = direction_3 / np.linalg.norm(direction_3) / wavelength_m
        cycles_per_px_N = np.hypot(per_column_N3 @ wave_3, per_row_N3 @ wave_3)
        full, gone = _FADE_cycles_per_px
        weight_N = np.clip((gone - cycles_per_px_N) / (gone - full), 0.0, 1.0)
        wave_N = weight_N * np.sin(2.0 * np.pi * (points_N3 @ wave_3) + random.uniform(0.0, 2.0 * np.pi))
        sum_N3 += wave_N[:, None] * random.normal(1.0, 0.35, 3)  # mostly grey
    return sum_N3 * np.sqrt(2.0 / _WAVES)
