"""Looks at scenes with both cameras: colours, exact disparity, and which pixels the right camera sees too.

One ray per pixel centre gives the truth, without any discretisation; colours are the mean of a few rays. A surface's colour
belongs to the point, so both cameras see the same there, but for mirrors and panes.

Legend of shapes: B scenes; R rays; N solids (panes after them); H, W rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .composition import COUNTS, PANES, N, Scenes
from .noise import Array
from .shapes import PATCH, Rays, Solids, nearest, normals
from .texture import Atlas, look_up

Offsets = tuple[tuple[float, float], ...]
"""Where in a pixel its rays go, from the centre, in pixels: (right, down)."""

Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]


class Renderer:
    """Renders scenes of one array library on one device."""

    def __init__(self, xp: Any, compiled: Compiler = lambda function: function) -> None:
        """``compiled`` may make the three functions of the inner loops faster, as torch.compile does."""
        self.xp = xp
        self._nearest = compiled(lambda kind, solids, rays: nearest(xp, kind, solids, rays))
        self._shade = compiled(lambda *arguments: _shade(xp, *arguments))

    def rays(
        self, scenes: Scenes, size: tuple[int, int], offset: tuple[float, float], right: bool, bend: Array | None
    ) -> Rays:
        """One ray per pixel. ``bend`` (B,3): the right camera's vertical error in px, at the centre and per half image to
        the right and down."""
        xp, (height, width) = self.xp, size
        like = scenes.focal_px
        column = xp.arange(width, dtype=like.dtype, device=like.device)[None, None] + offset[0]
        row = xp.arange(height, dtype=like.dtype, device=like.device)[None, :, None] + offset[1]
        focal = scenes.focal_px[:, None, None]
        cx = (scenes.cx_right_px if right else scenes.cx_left_px)[:, None, None]
        y = (row - scenes.cy_px[:, None, None]) + xp.zeros_like(column)
        if right and bend is not None:
            b = bend[:, :, None, None]
            y = y + b[:, 0] + b[:, 1] * (2.0 * column / width - 1.0) + b[:, 2] * (2.0 * row / height - 1.0)
        x = (column - cx) + xp.zeros_like(row)
        zero = xp.zeros_like(like)
        origin = xp.stack((scenes.baseline_m if right else zero, zero, zero), axis=-1)
        count = (like.shape[0], height * width)
        return Rays(origin, xp.reshape(x / focal, count), xp.reshape(y / focal, count))

    def cast(self, scenes: Scenes, rays: Rays, panes: bool) -> tuple[Array, Array]:
        """Depth (B,R) of what each ray meets first, inf for nothing, and its number (B,R); of panes only, or of the rest."""
        xp = self.xp
        groups = [(PATCH, N, N + PANES)] if panes else _groups()
        depth, index = None, None
        for kind, begin, end in groups:
            part = slice(begin, end)
            solids = Solids(scenes.centre[:, part], scenes.axes[:, part], scenes.half_m[:, part], scenes.cut[:, part])
            found, which = self._nearest(kind, solids, rays)
            which = which + begin
            if depth is None:
                depth, index = found, which
            else:
                index = xp.where(found < depth, which, index)
                depth = xp.minimum(found, depth)
        return depth, index

    def look(
        self, scenes: Scenes, atlas: Atlas, size: tuple[int, int], offsets: Offsets, right: bool, bend: Array | None,
        with_panes: bool,
    ) -> Array:  # fmt: skip
        """B,H,W,3 light, 0..1 for most surfaces; black where there is nothing."""
        total = 0.0
        density = len(offsets) ** 0.5
        for offset in offsets:
            rays = self.rays(scenes, size, offset, right, bend)
            depth, index = self.cast(scenes, rays, panes=False)
            colour = self._shade(scenes, atlas, rays, depth, index, density)
            if with_panes:
                pane_depth, pane = self.cast(scenes, rays, panes=True)
                in_front = self.xp.astype(pane_depth < depth, colour.dtype)
                opacity = _per_ray(self.xp, scenes.opacity, pane) * in_front
                seen = self._shade(scenes, atlas, rays, pane_depth, pane, density)
                colour = colour * (1.0 - opacity)[..., None] + seen * opacity[..., None]
            total = total + colour
        return self.xp.reshape(total / len(offsets), (-1, *size, 3))

    def truth(
        self, scenes: Scenes, size: tuple[int, int], with_panes: bool, occlusion: bool
    ) -> tuple[Array, Array | None]:
        """Disparity (B,H,W) px, NaN where nothing is met, and (if asked for) whether the right camera sees the point."""
        xp = self.xp

        def first(rays: Rays) -> Array:
            depth, _ = self.cast(scenes, rays, panes=False)
            return xp.minimum(depth, self.cast(scenes, rays, panes=True)[0]) if with_panes else depth

        rays = self.rays(scenes, size, (0.0, 0.0), right=False, bend=None)
        depth = first(rays)
        shift = (scenes.cx_left_px - scenes.cx_right_px)[:, None]
        disparity = (scenes.focal_px * scenes.baseline_m)[:, None] / depth + shift
        seen = None
        if occlusion:
            # The right camera looks along the line to each point: what it meets there is the point itself or hides it.
            baseline = scenes.baseline_m[:, None]
            origin = xp.stack((scenes.baseline_m, 0.0 * scenes.baseline_m, 0.0 * scenes.baseline_m), axis=-1)
            met = first(Rays(origin, rays.x - baseline / depth, rays.y))
            column = xp.arange(size[0] * size[1], dtype=xp.int64, device=depth.device) % size[1]
            at_right = xp.astype(column, depth.dtype) - disparity
            tolerance = 1e-6 if depth.dtype == xp.float64 else 1e-4
            seen = (met > depth * (1.0 - tolerance)) & (at_right >= 0.0) & (at_right <= size[1] - 1.0)
            seen = xp.reshape(seen & xp.isfinite(depth), (-1, *size))
        disparity = xp.where(xp.isfinite(depth), disparity, xp.nan)
        return xp.reshape(disparity, (-1, *size)), seen


def _groups() -> list[tuple[int, int, int]]:
    """Kind, first number and one past the last, of every kind but panes."""
    ends = np.cumsum(list(COUNTS.values()))
    return [(kind, int(end) - count, int(end)) for (kind, count), end in zip(COUNTS.items(), ends, strict=True)]


def _per_ray(xp: Any, table: Array, index: Array) -> Array:
    """Rows of a table B,N+PANES,... for the solids (B,R) that rays met: B,R,..."""
    scenes, rays = index.shape
    first = xp.arange(scenes, dtype=xp.int64, device=index.device)[:, None] * table.shape[1]
    flat = xp.reshape(table, (scenes * table.shape[1], -1))
    rows = xp.take(flat, xp.reshape(index + first, (-1,)), axis=0)
    return xp.reshape(rows, (scenes, rays, *table.shape[2:]))


class _Met(NamedTuple):
    """What the rays met, each B,R,..."""

    centre: Array
    axes: Array
    half_m: Array
    texels_per_m: Array
    base: Array
    contrast: Array
    reflectivity: Array
    kind: Array
    texture: Array


def _met(xp: Any, scenes: Scenes, index: Array) -> _Met:
    names = ("centre", "axes", "half_m", "texels_per_m", "base", "contrast", "reflectivity", "kind", "texture")
    return _Met(*(_per_ray(xp, getattr(scenes, name), index) for name in names))


def _shade(xp: Any, scenes: Scenes, atlas: Atlas, rays: Rays, depth: Array, index: Array, density: float) -> Array:
    """B,R,3 colour of the points that the rays met; ``density``: rays per pixel and axis."""
    met = _met(xp, scenes, index)
    hit = xp.isfinite(depth)
    depth = xp.where(hit, depth, 1.0)
    direction = [rays.x, rays.y, xp.ones_like(rays.x)]
    point = [rays.origin[:, None, j] + depth * direction[j] for j in range(3)]
    offset = [point[j] - met.centre[..., j] for j in range(3)]
    local = [sum(met.axes[..., i, j] * offset[j] for j in range(3)) for i in range(3)]
    half = [met.half_m[..., i] for i in range(3)]
    across = normals(xp, met.kind, [part / size for part, size in zip(local, half, strict=True)], half)
    normal = [sum(met.axes[..., i, j] * across[i] for i in range(3)) for j in range(3)]
    length = xp.sqrt(sum(part * part for part in normal)) + 1e-20
    ray_length = xp.sqrt(sum(part * part for part in direction))
    facing = sum(n * d for n, d in zip(normal, direction, strict=True)) / (length * ray_length)
    sign = xp.where(facing > 0.0, -1.0, 1.0)
    normal = [part / length * sign for part in normal]
    facing = xp.abs(facing)

    metre_per_px = depth / scenes.focal_px[:, None]
    stretch = 1.0 / (xp.sqrt(xp.clip(facing, 0.05, None)) * density)
    flat = (-1,)
    colour = met.base
    for layer in range(2):
        lay = met.texels_per_m[..., layer, :, :]
        u, v = (sum(lay[..., axis, j] * local[j] for j in range(3)) for axis in range(2))
        size = xp.sqrt(sum(lay[..., 0, j] ** 2 for j in range(3)))
        texels = look_up(
            xp, atlas, xp.reshape(met.texture[..., layer], flat), xp.reshape(u, flat), xp.reshape(v, flat),
            xp.reshape(size * metre_per_px * stretch, flat),
        )  # fmt: skip
        colour = colour + met.contrast[..., layer][..., None] * xp.reshape(texels, (*depth.shape, 3))
    colour = xp.clip(colour, 0.0, 1.5)

    light = scenes.light[:, None]
    lit = xp.clip(sum(normal[j] * light[..., j] for j in range(3)), 0.0, None)
    aside, along = (point[j] - point[1] * (light[..., j] / light[..., 1]) for j in (0, 2))  # down the light's beam
    texels = look_up(
        xp, atlas, xp.reshape(xp.astype(scenes.shadow[:, None, 0] + 0.0 * depth, xp.int64), flat),
        xp.reshape(aside * scenes.shadow[:, None, 1], flat), xp.reshape(along * scenes.shadow[:, None, 1], flat),
        xp.reshape(scenes.shadow[:, None, 1] * metre_per_px * stretch, flat),
    )  # fmt: skip
    dimmed = xp.clip(0.5 + 1.5 * xp.reshape(texels[:, 0], depth.shape), 0.0, 1.0) * scenes.shadow[:, None, 2]
    ambient = scenes.ambient[:, None]
    colour = colour * (ambient + (1.0 - ambient) * lit * (1.0 - dimmed))[..., None]

    # A mirror shows surroundings that are infinitely far: the same texture, by direction alone.
    turned = [d / ray_length + 2.0 * facing * n for d, n in zip(direction, normal, strict=True)]
    texels = look_up(
        xp, atlas, xp.reshape((index * 7 + 3) % 8, flat), xp.reshape(90.0 * turned[0], flat), xp.reshape(90.0 * turned[1], flat),
        xp.reshape(xp.ones_like(depth) * 2.0, flat),
    )  # fmt: skip
    mirrored = xp.clip(0.55 + 0.4 * xp.reshape(texels, (*depth.shape, 3)), 0.0, 1.5)
    share = met.reflectivity[..., None]
    colour = colour * (1.0 - share) + mirrored * share
    return colour * xp.astype(hit, colour.dtype)[..., None]
