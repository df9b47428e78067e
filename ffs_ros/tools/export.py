"""``ffs export``: checkpoint -> ONNX graph, which appears under its name only after it has been proved."""

from __future__ import annotations

import argparse
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ffs_ros.checkpoint import Checkpoint, open_checkpoint
from ffs_ros.engine.contract import normalised_tensor
from ffs_ros.errors import ExportError, FileError
from ffs_ros.graph.form import IMAGE, INPUTS, Form, MAX_DISPARITY_px
from ffs_ros.whole_file import whole_file

HELP = f"""\
ffs export model_best_bp2_serialize.pth -o model.onnx --size 480x736 --iters 8

Writes the network as one fp32 ONNX graph (opset 17, disparities to {MAX_DISPARITY_px} px). Before the file appears it
has passed the ONNX checker and given in ONNX Runtime what the network gives in PyTorch.
"""

DEFAULT_SIZE = "480x736"
DYNAMIC = "dynamic"
LARGEST_DIFFERENCE_px = 2e-3
PROOF_SIZES = ((96, 160), (128, 64))
"""Where the graph leaves the size open."""
PROOF_BATCH = 2
"""Where the graph leaves the number of pairs open."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs export``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="bp2 weights (see: ffs inspect CHECKPOINT)")
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, required=True, help="the .onnx file to write")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", metavar="HxW", help=f"rows x columns, multiples of 32 (default: {DEFAULT_SIZE})")
    size.add_argument("--dynamic-size", action="store_true", help="leave rows and columns open, to multiples of 32")
    parser.add_argument("--iters", metavar="N", type=int, default=8, help="iterations (default: %(default)s)")
    parser.add_argument(
        "--io", choices=[*INPUTS], default=IMAGE,
        help="image: left and right are uint8 RGB images; tensor: left_image and right_image are float32 and already "
        "normalised, the contract of TAO and Isaac ROS (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--batch", metavar="N", default="1", help="pairs per run, or 'dynamic' (default: %(default)s)")


def main(args: argparse.Namespace) -> None:
    """Export as the arguments say. Raises ExportError or FileError, and then leaves no file."""
    start_s = time.perf_counter()
    form = form_from(args)
    check_output(args.out)
    require_packages()
    with step("reading the checkpoint"):
        checkpoint = open_checkpoint(args.checkpoint)
    check_range(checkpoint.settings)
    with whole_file(args.out) as temporary:
        nodes = write(checkpoint, form, temporary)
        for size in [form.size] if form.size else PROOF_SIZES:
            prove(checkpoint, form, temporary, size)
    seconds = time.perf_counter() - start_s
    peak_GB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{args.out}: {nodes} nodes, {args.out.stat().st_size / 1e6:.1f} MB; {seconds:.0f} s, peak {peak_GB:.1f} GB")
    print(f"next: ffs infer {args.out} LEFT RIGHT -o OUT")


def form_from(args: argparse.Namespace) -> Form:
    """What the arguments ask for. Raises ExportError when they make no sense."""
    found = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", args.size or DEFAULT_SIZE)
    if not found:
        raise ExportError(f"--size is '{args.size}'; expected rows x columns, for example {DEFAULT_SIZE}")
    if args.batch != DYNAMIC and not re.fullmatch(r"\d{1,6}", args.batch):
        raise ExportError(f"--batch is '{args.batch}'; expected a number of pairs or '{DYNAMIC}'")
    size = None if args.dynamic_size else (int(found[1]), int(found[2]))
    return Form(size, args.iters, args.io, None if args.batch == DYNAMIC else int(args.batch))


def check_output(path: Path) -> None:
    """Raises FileError when nothing can be written there: before the work, not after it."""
    if path.suffix != ".onnx":
        raise FileError(f"the output is called {path.name}; expected a name that ends in .onnx")
    if not path.parent.is_dir():
        raise FileError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")


def require_packages() -> None:
    """Raises ExportError when a package that only export needs is not installed."""
    try:
        for name in ("onnx", "onnxruntime", "torch"):
            import_module(name)
    except ImportError as error:
        raise ExportError(
            f"export needs onnx, onnxruntime and torch, and one does not import ({error}); type: "
            "pip install 'ffs_ros[export]'"
        ) from error


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


def write(checkpoint: Checkpoint, form: Form, path: Path) -> int:
    """Build the graph, write it to ``path`` and have it checked. Returns the number of nodes."""
    import onnx

    from ffs_ros.graph.model import build_model

    with step("building the graph"):
        model = build_model(checkpoint.tensors, form.size, form.iterations, form.io, form.batch)
        entry = model.metadata_props.add()
        entry.key, entry.value = "ffs_ros.checkpoint_sha256", checkpoint.sha256
        onnx.save(model, path)
    with step("ONNX checker"):
        onnx.checker.check_model(path, full_check=True)
    return len(model.graph.node)


class ShiftedPairs(NamedTuple):
    """Pairs of which the right image is the left one moved; uint8 [B,H,W,3]."""

    left_BHW3: np.ndarray
    right_BHW3: np.ndarray
    shift_B: np.ndarray
    """Disparity of each pair, px."""


def shifted_pairs(batch: int, size: tuple[int, int]) -> ShiftedPairs:
    """Textured pairs, each with a shift of its own, the same in every run."""
    rows, columns = size
    random = np.random.default_rng(0)
    shift_B = columns // 8 + 3 * np.arange(batch)
    wide = [random.normal(size=(rows, columns + shift, 3)) for shift in shift_B]
    blurred = [sum(sigma * cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (0.7, 2.0, 6.0)) for noise in wide]
    texture = [np.clip(128 + 60 * values, 0, 255).astype(np.uint8) for values in blurred]
    left_BHW3 = np.stack([values[:, :columns] for values in texture])
    return ShiftedPairs(left_BHW3, np.stack([values[:, -columns:] for values in texture]), shift_B)


def prove(checkpoint: Checkpoint, form: Form, path: Path, size: tuple[int, int]) -> None:
    """Raises ExportError unless the file gives in ONNX Runtime what the network gives in PyTorch."""
    pairs = shifted_pairs(form.batch or PROOF_BATCH, size)
    with step(f"PyTorch at {size[0]}x{size[1]}"):
        expected_B1HW = disparity_by_torch(checkpoint, form, pairs)
    with step(f"ONNX Runtime at {size[0]}x{size[1]}"):
        found_B1HW = disparity_by_onnxruntime(path, form, pairs)
    difference_px = float(np.abs(found_B1HW - expected_B1HW).max())
    error_px = float(np.median(np.abs(expected_B1HW - pairs.shift_B[:, None, None, None])))
    print(
        f"largest difference {difference_px:.1e} px, {LARGEST_DIFFERENCE_px:.0e} px allowed; the network is off the "
        f"pair's true disparity by {error_px:.2f} px (median)"
    )
    if not difference_px <= LARGEST_DIFFERENCE_px:
        raise ExportError(
            f"the graph differs from the network in PyTorch by {difference_px:.2g} px, {LARGEST_DIFFERENCE_px:.0e} px "
            "are allowed; nothing was written. Try the versions of onnxruntime and torch in test/constraints.txt"
        )


def disparity_by_torch(checkpoint: Checkpoint, form: Form, pairs: ShiftedPairs) -> np.ndarray:
    """float32 [B,1,H,W], px."""
    import torch

    from ffs_ros.network import network_from

    network = network_from(checkpoint.tensors, form.iterations)
    images = (torch.from_numpy(images).permute(0, 3, 1, 2) for images in (pairs.left_BHW3, pairs.right_BHW3))
    with torch.inference_mode():
        return network(*images).numpy()


def disparity_by_onnxruntime(path: Path, form: Form, pairs: ShiftedPairs) -> np.ndarray:
    """float32 [B,1,H,W], px; on the CPU, where no TensorFloat-32 rounds."""
    import onnxruntime

    images = [pairs.left_BHW3, pairs.right_BHW3]
    if form.io != IMAGE:
        images = [np.concatenate([normalised_tensor(image) for image in side]) for side in images]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(form.inputs, images, strict=True)))[0]


@contextmanager
def step(name: str) -> Iterator[None]:
    """Says what is going on and, afterwards, how many seconds it took."""
    print(f"{name} ... ", end="", flush=True)
    start_s = time.perf_counter()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.perf_counter() - start_s:.1f} s", flush=True)
