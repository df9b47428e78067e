"""Every field of a style does what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes_by_hand import PLAIN

from ffs_ros.scene import CALM, render_batch
from ffs_ros.scene.composition import PANES, N, compose
from ffs_ros.scene.sensor import draw_sensors, expose
from ffs_ros.scene.shapes import PATCH
from ffs_ros.scene.texture import COUNT
from ffs_ros.scene.views import Span, rays_of, views

xp = pytest.importorskip("array_api_compat.numpy")


def scenes_of(**style):
    """Sixty scenes of the calm style with these changes."""
    return compose(np.random.default_rng(1), 60, 48, 64, 48.0, replace(CALM, **style), None)


def batch_of(**style):
    return render_batch(xp, 7, 3, 32, 48, max_disparity_px=40.0, style=replace(CALM, **style))


def test_calm_pictures_are_in_colour_and_grey_ones_are_not():
    """A grey camera gives three equal channels, with noise and without; the truth stays."""
    calm, grey = batch_of(noise=4.0), batch_of(noise=4.0, grey=1.0)
    for picture in (grey.left_BHW3, grey.right_BHW3):
        np.testing.assert_array_equal(picture[..., 0], picture[..., 1])
        np.testing.assert_array_equal(picture[..., 0], picture[..., 2])
    assert np.ptp(calm.left_BHW3, axis=-1).mean() > 3.0
    np.testing.assert_array_equal(calm.disparity_BHW, grey.disparity_BHW)


def test_a_rectification_error_is_vertical_and_the_right_cameras():
    """x of every ray stays; y moves by at most the style's pixels in the middle and twice that in the corners."""
    straight, bent = batch_of(), batch_of(rectification_px=0.5)
    np.testing.assert_array_equal(straight.left_BHW3, bent.left_BHW3)
    np.testing.assert_array_equal(straight.disparity_BHW, bent.disparity_BHW)
    assert (straight.right_BHW3 != bent.right_BHW3).mean() > 0.2

    scenes = scenes_of()
    bend = 0.5 * np.tile((1.0, -0.5, 0.5), (60, 1))
    rays = [
        rays_of(xp, views(scenes, ((0.0, 0.0),), some), np.array([view]), scenes.focal_px, Span(48, 64, 0, 48 * 64))
        for some in (None, bend)
        for view in (0, 1)
    ]
    for part in ("x", "y"):
        np.testing.assert_array_equal(getattr(rays[0], part), getattr(rays[2], part))
    np.testing.assert_array_equal(rays[1].x, rays[3].x)
    moved_px = ((rays[3].y - rays[1].y) * scenes.focal_px[:, None]).reshape(60, 48, 64)
    np.testing.assert_allclose(moved_px[:, 24, 32], 0.5)
    np.testing.assert_allclose(moved_px[:, 0, 0], 0.5)
    np.testing.assert_allclose(moved_px[:, 24, 0], 0.75)
    assert moved_px.max() <= 1.0


