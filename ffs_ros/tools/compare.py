"""``ffs compare``: the drift between two engines over pairs, and a verdict."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from ffs_ros.errors import FfsError, FileError, ListError
from ffs_ros.evaluation.drift import DriftResult, Thresholds, compared, matched_by_both
from ffs_ros.evaluation.drift_report import drift_page, verdict
from ffs_ros.evaluation.drift_totals import DriftTotals
from ffs_ros.evaluation.panels import WorstSoFar
from ffs_ros.evaluation.record import PER_SAMPLE, REPORT, RESULTS, prepare, write_rows, write_text
from ffs_ros.evaluation.result import finite, loaded
from ffs_ros.evaluation.samples import Samples, check_files
from ffs_ros.matcher import StereoMatcher
from ffs_ros.only_run import only_run
from ffs_ros.parallel import Job, cores, results
from ffs_ros.status_file import FAILURE, RUNNING, STARTED, SUCCESS, StatusFile
from ffs_ros.storage import Location, joined
from ffs_ros.tools.engine_choice import ENGINE_HELP, EngineChoice, add_engine_options, chosen
from ffs_ros.tools.evaluate import about_engine, page_line
from ffs_ros.tools.progress_bar import counted
from ffs_ros.tools.sample_arguments import add_sample_options, described, samples_of

EXCEEDED = 1

HELP = """\
ffs compare bp2.engine bp2.onnx --list annotations.txt -o compare_out
ffs compare bp2.onnx model_best_bp2_serialize.pth --list annotations.txt --engine-size 480x736

How far the answers of A are from those of B, in the pairs' own pixels, and both from the ground truth where a list has
some. Exit code 0: no pair exceeds a threshold; 1: some do; 2: something could not be compared. OUT receives
  report.html               the verdict, figures, plots and the pairs that differ most
  results.json              the same as numbers
  per_sample_results.json   the figures of each pair
  status.json               what happened, as TAO writes it"""


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how."""

    samples: Samples
    engines: tuple[EngineChoice, EngineChoice]
    thresholds: Thresholds
    workers: int = 1
    worst: int = 12


@contextmanager
def both_open(engines: tuple[EngineChoice, EngineChoice]) -> Iterator[tuple[StereoMatcher, StereoMatcher]]:
    """The engines for the block, in this process."""
    with engines[0].open() as a, engines[1].open() as b:
        yield a, b


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs compare``."""
    parser.add_argument("a", metavar="A", help=ENGINE_HELP)
    parser.add_argument("b", metavar="B", help="the engine that A is held to")
    add_sample_options(parser, "compare_out")
    limits = Thresholds()
    parser.add_argument(
        "--least-cosine", metavar="C", type=_limit, default=limits.least_cosine,
        help="between the answers to a pair (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--largest-mean", metavar="PX", type=_limit, default=limits.largest_mean_px,
        help="mean difference of a pair (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--largest-bad2", metavar="PERCENT", type=_limit, default=100.0 * limits.largest_bad2,
        help="of a pair's pixels that differ by more than 2 px, or one engine alone answers (default: %(default)g)",
    )  # fmt: skip
    add_engine_options(parser)


def main(args: argparse.Namespace) -> None:
    """Compare, write and print; ends with exit code 1 when a threshold is exceeded. Raises FfsError."""
    comparison = Comparison(
        samples_of(args),
        (chosen(args, args.a), chosen(args, args.b)),
        Thresholds(args.least_cosine, args.largest_mean, args.largest_bad2 / 100.0),
        args.workers or cores(),
        args.worst,
    )
    totals = compare(comparison, args.out, described(args))
    for what, drift in (("mean", totals.mean()), ("worst", totals.worst_values())):
        print(
            f"{what:>5} of the pairs: mean difference {drift.mean_px:.4f} px, largest {drift.max_px:.3f} px, cosine "
            f"{drift.cosine:.6f}, bad-2 {drift.bad2:.3%}"
        )
    print(f"{verdict(totals)} {joined(args.out, REPORT)}")
    if totals.failed:
        others = [f"and {totals.failed - len(totals.faults)} more"] if totals.failed > len(totals.faults) else []
        raise ListError(*totals.faults, *others)
    for sentence in totals.exceeded:
        print(sentence, file=sys.stderr)
    if not totals.passed:
        sys.exit(EXCEEDED)


def _limit(text: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise argparse.ArgumentTypeError(f"'{text}': expected a number")
    return limit


def compare(comparison: Comparison, out: Location, of_what: str) -> DriftTotals:
    """Compare and write all files into ``out``; ``of_what`` says in words which pairs they are.

    Raises FfsError before the work for what is wrong with files, and after it when nothing could be compared.
    """
    check_files(comparison.samples, needs_truth=False)
    prepare(out)
    with only_run(out, "comparison", "folder with -o"):
        return _compared(comparison, out, of_what)


def _compared(comparison: Comparison, out: Location, of_what: str) -> DriftTotals:
    status, totals = StatusFile(out), DriftTotals(comparison.thresholds, comparison.worst)
    try:
        with both_open(comparison.engines) as matchers:
            infos = matchers[0].engine.info, matchers[1].engine.info
            names = infos[0].name, infos[1].name
            status.write(STARTED, f"Starting comparison of {names[0]} with {names[1]}.")
            found = _results(comparison, matchers)
            with closing(found), counted(len(comparison.samples)) as one_more:
                write_rows(found, totals.add, joined(out, PER_SAMPLE), lambda _: one_more())
        if not totals.compared:
            why = totals.faults[0] if totals.faults else "neither engine answers any pixel of any pair"
            raise FileError(f"none of {totals.pairs} pairs could be compared: {why}")
        about = {"engines": [about_engine(info) for info in infos], "pairs_of": of_what}
        write_text(joined(out, RESULTS), json.dumps({**totals.summary(), **about}, indent=2, allow_nan=False) + "\n")
        title = f"{names[0]} against {names[1]}"
        lines = [*map(page_line, infos), of_what]
        labels = names if names[0] != names[1] else (f"A: {names[0]}", f"B: {names[1]}")
        write_text(joined(out, REPORT), drift_page(totals, labels, title, lines))
    except FfsError as error:
        status.write(FAILURE, str(error))
        raise
    kpi = {name: value for name, value in finite(totals.worst_values()._asdict()).items() if value is not None}
    status.write(RUNNING, "Comparison metrics generated.", kpi)
    status.write(SUCCESS, verdict(totals))
    return totals


def _results(
    comparison: Comparison, matchers: tuple[StereoMatcher, StereoMatcher]
) -> Generator[DriftResult, None, None]:
    one_core = all(matcher.engine.info.one_core for matcher in matchers)
    processes = min(comparison.workers, len(comparison.samples)) if one_core else 1
    job = Job(
        open=partial(both_open, comparison.engines) if processes > 1 else partial(nullcontext, matchers),
        load=loaded,
        match=matched_by_both,
        finish=partial(compared, worst=WorstSoFar(comparison.worst)),
    )
    return results(job, comparison.samples, processes, comparison.workers if processes == 1 else 0)
