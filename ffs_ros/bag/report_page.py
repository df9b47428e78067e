"""The report page of a bag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ffs_ros.bag.figures import Figures
from ffs_ros.bag.frames import Frames
from ffs_ros.bag.series import Series
from ffs_ros.evaluation import page
from ffs_ros.evaluation.plots import Line, Plot, Tick
from ffs_ros.evaluation.report import SCORE_HEAD, score_cells
from ffs_ros.evaluation.spread_plots import spread_plots

_OVER_TIME = {
    "density": ("Answered pixels", "% of the pixels", 100.0),
    "flicker_px": ("Flicker", "median change, px", 1.0),
    "consistent": ("Left and right agree to 1 px", "% of the answers", 100.0),
    "total_ms": ("Time for a pair", "ms", 1.0),
}
_TICKS = 6


def bag_page(record: dict[str, Any], figures: Figures, frames: Frames) -> str:
    """The page; ``record`` is what report.json holds."""
    parts = [
        page.cards(_cards(record)),
        *(page.paragraph(sentence, "bad") for sentence in record["damage"]),
        page.section("Images and pairs", page.table(("", "left", "right"), _images(record)), *_pairs(record)),
        page.section("Over the time of the recording", page.plots(_plots(figures))),
        page.section(
            "Time for a pair",
            page.table(("ms", "mean", "p50", "p95", "p99", "max"), _latencies(record["latency_ms"])),
            page.paragraph("Total is without the second pass and other engines. The first pair is left out.", "soft"),
        ),
    ]
    if "against" in record:
        parts.append(_against(record, figures))
    if "depth_topic" in record:
        parts.append(_depth_topic(record["depth_topic"], figures))
    labels = ["left", "disparity", *([record["against"]["name"], "difference"] if "against" in record else [])]
    shown = (
        page.panels(f"stamp {frame.stamp_ns / 1e9:.3f} s", list(zip(labels, frame.pictures, strict=False)))
        for frame in frames.kept
    )
    parts.append(page.section("Pairs", *shown))
    topics, engine = record["topics"], record["engine"]
    lines = [
        f"{topics['left']} and {topics['right']}, {record['made_at']}",
        f"{engine['name']} on {engine['runtime']}" + (f", {engine['device']}" if engine["device"] != "CPU" else ""),
    ]
    return page.page(record["bag"], lines, parts)


def percent(value: float | None) -> str:
    """A share for people."""
    return "none" if value is None else f"{100.0 * value:.1f} %"


def _cards(record: dict[str, Any]) -> list[tuple[str, str]]:
    flicker, total = record["flicker"], record["latency_ms"]["total"]
    return [
        ("pairs matched", f"{record['pairs']['matched']} of {record['pairs']['paired']}"),
        ("density", percent(record["density"]["mean"])),
        ("flicker", "none" if flicker["median_px"] is None else f"{flicker['median_px']:.3f} px"),
        ("static pixels", percent(flicker["static_share"])),
        ("left and right agree", percent(record["left_right"]["consistent"])),
        ("time for a pair", "none" if total["p50"] is None else f"{total['p50']:.1f} ms"),
    ]


def _images(record: dict[str, Any]) -> list[list[str]]:
    left, right = record["images"]["left"], record["images"]["right"]
    reasons = [*left["unmatched"], *(why for why in right["unmatched"] if why not in left["unmatched"])]
    rows = [["images", str(left["received"]), str(right["received"])]]
    return rows + [[why, *(str(side["unmatched"].get(why, 0)) for side in (left, right))] for why in reasons]


def _pairs(record: dict[str, Any]) -> list[str]:
    pairs = record["pairs"]
    sentences = [f"{pairs['paired']} pairs, {pairs['matched']} of them matched."]
    sentences += [f"{entry['pairs']} rejected: {entry['reason']}" for entry in pairs["rejected"]]
    sentences += [f"{entry['pairs']} failed: {entry['reason']}" for entry in pairs["failed"]]
    sentences += [f"{entry['pairs']} not compared: {entry['reason']}" for entry in pairs["incomplete"]]
    if pairs["repeated"]:
        sentences.append(f"{pairs['repeated']} were there before, with the same stamps.")
    if pairs["time_jumped_back"]:
        sentences.append(f"Time jumped back {pairs['time_jumped_back']} times.")
    if record["images"]["undecodable"]:
        sentences.append(f"{record['images']['undecodable']} messages are damaged.")
    if record["why_unpaired"]:
        sentences.append(f"Why images stayed alone: {record['why_unpaired']}.")
    sentences += record["output"]["not_copied"]
    return [page.paragraph(sentence) for sentence in sentences]


def _plots(figures: Figures) -> list[Plot]:
    return [
        Plot(title, "s", unit, _ticks(series), lines=[Line("", [(x, factor * y) for x, y in series.points()])])
        for name, (title, unit, factor) in _OVER_TIME.items()
        if len((series := figures.over_time[name]).points()) > 1
    ]


def _ticks(series: Series) -> list[Tick]:
    """At whole multiples of 1, 2 or 5 times a power of ten."""
    times_s = [time_s for time_s, _ in series.points()]
    rough_s = max((max(times_s) - min(times_s)) / _TICKS, 1e-3)
    power_s = 10.0 ** math.floor(math.log10(rough_s))
    step_s = next(factor * power_s for factor in (1, 2, 5, 10) if factor * power_s >= rough_s)
    places = range(math.ceil(min(times_s) / step_s), math.floor(max(times_s) / step_s) + 1)
    return [Tick(place * step_s, f"{place * step_s:.6g}") for place in places]


def _latencies(latency_ms: dict[str, Any]) -> list[list[str]]:
    names = ("mean", "p50", "p95", "p99", "max")
    return [
        [stage, *("none" if times[name] is None else f"{times[name]:.1f}" for name in names)]
        for stage, times in latency_ms.items()
    ]


def _against(record: dict[str, Any], figures: Figures) -> str:
    found, name = record["against"], record["against"]["name"]
    head = ("", "mean px", "max px", "cosine", "bad-2 %", "one answers %")
    rows = [[what, *_drift_cells(found[key])] for what, key in (("mean of pairs", "mean"), ("worst pair", "worst"))]
    plots = spread_plots(figures.against.totals.spread, "difference", f"disparity of {name}")
    return page.section(f"Against {name} on {found['runtime']}", page.table(head, rows), page.plots(plots))


def _drift_cells(drift: dict[str, float | None]) -> list[str]:
    factors = {"mean_px": 1.0, "max_px": 1.0, "cosine": 1.0, "bad2": 100.0, "one_only": 100.0}
    return ["none" if (value := drift[name]) is None else f"{factor * value:.4g}" for name, factor in factors.items()]


def _depth_topic(found: dict[str, Any], figures: Figures) -> str:
    rows: Sequence[Sequence[str]] = [["pixels that both answer", *score_cells(figures.depth_topic.pool.per_pixel())]]
    sentences = [
        f"{found['pairs']} pairs compared; {found['topic']} has a depth for "
        f"{percent(found['share_of_pixels_with_depth'])} of the pixels, and of those "
        f"{percent(found['answered_there'])} have a disparity.",
        *(f"{count} depth images were not compared: {why}" for why, count in found["unusable"].items()),
    ]
    return page.section(
        f"Against {found['topic']}",
        *(page.paragraph(sentence, "soft") for sentence in sentences),
        *([page.table(("", *SCORE_HEAD), rows)] if found["pairs"] else []),
        page.plots(spread_plots(figures.depth_topic.spread, "difference", "disparity of its depth")),
    )
