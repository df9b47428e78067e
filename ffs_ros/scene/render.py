"""Looks at scenes with both cameras: colours, exact disparity, and which pixels the right camera sees too.

One ray per pixel centre gives the truth, without any discretisation; colours are the mean of a few rays. The functions
below are pure functions of arrays, so that a compiler sees the same code in each batch.

Legend of shapes: B scenes; R rays of a span of pixels; N solids (panes after them); H, W rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .composition import COUNTS, PANES, N, Scenes
from .noise import Array, device_of
from .packing import Numbers, pack, unpack
from .sensor import Sensors, expose
from .shading import opacity, shade
from .shapes import PATCH, Rays, Solids, nearest
from .texture import SIDE, Paints, paint
from .views import Span, Views, rays_of

Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
Mover = Callable[[np.ndarray, Any, Any], Array]
RAYS_AT_ONCE, ROWS_AT_ONCE = 1 << 13, 4
"""On a processor that does one operation after the other: rays of a picture and rows of a texture whose intermediate
results stay in its cache."""


class Drawn(NamedTuple):
    """All random numbers of a batch."""

    scenes: Scenes
    views: Views
    left_sensors: Sensors
    right_sensors: Sensors
    paints: Paints


class Met(NamedTuple):
    """What the rays of a view met first, each B,R."""

    depth: Array
    """m; inf for nothing."""
    index: Array
    """Number of the solid."""
    pane_depth: Array | None
    """The same of panes; None where the batch has none."""
    pane: Array | None


class RenderedBatch(NamedTuple):
    """What both cameras see, and what is true, in arrays of the library that was asked for."""

    left_BHW3: Array
    """RGB, whole numbers 0..255 in floating point, as is ``right_BHW3``."""
    right_BHW3: Array
    disparity_BHW: Array
    """px of the left image, x_right = x_left - d; NaN where no surface is seen."""
    seen_by_both_BHW: Array | None
    """bool; False where the point is hidden from the right camera or outside its image. None when not asked for."""


class Renderer:
    """Renders batches with one array library; keeps compiled functions from batch to batch."""

    def __init__(self, xp: Any, compiled: Compiler | None = None, moved: Mover | None = None) -> None:
        """``compiled`` makes functions faster, as torch.compile does. ``moved(values, dtype, device)`` brings NumPy's
        numbers to a device."""
        self.xp = xp
        self._is_compiled = compiled is not None
        self._moved = moved or partial(_moved, xp)
        compiled = compiled or (lambda function: function)
        self._painted, self._cast, self._shaded = compiled(_painted), compiled(_cast), compiled(_shaded)
        self._exposed, self._truth = compiled(_exposed), compiled(_truth)
        self._kept_numbers: dict[tuple[int, Any], list[Array]] = {}

    def render(
        self, drawn: Drawn, height: int, width: int, *, has_panes: bool, occlusion: bool, device: Any, dtype: Any
    ) -> RenderedBatch:
        """Both pictures in single precision, the truth in ``dtype``."""
        xp = self.xp
        size = Span(height, width, 0, height * width)
        floats, ints, layout = pack(drawn)
        ints = self._moved(ints, xp.int64, device)
        numbers = Numbers(self._moved(floats, xp.float32, device), ints, layout)
        exact = numbers if dtype == xp.float32 else Numbers(self._moved(floats, dtype, device), ints, layout)
        in_portions = not self._is_compiled and getattr(device, "type", device) in (None, "cpu")
        spans = list(_spans(size, RAYS_AT_ONCE if in_portions else size.end))
        atlas = self._painted(xp, numbers, ROWS_AT_ONCE if in_portions else SIDE)
        *eyes, centres = self._view_numbers(len(drawn.views.position_m), device)
        rays = len(eyes) // 2

        def picture(eyes: list[Array], sensors: Sensors) -> Array:
            lights = [self._light(numbers, atlas, view, spans, has_panes, rays**0.5) for view in eyes]
            return self._exposed(xp, numbers._replace(layout=sensors), lights)

        def truth(span: Span) -> tuple[Array, Array | None]:
            met = self._cast(xp, exact, centres, span, has_panes)
            return self._truth(xp, exact, centres, span, met, occlusion)

        left, right = picture(eyes[:rays], layout.left_sensors), picture(eyes[rays:], layout.right_sensors)
        disparity, seen = (self._image(parts, size) for parts in zip(*map(truth, spans), strict=True))
        return RenderedBatch(left, right, disparity, seen)

    def _light(
        self, numbers: Numbers, atlas: Array, view: Array, spans: list[Span], has_panes: bool, density: float
    ) -> Array:
        parts = []
        for span in spans:
            met = self._cast(self.xp, numbers, view, span, has_panes)
            parts.append(self._shaded(self.xp, numbers, view, span, atlas, met, density))
        return self._image(parts, spans[0])

    def _image(self, parts: Sequence[Array | None], size: Span) -> Array | None:
        """B,R,... of all spans -> B,H,W,..."""
        if parts[0] is None:
            return None
        joined = parts[0] if len(parts) == 1 else self.xp.concat(list(parts), axis=1)
        return self.xp.reshape(joined, (-1, size.height, size.width, *joined.shape[2:]))

    def _view_numbers(self, count: int, device: Any) -> list[Array]:
        if (count, device) not in self._kept_numbers:
            every = self._moved(np.arange(count), self.xp.int64, device)
            self._kept_numbers[count, device] = [every[view : view + 1] for view in range(count)]
        return self._kept_numbers[count, device]


def _moved(xp: Any, values: np.ndarray, dtype: Any, device: Any) -> Array:
    from array_api_compat import is_numpy_namespace

    if is_numpy_namespace(xp):  # whose asarray is not there for the NumPy of Ubuntu 22.04
        return values.astype(dtype)
    return xp.asarray(values, dtype=dtype, device=device)


def _spans(size: Span, rays: int) -> Iterator[Span]:
    for begin in range(0, size.end, rays):
        yield size._replace(begin=begin, end=min(begin + rays, size.end))


def _painted(xp: Any, numbers: Numbers, rows_at_once: int) -> Array:
    return paint(xp, unpack(xp, numbers.layout.paints, numbers), rows_at_once)


def _looked(xp: Any, numbers: Numbers, view: Array, span: Span) -> tuple[Scenes, Rays]:
    scenes, views = unpack(xp, numbers.layout.scenes, numbers), unpack(xp, numbers.layout.views, numbers)
    return scenes, rays_of(xp, views, view, scenes.focal_px, span)


def _cast(xp: Any, numbers: Numbers, view: Array, span: Span, has_panes: bool) -> Met:
    scenes, rays = _looked(xp, numbers, view, span)
    panes = first_met(xp, scenes, rays, PANE_GROUPS) if has_panes else (None, None)
    return Met(*first_met(xp, scenes, rays, OPAQUE_GROUPS), *panes)


def _shaded(xp: Any, numbers: Numbers, view: Array, span: Span, atlas: Array, met: Met, density: float) -> Array:
    """B,R,3 light, 0..1 for most surfaces; black where there is nothing."""
    scenes, rays = _looked(xp, numbers, view, span)
    colour = shade(xp, scenes, atlas, rays, met.depth, met.index, density)
    if met.pane is None:
        return colour
    in_front = xp.astype(met.pane_depth < met.depth, colour.dtype)[..., None]
    share = opacity(xp, scenes, met.pane) * in_front
    return colour * (1.0 - share) + shade(xp, scenes, atlas, rays, met.pane_depth, met.pane, density) * share


def _exposed(xp: Any, numbers: Numbers, lights: list[Array]) -> Array:
    """The picture of the mean of the rays' ``lights`` (B,H,W,3)."""
    return expose(xp, sum(lights) / len(lights), unpack(xp, numbers.layout, numbers))


