"""What colour a ray brings back. It belongs to the surface's point, so both cameras see the same, but for mirrors.

Legend of shapes: B scenes; R rays; N solids, panes included.
"""

from __future__ import annotations

from typing import Any

from .composition import Scenes
from .noise import Array, device_of
from .shapes import Rays, normals
from .texture import look_up


def shade(xp: Any, scenes: Scenes, atlas: Array, rays: Rays, depth: Array, index: Array, density: float) -> Array:
    """B,R,3 light from the points at ``depth`` (B,R) on the solids ``index`` (B,R); black where depth is infinite.

    ``density``: rays per pixel and axis.
    """
    hit = xp.isfinite(depth)
    depth = xp.where(hit, depth, 1.0)
    direction = [rays.x, rays.y, xp.ones_like(rays.x)]
    point = [rays.origin[:, None, j] + depth * direction[j] for j in range(3)]
    centre, axes, half_m = (_per_ray(xp, table, index) for table in (scenes.centre, scenes.axes, scenes.half_m))
    offset = [point[j] - centre[..., j] for j in range(3)]
    local = [_dot([axes[..., i, j] for j in range(3)], offset) for i in range(3)]
    half = [half_m[..., i] for i in range(3)]
    inside = [part / size for part, size in zip(local, half, strict=True)]
    across = normals(xp, _per_ray(xp, scenes.kind, index), inside, half)
    normal = [_dot([axes[..., i, j] for i in range(3)], across) for j in range(3)]
    length = xp.sqrt(_dot(normal, normal)) + 1e-20
    ray_length = xp.sqrt(_dot(direction, direction))
    facing = _dot(normal, direction) / (length * ray_length)
    outwards = xp.where(facing > 0.0, -1.0, 1.0) / length
    normal = [part * outwards for part in normal]
    facing = xp.abs(facing)

    footprint_m = depth / scenes.focal_px[:, None] / (xp.sqrt(xp.clip(facing, 0.05, None)) * density)
    colour = xp.clip(_painted(xp, scenes, atlas, index, local, footprint_m), 0.0, 1.5)
    colour = colour * _lit(xp, scenes, atlas, point, normal, footprint_m)[..., None]
    if scenes.reflectivity is not None:
        turned = [d / ray_length + 2.0 * facing * n for d, n in zip(direction, normal, strict=True)]
        share = _per_ray(xp, scenes.reflectivity, index)[..., None]
        colour = colour * (1.0 - share) + _mirrored(xp, atlas, index, turned) * share
    return colour * xp.astype(hit, colour.dtype)[..., None]


def opacity(xp: Any, scenes: Scenes, index: Array) -> Array:
    """B,R,1 of the solids ``index``."""
    return _per_ray(xp, scenes.opacity, index)[..., None]


def _painted(xp: Any, scenes: Scenes, atlas: Array, index: Array, local: list[Array], footprint_m: Array) -> Array:
    """The surface's own colour: its base, its texture and the grain on it."""
    lay, texture, contrast = (
        _per_ray(xp, table, index) for table in (scenes.texels_per_m, scenes.texture, scenes.contrast)
    )
    colour = _per_ray(xp, scenes.base, index)
    for layer in range(2):
        along, beside = ([lay[..., layer, axis, j] for j in range(3)] for axis in range(2))
        footprint = xp.sqrt(_dot(along, along)) * footprint_m
        texels = look_up(xp, atlas, texture[..., layer], _dot(along, local), _dot(beside, local), footprint)
        colour = colour + contrast[..., layer][..., None] * texels
    return colour


def _lit(xp: Any, scenes: Scenes, atlas: Array, point: list[Array], normal: list[Array], footprint_m: Array) -> Array:
    """How much light falls on the points: some from everywhere, the rest from a side, through a pattern of shadows."""
    light = [scenes.light[:, None, j] for j in range(3)]
    facing = xp.clip(_dot(normal, light), 0.0, None)
    texture, texels_per_m, strength = (scenes.shadow[:, None, k] for k in range(3))
    aside, along = (point[j] - point[1] * (light[j] / light[1]) for j in (0, 2))  # down the light's beam
    pattern = look_up(
        xp, atlas, xp.astype(texture, xp.int64), aside * texels_per_m, along * texels_per_m, texels_per_m * footprint_m
    )[..., 0]
    dimmed = xp.clip(0.5 + 1.5 * pattern, 0.0, 1.0) * strength
    ambient = scenes.ambient[:, None]
    return ambient + (1.0 - ambient) * facing * (1.0 - dimmed)


def _mirrored(xp: Any, atlas: Array, index: Array, turned: list[Array]) -> Array:
    """Surroundings that are infinitely far: a texture by direction alone."""
    texture = (index * 7 + 3) % 8
    return xp.clip(
        0.55 + 0.4 * look_up(xp, atlas, texture, 90.0 * turned[0], 90.0 * turned[1], 2.0 * xp.ones_like(turned[0])),
        0.0,
        1.5,
    )


def _per_ray(xp: Any, table: Array, index: Array) -> Array:
    """Rows of a table B,N,... for the solids (B,R) that rays met: B,R,..."""
    scenes, solids = table.shape[:2]
    first = solids * xp.arange(scenes, dtype=xp.int64, device=device_of(index))[:, None]
    rows = xp.take(xp.reshape(table, (scenes * solids, -1)), xp.reshape(index + first, (-1,)), axis=0)
    return xp.reshape(rows, (*index.shape, *table.shape[2:]))


def _dot(one: list[Array], other: list[Array]) -> Array:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
