"""What stands where: scenes drawn at random, as tables of numbers that the renderer turns into pictures.

Legend of shapes: B scenes; n solids of one kind; N solids of all kinds, in the order of ``COUNTS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ffs_ros.geometry import StereoCamera

from .shapes import BOX, CYLINDER, ELLIPSOID, PATCH, ROOM, WAVES
from .texture import COUNT as TEXTURES

COUNTS = {BOX: 10, ELLIPSOID: 8, CYLINDER: 7, PATCH: 10, ROOM: 1}
N = sum(COUNTS.values())
PANES = 2
THIN = {BOX: 4, CYLINDER: 4}
"""How many of a kind are rods, wires and boards, a few pixels thick."""


@dataclass(frozen=True)
class Style:
    """How difficult the pictures are: shares of surfaces, and largest values."""

    weak_texture: float = 0.15
    repeated_texture: float = 0.12
    reflective: float = 0.12
    panes: float = 0.25
    cut_patches: float = 0.5
    grey: float = 0.2
    """Of the pairs, as infrared cameras give them."""
    noise: float = 6.0
    """Largest deviation, grey levels."""
    blur_px: float = 0.8
    exposure: float = 0.15
    """Deviation of the logarithm of right over left."""
    rectification_px: float = 0.5
    """Largest vertical error in the middle; twice as large in the corners."""


CALM = Style(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Scenes(NamedTuple):
    """B scenes; every entry is an array that begins with B."""

    focal_px: Any
    cx_left_px: Any
    cx_right_px: Any
    cy_px: Any
    baseline_m: Any
    centre: Any
    """B,N,3 m; as in ``shapes.Solids``, also the next three. ``cut`` is None where the style cuts nothing."""
    axes: Any
    half_m: Any
    cut: Any
    kind: Any
    """B,N int64."""
    texture: Any
    """B,N,2 int64: the surface's texture and the grain on it."""
    texels_per_m: Any
    """B,N,2,2,3: how the solid's frame is laid onto either texture, rows u and v."""
    base: Any
    """B,N,3: colour, 0..1."""
    contrast: Any
    """B,N,2 of the two textures."""
    reflectivity: Any
    """B,N: share of the surroundings' mirror image; None where the style has no mirrors."""
    opacity: Any
    """B,N: below 1 for panes only."""
    light: Any
    """B,3: unit vector towards it."""
    ambient: Any
    """B: share of the light that comes from everywhere."""
    shadow: Any
    """B,3: texture, texels per metre and strength of the pattern that dims the light."""


