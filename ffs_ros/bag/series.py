"""Something that is measured over and over, in bounded memory: means of ever longer stretches."""

from __future__ import annotations

_MOST_POINTS = 400
"""As many as a plot can show."""


class Series:
    """Values over time."""

    def __init__(self) -> None:
        self._stretch = 1
        """Values in a point that is full."""
        self._points: list[tuple[float, float, int]] = []
        """Sums of times and values, and how many those are."""

    def add(self, time_s: float, value: float) -> None:
        """One more; times need not rise."""
        if not self._points or self._points[-1][2] >= self._stretch:
            if len(self._points) == _MOST_POINTS:
                pairs = zip(self._points[::2], self._points[1::2], strict=True)
                self._points = [(a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in pairs]
                self._stretch *= 2
            self._points.append((0.0, 0.0, 0))
        times, values, count = self._points[-1]
        self._points[-1] = times + time_s, values + value, count + 1

    def points(self) -> list[tuple[float, float]]:
        """Mean time and mean value of each stretch."""
        return [(times / count, values / count) for times, values, count in self._points]
