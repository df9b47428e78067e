"""The report page of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ffs_ros.evaluation import page
from ffs_ros.evaluation.protocols import PROTOCOLS
from ffs_ros.evaluation.result import Result
from ffs_ros.evaluation.spread_plots import spread_plots
from ffs_ros.evaluation.totals import Totals
from ffs_ros.metrics import PairScores

REGION_NAMES = {
    "all": "all pixels, holes filled",
    "all_answered": "all pixels that have an answer",
    "non_occluded": "seen by both cameras, holes filled",
    "non_occluded_answered": "seen by both cameras, with an answer",
}
SCORE_HEAD = ("EPE px", "bp1 %", "bp2 %", "bp3 %", "D1 %", "RMSE px")
_HEAD = (*SCORE_HEAD, "answered %", "pixels")
_LABELS = ("left", "truth", "answer", "error")


def report_page(totals: Totals, title: str, lines: Sequence[str]) -> str:
    """The page; ``lines`` say what was evaluated, and how."""
    parts = [page.cards([(figure_name(name), figure_text(name, value)) for name, value in totals.figures.items()])]
    parts.append(page.paragraph(_counts(totals), "soft"))
    parts.append(page.details(f"{totals.failed} pairs failed", totals.faults))
    parts.append(
        page.section(
            "Pixels",
            page.table(("mean of images", *_HEAD), _rows(totals.per_image())),
            page.table(("all pixels together", *_HEAD), _rows(totals.per_pixel())),
        )
    )
    parts.append(page.section("Errors", page.plots(spread_plots(totals.spread))))
    if totals.worst:
        main = PROTOCOLS[totals.rules.protocol].main
        parts.append(
            page.section(
                "Worst images",
                page.paragraph("Error: dark is right, white is 8 px or more or no answer, grey has no truth.", "soft"),
                *(_worst(result, main) for result in totals.worst),
            )
        )
    if totals.evaluated == len(totals.listed):
        rows = [[short_name(result.path), *_image_cells(result)] for result in totals.listed]
        parts.append(page.section("Images", page.table(("all pixels, holes filled", *_HEAD), rows)))
    return page.page(title, lines, parts)


def figure_name(name: str) -> str:
    """As tables have it."""
    return {"epe": "EPE", "d1": "D1", "rmse": "RMSE"}.get(name, name)


def figure_text(name: str, value: float) -> str:
    """A figure for people: pixels, or a share in percent."""
    if not math.isfinite(value):
        return "none"
    base = name.removeprefix("val/").partition("_")[0]
    if base in ("epe", "rmse", "avgerr", "avg") and not name.endswith("rmse_log"):
        return f"{value:.3f} px"
    if base in ("abs", "sq") or name.endswith("rmse_log"):
        return f"{value:.4g}"
    return f"{100.0 * value:.2f} %"


def _counts(totals: Totals) -> str:
    counts = f"{totals.evaluated} of {totals.pairs} pairs evaluated"
    for number, what in (
        (totals.skipped, "without truth that counts, left out"),
        (totals.unanswered, "without any answer"),
        (totals.failed, "failed"),
    ):
        if number:
            counts += f"; {number} {what}"
    return counts + "."


def short_name(path: str) -> str:
    """The end of a path, which tells pairs apart."""
    return "/".join(path.rsplit("/", 2)[-2:])


def _image_cells(result: Result) -> list[str]:
    found = result.scores["all"]
    return [*score_cells(found), f"{100.0 * found.density:.1f}", f"{found.pixels:,}"]


def _rows(scores: Mapping[str, PairScores]) -> list[list[str]]:
    return [
        [REGION_NAMES[region], *score_cells(found), f"{100.0 * found.density:.1f}", f"{found.pixels:,}"]
        for region, found in scores.items()
    ]


def score_cells(found: PairScores) -> list[str]:
    """EPE, bp1, bp2, bp3, D1 and RMSE as cells of a table, shares in percent."""
    shares = [f"{100.0 * share:.2f}" for share in (found.bp1, found.bp2, found.bp3, found.d1)]
    return [f"{found.epe:.3f}", *shares, f"{found.rmse:.3f}"]


def _worst(result: Result, main: str) -> str:
    figures = ", ".join(f"{name} {figure_text(name, value)}" for name, (value, _) in _first(result, main))
    caption = f"{result.path} (pair {result.place + 1}): {figures}"
    return page.panels(caption, list(zip(_LABELS, result.pictures, strict=False)))


def _first(result: Result, main: str) -> list[tuple[str, tuple[float, float]]]:
    """The figure that ranks, and the next three."""
    names = [main, *(name for name in result.figures if name != main and not name.startswith("val/"))][:4]
    return [(name, result.figures[name]) for name in names]
