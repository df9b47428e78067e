"""Plots as SVG for a report page: bars and lines over one axis, in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 440, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 34, 44
_Y_TICKS = 5


class Bar(NamedTuple):
    """A column from ``begin`` to ``end`` on the x axis."""

    begin: float
    end: float
    value: float
    tip: str = ""
    """What is shown where the pointer rests."""


class Line(NamedTuple):
    """Points joined in their order; a gap where y is NaN."""

    name: str
    points: Sequence[tuple[float, float]]


class Tick(NamedTuple):
    """A mark on the x axis."""

    place: float
    label: str


@dataclass(frozen=True)
class Plot:
    """What is drawn. The y axis begins at 0."""

    title: str
    x_label: str
    y_label: str
    ticks: Sequence[Tick]
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()


def svg(plot: Plot) -> str:
    """The plot as an element for a page. Its text keeps its size relative to the plot's width."""
    places = [place for bar in plot.bars for place in (bar.begin, bar.end)]
    places += [x for line in plot.lines for x, _ in line.points]
    values = [bar.value for bar in plot.bars] + [y for line in plot.lines for _, y in line.points]
    x_low, x_high = min(places, default=0.0), max(places, default=1.0)
    step, y_high = _nice(max((value for value in values if math.isfinite(value)), default=0.0))

    def x_px(place: float) -> float:
        return _LEFT + (place - x_low) / ((x_high - x_low) or 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def y_px(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / y_high * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text class="title" x="{_LEFT}" y="18">{escape(plot.title)}</text>']
    for index in range(round(y_high / step) + 1):
        y = y_px(index * step)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(index * step)}</text>')
    for bar in plot.bars:
        if math.isfinite(bar.value):
            x, y = x_px(bar.begin), y_px(bar.value)
            size = f'width="{max(x_px(bar.end) - x - 1, 0.5):.1f}" height="{max(_HEIGHT - _BOTTOM - y, 0):.1f}"'
            parts.append(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" {size}><title>{escape(bar.tip)}</title></rect>')
    for number, line in enumerate(plot.lines):
        parts.append(f'<path class="line line{number}" d="{_path(line, x_px, y_px)}"/>')
        parts.append(
            f'<text class="name line{number}" x="{_WIDTH - _RIGHT}" y="{18 + 14 * number}" text-anchor="end">'
            f"{escape(line.name)}</text>"
        )
    base = _HEIGHT - _BOTTOM
    for tick in plot.ticks:
        if x_low <= tick.place <= x_high:
            x = x_px(tick.place)
            parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 4}"/>')
            parts.append(f'<text x="{x:.1f}" y="{base + 17}" text-anchor="middle">{escape(tick.label)}</text>')
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + base) / 2
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
    parts.append(f'<text x="{middle_x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(plot.x_label)}</text>')
    parts.append(
        f'<text transform="translate(13 {middle_y}) rotate(-90)" text-anchor="middle">{escape(plot.y_label)}</text>'
    )
    label = f'role="img" aria-label="{escape(plot.title)}"'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {label}>{"".join(parts)}</svg>'


def _path(line: Line, x_px: object, y_px: object) -> str:
    assert callable(x_px)
    assert callable(y_px)
    commands, drawing = [], False
    for x, y in line.points:
        if math.isfinite(y):
            commands.append(f"{'L' if drawing else 'M'}{x_px(x):.1f} {y_px(y):.1f}")
        drawing = math.isfinite(y)
    return " ".join(commands)


def _nice(highest: float) -> tuple[float, float]:
    """(step, top) of an axis from 0 that holds ``highest``: steps of 1, 2 or 5 times a power of ten."""
    if highest <= 0.0:
        return 1.0, 1.0
    rough = highest / _Y_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return step, step * max(1, math.ceil(highest / step - 1e-9))


def _short(value: float) -> str:
    return f"{value:.6g}"