def compose(
    rng: np.random.Generator, pairs: int, height: int, width: int, max_disparity_px: float, style: Style,
    camera: StereoCamera | None = None,
) -> Scenes:  # fmt: skip
    """Scenes for cameras drawn at random, or for ``camera``. The solids after the first N are panes."""
    lens = _lens(rng, pairs, height, width, camera)
    focal, cx, cy, baseline = lens["focal_px"], lens["cx_left_px"], lens["cy_px"], lens["baseline_m"]
    near_px = np.exp(rng.uniform(np.log(0.09), np.log(0.9), pairs)) * max_disparity_px
    if camera is not None:
        near_px = np.full(pairs, 0.35 * max_disparity_px)
    far_px = near_px * rng.uniform(0.03, 0.3, pairs)

    kind = np.concatenate([np.full(count, k) for k, count in [*COUNTS.items(), (PATCH, PANES)]])
    thin = np.concatenate([np.arange(count) < THIN.get(k, 0) for k, count in [*COUNTS.items(), (PATCH, PANES)]])
    shape = (pairs, len(kind))
    disparity = far_px[:, None] + (near_px - far_px)[:, None] * rng.uniform(size=shape) ** 1.3
    depth = focal[:, None] * baseline[:, None] / disparity
    metre_per_px = depth / focal[:, None]
    column, row = (rng.uniform(-0.1, 1.1, shape) * length for length in (width, height))
    centre = np.stack(((column - cx[:, None]) * metre_per_px, (row - cy[:, None]) * metre_per_px, depth), -1)

    half_px = np.exp(rng.uniform(np.log(6.0), np.log(0.4 * height), shape))
    half = np.minimum(half_px * metre_per_px, 0.3 * depth)[..., None] * np.exp(rng.normal(0.0, 0.45, (*shape, 3)))
    half = np.where(
        thin[:, None] & (np.arange(3) < 2), metre_per_px[..., None] * np.exp(rng.uniform(-0.7, 1.6, (*shape, 1))), half
    )
    half[..., 2] = np.where(thin, 3.0 * half[..., 2], half[..., 2])
    half = np.where((kind == PATCH)[:, None], 1.5 * half, half)
    half = np.minimum(half, 0.8 * depth[..., None])

    upright = rng.uniform(size=shape) < 0.5
    axes = np.where(upright[..., None, None], _turned(rng, shape, 0.05), _turned(rng, shape, None))
    facing = (kind == PATCH) & (rng.uniform(size=shape) < 0.7)
    axes = np.where(facing[..., None, None], _turned(rng, shape, 0.45), axes)

    floor_m = focal * baseline / (near_px * rng.uniform(0.4, 1.0, pairs)) * (height - 1 - cy) / focal
    has_floor = rng.uniform(size=pairs) < 0.8
    floor_m = np.where(has_floor, floor_m, floor_m * rng.uniform(2.0, 30.0, pairs))
    standing = upright & has_floor[:, None] & (rng.uniform(size=shape) < 0.8) & (kind != ROOM)
    reach = np.abs(axes[..., :, 1] * half).sum(-1)
    centre[..., 1] = np.where(standing, floor_m[:, None] - reach, centre[..., 1])
    _furnish_room(rng, centre, axes, half, floor_m, focal * baseline / far_px)
    half[:, N:, :] *= 1.5
    lacks_pane = rng.uniform(size=(pairs, PANES)) >= style.panes
    centre[:, N:, 2] = np.where(lacks_pane, -np.abs(centre[:, N:, 2]), centre[:, N:, 2])
    opacity = np.ones(shape)
    opacity[:, N:] = rng.uniform(0.15, 0.5, (pairs, PANES))

    scale_depth = np.where(kind == ROOM, 0.4 * depth.mean(1, keepdims=True), depth)
    texel_px = np.exp(rng.uniform(np.log(0.5), np.log(4.5), shape))
    sizes = np.stack((texel_px, np.exp(rng.uniform(np.log(0.5), np.log(1.6), shape))), -1)
    lay = _laid(rng, (*shape, 2))
    repeated = rng.uniform(size=(*shape, 1)) < style.repeated_texture
    texture = np.where(
        repeated, rng.integers(TEXTURES - 4, TEXTURES, (*shape, 2)), rng.integers(0, TEXTURES - 4, (*shape, 2))
    )
    weak = rng.uniform(size=(*shape, 1)) < style.weak_texture
    contrast = np.stack((rng.uniform(0.1, 0.8, shape), rng.uniform(0.0, 0.25, shape)), -1)
    contrast *= np.where(weak, 0.15 * rng.uniform(size=(*shape, 1)), 1.0)
    reflective = rng.uniform(size=shape) < np.where(np.arange(len(kind)) < N, style.reflective, 0.5 * (style.panes > 0))
    light = rng.normal(size=(pairs, 3)) * (0.7, 0.4, 0.6) + (0.0, -1.0, -0.5)
    return Scenes(
        **lens,
        centre=centre,
        axes=axes,
        half_m=half,
        cut=_cuts(rng, shape, style.cut_patches),
        kind=np.broadcast_to(kind, shape),
        texture=texture,
        texels_per_m=lay / (sizes * (scale_depth / focal[:, None])[..., None])[..., None, None],
        base=np.clip(rng.uniform(0.15, 0.8, (*shape, 1)) + rng.normal(0.0, 0.1, (*shape, 3)), 0.02, 1.0),
        contrast=contrast,
        reflectivity=_reflectivity(rng, reflective, style),
        opacity=opacity,
        light=light / np.linalg.norm(light, axis=-1, keepdims=True),
        ambient=rng.uniform(0.35, 0.8, pairs),
        shadow=np.stack(
            (
                rng.integers(0, 8, pairs),
                25.0 / depth.mean(1) * rng.uniform(0.3, 3.0, pairs),
                rng.uniform(0.0, 0.6, pairs),
            ),
            -1,
        ),
    )


def _lens(
    rng: np.random.Generator, pairs: int, height: int, width: int, camera: StereoCamera | None
) -> dict[str, np.ndarray]:
    if camera is not None:
        of = {"focal_px": camera.fx_px, "cx_left_px": camera.cx_left_px, "cx_right_px": camera.cx_right_px,
              "cy_px": camera.cy_px, "baseline_m": camera.baseline_m}  # fmt: skip
        return {name: np.full(pairs, value) for name, value in of.items()}
    centre = (width - 1) / 2 + rng.uniform(-0.15, 0.15, pairs) * width
    return {
        "focal_px": np.exp(rng.uniform(np.log(0.6), np.log(1.6), pairs)) * width,
        "cx_left_px": centre,
        "cx_right_px": centre,
        "cy_px": (height - 1) / 2 + rng.uniform(-0.2, 0.1, pairs) * height,
        "baseline_m": np.full(pairs, 0.1),
    }


