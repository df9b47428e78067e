"""The classical baseline against the figures written beside the real pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import open_engine
from ffs_ros.engine.sgbm import SgbmEngine
from ffs_ros.errors import EngineError
from ffs_ros.matcher import StereoMatcher
from ffs_ros.metrics import counted, density, scores

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


@pytest.mark.parametrize("name", PAIRS)
def test_real_pairs_reproduce_the_published_figures(real_pair: Callable[[str], Any], name: str) -> None:
    """On the pixels that SGBM returns: bad pixels, D1 and density within 0.1 points, epe as rounded."""
    pair = real_pair(name)
    with open_engine("sgbm", max_disparity=PAIRS[name]) as engine:
        disparity_HW = StereoMatcher(engine).match(pair.left_HW3, pair.right_HW3)
    known_HW = counted(pair.truth_HW, np.inf)
    returned = scores(disparity_HW, pair.truth_HW, known_HW & np.isfinite(disparity_HW))
    published = pair.sgbm["matched_only"]
    assert 100 * density(disparity_HW, known_HW) == pytest.approx(pair.sgbm["sgbm_density"], abs=0.1)
    assert returned.epe == pytest.approx(published["epe"], abs=0.005)
    for share in ("bp1", "bp2", "bp3", "D1"):
        assert 100 * getattr(returned, share.lower()) == pytest.approx(published[share], abs=0.1)


def feeds(left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    return {"left": left[None], "right": right[None]}


def test_range_is_rounded_up_to_a_multiple_of_16() -> None:
    """OpenCV takes multiples of 16 only; the engine says what it searches."""
    assert not SgbmEngine(16).info.dense
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