def test_noise_grows_with_the_light():
    """At half light a deviation of 6 is 6 sqrt(0.2 + 0.8 / 2) levels, and rounding adds a twelfth of a square level."""
    light = np.full((1, 200, 300, 3), 0.5)
    noisy = PLAIN._replace(noise=np.array([6.0]), noise_seed=np.asarray(11))
    left, right = (expose(xp, light, noisy._replace(noise_seed=np.asarray(seed))) for seed in (11, 12))
    assert left.mean() == pytest.approx(127.5, abs=0.05)
    assert left.std() == pytest.approx((36 * 0.6 + 1 / 12) ** 0.5, rel=0.01)
    assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.012
    assert abs(np.corrcoef(left[..., 0].ravel(), left[..., 1].ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(expose(xp, light, PLAIN), 128.0)  # rounded to even


def test_blur_spreads_light_with_its_deviation():
    """A point blurred by 0.6 px has the variance 0.36 along rows and columns, and the same sum."""
    light = np.zeros((1, 9, 9, 3))
    light[0, 4, 4] = 1.0
    blurred = expose(xp, light, PLAIN._replace(blur_px=np.array([0.6])))[0, :, :, 0]
    place = np.arange(9) - 4.0
    assert blurred.sum() == pytest.approx(255.0, abs=4.5)
    assert (blurred.sum(0) * place**2).sum() / blurred.sum() == pytest.approx(0.36, abs=0.01)
    assert (blurred.sum(1) * place**2).sum() / blurred.sum() == pytest.approx(0.36, abs=0.01)
    np.testing.assert_array_equal(expose(xp, np.ones((1, 5, 5, 3)), PLAIN._replace(blur_px=np.array([0.6]))), 255.0)


def test_gain_gamma_and_vignetting():
    """0.25 with gain 2 and gamma 0.5 is sqrt(0.5) of 255; the corners of a lens that loses 0.4 there keep 0.6."""
    light = np.full((1, 200, 200, 3), 0.25)
    bright = expose(xp, light, PLAIN._replace(gain=np.full((1, 3), 2.0), gamma=np.array([0.5])))
    np.testing.assert_array_equal(bright, round(255 * 0.5**0.5))
    dark = expose(xp, np.ones((1, 200, 200, 3)), PLAIN._replace(vignetting=np.array([0.4])))[0, :, :, 0]
    assert dark[100, 100] == 255
    assert dark[0, 0] == pytest.approx(0.6 * 255, abs=0.5)


def test_both_cameras_expose_alike_unless_told():
    """Without a difference of exposure the sensors are equal; with one, the right gain of six in ten pairs differs."""
    left, right = draw_sensors(np.random.default_rng(2), 400, CALM)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)
    left, right = draw_sensors(np.random.default_rng(2), 400, replace(CALM, exposure=0.15))
    ratio = np.log(right.gain / left.gain).mean(-1)
    assert (ratio != 0.0).mean() == pytest.approx(0.6, abs=0.1)
    assert ratio[ratio != 0.0].std() == pytest.approx(0.15 * (1 + 0.09 / 3) ** 0.5, rel=0.15)


def test_shares_of_surfaces():
    """Weak and repeated textures, mirrors, cut patches and panes are there in the share that was asked for."""
    calm, total = scenes_of(), 60 * (N + PANES)
    assert calm.reflectivity is None
    assert calm.cut is None
    assert calm.texture.max() < COUNT - 4
    assert calm.contrast[..., 0].min() >= 0.1
    assert (calm.centre[:, N:, 2] < 0.0).all()
    assert (calm.kind[:, N:] == PATCH).all()

    repeated = scenes_of(repeated_texture=0.3).texture >= COUNT - 4
    assert repeated.all(-1).mean() == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / total) ** 0.5)
    np.testing.assert_array_equal(repeated[..., 0], repeated[..., 1])
    weak = scenes_of(weak_texture=0.3).contrast[..., 0] < 0.1
    assert 0.25 < weak.mean() < 0.35  # and up to 0.15 of 0.1 .. 0.8 is at least 0.1 for few
    mirrors = scenes_of(reflective=0.3).reflectivity > 0.0
    assert mirrors[:, :N].mean() == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / total) ** 0.5)
    assert not mirrors[:, N:].any()
    assert scenes_of(cut_patches=0.5).cut.shape == (60, N + PANES, 18)
    panes = scenes_of(panes=0.4)
    assert (panes.centre[:, N:, 2] > 0.0).mean() == pytest.approx(0.4, abs=0.2)
    np.testing.assert_array_equal(panes.opacity[:, :N], 1.0)
    assert 0.15 <= panes.opacity[:, N:].min() <= panes.opacity[:, N:].max() <= 0.5


def test_noise_and_blur_are_drawn_up_to_the_styles_values():
    """Deviations are a square of a uniform number, so a third of the largest on average, or a uniform one, a half."""
    left, right = draw_sensors(np.random.default_rng(2), 1000, replace(CALM, noise=6.0, blur_px=0.8))
    np.testing.assert_array_equal(left.noise, right.noise)
    assert left.noise.max() <= 6.0
    assert left.noise.mean() == pytest.approx(2.0, abs=5 * 6 * (4 / 45 / 1000) ** 0.5)
    assert left.blur_px.max() <= 0.8
    assert left.blur_px.mean() == pytest.approx(0.4, abs=5 * 0.8 / (12 * 1000) ** 0.5)
    assert 0.0 < np.abs(left.blur_px - right.blur_px).mean() < 0.3
    assert left.noise_seed + 1 == right.noise_seed
    calm, _ = draw_sensors(np.random.default_rng(2), 5, CALM)
    assert (calm.noise, calm.blur_px, calm.noise_seed) == (None, None, None)
