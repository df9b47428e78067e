"""Whether an engine answers as the network does in fp32: the proof set that travels with a graph, and the judge.

``ffs export`` computes the answers once, so that neither PyTorch nor ONNX Runtime is needed where engines are built.
Legend of shapes: H and W rows and columns.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from ffs_ros.engine import Engine
from ffs_ros.engine.contract import OUTPUT, stereo_inputs
from ffs_ros.errors import FileError
from ffs_ros.onnx_notes import notes_of
from ffs_ros.proof_pairs import ProofPair

LEAST_COSINE = 0.9999
LARGEST_MEAN_px = 0.1
LARGEST_BAD2 = 0.005
"""Share of pixels that differ by more than 2 px."""

SOLVED_WITHIN_px = 1.0
SOLVED_SHARE = 0.9
"""A known shift is solved when this share of each half's pixels, of those with a match in view, is that near to it."""

REMEDY = "build it with --precision fp32, or with another version of the runtime"
NOTE = "ffs_ros.proof_sha256"


class ProofCase(NamedTuple):
    """A pair and what the network says about it."""

    name: str
    left_HW3: np.ndarray
    """uint8 RGB."""
    right_HW3: np.ndarray
    disparity_HW: np.ndarray
    """The answer in fp32: float32, px of this size, not clipped."""
    shift_px: float | None
    """The disparity of the whole pair where it is known."""

    @property
    def size(self) -> tuple[int, int]:
        return self.left_HW3.shape[0], self.left_HW3.shape[1]


class ProofSet(NamedTuple):
    cases: list[ProofCase]

    @property
    def shifts_solved(self) -> tuple[int, int]:
        """How many of the known shifts the fp32 answers solve, and how many there are."""
        solved = [solves(case.disparity_HW, case.shift_px) for case in self.cases if case.shift_px is not None]
        return sum(solved), len(solved)

    def content(self) -> bytes:
        """The .npz file: images, answers and shifts, so that nothing depends on how the pairs were made."""
        arrays: dict[str, Any] = {
            "names": np.array([case.name for case in self.cases]),
            "shift_px": np.array([math.nan if case.shift_px is None else case.shift_px for case in self.cases]),
        }
        for index, case in enumerate(self.cases):
            arrays[f"left_{index}"], arrays[f"right_{index}"] = case.left_HW3, case.right_HW3
            arrays[f"disparity_{index}"] = case.disparity_HW
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()


class Proof(NamedTuple):
    """What a comparison found."""

    figures: dict[str, Any]
    """For manifests and reports: the worst of all cases, and each case by its name."""
    failures: list[str]
    """Each check that was not passed, in words."""
    gated: bool
    """The weights are trained, as they solve known shifts in fp32: an engine that fails must not be used.

    Of other weights only an engine that is not finite must not be.
    """

    @property
    def passed(self) -> bool:
        return self.figures["finite"] and not (self.gated and self.failures)

    @property
    def sentence(self) -> str:
        """The figures in words."""
        figures = self.figures
        said = (
            f"against fp32: cosine {figures['cosine']:.6f}, mean difference {figures['mean_px']:.4f} px, "
            f"{figures['bad2']:.2%} of the pixels off by more than 2 px, in the worst case of {len(figures['cases'])}; "
        )
        if not self.gated:
            return (
                said + "the weights find no known shift, in fp32 either: they are not trained, so there is no verdict"
            )
        found, wanted = figures["shifts_solved"], figures["shifts_solved_in_fp32"]
        return said + f"{found} of {figures['shifts']} known shifts found, in fp32 {wanted}"


def proof_path(onnx_path: Path) -> Path:
    """Where the proof set of a graph lies: ``NAME.proof.npz`` beside ``NAME.onnx``."""
    return onnx_path.with_suffix(".proof.npz")


def load_proof(onnx_path: Path) -> ProofSet:
    """The proof set beside a graph. Raises FileError when there is none, or it is not the one that the graph names."""
    wanted = notes_of(onnx_path).get(NOTE)
    if wanted is None:
        raise FileError(f"{onnx_path} names no proof set in its metadata; export it again with ffs export")
    return read_proof(proof_path(onnx_path), wanted, onnx_path.name)


