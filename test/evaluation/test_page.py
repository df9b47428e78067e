"""The report page: one file that needs nothing else, and plots whose marks are where their numbers are."""

from __future__ import annotations

import math
import re

from checked_page import check

from ffs_ros.evaluation import page
from ffs_ros.evaluation.plots import Bar, Line, Plot, Tick, svg


def test_a_page_with_everything() -> None:
    """Closed elements, nothing from elsewhere, and text that is no markup."""
    plot = Plot("a < b", "x", "y & z", [Tick(0, "<0>")], [Bar(0, 1, 2.0, '"tip" <i>')], [Line("n", [(0, 1), (1, 2)])])
    text = page.page(
        "<b>title</b>",
        ["path/with <angle> & 'quotes'"],
        [
            page.section("S & T", page.paragraph("p < q", "bad"), page.table(["<h>"], [["<c>", "2"]])),
            page.cards([("<n>", "1 & 2")]),
            page.details("3 pairs", ["<first>"]),
            page.plots([plot, plot]),
            page.panels("<caption>", [("left", b"\xff\xd8\xff\xd9"), ("<right>", b"\xff\xd8")]),
        ],
    )
    check(text)
    assert not re.search(r"<(b>title|angle|c>|h>|n>|first|caption|right|i>|0>)", text)
    assert text.count("data:image/jpeg;base64,") == 2


def test_details_of_nothing_are_nothing() -> None:
    """No summary without sentences."""
    assert page.details("0 pairs", []) == ""


def rectangles(text: str) -> list[tuple[float, float, float, float]]:
    found = re.findall(r'<rect class="bar" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', text)
    return [tuple(map(float, one)) for one in found]


def test_bars_are_as_high_as_their_values() -> None:
    """Half the value, half the height; all stand on the axis, side by side."""
    text = svg(Plot("t", "x", "y", [], [Bar(0, 1, 10.0), Bar(1, 2, 5.0), Bar(3, 4, 0.0)]))
    first, second, third = rectangles(text)
    assert first[3] == 192.0  # from the axis to the line of 10, at the top
    assert abs(first[3] - 2 * second[3]) < 0.2
    assert third[3] == 0
    assert {round(y + height, 1) for _, y, _, height in (first, second)} == {226.0}
    assert second[0] > first[0] + first[2]
    assert third[0] - second[0] > 1.5 * (second[0] - first[0])


def test_the_y_axis_has_round_numbers() -> None:
    """From 0 to what holds the largest value."""
    for highest, expected in (
        (0.83, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (47.0, ["0", "10", "20", "30", "40", "50"]),
    ):
        labels = re.findall(r'text-anchor="end">([\d.]+)<', svg(Plot("t", "x", "y", [], [Bar(0, 1, highest)])))
        assert labels == expected


def test_lines_break_where_there_is_no_number() -> None:
    """A path begins anew after NaN."""
    line = Line("n", [(0, 1.0), (1, math.nan), (2, 3.0), (3, 4.0)])
    path = re.search(r'd="([^"]*)"', svg(Plot("t", "x", "y", [], lines=[line])))
    assert path is not None
    assert re.sub(r"[\d. ]+", "", path[1]) == "MML"


def test_ticks_outside_the_axis_are_left_out() -> None:
    """Only what is between the first and the last bar."""
    text = svg(Plot("t", "x", "y", [Tick(-1, "under"), Tick(1, "within"), Tick(9, "over")], [Bar(0, 2, 1.0)]))
    assert ("within" in text, "under" in text, "over" in text) == (True, False, False)


def test_a_plot_of_nothing() -> None:
    """Axes alone."""
    check(page.page("t", [], [page.plots([Plot("t", "x", "y", [])])]))
