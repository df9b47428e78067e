"""``ffs infer --list``: an engine over the pairs of lists -> files, from where a killed run was."""

from __future__ import annotations

import argparse
import json
import socket
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

from ffs_ros import __version__
from ffs_ros.batch.names import NAMINGS, clashes
from ffs_ros.batch.outputs import FORMATS, NEED_A_CAMERA, Outputs
from ffs_ros.batch.provenance import FILE, begin, check
from ffs_ros.batch.steps import Kind, Loaded, Outcome, Pairs, faults_of_pair, loaded, matched, written
from ffs_ros.errors import FfsError, FileError, ListError
from ffs_ros.evaluation.samples import Sample, Samples, all_faults, listed
from ffs_ros.ground_truth import DATASET_NAMES
from ffs_ros.only_run import only_run
from ffs_ros.parallel import Job
from ffs_ros.status_file import FAILURE, STARTED, SUCCESS, StatusFile
from ffs_ros.storage import Location, exists, is_url, joined, located, make_folder, read_bytes
from ffs_ros.tools.engine_choice import EngineChoice
from ffs_ros.tools.progress_bar import counted
from ffs_ros.tools.sample_arguments import DEFAULT_DATASET, dataset_names_of
from ffs_ros.tools.workers import add_ray_option, add_workers_option, workers
from ffs_ros.whole_file import remove_unfinished


