"""The proof of an exported graph: ONNX Runtime gives what the network gives in PyTorch, fp16 nearly so.

Legend of shapes: B pairs, H and W rows and columns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros import proof
from ffs_ros.engine import open_engine
from ffs_ros.engine.contract import normalised_tensor
from ffs_ros.errors import ExportError
from ffs_ros.graph.form import IMAGE, Form
from ffs_ros.proof_pairs import proof_pairs

LARGEST_DIFFERENCE_px = 2e-3
"""Two fp32 evaluations of this network in different orders differ by about a quarter of that."""
OPEN_SIZES = ((96, 160), (128, 64))
"""What a graph of open size is run at."""
OPEN_BATCH = 2


class Proof(NamedTuple):
    """One run of both."""

    size: tuple[int, int]
    difference_px: float
    """The largest of all pixels."""
    error_px: float
    """Median distance of the network from the disparity that the pair was made with."""
    pytorch_s: float
    onnxruntime_s: float


class ShiftedPairs(NamedTuple):
    """Pairs whose right image is the left one moved; uint8 [B,H,W,3]."""

    left_BHW3: np.ndarray
    right_BHW3: np.ndarray
    shift_B: np.ndarray
    """Disparity of each pair, px."""


def prove(path: Path, tensors: Mapping[str, np.ndarray], form: Form, size: tuple[int, int]) -> Proof:
    """Run the graph in ``path`` and the network with ``tensors`` on textured pairs of ``size`` whose shift is known.

    Both on the CPU: TensorFloat-32 on a GPU rounds more than is allowed here. Raises ExportError when a pixel differs
    by more than 2e-3 px or is not finite.
    """
    from ffs_ros.network import disparity_of

    pairs = shifted_pairs(form.batch or OPEN_BATCH, size)
    begin_s = time.perf_counter()
    expected_B1HW = disparity_of(tensors, pairs.left_BHW3, pairs.right_BHW3, form.iterations)
    pytorch_s = time.perf_counter() - begin_s
    with open_engine(path, gpu_index=None) as engine:
        begin_s = time.perf_counter()
        (found_B1HW,) = engine.infer(_feeds(form, pairs)).values()
        onnxruntime_s = time.perf_counter() - begin_s
    difference_px = float(np.abs(found_B1HW - expected_B1HW).max())
    if not difference_px <= LARGEST_DIFFERENCE_px:  # NaN included
        raise ExportError(
            f"at {size[0]}x{size[1]} ONNX Runtime and PyTorch differ by {difference_px:.2g} px, expected at most "
            f"{LARGEST_DIFFERENCE_px:g}: nothing was written; try another version of onnxruntime"
        )
    error_px = float(np.median(np.abs(expected_B1HW - pairs.shift_B[:, None, None, None])))
    return Proof(size, difference_px, error_px, pytorch_s, onnxruntime_s)


def fp32_answers(path: Path, sizes: Sequence[tuple[int, int]]) -> proof.ProofSet:
    """The proof set at ``sizes`` with the answers of the fp32 graph in ``path``, on the CPU."""
    with open_engine(path, gpu_index=None) as engine:
        return proof.answered(engine, [pair for size in dict.fromkeys(sizes) for pair in proof_pairs(size)])


def prove_halves(path: Path, answers: proof.ProofSet) -> proof.Proof:
    """Compare the fp16 graph in ``path`` with fp32. Raises ExportError when trained weights do not pass."""
    with open_engine(path, gpu_index=None) as engine:
        found = proof.prove(engine, answers)
    if not found.passed:
        raise ExportError(
            f"in fp16 these weights lose too much ({'; '.join(found.failures)}): nothing was written; export with "
            "--precision fp32"
        )
    return found


def shifted_pairs(batch: int, size: tuple[int, int]) -> ShiftedPairs:
    """Textured pairs, each with a shift of its own, the same in every run."""
    rows, columns = size
    random = np.random.default_rng(0)
    shift_B = columns // 8 + 3 * np.arange(batch)
    noise = [random.normal(size=(rows, columns + shift, 3)) for shift in shift_B]
    blurred = [sum(sigma * cv2.GaussianBlur(one, (0, 0), sigma) for sigma in (0.7, 2.0, 6.0)) for one in noise]
    texture = [np.clip(128 + 60 * one, 0, 255).astype(np.uint8) for one in blurred]
    left_BHW3 = np.stack([one[:, :columns] for one in texture])
    return ShiftedPairs(left_BHW3, np.stack([one[:, -columns:] for one in texture]), shift_B)


def _feeds(form: Form, pairs: ShiftedPairs) -> dict[str, np.ndarray]:
    sides = [pairs.left_BHW3, pairs.right_BHW3]
    if form.io != IMAGE:
        sides = [np.concatenate([normalised_tensor(image) for image in side]) for side in sides]
    return dict(zip(form.inputs, sides, strict=True))
