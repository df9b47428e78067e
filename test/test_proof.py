"""The judge of engines: what passes, what does not, and what a proof set's file must be."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.errors import EngineError, FileError
from ffs_ros.proof import ProofCase, ProofSet, answered, load_proof, proof_path, prove, solves
from ffs_ros.proof_pairs import ProofPair, proof_pairs

SIZE = (32, 480)


class Knowing:
    """An engine that finds the answer by the left image, and then spoils it."""

    def __init__(self, cases: list[ProofCase], spoil: Any = lambda map_HW, name: map_HW, batch: int | None = 1) -> None:
        image, map_ = (batch, None, None, 3), (batch, 1, None, None)
        self.info = EngineInfo("knowing", "nothing", 192.0, 32)
        self.inputs = {side: TensorSpec(image, np.dtype(np.uint8)) for side in ("left", "right")}
        self.outputs = {"disparity": TensorSpec(map_, np.dtype(np.float32))}
        self.runs = 0
        self._answers = {
            case.left_HW3.tobytes() + case.right_HW3.tobytes(): np.float32(spoil(case.disparity_HW.copy(), case.name))
            for case in cases
        }

    def infer(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.runs += 1
        keys = [left.tobytes() + right.tobytes() for left, right in zip(feeds["left"], feeds["right"], strict=True)]
        return {"disparity": np.stack([self._answers[key][None] for key in keys])}


def proof_set(size: tuple[int, int] = SIZE, trained: bool = True) -> ProofSet:
    """Answers of weights that find the shifts, or that find nothing."""
    cases = []
    for pair in proof_pairs(size):
        known = 20.0 if pair.shift_px is None else pair.shift_px
        found_HW = np.full(size, known if trained else 90.0, np.float32)
        cases.append(ProofCase(pair.name, pair.left_HW3, pair.right_HW3, found_HW, pair.shift_px))
    return ProofSet(cases)


def test_the_same_answers_pass():
    """Every figure at its best, and the verdict counts."""
    proof = proof_set()
    found = prove(Knowing(proof.cases), proof)
    assert (found.failures, found.gated, found.passed) == ([], True, True)
    cases = found.figures.pop("cases")
    assert list(cases) == ["32x480 in relief", "32x480 moved by 40 px", "32x480 moved by 160 px"]
    assert found.figures == {
        "finite": True, "cosine": pytest.approx(1.0), "mean_px": 0.0, "bad2": 0.0,
        "shifts_solved": 2, "shifts_solved_in_fp32": 2, "shifts": 2,
    }  # fmt: skip


def one_pixel(value: float) -> Any:
    def spoil(map_HW: np.ndarray, name: str) -> np.ndarray:
        map_HW[3, 5] = value
        return map_HW

    return spoil


def some_pixels(share: float, by_px: float) -> Any:
    def spoil(map_HW: np.ndarray, name: str) -> np.ndarray:
        map_HW.ravel()[: math.ceil(share * map_HW.size)] += by_px
        return map_HW

    return spoil


def lost(map_HW: np.ndarray, name: str) -> np.ndarray:
    """Off by 1.5 px in the left half, where the larger shift is known."""
    map_HW[:, :240] += 1.5 * ("160 px" in name)
    return map_HW


@pytest.mark.parametrize(
    ("spoil", "sentences"),
    [
        (one_pixel(np.nan), ["answers NaN or infinity"]),
        (one_pixel(np.inf), ["answers NaN or infinity"]),
        (lambda map_HW, _: map_HW + 0.09, []),
        (lambda map_HW, _: map_HW + 0.11, ["0.110 px in the mean, expected at most 0.1"]),
        (lambda map_HW, _: map_HW * np.where(np.arange(480) % 2, 1.015, 0.985), ["cosine", "in the mean"]),
        (some_pixels(0.004, 3.0), []),
        (some_pixels(0.006, 3.0), ["0.61% of the pixels differ from the fp32 answers by more than 2 px, expected at"]),
        (lost, ["in the mean", "does not find the known shift, which the fp32 answers do"]),
        (lambda map_HW, _: np.zeros_like(map_HW), ["cosine"]),
    ],
)
def test_each_check(spoil, sentences):
    """What is wrong is named, with the case; what is within the limits passes."""
    proof = proof_set()
    found = prove(Knowing(proof.cases, spoil), proof)
    assert found.passed == (not sentences)
    for sentence in sentences:
        assert any(sentence in failure and failure.startswith("32x480 ") for failure in found.failures), found.failures
    if not sentences:
        assert found.failures == []


def test_negative_answers_count_as_zero():
    """Whoever uses an engine clips at 0, so what is below does not count as a difference."""
    proof = proof_set()
    proof = ProofSet(
        [case._replace(disparity_HW=np.where(np.arange(480) < 4, -5, case.disparity_HW)) for case in proof.cases]
    )
    found = prove(Knowing(proof.cases, lambda map_HW, _: np.where(map_HW < 0, -1, map_HW)), proof)
    assert (found.failures, found.figures["mean_px"]) == ([], 0.0)


def test_untrained_weights_are_only_measured():
    """Where fp32 finds no known shift either, failures are told and do not count."""
    proof = proof_set(trained=False)
    assert proof.shifts_solved == (0, 2)
    found = prove(Knowing(proof.cases, lambda map_HW, _: map_HW + 1), proof)
    assert len(found.failures) == 3
    assert (found.gated, found.passed) == (False, True)
    assert "no verdict" in found.sentence
    assert not prove(Knowing(proof.cases, one_pixel(np.nan)), proof).passed


def test_what_solving_means():
    """Nine tenths of each half, of the columns whose match is in view, within 1 px; NaN is no answer."""
    map_HW = np.full((10, 100), 30.0)
    map_HW[:, :30] = 0.0  # their match is out of view
    assert solves(map_HW, 30)
    assert solves(map_HW + 1.0, 30)
    assert not solves(map_HW + 1.1, 30)
    map_HW[0, 30:50] = np.nan
    assert solves(map_HW, 30)
    map_HW[1, 30:50] = np.nan
    assert not solves(map_HW, 30)


@pytest.mark.parametrize("batch", [1, 2, 5, None])
def test_engines_for_several_pairs(batch):
    """Each answer comes back to its own pair, whatever the engine takes at once; sizes are not mixed."""
    proof = ProofSet([*proof_set().cases, *proof_set((64, 64)).cases])
    engine = Knowing(proof.cases, batch=batch)
    found = answered(engine, [ProofPair(c.name, c.left_HW3, c.right_HW3, c.shift_px) for c in proof.cases])
    assert engine.runs == {1: 6, 2: 4, 5: 2, None: 6}[batch]
    for one, other in zip(found.cases, proof.cases, strict=True):
        np.testing.assert_array_equal(one.disparity_HW, other.disparity_HW)
        assert (one.name, one.shift_px, one.size) == (other.name, other.shift_px, other.size)


def test_an_engine_of_other_inputs_is_an_error():
    """The sentence is that of the contract."""
    engine = Knowing([])
    engine.inputs = {"x": TensorSpec((1, 2), np.dtype(np.float32))}
    with pytest.raises(EngineError, match="takes 'x'"):
        prove(engine, proof_set())


@pytest.fixture
def exported(tiny_onnx):
    """A graph that names the proof set beside it."""
    content = proof_set().content()
    path = tiny_onnx(proof_sha256=hashlib.sha256(content).hexdigest())
    proof_path(path).write_bytes(content)
    return path


def test_a_proof_set_comes_back(exported):
    """Images, answers and shifts as they were, and the same bytes from the same set."""
    assert proof_path(exported).name == "tiny.proof.npz"
    proof, wanted = load_proof(exported), proof_set()
    assert proof.content() == wanted.content()
    for one, other in zip(proof.cases, wanted.cases, strict=True):
        assert (one.name, one.shift_px) == (other.name, other.shift_px)
        for array, known in zip(one[1:4], other[1:4], strict=True):
            assert array.dtype == known.dtype
            np.testing.assert_array_equal(array, known)


def test_a_wrong_proof_set_is_refused(exported, tiny_onnx):
    """Missing, cut, of another export, none named: one sentence each."""
    path = proof_path(exported)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(FileError, match="damaged, or the proof set of another export"):
        load_proof(exported)
    path.unlink()
    with pytest.raises(FileError, match=r"cannot read .*tiny\.proof\.npz, the proof set of tiny\.onnx .*export again"):
        load_proof(exported)
    with pytest.raises(FileError, match="names no proof set in its metadata"):
        load_proof(tiny_onnx())
    for other in (b"text", b"PK\x03\x04", b""):
        exported = tiny_onnx(proof_sha256=hashlib.sha256(other).hexdigest())
        proof_path(exported).write_bytes(other)
        with pytest.raises(FileError, match="no proof set that this version can read"):
            load_proof(exported)
