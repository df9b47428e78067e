"""``python -m ffs_ros.tools.ship CHECKPOINT``: the two files that ship, proved, and their figures in the model card.

For developers; it needs the extra ``export``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ffs_ros import __version__
from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.checkpoint.stored import half_weights, stored
from ffs_ros.engine import open_engine
from ffs_ros.engine.weights_beside import notes_on
from ffs_ros.errors import ExportError, FfsError, FileError
from ffs_ros.fit import InputFit
from ffs_ros.graph.form import SIZE_MULTIPLE, Form
from ffs_ros.image_file import read_rgb
from ffs_ros.tools.export import check_range
from ffs_ros.tools.export_proof import OPEN_SIZES, LARGEST_DIFFERENCE_px, shifted_pairs
from ffs_ros.tools.model_card import CARD, Proof, figures, head_of_card
from ffs_ros.weights import FOLDER, GRAPH, SYNTHETIC, WEIGHTS
from ffs_ros.whole_file import whole_file

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 30_000_000
FORM = Form(size=None)

Arrays = dict[str, np.ndarray]


class Pair(NamedTuple):
    """Two images of one size that the network takes: uint8 [H,W,3] RGB."""

    name: str
    left_HW3: np.ndarray
    right_HW3: np.ndarray


def main(arguments: Sequence[str] | None = None) -> None:
    """Write both files and the card; exit code 2 and nothing written when something is wrong."""
    args = _arguments(arguments)
    try:
        ship(args.checkpoint, [_pair(*map(Path, sides)) for sides in args.pair] or _textured(), args.out)
    except FfsError as error:
        print("ship:", error, file=sys.stderr)
        sys.exit(2)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ffs_ros.tools.ship", description="Write the weights that ship, and prove them."
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="of a training run, or any other of this network")
    parser.add_argument(
        "--pair", nargs=2, metavar=("LEFT", "RIGHT"), action="append", default=[],
        help="images for the proof and for the ranges of activations, again for each pair (default: textures)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder with the card (default: the package's)")
    return parser.parse_args(arguments)


def ship(checkpoint_path: str, pairs: Sequence[Pair], folder: Path) -> None:
    """Prove the files on ``pairs``, then write them and the figures to ``folder``, which holds the card.

    Raises ExportError when ONNX Runtime and PyTorch differ by more than 2e-3 px or the weights are too large, FileError
    and CheckpointError for what cannot be read or written.
    """
    from onnx import checker

    from ffs_ros.graph.model import build_model_beside
    from ffs_ros.network import network_from
    from ffs_ros.network.ranges import activation_ranges

    head = head_of_card(folder / CARD)
    checkpoint = open_checkpoint(checkpoint_path)
    check_range(checkpoint.settings)
    halves = half_weights(checkpoint.tensors)
    origin = {"checkpoint_sha256": checkpoint.sha256, "version": __version__}
    file = stored(halves, {"name": SYNTHETIC, "license": "Apache-2.0", **origin})
    if len(file.data) > MOST_BYTES:
        raise ExportError(f"the weights have {len(file.data)} bytes, {MOST_BYTES} are allowed in the repository")
    graph = _graph(build_model_beside(file.places, WEIGHTS.name, FORM), notes_on(WEIGHTS.name, file.data), origin)

    rounded = {name: half.astype(np.float32) for name, half in halves.items()}
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / WEIGHTS.name).write_bytes(file.data)
        path = Path(temporary) / GRAPH.name
        path.write_bytes(graph)
        checker.check_model(path, full_check=True)
        proofs, opening_s = _proofs(path, checkpoint.tensors, rounded, pairs)
    ranges = activation_ranges(network_from(rounded, FORM.iterations), [pair[1:] for pair in pairs])
    sizes = {WEIGHTS.name: len(file.data), GRAPH.name: len(graph)}
    text = figures(checkpoint, sizes, opening_s, proofs, ranges)
    # Weights before the graph: one without the other is told apart by its hash.
    for name, content in ((WEIGHTS.name, file.data), (GRAPH.name, graph), (CARD, f"{head}\n{text}\n".encode())):
        with whole_file(folder / name) as new:
            new.write_bytes(content)
    print(text)


def _pair(left: Path, right: Path) -> Pair:
    """Images of any size with their edges replicated to the next multiples of 32."""
    left_HW3, right_HW3 = read_rgb(left), read_rgb(right)
    if left_HW3.shape != right_HW3.shape:
        raise FileError(f"{left} and {right} have different sizes; expected the two rectified images of one pair")
    fit = InputFit.of(left_HW3.shape[:2], None, SIZE_MULTIPLE)
    return Pair(left.parent.name, fit.to_engine(left_HW3), fit.to_engine(right_HW3))


def _textured() -> list[Pair]:
    found = [(size, shifted_pairs(1, size)) for size in OPEN_SIZES]
    return [Pair(f"texture {size[0]}x{size[1]}", pairs.left_BHW3[0], pairs.right_BHW3[0]) for size, pairs in found]


def _graph(model: onnx.ModelProto, weights: dict[str, str], origin: dict[str, str]) -> bytes:
    from onnx import helper

    notes = {"weights": SYNTHETIC, "checkpoint_sha256": origin["checkpoint_sha256"]}
    helper.set_model_props(model, {**FORM.metadata, **{f"ffs_ros.{k}": v for k, v in notes.items()}, **weights})
    return model.SerializeToString()


def _proofs(graph: Path, tensors: Arrays, rounded: Arrays, pairs: Sequence[Pair]) -> tuple[list[Proof], float]:
    """One for each pair, and the seconds until the graph was open. Raises ExportError when one fails."""
    from ffs_ros.network import disparity_of

    open_engine(graph, gpu_index=None).close()  # imports the runtime, which takes longer than the graph
    begin_s = time.perf_counter()
    engine = open_engine(graph, gpu_index=None)
    opening_s = time.perf_counter() - begin_s
    proofs = []
    with engine:
        for pair in pairs:
            images = pair.left_HW3[None], pair.right_HW3[None]
            begin_s = time.perf_counter()
            (found,) = engine.infer(dict(zip(FORM.inputs, images, strict=True))).values()
            middle_s = time.perf_counter()
            expected = disparity_of(rounded, *images, iterations=FORM.iterations)
            end_s = time.perf_counter()
            difference_px = float(np.abs(found - expected).max())
            if not difference_px <= LARGEST_DIFFERENCE_px:  # NaN included
                raise ExportError(
                    f"on {pair.name} ONNX Runtime and PyTorch differ by {difference_px:.2g} px, expected at most "
                    f"{LARGEST_DIFFERENCE_px:g}: nothing was written"
                )
            moved_px = np.abs(expected - disparity_of(tensors, *images, iterations=FORM.iterations))
            median_px, most_px = (float(np.quantile(moved_px, share)) for share in (0.5, 0.99))
            seconds = middle_s - begin_s, end_s - middle_s
            proofs.append(Proof(pair.name, expected.shape[2:], difference_px, median_px, most_px, *seconds))
    return proofs, opening_s


if __name__ == "__main__":
    main()
