"""A check of training data finds each fault by its name, and lets good pairs pass."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.annotation import StereoSample
from ffs_ros.data_check import check_samples
from ffs_ros.data_report import DataReport, Kind
from ffs_ros.errors import FileError
from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm

HEIGHT, WIDTH = 60, 240
REAL = (
    "mb2003_cones", "mb2001_tsukuba", "mb2006_reindeer", "mb2006_aloe", "mb2014_adirondack_q",
    "eth3d_playground_1l", "kitti2015_000000", "kitti2012_000000", "ft3d_TEST_A0000_0006",
)  # fmt: skip


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    return np.dstack([cv2.GaussianBlur(noise, (0, 0), 1.2)] * 3)


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left, right and truth: three walls, one below the other, at 8, 14 and 23 px."""
    right = texture(seed)
    truth = np.repeat(np.array([8, 14, 23], np.float32), HEIGHT // 3)[:, None] * np.ones(WIDTH, np.float32)
    left = np.stack([np.roll(row, int(px), axis=0) for row, px in zip(right, truth[:, 0], strict=True)])
    return left, right, truth


def written(folder: Path, left: np.ndarray, right: np.ndarray, truth: np.ndarray, name: str = "a") -> StereoSample:
    sample = StereoSample(folder / f"{name}_left.png", folder / f"{name}_right.png", folder / f"{name}.pfm")
    write_png(sample.left, left)
    write_png(sample.right, right)
    write_pfm(folder / f"{name}.pfm", truth)
    return sample


def report_on(*samples: StereoSample, max_disparity_px: float = 192.0) -> DataReport:
    return check_samples(samples, "GenericDataset", max_disparity_px)


def kinds(report: DataReport) -> list[Kind]:
    return [finding.kind for finding in report.errors + report.warnings]


def test_a_good_pair(tmp_path: Path) -> None:
    """Nothing to say, and the figures of the pair."""
    report = report_on(written(tmp_path, *scene()))
    assert kinds(report) == []
    assert report.pairs[0].counted == 1.0
    assert report.pairs[0].resemblance == pytest.approx(1.0, abs=0.02)
    assert report.text() == (
        "GenericDataset: pairs 1, errors 0, warnings 0; truth counts at 100.0% of the pixels; through it left and "
        "right resemble each other by 0.99 of 1"
    )


FAULTS: dict[str, tuple[Callable[..., Any], Kind, str]] = {
    "exchanged": (lambda left, right, truth: (right, left, truth), Kind.EXCHANGED, "with the disparity negated"),
    "twice": (lambda left, right, truth: (left, right, 2 * truth), Kind.SCALE, "with 0.5 times the disparity"),
    "half": (lambda left, right, truth: (left, right, truth / 2), Kind.SCALE, "with 2 times the disparity"),
    "kitti": (lambda left, right, truth: (left, right, truth * 0.256), Kind.SCALE, "with 3.9 times the disparity"),
    "other right": (lambda left, right, truth: (left, texture(1), truth), Kind.UNRELATED, "check that they are of one"),
    "other truth": (lambda left, right, truth: (left, right, truth[::-1] + 4), Kind.UNRELATED, "by -?0.[01]"),
    "other sign": (lambda left, right, truth: (left, right, -truth), Kind.SIGN, "is negative at 100% of its pixels"),
    "steps": (lambda left, right, truth: (left, right, truth * 256), Kind.OUTSIDE, "reaches 5888 px in an image 240"),
    "unknown": (lambda left, right, truth: (left, right, truth * np.nan), Kind.NO_TRUTH, "knows no pixel"),
    "zeros": (lambda left, right, truth: (right, right, truth * 0), Kind.NO_TRUTH, "holds 0 to 0 px: expected some"),
    "width": (lambda left, right, truth: (left, right[:, 1:], truth), Kind.SIZE, "right.png is 239x60 and .* 240x60"),
    "truth size": (lambda left, right, truth: (left, right, truth[::2]), Kind.SIZE, "a.pfm is 240x30 and .* 240x60"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(tmp_path: Path, fault: str) -> None:
    """One error of the right kind, with the file's name and what was found."""
    spoil, kind, sentence = FAULTS[fault]
    report = report_on(written(tmp_path, *spoil(*scene())))
    assert [finding.kind for finding in report.errors] == [kind]
    assert report.errors[0].sentence.startswith(str(tmp_path / "a"))
    assert re.search(sentence, report.errors[0].sentence)


def test_harmless_differences_pass(tmp_path: Path) -> None:
    """A darker right image, one flat wall, sparse truth, and -1 for unknown pixels."""
    left, right, truth = scene()
    dark = (right * 0.5 + 3).astype(np.uint8)
    flat = np.roll(right, 9, axis=1)
    sparse = np.where(np.random.default_rng(0).random(truth.shape) < 0.2, truth, np.float32(np.nan))
    marked = np.where(np.isnan(sparse), np.float32(-1), truth)
    report = report_on(
        written(tmp_path, left, dark, truth, "dark"),
        written(tmp_path, flat, right, np.full_like(truth, 9), "flat"),
        written(tmp_path, left, right, sparse, "sparse"),
        written(tmp_path, left, right, marked, "marked"),
    )
    assert kinds(report) == []
    assert min(pair.resemblance or 0.0 for pair in report.pairs) > 0.9
    assert report.pairs[2].counted == report.pairs[3].counted == pytest.approx(0.2, abs=0.02)


def test_warnings(tmp_path: Path) -> None:
    """Noise that hides the picture, a few negative values, and truth that mostly does not count."""
    left, right, truth = scene()
    noise = np.random.default_rng(0).normal(0, 25, (2, HEIGHT, WIDTH, 1))
    noisy_left, noisy_right = np.clip(np.stack([left, right]) + noise, 0, 255).astype(np.uint8)
    negative = truth.copy()
    negative[0, :100] = np.linspace(-5, -1, 100)
    report = report_on(
        written(tmp_path, noisy_left, noisy_right, truth, "noisy"),
        written(tmp_path, left, right, negative, "negative"),
        written(tmp_path, left, right, truth, "far"),
        max_disparity_px=10.0,
    )
    assert report.errors == []
    assert [[finding.kind for finding in pair.findings] for pair in report.pairs] == [
        [Kind.FAR_RANGE, Kind.DOUBTFUL], [Kind.NEGATIVE, Kind.FAR_RANGE], [Kind.FAR_RANGE]
    ]  # fmt: skip
    assert "67% of its pixels at max_disparity, 10 px, or beyond" in report.pairs[2].findings[0].sentence
    assert "negative at 0.69% of its pixels" in report.pairs[1].findings[0].sentence


def test_twelve_bits_in_sixteen_are_seen(tmp_path: Path) -> None:
    """The file does not say so, and what the network would see is nearly black; a picture taken at night passes."""
    left, right, truth = scene()
    sample = written(tmp_path, left, right // 4, truth)
    cv2.imwrite(str(sample.left), left.astype(np.uint16) * 16)
    (finding,) = report_on(sample).warnings
    assert finding.kind is Kind.DARK
    assert re.match(r".*a_left.png has 99% of its pixels below \d+ of 255; if it holds 10 or 12 bits", finding.sentence)


def test_without_texture_nobody_can_tell(tmp_path: Path) -> None:
    """Neither good nor bad; the report says how many."""
    grey = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    report = report_on(written(tmp_path, grey, grey, scene()[2]))
    assert kinds(report) == []
    assert report.pairs[0].resemblance is None
    assert report.text().endswith("; too little texture or truth to judge: 1")


def test_masks_and_what_cannot_be_read(tmp_path: Path) -> None:
    """A mask takes wrong truth away; what is missing, damaged, or no pair is reported and stops nothing."""
    left, right, truth = scene()
    truth[:20] = 50
    mask, nothing = tmp_path / "mask.png", tmp_path / "nothing.png"
    cv2.imwrite(str(mask), np.repeat(np.array([0, 255, 255], np.uint8), 20)[:, None] * np.ones(WIDTH, np.uint8))
    cv2.imwrite(str(nothing), np.zeros((HEIGHT, WIDTH), np.uint8))
    good = written(tmp_path, left, right, truth)._replace(mask=mask)
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.left.read_bytes()[:500])
    report = report_on(
        good,
        good._replace(mask=nothing),
        good._replace(left=tmp_path / "none.png"),
        good._replace(right=cut),
        good._replace(right=good.left),
        good._replace(disparity=None),
        good._replace(mask=cut),
    )
    assert [[finding.kind for finding in pair.findings] for pair in report.pairs] == (
        [[], [Kind.NO_TRUTH]] + 5 * [[Kind.UNREADABLE]]
    )
    assert report.pairs[0].counted == pytest.approx(2 / 3)
    assert [finding.sentence.partition(str(tmp_path))[2] for finding in report.errors[1:]] == [
        "/none.png: No such file or directory; check the name",
        "/cut.png is cut short after 500 bytes: expected a whole picture; copy it again",
        "/a_left.png is listed as left and as right: expected the two images of a pair",
        "/a_left.png is listed without ground truth: expected 'left right disparity' on its line",
        "/cut.png is cut short after 500 bytes: expected a whole picture; copy it again",
    ]


def test_the_report_is_bounded(tmp_path: Path) -> None:
    """Errors before warnings; of each kind the number and the first five, in the list's order; JSON takes it."""
    missing = [StereoSample(tmp_path / f"{number}.png", tmp_path / "r.png", tmp_path / "d.pfm") for number in range(40)]
    report = report_on(written(tmp_path, *scene()), *missing, max_disparity_px=10.0)
    lines = report.text().splitlines()
    assert lines[0].startswith("GenericDataset: pairs 41, errors 40, warnings 1; truth counts at 33.3% of the pixels")
    assert lines[1] == "  error: pairs that cannot be read (40)"
    assert [line.split(": No")[0] for line in lines[2:7]] == [
        f"    cannot read {tmp_path / f'{n}.png'}" for n in range(5)
    ]
    assert lines[7:9] == ["    and 35 more", "  warning: many disparities beyond max_disparity (1)"]
    assert len(lines) == 10
    summary = json.loads(json.dumps(report.summary()))
    assert [(entry["is_error"], entry["count"], len(entry["first"])) for entry in summary["findings"]] == [
        (True, 40, 5), (False, 1, 1)
    ]  # fmt: skip


def test_other_names_of_data_sets(tmp_path: Path) -> None:
    """A wrong dataset_name is the spec's fault, not the pairs'."""
    with pytest.raises(FileError, match="dataset_name 'SceneFlow' does not exist"):
        check_samples([written(tmp_path, *scene())], "SceneFlow", 192.0)


def test_real_pairs(real_pair: Callable[[str], Any], tmp_path: Path) -> None:
    """All nine pass as they are; exchanged, with truth twice as large, or with one file of the next pair none does."""
    pairs = {name: real_pair(name) for name in REAL}
    good, wrong = [], []
    for name, (left, right, truth, _), (_, other_right, other_truth, _) in zip(
        REAL, pairs.values(), [*list(pairs.values())[1:], pairs[REAL[0]]], strict=True
    ):
        sample = written(tmp_path, left, right, truth, name)
        good.append(sample)
        wrong.append(sample._replace(left=sample.right, right=sample.left))
        wrong.append(sample._replace(disparity=tmp_path / f"{name}_twice.pfm"))
        write_pfm(tmp_path / f"{name}_twice.pfm", 2 * truth)
        height, width = np.minimum(truth.shape, other_truth.shape)
        shared_part = np.s_[:height, :width]
        wrong.append(
            written(tmp_path, left[shared_part], right[shared_part], other_truth[shared_part], f"{name}_next_truth")
        )
        wrong.append(
            written(tmp_path, left[shared_part], other_right[shared_part], truth[shared_part], f"{name}_next_right")
        )
    report = report_on(*good, max_disparity_px=256.0)
    assert kinds(report) == []
    assert min(pair.resemblance or 0.0 for pair in report.pairs) > 0.6
    passed = [sample for sample, pair in zip(wrong, report_on(*wrong, max_disparity_px=512.0).pairs, strict=True)
              if not any(finding.kind.is_error for finding in pair.findings)]  # fmt: skip
    assert passed == []
