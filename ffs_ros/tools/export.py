"""``ffs export``: checkpoint -> ONNX graph that has been proved against the network before it appears."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ffs_ros import __version__
from ffs_ros.checkpoint import Checkpoint, open_checkpoint
from ffs_ros.errors import ExportError
from ffs_ros.whole_file import whole_file

if TYPE_CHECKING:
    import onnx

HELP = """\
ffs export model_best_bp2_serialize.pth -o model.onnx --size 480x736 --iters 8

One fp32 graph: two rectified images in, disparity in pixels out (float32 [B,1,H,W], not clipped at 0). It appears
under its name only after the ONNX checker has passed it and ONNX Runtime has agreed with PyTorch on a textured pair.
"""

DEFAULT_SIZE = (480, 736)
SIZE_MULTIPLE = 32
SMALLEST, LARGEST = 32, 4096
MOST_ITERATIONS = 64
MOST_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs export``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the released .pth, TAO's, or .safetensors")
    parser.add_argument("-o", "--out", metavar="FILE.onnx", type=Path, required=True, help="the graph to write")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--size", metavar="HxW", default="{}x{}".format(*DEFAULT_SIZE),
        help="rows x columns of the images, multiples of 32 (default: %(default)s)",
    )  # fmt: skip
    size.add_argument(
        "--dynamic-size", action="store_true", help="leave rows and columns open; multiples of 32 at run time"
    )
    parser.add_argument(
        "--iters", metavar="N", type=int, default=8, help="iterations (default: 8); 4 is the fast setting"
    )
    parser.add_argument(
        "--io", choices=("image", "tensor"), default="image",
        help="image: left, right uint8 [B,H,W,3] RGB, normalised in the graph. tensor: left_image, right_image float32 "
        "[B,3,H,W], already normalised, as TAO and Isaac ROS have them (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--batch", metavar="N", default="1", help="pairs at once, or 'dynamic' (default: %(default)s)")


def main(args: argparse.Namespace) -> None:
    """Write the graph, or raise FfsError and leave no file."""
    size = None if args.dynamic_size else _size(args.size)
    batch = None if args.batch == "dynamic" else _whole_number("--batch", args.batch, MOST_BATCH)
    iterations = _whole_number("--iters", args.iters, MOST_ITERATIONS)
    _check_output(args.out)
    _require_packages()
    from ffs_ros.tools.export_proof import prove

    with _step("open the checkpoint"):
        checkpoint = open_checkpoint(args.checkpoint)
    with _step("build the graph"):
        model = _model(checkpoint, size, iterations, args.io, batch)
    with whole_file(args.out) as temporary:
        with _step("write and check it"):
            _write(model, temporary)
        with _step("run it in ONNX Runtime and in PyTorch"):
            proof = prove(temporary, checkpoint.tensors, size, iterations, args.io, batch)
    megabytes = args.out.stat().st_size / 1e6
    print(f"{args.out}: {len(model.graph.node):,} nodes, {megabytes:.1f} MB; {proof}")
    print(f"next: ffs infer {args.out} LEFT RIGHT -o OUT")


def _model(
    checkpoint: Checkpoint, size: tuple[int, int] | None, iterations: int, io: str, batch: int | None
) -> onnx.ModelProto:
    from onnx import helper

    from ffs_ros.graph.model import build_model
    from ffs_ros.graph.volume import PLANES

    model = build_model(checkpoint.tensors, size, iterations, io, batch)
    model.producer_name, model.producer_version = "ffs_ros", __version__
    metadata = {
        "version": __version__,
        "checkpoint_sha256": checkpoint.sha256,
        "checkpoint_is_released_file": checkpoint.is_released_file,
        "height": size[0] if size else "dynamic",
        "width": size[1] if size else "dynamic",
        "batch": batch or "dynamic",
        "iterations": iterations,
        "max_disparity": 4 * PLANES,
        "io": io,
        "precision": "fp32",
    }
    helper.set_model_props(model, {f"ffs_ros.{key}": str(value).lower() for key, value in metadata.items()})
    return model


def _write(model: onnx.ModelProto, path: Path) -> None:
    import onnx

    path.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX checker refuses the graph, so nothing was written: {error}") from error


def _size(text: str) -> tuple[int, int]:
    rows, separator, columns = text.lower().partition("x")
    if not (separator and rows.isdecimal() and columns.isdecimal()):
        raise ExportError(f"--size is '{text}': expected rows x columns, such as --size 480x736")
    size = int(rows), int(columns)
    nearest = [min(max(round(n / SIZE_MULTIPLE) * SIZE_MULTIPLE, SMALLEST), LARGEST) for n in size]
    if tuple(nearest) != size:
        raise ExportError(
            f"--size is {text}: expected multiples of {SIZE_MULTIPLE} from {SMALLEST} to {LARGEST}; "
            f"the nearest is --size {nearest[0]}x{nearest[1]}"
        )
    return size


def _whole_number(option: str, text: str | int, most: int) -> int:
    if not (str(text).isdecimal() and 1 <= int(text) <= most):
        dynamic = ", or 'dynamic'" if option == "--batch" else ""
        raise ExportError(f"{option} is {text}: expected a whole number from 1 to {most}{dynamic}")
    return int(text)


def _check_output(out: Path) -> None:
    if out.suffix != ".onnx":
        raise ExportError(f"the output is '{out}': expected a name that ends in .onnx, such as -o {out.stem}.onnx")
    if not out.parent.is_dir():
        raise ExportError(f"the folder {out.parent} of the output does not exist; make it first")


def _require_packages() -> None:
    missing = []
    for name in ("torch", "onnx", "onnxruntime"):
        try:
            __import__(name)
        except ImportError:  # noqa: PERF203 (three rounds)
            missing.append(name)
    if missing:
        raise ExportError(
            f"exporting needs {' and '.join(missing)}, which is not installed: pip install 'ffs_ros[export]'; "
            "PyTorch's CPU build is enough"
        )


@contextmanager
def _step(what: str) -> Iterator[None]:
    """One line for one step, with the seconds that it took."""
    print(f"{what} ...", end=" ", flush=True)
    started = time.perf_counter()
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.perf_counter() - started:.1f} s", flush=True)
