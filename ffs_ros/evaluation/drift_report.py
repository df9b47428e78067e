"""The report page of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from ffs_ros.evaluation import page
from ffs_ros.evaluation.drift import ENGINES, Drift, DriftResult
from ffs_ros.evaluation.drift_totals import DriftTotals
from ffs_ros.evaluation.report import REGION_NAMES, SCORE_HEAD, score_cells, short_name
from ffs_ros.evaluation.spread_plots import spread_plots

_HEAD = ("", "mean px", "max px", "cosine", "bad-2 %", "one only %")


def drift_page(totals: DriftTotals, names: tuple[str, str], title: str, lines: Sequence[str]) -> str:
    """The page; ``names`` are the engines' and ``lines`` say what was compared, and how."""
    worst, limits = totals.worst_values(), totals.thresholds
    parts = [
        page.paragraph(verdict(totals), "good" if totals.passed else "bad"),
        page.cards(
            [
                ("worst mean difference", f"{worst.mean_px:.4f} px"),
                ("worst cosine", f"{worst.cosine:.6f}"),
                ("worst bad-2", f"{100.0 * worst.bad2:.3f} %"),
                ("largest difference", f"{worst.max_px:.2f} px"),
            ]
        ),
        page.details(f"{totals.exceeding} pairs exceed a threshold", totals.exceeded),
        page.details(f"{totals.failed} pairs failed", totals.faults),
    ]
    allowed = f"{limits.largest_mean_px:g}", "", f"{limits.least_cosine:g}", f"{100.0 * limits.largest_bad2:g}", ""
    rows = [["mean of pairs", *_cells(totals.mean())], ["worst pair", *_cells(worst)], ["allowed", *allowed]]
    parts.append(page.section("Drift", page.table(_HEAD, rows)))
    parts.append(
        page.section("Differences", page.plots(spread_plots(totals.spread, "difference", f"disparity of {names[1]}")))
    )
    truth_rows = [
        [f"{name}: {REGION_NAMES[region]}", *score_cells(pool.per_image())]
        for name, engine in zip(names, ENGINES, strict=True)
        for region, pool in totals.pools[engine].items()
        if pool.pairs
    ]
    if truth_rows:
        parts.append(page.section("Against the truth", page.table(("mean of images", *SCORE_HEAD), truth_rows)))
    if totals.worst:
        note = "Difference: dark is none, white is 8 px or more or only one answer."
        shown = (_worst(result, names) for result in totals.worst)
        parts.append(page.section("Pairs that differ most", page.paragraph(note, "soft"), *shown))
    if totals.compared == len(totals.listed):
        rows = [[short_name(result.path), *_cells(result.drift)] for result in totals.listed if result.drift]
        parts.append(page.section("Pairs", page.table(_HEAD, rows)))
    return page.page(title, lines, parts)


def verdict(totals: DriftTotals) -> str:
    """The outcome in a sentence."""
    counts = f"{totals.compared} of {totals.pairs} pairs"
    if totals.failed:
        counts += f", {totals.failed} failed"
    if totals.unanswered:
        counts += f", {totals.unanswered} without any answer"
    if totals.passed:
        return f"Passed: {counts}, none exceeds a threshold."
    return f"Not passed: {counts}, {totals.exceeding} exceed a threshold."


def _cells(drift: Drift) -> list[str]:
    return [
        f"{drift.mean_px:.4f}",
        f"{drift.max_px:.2f}",
        f"{drift.cosine:.6f}",
        f"{100.0 * drift.bad2:.3f}",
        f"{100.0 * drift.one_only:.3f}",
    ]


def _worst(result: DriftResult, names: tuple[str, str]) -> str:
    drift = result.drift
    figures = f"mean {drift.mean_px:.4f} px, bad-2 {drift.bad2:.3%}, cosine {drift.cosine:.6f}" if drift else ""
    truth = ["truth"] if len(result.pictures) == len(names) + 3 else []
    labels = ["left", *truth, *names, "difference"]
    caption = f"{result.path} (pair {result.place + 1}): {figures}"
    return page.panels(caption, list(zip(labels, result.pictures, strict=True)))
