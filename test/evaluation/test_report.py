"""The page of an evaluation, as large as it gets."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from checked_page import check

from ffs_ros.annotation import StereoSample
from ffs_ros.evaluation.panels import WorstSoFar
from ffs_ros.evaluation.protocols import PROTOCOLS
from ffs_ros.evaluation.report import figure_text, report_page
from ffs_ros.evaluation.result import Matched, Result, Rules, judged
from ffs_ros.evaluation.samples import LoadedPair, Sample
from ffs_ros.evaluation.totals import Totals

MOST_BYTES = 5_000_000


def page_of(pairs: int, worst: int, size: tuple[int, int], protocol: str = "native", failed: int = 0) -> str:
    """Of noise, which no JPEG makes small."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    truth = rng.uniform(1, 99, size).astype(np.float32)
    answer = Matched(LoadedPair(image, image, truth, truth > 9), truth[::-1].copy(), size)
    result = judged(
        Sample(0, StereoSample("l.png", "r.png"), "Kitti", None), None, answer, Rules(protocol), WorstSoFar(worst)
    )
    totals = Totals(Rules(protocol), worst)
    for place in range(pairs):
        totals.add(replace(result, place=place, path=f"/data/<scene {place}>/left.png"))
    for place in range(failed):
        totals.add(Result(place, "", "", fault=f"file {place} is damaged"))
    return report_page(totals, "sgbm: evaluation", ["OpenCV"])


def test_two_hundred_images_in_five_megabytes() -> None:
    """Self-contained, with twelve of the worst images, which nothing compresses, and a row for each pair."""
    text = page_of(200, 12, (150, 400))
    check(text)
    assert len(text.encode()) < MOST_BYTES
    assert text.count("data:image/jpeg") == 4 * 12
    assert text.count("&lt;scene") == 200 + 12


def test_a_list_of_thousands_has_no_row_for_each_pair() -> None:
    """The page stays as it is."""
    text = page_of(201, 0, (4, 6))
    check(text)
    assert "&lt;scene" not in text
    assert "201 of 201 pairs evaluated." in text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_a_page(protocol: str) -> None:
    """Its figures are the cards; what failed is said."""
    text = page_of(2, 1, (20, 40), protocol, failed=30)
    check(text)
    assert "30 pairs failed" in text
    assert "file 0 is damaged" in text
    assert re.search(r"<b>[\d.]+ (px|%)</b>", text)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("epe", 1.23456, "1.235 px"), ("val/rmse", 2.0, "2.000 px"), ("avgerr_all", 0.5, "0.500 px"),
        ("bp2", 0.0825, "8.25 %"), ("totbad2.0_all", 0.5, "50.00 %"), ("rmse_log", 0.12, "0.12"),
        ("val/abs_rel", 12345.6, "1.235e+04"), ("epe", float("nan"), "none"),
    ],
)  # fmt: skip
def test_figures_have_units(name: str, value: float, text: str) -> None:
    """Pixels, percent, or a plain number."""
    assert figure_text(name, value) == text