@dataclass(frozen=True)
class Batch:
    """What is matched, and what is written."""

    samples: Samples
    engine: EngineChoice
    outputs: Outputs
    camera: str | None = None
    """What the file of ``outputs.camera`` says."""
    workers: int | None = None
    """None: as many as there is room for."""
    ray: str | None = None
    """Address of a Ray cluster; None: this machine."""


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Everything that a list needs beside what one pair does."""
    parser.add_argument(
        "--list", metavar="FILE", dest="lists", type=located, action="append", default=[],
        help="annotation file: left right on each line, paths or URLs; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--outputs", metavar="A,B", type=_formats, default=("pfm",),
        help=f"with --list, of {', '.join(FORMATS)} (default: pfm)",
    )  # fmt: skip
    parser.add_argument(
        "--names", choices=[*NAMINGS], default="path",
        help="with --list: files are named after the left image's path, or as TAO's PyTorch or TensorRT container does",
    )  # fmt: skip
    parser.add_argument(
        "--camera-beside", metavar="NAME", help="with --list: name of the calibration in each left image's folder"
    )
    parser.add_argument(
        "--dataset", metavar="NAME", dest="datasets", action="append", default=[],
        help=f"with --names tao, which data set the lists are of: {', '.join(DATASET_NAMES)} (default: "
        f"{DEFAULT_DATASET}); one for all lists, or one for each",
    )  # fmt: skip
    add_workers_option(parser)
    add_ray_option(parser)


def refuse_list_options(args: argparse.Namespace) -> None:
    """Raises FileError where an option is given that only lists have."""
    parser = argparse.ArgumentParser()
    add_list_options(parser)
    for name, without in vars(parser.parse_args([])).items():
        if getattr(args, name) != without:
            option = {"datasets": "dataset"}.get(name, name.replace("_", "-"))
            raise FileError(f"--{option} is for the pairs of a list: expected --list FILE with it")


def batch_of(args: argparse.Namespace, engine: EngineChoice) -> Batch:
    """What the arguments ask for. Raises FfsError."""
    outputs = Outputs(args.out, args.outputs, args.names, args.camera, args.camera_beside)
    if args.camera and args.camera_beside:
        raise FileError("--camera and --camera-beside are given: expected one of them")
    if outputs.needs_camera and not (args.camera or args.camera_beside):
        needing = " and ".join(format for format in NEED_A_CAMERA if format in args.outputs)
        raise FileError(
            f"--outputs {needing} needs a calibration: --camera FILE for all pairs, or --camera-beside NAME"
        )
    if not outputs.needs_camera and (args.camera or args.camera_beside):
        raise FileError(f"a calibration is given that no file needs: expected --outputs {' or '.join(NEED_A_CAMERA)}")
    camera = None if args.camera is None else read_bytes(args.camera).decode(errors="replace")
    samples = listed(args.lists, dataset_names_of(args))
    return Batch(samples, engine, outputs, camera, args.workers, args.ray)


def infer_list(batch: Batch) -> None:
    """Write the files of all pairs; those that are there are kept. Raises FfsError.

    Before any work for what is wrong with the lists' files, and after it for pairs that could not be matched.
    """
    outputs = batch.outputs
    pairs = Pairs(batch.samples, outputs)
    wrong = ListError.of(
        chain(
            clashes(pairs, outputs.naming, outputs.picture_endings),
            all_faults(pairs, partial(faults_of_pair, outputs=outputs)),
        )
    )
    if wrong:
        raise wrong
    with workers(batch.engine, batch.workers, batch.ray, pairs) as crew, _prepared(outputs.folder):
        about = {
            **batch.engine.about(), "runtime": crew.info.runtime, "names": outputs.naming, "ffs_ros": __version__,
            "camera": batch.camera,
            "camera_beside": outputs.camera_beside,
        }  # fmt: skip
        resumed = begin(outputs.folder, about)
        if resumed and not is_url(outputs.folder):
            remove_unfinished(Path(outputs.folder), below=True)
        status = StatusFile(outputs.folder)
        status.write(STARTED, f"Starting inference of {crew.info.name}.")
        job = Job(
            open=batch.engine.open,
            load=partial(_loaded_there, outputs=outputs, about=json.dumps(about)),
            match=matched,
            finish=partial(written, outputs=outputs),
        )
        try:
            kinds, faults = _run(crew.results(job, pairs, len(pairs)), len(pairs))
        except FfsError as error:
            status.write(FAILURE, str(error))
            raise
        summary = f"{kinds[Kind.MADE]} of {len(pairs)} pairs made, {kinds[Kind.KEPT]} kept"
        status.write(FAILURE if faults else SUCCESS, f"{summary}, {kinds[Kind.FAILED]} failed.")
    print(f"{crew.info.name}, {crew.info.runtime}: {summary}; {outputs.folder}")
    if kinds[Kind.FAILED]:
        more = kinds[Kind.FAILED] - len(faults)
        raise ListError(*faults, *([f"and {more} more"] if more else []))


@contextmanager
def _prepared(folder: Location) -> Iterator[None]:
    """The folder, made where it is missing, for this batch alone."""
    make_folder(folder)
    with only_run(folder, "batch", "folder with -o"):
        yield


def _run(outcomes: Generator[Outcome, None, None], count: int) -> tuple[Counter[Kind], list[str]]:
    """How many pairs came to what, and the first sentences about those that failed."""
    kinds: Counter[Kind] = Counter()
    faults: list[str] = []
    with closing(outcomes), counted(count) as one_more:
        for outcome in outcomes:
            kinds[outcome.kind] += 1
            one_more(outcome.kind is Kind.MADE)
            if outcome.fault and len(faults) < ListError.MOST_SENTENCES:
                faults.append(outcome.fault)
    return kinds, faults


def _loaded_there(sample: Sample, outputs: Outputs, about: str) -> Loaded | Outcome:
    """``loaded``, once it is sure that this machine, which may be another one, writes where results are looked for."""
    _check_once(outputs.folder, about)
    return loaded(sample, outputs)


@lru_cache(maxsize=1)
def _check_once(folder: Location, about: str) -> None:
    if not exists(joined(folder, FILE)):
        raise FileError(
            f"{socket.gethostname()}, a machine of the cluster, does not see {folder}: name a folder that all share, "
            "or a URL such as s3://bucket/out"
        )
    check(folder, json.loads(about))


def _formats(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    for format in chosen:
        if format not in FORMATS:
            raise argparse.ArgumentTypeError(f"'{format}': expected some of {', '.join(FORMATS)}, with commas between")
    return tuple(format for format in FORMATS if format in chosen)
