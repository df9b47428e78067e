"""``ffs eval``: an engine over annotated pairs -> its errors, as numbers and as a page."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from ffs_ros import __version__
from ffs_ros.engine import EngineInfo
from ffs_ros.errors import FfsError, FileError, ListError
from ffs_ros.evaluation.panels import WorstSoFar
from ffs_ros.evaluation.parts import Parts
from ffs_ros.evaluation.protocols import PROTOCOLS
from ffs_ros.evaluation.record import REPORT, prepare, record
from ffs_ros.evaluation.report import figure_text
from ffs_ros.evaluation.result import Rules, judged, loaded, matched
from ffs_ros.evaluation.samples import Samples, check_files
from ffs_ros.evaluation.totals import Totals
from ffs_ros.only_run import only_run
from ffs_ros.parallel import Job
from ffs_ros.status_file import FAILURE, RUNNING, STARTED, SUCCESS, StatusFile
from ffs_ros.storage import Location, joined
from ffs_ros.tools.engine_choice import ENGINE_HELP, EngineChoice, add_engine_options, chosen
from ffs_ros.tools.progress_bar import counted
from ffs_ros.tools.sample_arguments import add_sample_options, described, samples_of
from ffs_ros.tools.workers import add_ray_option, workers

ACTION = "evaluate"
"""TAO's, whose specs -e takes."""
HELP = """\
ffs eval bp2.onnx --list annotations.txt --dataset Middlebury -o eval_out
ffs eval sgbm --layout kitti --root KITTI2015 --protocol kitti
ffs eval -e spec.yaml

Errors of an engine on pairs with ground truth, at the pairs' own size. OUT receives
  report.html               figures, plots and the worst images on one page that needs nothing else
  results.json              the figures of all pairs, means of images and over all pixels
  per_sample_results.json   the figures of each pair
  status.json               what happened, as TAO writes it

Everything that is wrong with lists and files is said before anything is computed. Exit code 2 also when a pair could
not be evaluated; the figures are then those of the others. docs/evaluation.md has the definitions."""


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and how."""

    samples: Samples
    engine: EngineChoice
    protocol: str = "native"
    count_below_px: float | None = None
    """Truth from here on does not count; None: the protocol says."""
    workers: int | None = None
    """None: as many as there is room for."""
    worst: int = 12
    """How many pairs are shown."""
    ray: str | None = None
    """Address of a Ray cluster; None: this machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs eval``."""
    parser.add_argument("engine", metavar="ENGINE", help=ENGINE_HELP)
    add_sample_options(parser, "eval_out")
    parser.add_argument(
        "--protocol", choices=[*PROTOCOLS], default="native",
        help="reckon as others do, to compare with their figures (default: %(default)s, see docs/evaluation.md)",
    )  # fmt: skip
    parser.add_argument(
        "--count-below", metavar="PX", type=float,
        help="ground truth from here on does not count (default: all counts; with tao the engine's largest disparity)",
    )  # fmt: skip
    add_engine_options(parser)
    add_ray_option(parser)


def main(args: argparse.Namespace) -> None:
    """Evaluate, write and print. Raises FfsError."""
    if args.count_below is not None and not args.count_below > 0.0:
        raise FileError(f"--count-below is {args.count_below:g}: expected pixels above 0")
    evaluation = Evaluation(
        samples_of(args), chosen(args, args.engine), args.protocol, args.count_below, args.workers, args.worst, args.ray
    )
    totals = evaluate(evaluation, args.out, described(args))
    for name, value in totals.figures.items():
        print(f"{name:>12}  {figure_text(name, value)}")
    print(f"{totals.evaluated} of {totals.pairs} pairs; {joined(args.out, REPORT)}")
    if totals.failed:
        others = [f"and {totals.failed - len(totals.faults)} more"] if totals.failed > len(totals.faults) else []
        raise ListError(*totals.faults, *others)


def evaluate(evaluation: Evaluation, out: Location, of_what: str) -> Totals:
    """Evaluate and write all files into ``out``; ``of_what`` says in words which pairs they are. What a killed
    evaluation has finished there is not computed again.

    Raises FfsError before the work for what is wrong with files, and after it when nothing could be evaluated.
    """
    check_files(evaluation.samples)
    prepare(out)
    with only_run(out, "evaluation", "folder with -o"):
        return _evaluated(evaluation, out, of_what)


def _evaluated(evaluation: Evaluation, out: Location, of_what: str) -> Totals:
    samples, status = evaluation.samples, StatusFile(out)
    try:
        with workers(evaluation.engine, evaluation.workers, evaluation.ray, samples) as crew:
            status.write(STARTED, f"Starting evaluation of {crew.info.name}.")
            rules = rules_of(evaluation, crew.info)
            totals = Totals(rules, evaluation.worst)
            about = {"engine": about_engine(crew.info), "pairs_of": of_what}
            lines = [page_line(crew.info), f"{of_what}; protocol {rules.protocol}"]
            depends_on = [evaluation.engine.about(), crew.info.runtime, asdict(rules), evaluation.worst, __version__]
            parts = Parts(out, samples, depends_on)
            found = parts.results(partial(crew.results, job_of(evaluation, rules), count=len(samples)))
            with closing(found), counted(len(samples)) as one_more:
                record(found, totals, out, about, f"{crew.info.name}: evaluation", lines, lambda _: one_more())
            if not totals.failed:  # which are tried again otherwise
                parts.remove()
        if not totals.evaluated:
            raise FileError(_nothing(totals))
    except FfsError as error:
        status.write(FAILURE, str(error))
        raise
    status.write(RUNNING, "Eval metrics generated.", {n: v for n, v in totals.figures.items() if v == v})
    status.write(SUCCESS, "Evaluation finished successfully.")
    return totals


def rules_of(evaluation: Evaluation, info: EngineInfo) -> Rules:
    """With the limit that the protocol takes from the engine."""
    limit_px = evaluation.count_below_px
    if limit_px is None:
        limit_px = info.max_disparity if PROTOCOLS[evaluation.protocol].has_limit else float("inf")
    return Rules(evaluation.protocol, limit_px)


def job_of(evaluation: Evaluation, rules: Rules) -> Job:
    """What is done with each pair."""
    return Job(
        open=evaluation.engine.open,
        load=loaded,
        match=partial(matched, rules=rules),
        finish=partial(judged, rules=rules, worst=WorstSoFar(evaluation.worst)),
    )


def about_engine(info: EngineInfo) -> dict[str, Any]:
    """An engine in results.json."""
    return {"name": info.name, "runtime": info.runtime, "max_disparity": info.max_disparity, "note": info.note}


def page_line(info: EngineInfo) -> str:
    """An engine on the page."""
    note = f"; {info.note}" if info.note else ""
    return f"{info.name}, {info.runtime}, disparities to {info.max_disparity:g} px{note}"


def _nothing(totals: Totals) -> str:
    if totals.faults:
        return f"none of {totals.pairs} pairs could be evaluated, the first because: {totals.faults[0]}"
    return (
        f"none of {totals.pairs} pairs has ground truth that counts; check --dataset, which tells the encoding, masks "
        "and --count-below"
    )
