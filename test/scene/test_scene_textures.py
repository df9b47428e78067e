"""Noise has the statistics it promises, textures wrap around, and coarser sizes are means of finer ones."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.scene.noise import fractal, gaussian, uniform
from ffs_ros.scene.texture import COUNT, FRACTAL, LEAVES_SHARE, SIDE, _leaves, draw_paints, look_up, paint

xp = pytest.importorskip("array_api_compat.numpy")
STRIPES, BOARD, BRICKS, DOTS = range(12, 16)


def seed(number):
    return np.asarray(number, np.int64)


@pytest.fixture(scope="module")
def paints():
    return draw_paints(np.random.default_rng(3))


@pytest.fixture(scope="module")
def atlas(paints):
    return paint(xp, paints, rows_at_once=4)


@pytest.fixture(scope="module")
def bare(paints):
    """K,S,S,3 without tint and grain."""
    plain = paints._replace(chroma=0.0 * paints.chroma, grain=0.0 * paints.grain)
    return paint(xp, plain, rows_at_once=16)[: COUNT * SIDE * SIDE].reshape(COUNT, SIDE, SIDE, 3)


@pytest.fixture(scope="module")
def finest(atlas):
    """K,S,S,3"""
    return atlas[: COUNT * SIDE * SIDE].reshape(COUNT, SIDE, SIDE, 3)


def test_hashed_numbers_are_uniform_and_independent():
    """100000 numbers: deciles of a tenth each, no correlation with the next one nor with another seed's."""
    numbers, others = (uniform(xp, seed(number), (100_000,), np.float64) for number in (5, 6))
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    np.testing.assert_allclose(np.histogram(numbers, 10, (0, 1))[0], 10_000, atol=500)  # 5 deviations
    for one, other in ((numbers[1:], numbers[:-1]), (numbers, others)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / 100_000**0.5
    np.testing.assert_array_equal(numbers, uniform(xp, seed(5), (100_000,), np.float64))


def test_gaussian_noise_has_mean_0_and_deviation_1():
    """Its skewness is 0, and its kurtosis that of three uniform numbers, 3 - 1.2 / 3."""
    noise = gaussian(xp, seed(2**31 - 1), (400_000,), np.float64)
    assert noise.mean() == pytest.approx(0.0, abs=0.008)
    assert noise.std() == pytest.approx(1.0, abs=0.006)
    assert (noise**3).mean() == pytest.approx(0.0, abs=0.02)
    assert (noise**4).mean() == pytest.approx(2.6, abs=0.04)


def test_a_steeper_fractal_is_smoother():
    """Deviation about 1 whatever the slope; neighbours are alike where high octaves are weak."""
    rough, smooth = fractal(xp, seed(9), np.array([0.1, 1.2]), 128)
    for field in (rough, smooth):
        assert 0.6 < field.std() < 1.5
    steps = [np.abs(np.diff(field)).mean() / field.std() for field in (rough, smooth)]
    assert steps[0] > 4 * steps[1]


def test_textures_wrap_around(atlas, finest):
    """A look-up a period further gives the same; the step over the border of a fractal is like the steps inside."""
    u, v = np.random.default_rng(1).uniform(0, SIDE, (2, COUNT, 40))
    texture = np.broadcast_to(np.arange(COUNT)[:, None], u.shape)
    footprint = np.broadcast_to(2.0 ** np.linspace(0, 6, 40), u.shape)
    here = look_up(xp, atlas, texture, u, v, footprint)
    np.testing.assert_allclose(look_up(xp, atlas, texture, u + SIDE, v - 3 * SIDE, footprint), here, atol=1e-6)
    fractals = finest[:FRACTAL]
    for axis in (1, 2):
        inside = np.abs(np.diff(fractals, axis=axis)).mean()
        over = np.abs(fractals.take(0, axis) - fractals.take(-1, axis)).mean()
        assert 0.5 * inside < over < 2.0 * inside


def test_a_texel_is_found_and_coarser_sizes_are_means(atlas, finest):
    """In a texel's middle its own colour; between two of them their mean; at a footprint of 4 the mean of 16."""

    def at(u, v, footprint):
        return look_up(xp, atlas, np.array([5]), np.array([u]), np.array([v]), np.array([footprint]))[0]

    np.testing.assert_allclose(at(7.5, 3.5, 1.0), finest[5, 3, 7], atol=1e-12)
    np.testing.assert_allclose(at(8.0, 3.5, 1.0), finest[5, 3, 7:9].mean(0), atol=1e-12)
    np.testing.assert_allclose(at(10.0, 6.0, 4.0), finest[5, 4:8, 8:12].mean((0, 1)), atol=1e-12)
    np.testing.assert_allclose(at(10.0, 6.0, 1e9), finest[5].mean((0, 1)), atol=2e-3)


def test_patterns_repeat(paints, bare):
    """Each pattern is two colours, and the same one period further."""
    stripe, field, brick, dot = paints.periods
    for pattern, period in ((STRIPES, (1, stripe)), (BRICKS, (brick // 2, brick // 2)), (DOTS, (dot, -dot))):
        np.testing.assert_array_equal(bare[pattern], np.roll(bare[pattern], period, (0, 1)))
    np.testing.assert_array_equal(bare[BOARD], -np.roll(bare[BOARD], field, 1))
    for pattern in (STRIPES, BOARD, BRICKS, DOTS):
        np.testing.assert_allclose(np.unique(bare[pattern]), [-0.6, 0.6])


def test_leaves_are_patches_of_few_colours(paints, bare):
    """A texture without grain has at most a colour per leaf and one for the ground, however few rows at a time."""
    for texture, colours in zip(bare[-LEAVES_SHARE:], paints.leaf_colours, strict=True):
        found = np.unique(texture.reshape(-1, 3), axis=0)
        assert 20 < len(found) <= len(colours)
    np.testing.assert_array_equal(2.0 * bare[-LEAVES_SHARE], _leaves(xp, paints, 0, SIDE))
