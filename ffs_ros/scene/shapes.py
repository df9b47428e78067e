"""Where rays meet solids.

Every solid is a unit shape in its own frame, turned, stretched and moved: a box and a room are the cube
|x|,|y|,|z| <= 1, an ellipsoid the ball, a cylinder x^2 + y^2 <= 1 with |z| <= 1, a patch the square z = 0, of which
parts may be cut away.

Legend of shapes: B scenes; n solids of one kind; R rays. Rays start at ``origin`` and their z is 1, so the distance
along one is the depth.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .noise import Array

BOX, ELLIPSOID, CYLINDER, PATCH, ROOM = range(5)
WAVES = 4
"""Sines whose sum cuts leaves and holes out of a patch."""
_TINY = 1e-12


class Solids(NamedTuple):
    """Solids of one kind."""

    centre: Array
    """B,n,3 m, in the left camera's frame: x right, y down, z forward."""
    axes: Array
    """B,n,3,3: rows are the solid's own axes, unit vectors."""
    half_m: Array
    """B,n,3: half the extent along them."""
    cut: Array | None
    """B,n,6 + 3 WAVES: what is left of a patch. Radius squared of a disc; period and width of bars along x and of bars
    along y; threshold of the waves; the waves' x, y and phase. Any other kind ignores it;
    None cuts nothing."""


class Rays(NamedTuple):
    """Rays of all scenes."""

    origin: Array
    """B,3 m."""
    x: Array
    """B,R: x per unit of z."""
    y: Array
    """B,R: y per unit of z."""


def nearest(xp: Any, kind: int, solids: Solids, rays: Rays) -> tuple[Array, Array]:
    """Depth (B,R) of the first solid that each ray meets, inf where it meets none, and its number (B,R, int64)."""
    axes, half = solids.axes[..., None], solids.half_m[..., None]
    to_origin = [(rays.origin[:, None, j] - solids.centre[..., j])[..., None] for j in range(3)]
    start, along = [], []  # in the solid's frame, B,n,1 and B,n,R
    for i in range(3):
        scale = 1.0 / half[:, :, i]
        row = [axes[:, :, i, j] * scale for j in range(3)]
        start.append(row[0] * to_origin[0] + row[1] * to_origin[1] + row[2] * to_origin[2])
        along.append(row[0] * rays.x[:, None] + row[1] * rays.y[:, None] + row[2])
    depth = _DEPTH[kind](xp, start, along, None if solids.cut is None else solids.cut[..., None])
    depth = xp.where(depth > 0.0, depth, xp.inf)
    return xp.min(depth, axis=1), xp.argmin(depth, axis=1)


def normals(xp: Any, kind: Array, inside: list[Array], half_m: list[Array]) -> list[Array]:
    """Direction across the surface, in the solid's frame and of any length, at points ``inside`` (-1..1 on each axis).

    ``kind``: int64, of the shape of each coordinate.
    """
    x, y, z = inside
    size = [xp.abs(part) for part in inside]
    is_x = (size[0] >= size[1]) & (size[0] >= size[2])
    is_y = ~is_x & (size[1] >= size[2])
    zero, one = xp.zeros_like(x), xp.ones_like(x)
    flat = [xp.where(is_x, x, zero), xp.where(is_y, y, zero), xp.where(is_x | is_y, zero, z)]
    is_round = (kind == ELLIPSOID) | ((kind == CYLINDER) & (size[2] < 1.0 - 1e-4))
    is_sheet = kind == PATCH
    is_tube = kind == CYLINDER
    curved = [x / half_m[0], y / half_m[1], xp.where(is_tube, zero, z / half_m[2])]
    lid = [xp.where(is_tube, zero, flat[0]), xp.where(is_tube, zero, flat[1]), xp.where(is_tube, z, flat[2])]
    found = [xp.where(is_round, c, f) for c, f in zip(curved, lid, strict=True)]
    return [xp.where(is_sheet, s, f) for s, f in zip((zero, zero, one), found, strict=True)]


def _slab(xp: Any, start: Array, along: Array) -> tuple[Array, Array]:
    """Between which distances a ray is within -1..1."""
    along = xp.where(xp.abs(along) < _TINY, _TINY, along)
    one, other = (-1.0 - start) / along, (1.0 - start) / along
    return xp.minimum(one, other), xp.maximum(one, other)


def _ball(xp: Any, start: list[Array], along: list[Array], off_square: Array) -> tuple[Array, Array]:
    """Between which distances a ray is within 1 of the origin; ``off_square`` = |start x along|^2, which keeps the
    digits that a difference of squares would lose on small things far away."""
    square = sum(a * a for a in along) + _TINY
    middle = -sum(s * a for s, a in zip(start, along, strict=True)) / square
    room = square - off_square
    reach = xp.where(room > 0.0, xp.sqrt(xp.clip(room, 0.0, None)) / square, -xp.inf)
    return middle - reach, middle + reach


def _common(xp: Any, *spans: tuple[Array, Array]) -> tuple[Array, Array]:
    near, far = spans[0]
    for other_near, other_far in spans[1:]:
        near, far = xp.maximum(near, other_near), xp.minimum(far, other_far)
    return near, far


def _entry(xp: Any, span: tuple[Array, Array]) -> Array:
    near, far = span
    return xp.where(near <= far, near, xp.inf)


def _box(xp: Any, start: list[Array], along: list[Array], _cut: Array) -> Array:
    return _entry(xp, _common(xp, *(_slab(xp, s, a) for s, a in zip(start, along, strict=True))))


def _room(xp: Any, start: list[Array], along: list[Array], _cut: Array) -> Array:
    """The wall that is met from inside."""
    return _common(xp, *(_slab(xp, s, a) for s, a in zip(start, along, strict=True)))[1]


def _ellipsoid(xp: Any, start: list[Array], along: list[Array], _cut: Array) -> Array:
    (x, y, z), (u, v, w) = start, along
    off_square = (y * w - z * v) ** 2 + (z * u - x * w) ** 2 + (x * v - y * u) ** 2
    return _entry(xp, _ball(xp, start, along, off_square))


def _cylinder(xp: Any, start: list[Array], along: list[Array], _cut: Array) -> Array:
    (x, y, z), (u, v, w) = start, along
    return _entry(xp, _common(xp, _ball(xp, [x, y], [u, v], (x * v - y * u) ** 2), _slab(xp, z, w)))


def _patch(xp: Any, start: list[Array], along: list[Array], cut: Array) -> Array:
    along_z = xp.where(xp.abs(along[2]) < _TINY, _TINY, along[2])
    depth = -start[2] / along_z
    x, y = start[0] + depth * along[0], start[1] + depth * along[1]
    inside = (xp.abs(x) <= 1.0) & (xp.abs(y) <= 1.0)
    if cut is None:
        return xp.where(inside, depth, xp.inf)
    radius_square, period_x, width_x, period_y, width_y, threshold = (cut[:, :, k] for k in range(6))
    on_bar = (x / period_x - xp.floor(x / period_x) <= width_x) | (y / period_y - xp.floor(y / period_y) <= width_y)
    height = 0.0
    for wave in range(WAVES):
        along_x, along_y, phase = (cut[:, :, 6 + 3 * wave + k] for k in range(3))
        height = height + xp.sin(along_x * x + along_y * y + phase)
    return xp.where(inside & (x * x + y * y <= radius_square) & on_bar & (height >= threshold), depth, xp.inf)


_DEPTH = {BOX: _box, ELLIPSOID: _ellipsoid, CYLINDER: _cylinder, PATCH: _patch, ROOM: _room}
