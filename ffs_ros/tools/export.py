"""``ffs export``: checkpoint -> ONNX graph that has been proved against the network before it appears."""

from __future__ import annotations

import argparse
import hashlib
import re
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffs_ros.advice import EXPORT_PACKAGES
from ffs_ros.checkpoint import Checkpoint, open_checkpoint
from ffs_ros.errors import ExportError
from ffs_ros.graph.form import FP16, FP32, IMAGE, INPUTS, PRECISIONS, SIZES, Form, MAX_DISPARITY_px
from ffs_ros.proof import NOTE, proof_path
from ffs_ros.tools.export_proof import OPEN_SIZES, LARGEST_DIFFERENCE_px, fp32_answers, prove, prove_halves
from ffs_ros.whole_file import whole_file

if TYPE_CHECKING:
    import onnx

ACTION = "export"
"""TAO's, whose specs -e takes."""
HELP = """\
ffs export model_best_bp2_serialize.pth -o model.onnx --size 480x736 --iters 8
ffs export -e spec.yaml

One graph: two rectified images in, disparity in pixels out (float32 [B,1,H,W], not clipped at 0). It appears under its
name only after the ONNX checker has passed it and ONNX Runtime has agreed with PyTorch on a textured pair. Beside it
appears model.proof.npz: pairs and their answers in fp32, which engines built from the graph have to give again.
"""

DEFAULT_SIZE = "480x736"
DYNAMIC = "dynamic"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs export``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the released .pth, TAO's, or .safetensors")
    parser.add_argument("-o", "--out", metavar="FILE.onnx", type=Path, required=True, help="the graph to write")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--size", metavar="HxW", help=f"rows x columns of the images, multiples of 32 (default: {DEFAULT_SIZE})"
    )
    size.add_argument(
        "--dynamic-size", action="store_true", help="leave rows and columns open; multiples of 32 at run time"
    )
    for name, what, size_of in zip(SIZES, ("smallest", "usual", "largest"), SIZES.values(), strict=True):
        parser.add_argument(
            f"--{name}", metavar="HxW",
            help=f"the {what} size of a graph of open size: what its engines are proven at (default: {_text(size_of)})",
        )  # fmt: skip
    parser.add_argument(
        "--precision", choices=PRECISIONS, default=FP32,
        help="fp16: half the weights and, on GPUs, faster; fp32 inside where halves would lose too much; inputs and "
        "output are the same (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--iters", metavar="N", type=int, default=8, help="iterations (default: %(default)s); 4 is the fast setting"
    )
    parser.add_argument(
        "--io", choices=[*INPUTS], default=IMAGE,
        help="image: left, right uint8 [B,H,W,3] RGB, normalised in the graph. tensor: left_image, right_image float32 "
        "[B,3,H,W], already normalised, as TAO and Isaac ROS have them (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--batch", metavar="N", default="1", help="pairs at once, or 'dynamic' (default: %(default)s)")


def main(args: argparse.Namespace) -> None:
    """Write the graph, or raise FfsError and leave no file."""
    begin_s = time.perf_counter()
    form, sizes = _form(args), _sizes(args)
    _check_output(args.out)
    _require_packages()
    with _step("open the checkpoint"):
        checkpoint = open_checkpoint(args.checkpoint)
    check_range(checkpoint.settings)
    with _step("build the graph"):
        model = _model(checkpoint, replace(form, precision=FP32))
    # Left last to first: a graph that is there has its proof set.
    with whole_file(args.out) as temporary, whole_file(proof_path(args.out)) as temporary_set:
        with _step("write and check it"):
            _write(model, temporary)
        for size in [form.size] if form.size else OPEN_SIZES:
            _compare(temporary, checkpoint, form, size)
        with _step(f"answer the proof set at {', '.join(map(_text, sizes))} in fp32"):
            answers = fp32_answers(temporary, sizes)
        content = answers.content()
        temporary_set.write_bytes(content)
        if form.precision == FP16:
            with _step("build the graph in fp16"):
                model = _model(checkpoint, form)
        notes = {NOTE: hashlib.sha256(content).hexdigest()}
        if form.size is None:
            notes["ffs_ros.sizes"] = " ".join(map(_text, sizes))
        _write(model, temporary, notes)
        if form.precision == FP16:
            with _step("run it on the proof set"):
                found = prove_halves(temporary, answers)
            print(f"  {found.sentence}")
    megabytes = args.out.stat().st_size / 1e6
    seconds, peak_GB = time.perf_counter() - begin_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{args.out}: {len(model.graph.node):,} nodes, {form.precision}, {megabytes:.1f} MB; "
        f"{seconds:.0f} s, peak {peak_GB:.1f} GB"
    )
    if form.batch in (1, None):
        print(f"next: ffs infer {args.out} LEFT RIGHT -o OUT")
    else:
        print(
            f"it takes {form.batch} pairs at once, for programs of your own; the node and ffs infer run one pair at a "
            "time: export with --batch 1 for them"
        )