def _truth(
    xp: Any, numbers: Numbers, view: Array, span: Span, met: Met, occlusion: bool
) -> tuple[Array, Array | None]:  # fmt: skip
    """Disparity (B,R) px, NaN where nothing is met, and (if asked for) whether the right camera sees the point."""
    scenes, rays = _looked(xp, numbers, view, span)
    depth = met.depth if met.pane_depth is None else xp.minimum(met.depth, met.pane_depth)
    is_met = xp.isfinite(depth)
    shift = (scenes.cx_left_px - scenes.cx_right_px)[:, None]
    disparity = (scenes.focal_px * scenes.baseline_m)[:, None] / depth + shift
    seen = None
    if occlusion:
        # The right camera looks along the line to each point: what it meets there is the point itself or hides it.
        position = xp.stack((scenes.baseline_m, 0.0 * scenes.baseline_m, 0.0 * scenes.baseline_m), axis=-1)
        aimed = Rays(position, rays.x - scenes.baseline_m[:, None] / depth, rays.y)
        groups = OPAQUE_GROUPS if met.pane is None else [*OPAQUE_GROUPS, *PANE_GROUPS]
        reached, _ = first_met(xp, scenes, aimed, groups)
        pixel = xp.arange(span.begin, span.end, dtype=xp.int64, device=device_of(depth))
        at_right = xp.astype(pixel % span.width, depth.dtype) - disparity
        tolerance = 1e-6 if depth.dtype == xp.float64 else 1e-4
        seen = is_met & (reached > depth * (1.0 - tolerance)) & (at_right >= 0.0) & (at_right <= span.width - 1.0)
    return xp.where(is_met, disparity, xp.nan), seen


def first_met(xp: Any, scenes: Scenes, rays: Rays, groups: list[tuple[int, int, int]]) -> tuple[Array, Array]:
    """Depth (B,R) of what each ray meets first, inf for nothing, and its number (B,R).

    ``groups``: kind, first number and one past the last.
    """
    depth, index = None, None
    for kind, begin, end in groups:
        cut = None if scenes.cut is None else scenes.cut[:, begin:end]
        solids = Solids(scenes.centre[:, begin:end], scenes.axes[:, begin:end], scenes.half_m[:, begin:end], cut)
        found, which = nearest(xp, kind, solids, rays)
        which = which + begin
        index = which if depth is None else xp.where(found < depth, which, index)
        depth = found if depth is None else xp.minimum(found, depth)
    return depth, index


def _opaque_groups() -> list[tuple[int, int, int]]:
    ends = np.cumsum(list(COUNTS.values()))
    return [(kind, int(end) - count, int(end)) for (kind, count), end in zip(COUNTS.items(), ends, strict=True)]


OPAQUE_GROUPS = _opaque_groups()
PANE_GROUPS = [(PATCH, N, N + PANES)]
