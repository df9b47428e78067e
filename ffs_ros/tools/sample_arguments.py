"""The arguments that say which pairs a tool goes through, and where its results go."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ffs_ros.errors import FileError
from ffs_ros.evaluation import layouts
from ffs_ros.evaluation.samples import Samples, Source, listed
from ffs_ros.ground_truth import DATASET_NAMES
from ffs_ros.storage import located
from ffs_ros.tools.workers import add_workers_option

DEFAULT_DATASET = "GenericDataset"


def add_sample_options(parser: argparse.ArgumentParser, default_out: str) -> None:
    """Lists or a layout, the truth's encoding, the results' folder and the workers here."""
    add_workers_option(parser)
    parser.add_argument(
        "--list", metavar="FILE", dest="lists", type=located, action="append", default=[],
        help="annotation file: left right [disparity [mask]] on each line; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--layout", choices=[*layouts.DATASET_NAMES], help="a benchmark's own folders, instead of a list"
    )
    parser.add_argument("--root", metavar="DIR", type=Path, help="the folder of that layout")
    parser.add_argument(
        "--dataset", metavar="NAME", dest="datasets", action="append", default=[],
        help=f"how ground truth is encoded: {', '.join(DATASET_NAMES)} (default: {DEFAULT_DATASET}, or the layout's); "
        "one for all lists, or one for each",
    )  # fmt: skip
    parser.add_argument(
        "--gt-scale",
        metavar="N",
        type=_positive,
        help="steps a pixel in grey ground truth, as Middlebury 2001-2006 has",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        type=located,
        default=Path(default_out),
        help="folder, made where missing, or a URL (default: %(default)s)",
    )
    parser.add_argument(
        "--worst", metavar="N", type=_count_or_none, default=12, help="pictures on the page (default: %(default)s)"
    )


def samples_of(args: argparse.Namespace) -> Samples:
    """The pairs that the arguments name. Raises FileError."""
    if bool(args.lists) == bool(args.layout):
        raise FileError("expected --list FILE, or --layout NAME with --root DIR")
    if bool(args.layout) != bool(args.root):
        raise FileError(
            f"--layout and --root go together: expected --layout {'|'.join(layouts.DATASET_NAMES)} --root DIR"
        )
    if args.lists:
        return listed(args.lists, dataset_names_of(args), args.gt_scale)
    (dataset_name,) = args.datasets[-1:] or [layouts.DATASET_NAMES[args.layout]]
    return Samples([Source(layouts.pairs_of(args.layout, args.root), dataset_name, args.gt_scale)])


def dataset_names_of(args: argparse.Namespace) -> list[str]:
    """That of each list. Raises FileError when there are neither one nor as many as lists."""
    names = args.datasets or [DEFAULT_DATASET]
    if len(names) not in (1, len(args.lists)):
        raise FileError(
            f"--dataset is given {len(names)} times and --list {len(args.lists)} times: expected one for all lists, or "
            "one for each"
        )
    return names * len(args.lists) if len(names) == 1 else names


def described(args: argparse.Namespace) -> str:
    """The pairs in words."""
    if args.lists:
        names = dataset_names_of(args)
        if len({*names}) == 1:
            return f"{', '.join(map(str, args.lists))} as {names[0]}"
        return ", ".join(f"{file} as {name}" for file, name in zip(args.lists, names, strict=True))
    return f"{args.root}, layout {args.layout}"


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}': expected a number above 0")
    return number


def _count_or_none(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"'{text}': expected 0 to 1024")
    return int(text)
