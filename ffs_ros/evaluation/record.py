"""The files of an evaluation: per_sample_results.json, results.json and report.html, each whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ffs_ros.errors import FileError
from ffs_ros.evaluation.report import report_page
from ffs_ros.evaluation.result import Result
from ffs_ros.evaluation.totals import Totals
from ffs_ros.whole_file import whole_file

RESULTS, PER_SAMPLE, REPORT = "results.json", "per_sample_results.json", "report.html"


def make_folder(folder: Path) -> None:
    """The folder for results. Raises FileError when it cannot be made, or nothing be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror or error}; name another with -o") from error
    probe = folder / f".{PER_SAMPLE}"
    write_text(probe, "")  # better refused now than after the work
    probe.unlink()


def record(
    results: Iterable[Result],
    totals: Totals,
    folder: Path,
    about: Mapping[str, Any],
    title: str,
    lines: Sequence[str],
    told: Callable[[Result], None] = lambda result: None,
) -> None:
    """Adds up ``results``, which come in the list's order, and writes all files; nothing but the sums stays in memory.

    ``about`` goes into results.json beside the figures, ``title`` and ``lines`` onto the page; ``told`` hears of each
    result. Raises FileError when the disk is full.
    """
    write_rows(results, totals.add, folder / PER_SAMPLE, told)
    write_text(folder / RESULTS, json.dumps({**totals.summary(), **about}, indent=2, allow_nan=False) + "\n")
    write_text(folder / REPORT, report_page(totals, title, lines))


def write_rows(
    results: Iterable[Any], add: Callable[[Any], None], path: Path, told: Callable[[Any], None] = lambda result: None
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


def write_text(path: Path, text: str) -> None:
    """A whole file of text."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
