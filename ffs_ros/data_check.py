"""Before a training: can every pair be read, and do left, right and ground truth belong together?

Legend of shapes: H and W rows and columns of the left image, R sampled rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.annotation import StereoSample
from ffs_ros.data_report import CheckedPair, DataReport, Finding, Kind
from ffs_ros.errors import FileError
from ffs_ros.exposure import BRIGHT_SHARE, LEAST_BRIGHT
from ffs_ros.ground_truth import dataset_of, read_mask, read_stored_disparity
from ffs_ros.image_file import read_rgb
from ffs_ros.metrics import counted
from ffs_ros.photometric import DOUBTFUL, UNRELATED, best_factor, resemblance

_SAMPLED_ROWS = 48
_CLEARLY_BETTER = 0.25
"""Resemblance to gain before another scale is named as the fault."""

# Shares of the known pixels above which there is something to say.
_MOST_NEGATIVE = 0.5
_MOST_WIDER_THAN_IMAGE = 0.01
_MOST_OUTSIDE = 0.5
_MOST_BEYOND_RANGE = 0.1


def check_samples(samples: Sequence[StereoSample], dataset_name: str, max_disparity_px: float) -> DataReport:
    """Look at every pair of ``samples``, several at a time; what is wrong is reported, not raised.

    ``dataset_name`` is one of ``ground_truth.DATASET_NAMES``, else FileError is raised. From ``max_disparity_px`` on
    truth does not count.
    """
    dataset_name = dataset_of(dataset_name)
    look = partial(_checked, dataset_name=dataset_name, max_disparity_px=max_disparity_px)
    with ThreadPoolExecutor() as pool:  # decoding and warping run outside Python's lock
        return DataReport(dataset_name, list(pool.map(look, samples)))


class _Pair(NamedTuple):
    left: Path
    right: Path
    disparity: Path
    left_HW3: np.ndarray
    right_HW3: np.ndarray
    truth_HW: np.ndarray
    """As stored, of either sign; NaN where unknown or not kept by the mask."""


def _checked(sample: StereoSample, dataset_name: str, max_disparity_px: float) -> CheckedPair:
    try:
        pair = _read(sample, dataset_name)
    except FileError as error:
        return CheckedPair([Finding(Kind.UNREADABLE, str(error))])
    except _SizeError as error:
        return CheckedPair([Finding(Kind.SIZE, str(error))])
    rows = _sampled_rows(pair.truth_HW.shape[0])
    left_RW, right_RW = (cv2.cvtColor(image[rows], cv2.COLOR_RGB2GRAY) for image in (pair.left_HW3, pair.right_HW3))
    resembles = resemblance(left_RW, right_RW, pair.truth_HW[rows])
    findings = list(_findings_in_truth(pair, max_disparity_px))
    findings += _darkness(pair.left, left_RW) + _darkness(pair.right, right_RW)
    sign_is_known = any(finding.kind is Kind.SIGN for finding in findings)
    if resembles is not None and resembles < DOUBTFUL and not sign_is_known:
        findings.append(_suspicion(pair, resembles, *best_factor(left_RW, right_RW, pair.truth_HW[rows])))
    return CheckedPair(findings, float(counted(pair.truth_HW, max_disparity_px).mean()), resembles)


class _SizeError(Exception):
    """Two files of one pair have different sizes."""


def _read(sample: StereoSample, dataset_name: str) -> _Pair:
    left, right, disparity, mask = sample
    if disparity is None:
        raise FileError(f"{left} is listed without ground truth: expected 'left right disparity' on its line")
    if left == right:
        raise FileError(f"{left} is listed as left and as right: expected the two images of a pair")
    left_HW3, right_HW3 = read_rgb(left), read_rgb(right)
    truth_HW = read_stored_disparity(disparity, dataset_name)
    keep_HW = read_mask(mask) if mask is not None else np.ones(truth_HW.shape, bool)
    for path, pixels in ((right, right_HW3), (disparity, truth_HW), (mask, keep_HW)):
        if pixels.shape[:2] != left_HW3.shape[:2]:
            (height, width), (left_height, left_width) = pixels.shape[:2], left_HW3.shape[:2]
            raise _SizeError(
                f"{path} is {width}x{height} and {left} is {left_width}x{left_height}: expected one size for both "
                "images, disparity and mask; where images are scaled, so are the disparities in them"
            )
    negative = truth_HW[truth_HW < 0.0]
    if negative.size < truth_HW.size and np.all(negative == negative[:1]):  # -1, say, stands for unknown
        truth_HW[truth_HW < 0.0] = np.nan
    truth_HW[~keep_HW] = np.nan
    return _Pair(Path(left), Path(right), Path(disparity), left_HW3, right_HW3, truth_HW)


def _findings_in_truth(pair: _Pair, max_disparity_px: float) -> Iterator[Finding]:
    """What the numbers alone say."""
    path, width = pair.disparity, pair.truth_HW.shape[1]
    known_HW = np.isfinite(pair.truth_HW)
    known = pair.truth_HW[known_HW]
    if not known.size:
        yield Finding(Kind.NO_TRUTH, f"{path} knows no pixel, or none that its mask keeps")
        return
    negative = float(np.mean(known < 0.0))
    if negative > _MOST_NEGATIVE:
        yield Finding(Kind.SIGN, f"{path} is negative at {negative:.0%} of its pixels: expected x_left - x_right")
        return
    if negative:
        yield Finding(Kind.NEGATIVE, f"{path} is negative at {negative:.2%} of its pixels, which do not count")
    outside = float(np.mean(known > np.broadcast_to(np.arange(width), known_HW.shape)[known_HW]))
    if outside > _MOST_OUTSIDE or np.mean(known > width) > _MOST_WIDER_THAN_IMAGE:
        yield Finding(
            Kind.OUTSIDE,
            f"{path} reaches {known.max():g} px in an image {width} px wide, and {outside:.0%} of the matches would "
            "lie left of the right image; check dataset_name, which tells the encoding",
        )
        return
    beyond_range = float(np.mean(known >= max_disparity_px))
    if not counted(known, max_disparity_px).any():
        yield Finding(
            Kind.NO_TRUTH,
            f"{path} holds {known.min():g} to {known.max():g} px: expected some between 0 and max_disparity, "
            f"{max_disparity_px:g} px",
        )
    elif beyond_range > _MOST_BEYOND_RANGE:
        yield Finding(
            Kind.FAR_RANGE,
            f"{path} has {beyond_range:.0%} of its pixels at max_disparity, {max_disparity_px:g} px, or beyond, where "
            "they do not count; raise max_disparity or scale the pair down",
        )


def _darkness(path: Path, grey_RW: np.ndarray) -> list[Finding]:
    """Pixels of 10 or 12 bits in a file of 16: nothing in it says so, and the network would see next to nothing."""
    bright = int(np.quantile(grey_RW, BRIGHT_SHARE))
    if bright >= LEAST_BRIGHT:
        return []
    return [
        Finding(
            Kind.DARK,
            f"{path} has {BRIGHT_SHARE:.0%} of its pixels below {bright + 1} of 255; if it holds 10 or 12 bits in 16, "
            "multiply them by 64 or 16",
        )
    ]


def _suspicion(pair: _Pair, resembles: float, factor: float, resembles_then: float) -> Finding:
    """Why the right image, seen through the truth, is not the left one."""
    found = f"{pair.left}, {pair.right.name} and {pair.disparity.name} resemble each other by {resembles:.2f}"
    if resembles_then >= resembles + _CLEARLY_BETTER:
        if factor < 0.0:
            remedy = "exchange left and right, or change the disparity's sign"
            return Finding(Kind.EXCHANGED, f"{found}, and by {resembles_then:.2f} with the disparity negated; {remedy}")
        if resembles_then >= DOUBTFUL:
            return Finding(
                Kind.SCALE,
                f"{found}, and by {resembles_then:.2f} with {factor:.2g} times the disparity; check encoding and scale",
            )
    expected = f"{found}: expected {DOUBTFUL} or more"
    if resembles < UNRELATED:
        return Finding(Kind.UNRELATED, f"{expected}; check that they are of one pair, and rectified")
    return Finding(Kind.DOUBTFUL, f"{expected}; look at the pair: rows that differ, noise, or truth of another frame")


def _sampled_rows(height: int) -> np.ndarray:
    """Rows at equal distances; all of them where there are few."""
    return np.unique(np.linspace(0, height - 1, min(height, _SAMPLED_ROWS)).astype(int))