def read_proof(path: Path, sha256: str, owner: str) -> ProofSet:
    """The proof set in a file of this hash. Raises FileError; ``owner`` is the file that it belongs to."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(
            f"cannot read {path}, the proof set of {owner} ({error.strerror or error}): copy it beside {owner}, or "
            "export again"
        ) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FileError(
            f"{path} is damaged, or the proof set of another export (SHA-256): copy it again together with "
            f"{owner}, or export again"
        )
    try:
        return _read(content)
    except (BadZipFile, KeyError, ValueError, EOFError) as error:
        raise FileError(f"{path} is no proof set that this version can read ({error}): export again") from error


def _read(content: bytes) -> ProofSet:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        shifts = [None if math.isnan(shift) else float(shift) for shift in file["shift_px"]]
        return ProofSet(
            [
                ProofCase(str(name), file[f"left_{i}"], file[f"right_{i}"], file[f"disparity_{i}"], shift)
                for i, (name, shift) in enumerate(zip(file["names"], shifts, strict=True))
            ]
        )


def answered(engine: Engine, pairs: Sequence[ProofPair]) -> ProofSet:
    """The proof set of ``pairs`` with what ``engine`` answers. An fp32 one: its answers become the standard."""
    answers = _answers(engine, pairs)
    return ProofSet([ProofCase(*pair[:3], answer, pair.shift_px) for pair, answer in zip(pairs, answers, strict=True)])


def prove(engine: Engine, proof: ProofSet, least_pairs: int = 1) -> Proof:
    """Run ``engine`` on every case and compare. Raises EngineError when it cannot take them.

    ``least_pairs``: how many it must have at once, where its file leaves that open.

    Each case must be finite, agree with the fp32 answers (cosine at least 0.9999, mean difference at most 0.1 px, at
    most 0.5 % of the pixels off by more than 2 px; both clipped at 0, as every user of an engine does), and solve its
    known shift where the fp32 answers do.
    """
    cases: dict[str, dict[str, Any]] = {}
    failures: list[str] = []
    for case, found_HW in zip(proof.cases, _answers(engine, proof.cases, least_pairs), strict=True):
        figures = cases[case.name] = _compared(found_HW, case)
        failures += [f"{case.name}: {failure}" for failure in _failures(figures)]
    solved_in_fp32, shifts = proof.shifts_solved
    worst = {
        "finite": all(one["finite"] for one in cases.values()),
        "cosine": min(one["cosine"] for one in cases.values()),
        "mean_px": max(one["mean_px"] for one in cases.values()),
        "bad2": max(one["bad2"] for one in cases.values()),
        "shifts_solved": sum(one.get("solves", False) for one in cases.values()),
        "shifts_solved_in_fp32": solved_in_fp32,
        "shifts": shifts,
    }
    return Proof({**worst, "cases": cases}, failures, gated=solved_in_fp32 > 0)


def _compared(found_HW: np.ndarray, case: ProofCase) -> dict[str, Any]:
    """The figures of one case; those of an answer that is not finite are the worst there are."""
    if not np.isfinite(found_HW).all():
        figures: dict[str, Any] = {"finite": False, "cosine": -1.0, "mean_px": math.inf, "bad2": 1.0}
    else:
        found, expected = (np.maximum(map_HW, 0.0).astype(np.float64) for map_HW in (found_HW, case.disparity_HW))
        difference = np.abs(found - expected)
        lengths = math.sqrt((found**2).sum() * (expected**2).sum())
        figures = {
            "finite": True,
            "cosine": float((found * expected).sum() / lengths) if lengths else float(not difference.any()),
            "mean_px": float(difference.mean()),
            "bad2": float((difference > 2.0).mean()),
        }
    if case.shift_px is not None:
        figures["solves"] = solves(found_HW, case.shift_px)
        figures["fp32_solves"] = solves(case.disparity_HW, case.shift_px)
    return figures


def _failures(figures: dict[str, Any]) -> list[str]:
    """The checks that one case does not pass. Written so that NaN passes none."""
    if not figures["finite"]:
        return ["it answers NaN or infinity"]
    failures = []
    if not figures["cosine"] >= LEAST_COSINE:
        failures.append(
            f"the cosine with the fp32 answers is {figures['cosine']:.5f}, expected at least {LEAST_COSINE}"
        )
    if not figures["mean_px"] <= LARGEST_MEAN_px:
        failures.append(
            f"it differs from the fp32 answers by {figures['mean_px']:.3f} px in the mean, expected at most "
            f"{LARGEST_MEAN_px}"
        )
    if not figures["bad2"] <= LARGEST_BAD2:
        failures.append(
            f"{figures['bad2']:.2%} of the pixels differ from the fp32 answers by more than 2 px, expected at most "
            f"{LARGEST_BAD2:.1%}"
        )
    if figures.get("fp32_solves") and not figures["solves"]:
        failures.append("it does not find the known shift, which the fp32 answers do")
    return failures


def solves(disparity_HW: np.ndarray, shift_px: float) -> bool:
    """Whether the known shift is found in the left and in the right half of the image, where its match is in view."""
    columns = disparity_HW.shape[1]
    halves = disparity_HW[:, math.ceil(shift_px) : columns // 2], disparity_HW[:, columns // 2 :]
    with np.errstate(invalid="ignore"):
        return all(bool((np.abs(half - shift_px) <= SOLVED_WITHIN_px).mean() >= SOLVED_SHARE) for half in halves)


def _answers(engine: Engine, pairs: Sequence[Any], least_pairs: int = 1) -> list[np.ndarray]:
    """float32 [H,W] for each pair. An engine for several at once gets pairs of one size, the last batch filled."""
    at_once = next(iter(engine.inputs.values())).shape[0] or least_pairs
    wanted = stereo_inputs(engine, at_once)
    answers: dict[int, np.ndarray] = {}
    for size in dict.fromkeys(pair.left_HW3.shape for pair in pairs):
        alike = [index for index, pair in enumerate(pairs) if pair.left_HW3.shape == size]
        for first in range(0, len(alike), at_once):
            batch = [alike[place % len(alike)] for place in range(first, first + at_once)]
            feeds = [wanted.feeds(pairs[index].left_HW3, pairs[index].right_HW3) for index in batch]
            joined = {name: np.concatenate([one[name] for one in feeds]) for name in feeds[0]}
            answers.update(zip(batch, engine.infer(joined)[OUTPUT][:, 0], strict=True))
    return [answers[index] for index in range(len(pairs))]
