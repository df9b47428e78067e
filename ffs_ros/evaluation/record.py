"""The files of an evaluation: per_sample_results.json, results.json and report.html, each whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ffs_ros.evaluation.report import report_page
from ffs_ros.evaluation.result import Result
from ffs_ros.evaluation.totals import Totals
from ffs_ros.storage import Location, is_url, joined, make_folder, remove
from ffs_ros.whole_file import whole_file

RESULTS, PER_SAMPLE, REPORT = "results.json", "per_sample_results.json", "report.html"


def prepare(folder: Location) -> None:
    """The folder for results. Raises FileError when it cannot be made, or nothing be written there."""
    make_folder(folder)
    if not is_url(folder):
        probe = joined(folder, f".{PER_SAMPLE}")
        write_text(probe, "")  # better refused now than after the work
        remove(probe)


def record(
    results: Iterable[Result],
    totals: Totals,
    folder: Location,
    about: Mapping[str, Any],
    title: str,
    lines: Sequence[str],
    told: Callable[[Result], None] = lambda result: None,
) -> None:
    """Adds up ``results``, which come in the list's order, and writes all files; nothing but the sums stays in memory.

    ``about`` goes into results.json beside the figures, ``title`` and ``lines`` onto the page; ``told`` hears of each
    result. Raises FileError when the disk is full.
    """
    write_rows(results, totals.add, joined(folder, PER_SAMPLE), told)
    write_text(joined(folder, RESULTS), json.dumps({**totals.summary(), **about}, indent=2, allow_nan=False) + "\n")
    write_text(joined(folder, REPORT), report_page(totals, title, lines))


def write_rows(
    results: Iterable[Any],
    add: Callable[[Any], None],
    path: Location,
    told: Callable[[Any], None] = lambda result: None,
) -> None:
    """A JSON list with the ``row()`` of each result, a line each, written while they come."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        separator = "["
        for result in results:
            add(result)
            file.write(f"{separator}\n{json.dumps(result.row(), allow_nan=False)}")
            separator = ","
            told(result)
        file.write("]\n" if separator == "," else "[]\n")


def write_text(path: Location, text: str) -> None:
    """A whole file of text."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
