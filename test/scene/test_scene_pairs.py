"""Pairs drawn at random: a seed is a pair, on every array library, and both pictures agree with the truth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.geometry import StereoCamera
from ffs_ros.scene import DEMO_CAMERA, Style, render_batch, render_pair
from ffs_ros.scene.packing import Numbers, pack, unpack
from ffs_ros.scene.render import Renderer
from ffs_ros.scene.sensor import Sensors

xp = pytest.importorskip("array_api_compat.numpy")
CAMERA = StereoCamera(
    width=160, height=120, fx_px=130.0, fy_px=130.0, cx_left_px=79.5, cx_right_px=80.5, cy_px=59.5, baseline_m=0.12
)


@pytest.fixture(scope="module")
def pair():
    return render_pair(CAMERA, 1)


def test_a_seed_is_a_pair(pair):
    """The same seed gives the same arrays, another one others; types and shapes are what is promised."""
    again, other = render_pair(CAMERA, 1), render_pair(CAMERA, 2)
    for one, same in zip(pair[1:], again[1:], strict=True):
        np.testing.assert_array_equal(one, same)
    assert (pair.left_HW3 != other.left_HW3).mean() > 0.9
    assert (pair.disparity_HW != other.disparity_HW).mean() > 0.9
    found = [(part.dtype.name, part.shape) for part in pair[1:]]
    assert found == [("uint8", (120, 160, 3))] * 2 + [("float32", (120, 160)), ("bool", (120, 160))]
    assert pair.camera == CAMERA
    assert DEMO_CAMERA.principal_point_difference_px == -4.0


def test_both_pictures_agree_where_both_cameras_see(pair):
    """The right picture fetched at x - d is the left one on most of what both see, and not on what one sees."""
    rows, columns = np.indices(pair.disparity_HW.shape, np.float32)
    moved = cv2.remap(pair.right_HW3, columns - pair.disparity_HW, rows, cv2.INTER_LINEAR)
    difference = np.abs(moved.astype(int) - pair.left_HW3).mean(-1)
    hidden = ~pair.seen_by_both_HW & (columns >= pair.disparity_HW)
    assert pair.seen_by_both_HW.mean() > 0.5
    assert hidden.sum() > 100
    assert np.median(difference[pair.seen_by_both_HW]) < 4
    assert np.median(difference[hidden]) > 4 * np.median(difference[pair.seen_by_both_HW])


@pytest.mark.parametrize("max_disparity_px", [32.0, 96.0])
def test_few_surfaces_are_nearer_than_allowed(max_disparity_px):
    """Over 24 scenes disparities are positive, reach most of the range, and hardly ever leave it."""
    batch = render_batch(xp, 2, 24, 24, 160, max_disparity_px=max_disparity_px, occlusion=False)
    seen = batch.disparity_BHW[np.isfinite(batch.disparity_BHW)]
    assert batch.seen_by_both_BHW is None
    assert seen.min() > 0.0
    assert (seen > max_disparity_px).mean() < 0.02
    assert np.quantile(seen, 0.99) > 0.5 * max_disparity_px
    assert np.quantile(seen, 0.1) < 0.1 * max_disparity_px


def test_numpy_and_torch_give_the_same_pairs():
    """Panes included: the same levels and truth but for rounding, which may pick another leaf or edge."""
    pytest.importorskip("torch")
    import array_api_compat.torch as torch_namespace

    ours, theirs = (render_batch(space, 1, 2, 40, 64, max_disparity_px=48.0) for space in (xp, torch_namespace))
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(np.isnan(one), np.isnan(other.numpy()))
        difference = np.abs(one.astype(np.float64) - other.numpy().astype(np.float64))
        assert np.nanmean(difference > 1.001) < 2e-3
        assert np.nanmean(difference) < 2e-2


def test_nothing_but_arrays_changes_from_batch_to_batch():
    """A compiler takes whatever is no array as a constant: another constant would be another compilation."""
    calls: dict[int, list[Any]] = {}

    def recorded(function):
        def run(space, *arguments):
            calls[seed].append((function.__name__, constants(arguments)))
            return function(space, *arguments)

        return run

    def constants(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return (value.shape, value.dtype)
        return tuple(map(constants, value)) if isinstance(value, (tuple, list)) else value

    renderer = Renderer(xp, recorded)
    for seed in range(4):
        calls[seed] = []
        render_batch(xp, seed, 1, 16, 32, renderer=renderer, style=Style(panes=1.0), occlusion=False)
    kinds = {repr(made) for made in calls.values()}
    assert len(kinds) == 2  # with panes and without
    assert all(len({name for name, _ in made}) == 5 for made in calls.values())


def test_numbers_survive_the_copy():
    """What is packed is unpacked, whole numbers apart, in every shape; None stays None."""
    tree = Sensors(np.ones((2, 3)), np.zeros(2), np.arange(2.0), None, None, np.array(5.5), np.array(2**40 + 1))
    floats, ints, layout = pack(tree)
    assert (floats.dtype, ints.dtype) == (np.float64, np.int64)
    found = unpack(xp, layout, Numbers(floats, ints, layout))
    for one, same in zip(tree, found, strict=True):
        np.testing.assert_array_equal(one, same)
    assert found.gain.shape == (2, 3)
    assert found.noise_seed == 2**40 + 1
