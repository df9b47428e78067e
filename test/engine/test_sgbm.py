"""The classical baseline against the figures written beside the real pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.engine import open_engine
from ffs_ros.engine.sgbm import SgbmEngine
from ffs_ros.errors import EngineError
from ffs_ros.matcher import StereoMatcher
from ffs_ros.pfm import read_pfm

PAIRS = {
    "mb2003_cones": 64,
    "mb2001_tsukuba": 16,
    "mb2006_reindeer": 112,
    "mb2006_aloe": 224,
    "mb2014_adirondack_q": 80,
    "eth3d_playground_1l": 64,
    "kitti2015_000000": 80,
    "kitti2012_000000": 80,
    "ft3d_TEST_A0000_0006": 112,
}


def facts(stereo: Path, pair: str) -> dict[str, Any]:
    return next(entry for entry in json.loads((stereo / "manifest.json").read_text()) if entry["name"] == pair)


def ground_truth(folder: Path, scale: float | None) -> np.ndarray:
    """Disparity in px, float32 (H,W), NaN where unknown, from the sources' own encodings."""
    if scale is None:
        return read_pfm(folder / "disp_gt.pfm")
    values = cv2.imread(str(folder / "disp_gt.png"), cv2.IMREAD_UNCHANGED)
    values = values[..., 0] if values.ndim == 3 else values
    return np.where(values > 0, values / np.float32(scale), np.nan)


@pytest.mark.parametrize("pair", PAIRS)
def test_real_pairs_reproduce_the_published_figures(shared: Path, pair: str) -> None:
    """On the pixels that SGBM returns: bad pixels, D1 and density within 0.1 points, epe as rounded."""
    stereo = shared / "data" / "stereo"
    left, right = (
        cv2.cvtColor(cv2.imread(str(next((stereo / pair).glob(f"{side}.*")))), cv2.COLOR_BGR2RGB)
        for side in ("left", "right")
    )
    with open_engine("sgbm", max_disparity=PAIRS[pair]) as engine:
        disparity = StereoMatcher(engine).match(left, right)

    pair_facts = facts(stereo, pair)
    truth = ground_truth(stereo / pair, pair_facts["gt_scale"])
    known = np.isfinite(truth)
    returned = known & np.isfinite(disparity)
    error = np.abs(disparity - truth)[returned]
    published = pair_facts["baseline_sgbm"]["matched_only"]
    assert 100 * returned.sum() / known.sum() == pytest.approx(pair_facts["baseline_sgbm"]["sgbm_density"], abs=0.1)
    assert error.mean() == pytest.approx(published["epe"], abs=0.005)
    for limit in (1, 2, 3):
        assert 100 * (error > limit).mean() == pytest.approx(published[f"bp{limit}"], abs=0.1)
    d1 = (error > 3) & (error > 0.05 * truth[returned])
    assert 100 * d1.mean() == pytest.approx(published["D1"], abs=0.1)


def feeds(left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    return {"left": left[None], "right": right[None]}


def test_range_is_rounded_up_to_a_multiple_of_16() -> None:
    """OpenCV takes multiples of 16 only; the engine says what it searches."""
    assert [SgbmEngine(n).info.max_disparity for n in (1, 16, 17, 128)] == [16.0, 16.0, 32.0, 128.0]


@pytest.mark.parametrize("max_disparity", [0, -16, 4097])
def test_absurd_range_is_one_sentence(max_disparity: int) -> None:
    """OpenCV would fail later, and less clearly."""
    with pytest.raises(EngineError, match=f"max_disparity is {max_disparity}: expected 1 to 4096"):
        SgbmEngine(max_disparity)


def test_what_the_right_camera_cannot_see_is_a_hole() -> None:
    """A near block 12 px before a far wall hides 12 columns of it from the right camera: NaN there, never filled."""
    left, block = np.random.default_rng(0).integers(0, 256, (2, 120, 200, 3), dtype=np.uint8)
    right = left.copy()
    left[30:90, 100:160] = right[30:90, 88:148] = block[30:90, 100:160]
    disparity = SgbmEngine(32).infer(feeds(left, right))["disparity"]
    assert disparity.shape == (1, 1, 120, 200)
    assert disparity.dtype == np.float32
    disparity = disparity[0, 0]
    assert np.isnan(disparity[35:85, 90:98]).mean() > 0.9
    np.testing.assert_allclose(disparity[35:85, 105:155], 12.0, atol=1 / 16)
    np.testing.assert_allclose(disparity[:25], 0.0, atol=1 / 16)


@pytest.mark.parametrize("size", [(1, 3), (3, 200), (200, 3), (61, 33)])
def test_small_and_odd_images(size: tuple[int, int]) -> None:
    """Images narrower than the range or smaller than a block come back at their own size."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert SgbmEngine(64).infer(feeds(image, image))["disparity"].shape == (1, 1, *size)


def test_too_narrow_images_are_one_sentence() -> None:
    """Below half a block there is nothing to match."""
    with pytest.raises(EngineError, match="the image has 2 columns: sgbm needs 3 or more"):
        SgbmEngine(16).infer(feeds(*np.zeros((2, 8, 2, 3), np.uint8)))


def test_unequal_images_are_one_sentence() -> None:
    """OpenCV's own message would be an assertion."""
    with pytest.raises(EngineError, match="expected equal sizes"), SgbmEngine(16) as engine:
        engine.infer(feeds(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)))