def _compare(path: Path, checkpoint: Checkpoint, form: Form, size: tuple[int, int]) -> None:
    """The fp32 graph in ``path`` against PyTorch. Raises ExportError when they differ."""
    with _step(f"run it at {_text(size)} in PyTorch and in ONNX Runtime"):
        proof = prove(path, checkpoint.tensors, form, size)
    print(
        f"  PyTorch {proof.pytorch_s:.1f} s, ONNX Runtime {proof.onnxruntime_s:.1f} s, on the CPU; "
        f"they differ by {proof.difference_px:.1e} px at most ({LARGEST_DIFFERENCE_px:g} allowed)\n"
        f"  both are {proof.error_px:.2f} px (median) from the pair's true disparity"
    )


def check_range(settings: dict[str, Any]) -> None:
    """Raises ExportError when the network was trained for another range than the graph has.

    TAO builds as many planes as its setting says, and its default is 416. A whole module's ``max_disp`` is only noted:
    NVIDIA runs the released weights at 192 whatever the file beside them says.
    """
    trained: Any = settings
    for key in ("hyper_parameters", "model", "max_disparity"):
        trained = trained.get(key) if isinstance(trained, dict) else None
    if trained not in (None, MAX_DISPARITY_px):
        raise ExportError(
            f"the checkpoint was trained with model.max_disparity {trained}; in the graph, which has "
            f"{MAX_DISPARITY_px}, its disparities would be wrong; train with model.max_disparity: {MAX_DISPARITY_px}"
        )
    noted = settings.get("max_disp", MAX_DISPARITY_px)
    if noted != MAX_DISPARITY_px:
        print(f"note: the checkpoint's settings say max_disp {noted}; the graph has {MAX_DISPARITY_px}")


def _form(args: argparse.Namespace) -> Form:
    size = None if args.dynamic_size else _size("--size", args.size or DEFAULT_SIZE)
    if args.batch != DYNAMIC and not re.fullmatch(r"\d{1,6}", args.batch):
        raise ExportError(f"--batch is '{args.batch}': expected a number of pairs, or '{DYNAMIC}'")
    return Form(size, args.iters, args.io, None if args.batch == DYNAMIC else int(args.batch), args.precision)


def _sizes(args: argparse.Namespace) -> list[tuple[int, int]]:
    """What the proof set is answered at, smallest first. Raises ExportError when they are no sizes of the graph."""
    given = {name: getattr(args, name) for name in SIZES}
    if not args.dynamic_size:
        if any(given.values()):
            raise ExportError(
                "--min, --opt and --max are for graphs of open size; add --dynamic-size, or take them out"
            )
        return [_size("--size", args.size or DEFAULT_SIZE)]
    sizes = [_size(f"--{name}", text) if text else SIZES[name] for name, text in given.items()]
    for size in sizes:
        Form(size)  # refuses what is no multiple of 32
    if not all(smaller <= larger for axis in zip(*sizes, strict=True) for smaller, larger in pairwise(axis)):
        raise ExportError(
            f"the sizes are {', '.join(map(_text, sizes))}: expected --min, --opt and --max in rising order, in rows "
            "and in columns"
        )
    return sizes


def _size(option: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text)
    if not found:
        raise ExportError(f"{option} is '{text}': expected rows x columns, such as {option} {DEFAULT_SIZE}")
    return int(found[1]), int(found[2])


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _check_output(out: Path) -> None:
    if out.suffix != ".onnx":
        raise ExportError(f"the output is '{out}': expected a name that ends in .onnx, such as -o {out.stem}.onnx")
    if not out.parent.is_dir():
        raise ExportError(f"the folder {out.parent} of the output does not exist; make it first")


def _require_packages() -> None:
    try:
        for name in ("torch", "onnx", "onnxruntime"):
            import_module(name)
    except ImportError as error:
        raise ExportError(
            f"exporting needs torch, onnx and onnxruntime, and one does not import ({error}): "
            f"{EXPORT_PACKAGES}; PyTorch's CPU build is enough"
        ) from error


def _model(checkpoint: Checkpoint, form: Form) -> onnx.ModelProto:
    from ffs_ros.graph.model import build_model

    model = build_model(checkpoint.tensors, form.size, form.iterations, form.io, form.batch, form.precision)
    weights = {"checkpoint_sha256": checkpoint.sha256, "checkpoint_is_released_file": checkpoint.is_released_file}
    for key, value in weights.items():
        model.metadata_props.add(key=f"ffs_ros.{key}", value=str(value).lower())
    return model


def _write(model: onnx.ModelProto, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write and check the graph, with ``notes`` added to its metadata."""
    import onnx

    for key, value in (notes or {}).items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX checker refuses the graph, so nothing was written: {error}") from error


@contextmanager
def _step(what: str) -> Iterator[None]:
    """One line for one step, with the seconds that it took."""
    print(f"{what} ...", end=" ", flush=True)
    begin_s = time.perf_counter()
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.perf_counter() - begin_s:.1f} s", flush=True)