def _turned(rng: np.random.Generator, shape: tuple[int, ...], tilt: float | None) -> np.ndarray:
    """Axes (...,3,3) turned about the vertical and tilted a little (deviation in radians), or anyhow (None)."""
    if tilt is None:
        about = rng.normal(size=(*shape, 4))
    else:
        angle = rng.uniform(-np.pi, np.pi, shape) if tilt < 0.1 else rng.normal(0.0, tilt, shape)
        about = np.stack((np.cos(angle / 2), rng.normal(0.0, tilt / 2, shape), np.sin(angle / 2),
                          rng.normal(0.0, tilt / 2, shape)), -1)  # fmt: skip
    w, x, y, z = np.moveaxis(about / np.linalg.norm(about, axis=-1, keepdims=True), -1, 0)
    return np.stack(
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
         2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
         2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)), -1,
    ).reshape(*shape, 3, 3)  # fmt: skip


def _laid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Two directions (...,2,3) at right angles onto which a solid is projected, along a line that lies in no face."""
    line = rng.choice((-1.0, 1.0), (*shape, 3)) + rng.normal(0.0, 0.25, (*shape, 3))
    line /= np.linalg.norm(line, axis=-1, keepdims=True)
    one = np.cross(line, rng.normal(size=(*shape, 3)))
    one /= np.linalg.norm(one, axis=-1, keepdims=True)
    return np.stack((one, np.cross(line, one)), -2)


def _reflectivity(rng: np.random.Generator, reflective: np.ndarray, style: Style) -> np.ndarray | None:
    share = rng.uniform(0.15, 0.7, reflective.shape)
    return np.where(reflective, share, 0.0) if style.reflective > 0.0 or style.panes > 0.0 else None


def _furnish_room(
    rng: np.random.Generator,
    centre: np.ndarray,
    axes: np.ndarray,
    half: np.ndarray,
    floor_m: np.ndarray,
    back_m: np.ndarray,
) -> None:
    """Walls, floor and ceiling around the camera: the one solid of the last kind."""
    pairs, room = len(centre), N - 1
    ceiling = floor_m * np.exp(rng.uniform(np.log(0.6), np.log(30.0), pairs))
    left, right = (back_m * np.exp(rng.uniform(np.log(0.25), np.log(4.0), pairs)) for _ in range(2))
    front = 0.5 * back_m
    axes[:, room] = _turned(rng, (pairs,), 0.12)
    half[:, room] = np.stack(((left + right) / 2, (floor_m + ceiling) / 2, (back_m + front) / 2), -1)
    middle = np.stack(((right - left) / 2, (floor_m - ceiling) / 2, (back_m - front) / 2), -1)
    centre[:, room] = np.einsum("bij,bi->bj", axes[:, room], middle)


def _cuts(rng: np.random.Generator, shape: tuple[int, ...], share: float) -> np.ndarray | None:
    """Whole patches, and a share of discs, gratings, meshes and foliage."""
    style = np.where(rng.uniform(size=shape) < share, rng.integers(1, 5, shape), 0)
    cut = np.zeros((*shape, 6 + 3 * WAVES))
    cut[..., 0] = np.where(style == 1, 1.0, 3.0)
    cut[..., 1:5] = (1.0, 2.0, 1.0, 2.0)
    period = np.exp(rng.uniform(np.log(0.04), np.log(0.5), shape))
    bars = (style == 2) | (style == 3)
    cut[..., 1] = np.where(bars, period, 1.0)
    cut[..., 2] = np.where(bars, rng.uniform(0.1, 0.5, shape), 2.0)
    cut[..., 3] = np.where(bars, period * rng.uniform(0.6, 1.6, shape), 1.0)
    cut[..., 4] = np.where(style == 3, rng.uniform(0.1, 0.4, shape), np.where(style == 2, -1.0, 2.0))
    cut[..., 5] = np.where(style == 4, rng.uniform(-0.6, 1.0, shape), -10.0)
    waves = rng.normal(0.0, 1.0, (*shape, WAVES, 3)) * np.exp(rng.uniform(np.log(3.0), np.log(20.0), (*shape, 1, 1)))
    waves[..., 2] = rng.uniform(0.0, 2 * np.pi, (*shape, WAVES))
    cut[..., 6:] = waves.reshape(*shape, -1)
    return cut if share > 0.0 else None
