"""The arguments of ``ffs build-engine``: declared, read, and written again as the command that rebuilds an engine."""

from __future__ import annotations

import argparse
import math
import re
import tempfile
from pathlib import Path

from ffs_ros.engine.folder import engine_folder
from ffs_ros.engine.trt_build import FP16, FP32, Sizes
from ffs_ros.engine.trt_versions import AUTO, RUNTIMES
from ffs_ros.errors import BuildError
from ffs_ros.graph.form import INPUTS, SIZE_MULTIPLE
from ffs_ros.weights import SYNTHETIC

PRECISIONS = (AUTO, FP16, FP32)
DEFAULT_ITERATIONS = 8
_MOST_WORKSPACE_GiB = 1024
_REPEATED = (
    "precision", "runtime", "size", "io", "min", "opt", "max", "workspace", "optimization_level", "jobs",
    "gpu_index",
)  # fmt: skip
"""Options that the rebuild command repeats where they are not the defaults."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs build-engine``."""
    parser.add_argument("source", metavar="MODEL.onnx|CHECKPOINT", type=Path, help="what to build from")
    parser.add_argument("-o", "--out", metavar="NAME.engine", type=Path, required=True, help="the engine to write")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default=PRECISIONS[0],
        help="auto: fp16, and fp32 where the proof fails (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--runtime", choices=[AUTO, *RUNTIMES], default=AUTO, help="auto: the first that is installed (default: auto)"
    )
    parser.add_argument(
        "--iters", metavar="N[,N]", default="",
        help=f"iterations of a checkpoint's engine (default: {DEFAULT_ITERATIONS}); several: NAME_4iters.engine each",
    )  # fmt: skip
    parser.add_argument("--size", metavar="HxW", help="rows x columns of a checkpoint's engine; as in ffs export")
    parser.add_argument("--io", choices=[*INPUTS], help="of a checkpoint's engine; as in ffs export")
    for bound, what in (("min", "smallest"), ("opt", "usual (default: that of --max)"), ("max", "largest")):
        parser.add_argument(
            f"--{bound}", metavar="[Nx]HxW", help=f"{what} size, where the graph leaves it open; N pairs (default: 1)"
        )
    parser.add_argument(
        "--workspace",
        metavar="GiB",
        type=_gibibytes,
        default=4.0,
        help="GPU memory to build with (default: %(default)g)",
    )
    parser.add_argument(
        "--optimization-level", type=int, choices=range(6),
        help="0 builds fastest (default: 3; with TensorRT 8, which compiles for minutes, 2 to 4, small parts more)",
    )  # fmt: skip
    parser.add_argument(
        "--one-plan", action="store_true",
        help="build the network in one piece, not features, volume, one iteration and upsampling each for itself",
    )  # fmt: skip
    parser.add_argument(
        "--no-kernels", action="store_true",
        help="TensorRT's layers alone, none of the CUDA kernels for cost volume and look-up",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", metavar="N", type=_jobs,
        help="parts that are built at the same time, in a process each (default: with TensorRT 8, which mostly "
        "compiles, as many as half the cores and the memory allow; with others 1)",
    )  # fmt: skip
    parser.add_argument(
        "--no-timing-cache", action="store_true", help="measure every kernel again, and keep nothing for other builds"
    )
    parser.add_argument(
        "--gpu-index", metavar="N", type=int, default=0, help="the GPU to build on and for (default: 0)"
    )
    parser.add_argument(
        "--unproven", action="store_true", help="install the engine without comparing its answers; the manifest says so"
    )


def _gibibytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _MOST_WORKSPACE_GiB:
        raise BuildError(
            f"--workspace is '{text}': expected GiB above 0, at most {_MOST_WORKSPACE_GiB}, such as --workspace 4"
        )
    return number


def _jobs(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,2}", text):
        raise BuildError(f"--jobs is '{text}': expected a number of parts from 1, such as --jobs 4")
    return int(text)


def outputs_of(args: argparse.Namespace) -> dict[int, Path]:
    """The engine files by their iterations."""
    out: Path = args.out
    if out.suffix != ".engine":
        raise BuildError(f"the output is '{out}': expected a name that ends in .engine, such as -o {out.stem}.engine")
    if out.parent.resolve() == engine_folder().resolve():
        out.parent.mkdir(parents=True, exist_ok=True)
    if not out.parent.is_dir():
        raise BuildError(f"the folder {out.parent} of the output does not exist; make it first")
    try:  # better refused now than after minutes
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise BuildError(f"cannot write into {out.parent.absolute()}: {error.strerror}; name another folder") from None
    if not re.fullmatch(r"(\d{1,4}(,\d{1,4})*)?", args.iters):
        raise BuildError(f"--iters is '{args.iters}': expected numbers, such as --iters 4,8")
    wanted = [int(number) for number in args.iters.split(",")] if args.iters else [DEFAULT_ITERATIONS]
    several = {number: out.with_name(f"{out.stem}_{number}iters.engine") for number in wanted}
    outputs = several if len(wanted) > 1 else {wanted[0]: out}
    for path in outputs.values():
        if path.exists() and not path.is_file():
            raise BuildError(f"the output {path} exists and is not a regular file; name another one")
    return outputs


def sizes_of(args: argparse.Namespace) -> Sizes | None:
    """Smallest, usual and largest [batch, rows, columns] as asked for; None where nothing is."""
    if not (args.min or args.opt or args.max):
        return None
    if not (args.min and args.max):
        raise BuildError("a range of sizes needs both --min and --max, such as --min 320x320 --max 480x736")
    if args.size:
        raise BuildError("--size fixes what --min and --max leave open: give one or the other")
    return sizes_in({"--min": args.min, "--opt": args.opt or args.max, "--max": args.max})


def sizes_in(texts: dict[str, str]) -> Sizes:
    """Three sizes from smallest to largest; the keys say whose they are. Raises BuildError for anything else."""
    found = []
    for option, text in texts.items():
        parts = re.fullmatch(r"(?:(\d{1,3})[xX])?(\d{1,5})[xX](\d{1,5})", text)
        if not parts:
            raise BuildError(f"{option} is '{text}': expected rows x columns, such as {option} 480x736")
        size = (int(parts[1] or 1), int(parts[2]), int(parts[3]))
        if 0 in size or any(length % SIZE_MULTIPLE for length in size[1:]):
            raise BuildError(
                f"{option} is '{text}': rows and columns must be multiples of {SIZE_MULTIPLE}, the batch 1 or more"
            )
        found.append(size)
    least, usual, most = found
    if not all(low <= middle <= high for low, middle, high in zip(least, usual, most, strict=True)):
        raise BuildError(f"{', '.join(texts)} are {', '.join(texts.values())}: expected no axis that falls")
    return least, usual, most


def command(args: argparse.Namespace, iterations: int, out: Path) -> list[str]:
    """What builds this one engine again, from any folder; the output last."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    source = SYNTHETIC if str(args.source) == SYNTHETIC else str(args.source.resolve())
    words = ["ffs", "build-engine", source]
    for option in _REPEATED:
        value = getattr(args, option)
        if value != parser.get_default(option):
            words += [f"--{option.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    if args.iters:
        words += ["--iters", str(iterations)]
    for flag in ("one_plan", "no_kernels", "no_timing_cache", "unproven"):
        words += [f"--{flag.replace('_', '-')}"] if getattr(args, flag) else []
    return [*words, "-o", str(out)]
