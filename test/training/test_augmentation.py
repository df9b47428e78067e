"""After any change of a training pair its truth is still true: the right image, warped by it, is the left one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from synthetic_pair import HEIGHT, WIDTH, right_disparity, synthetic_pair

from ffs_ros.errors import SpecError
from ffs_ros.spec.augmentation import AugmentationConfig
from ffs_ros.training.augment_colour import ColourChange, recoloured
from ffs_ros.training.augment_geometry import cropped, displaced, mirrored, padded, resized, upside_down
from ffs_ros.training.augmentation import augmented
from ffs_ros.training.right_view import disparity_of_right_view
from ffs_ros.training.sample import TrainingSample

SAME_COLOURS = {
    "color_aug_brightness": 0.0, "color_aug_contrast": 0.0, "color_aug_saturation": (1.0, 1.0),
    "color_aug_hue_range": (0.0, 0.0), "eraser_aug_prob": 0.0,
}  # fmt: skip
SAME_PLACES = {"spatial_aug_prob": 0.0, "yjitter_prob": 0.0}
CROP = (64, 128)


def reproduction_error(sample: TrainingSample, rows_down: int = 0) -> tuple[float, float]:
    """Grey levels between the left image and the right one fetched by the truth, 90th percentile; and the share of
    pixels that have a truth and a match within the image.

    The tenth above the percentile is for what one camera alone sees. A truth that is 0.4 px off gives more than 6.
    """
    height, width = sample.size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    match_x = x - sample.disparity_HW
    fetched = cv2.remap(
        np.ascontiguousarray(sample.right_HW3, np.float32), match_x, y + np.float32(rows_down), cv2.INTER_LINEAR
    )
    inside = (match_x >= 0) & (match_x <= width - 1) & (y + rows_down >= 0) & (y + rows_down <= height - 1)
    error_HW = np.abs(fetched - sample.left_HW3).mean(axis=-1)
    return float(np.percentile(error_HW[inside], 90)), float(inside.mean())


def same(one: TrainingSample, other: TrainingSample) -> bool:
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))


def copied(sample: TrainingSample) -> TrainingSample:
    return TrainingSample(*(plane.copy() for plane in sample))


def test_the_measure_sees_less_than_half_a_pixel() -> None:
    """The check that the other tests rely on passes the exact truth and fails one that is 0.4 px off."""
    sample = synthetic_pair()
    assert reproduction_error(sample)[0] < 2.0
    for off in (-0.4, 0.4):
        assert reproduction_error(sample._replace(disparity_HW=sample.disparity_HW + np.float32(off)))[0] > 6.0


CHANGES = {
    "larger": (lambda sample: resized(sample, 130, 190), 0.85),
    "smaller": (lambda sample: resized(sample, 80, 140), 0.85),
    "wider only": (lambda sample: resized(sample, HEIGHT, 200), 0.85),
    "mirrored": (mirrored, 0.85),
    "mirrored after growing": (lambda sample: mirrored(resized(sample, 130, 190)), 0.85),
    "upside down": (upside_down, 0.9),
    "verged": (lambda sample: displaced(sample, 0, 5), 0.85),
    "diverged": (lambda sample: displaced(sample, 0, -5), 0.9),
    "cropped": (lambda sample: cropped(sample, 10, 30, 64, 96), 0.8),
    "padded": (lambda sample: padded(sample, 128, 160), 0.6),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_geometry_keeps_the_truth_true(change: str) -> None:
    """Every change by itself: the pair still reproduces itself, nearly everywhere, and its input is as it was."""
    function, least_share = CHANGES[change]
    sample = synthetic_pair()
    before = copied(sample)
    changed = function(sample)
    error, share = reproduction_error(changed)
    assert error < (3.5 if change == "smaller" else 2.0)  # what shrinks is smoothed, a little more than it is matched
    assert share > least_share
    assert changed.disparity_HW.dtype == np.float32
    assert same(sample, before)


def test_the_right_views_disparity_is_the_known_one() -> None:
    """To a hundredth of a pixel wherever both cameras see; unknown where the left one does not."""
    view, known = disparity_of_right_view(synthetic_pair().disparity_HW), right_disparity()
    assert np.isfinite(view[np.isfinite(known)]).all()
    assert np.nanmax(np.abs(view - known)) < 0.01
    assert np.isfinite(view[np.isnan(known)]).mean() < 0.05  # the outer halves of border pixels


@pytest.mark.parametrize("seed", range(3))
def test_a_sparse_truth_shows_nothing_through_its_gaps(seed: int) -> None:
    """With one pixel in five known, what the patch hides must not appear between the patch's points."""
    disparity_HW = synthetic_pair().disparity_HW.copy()
    disparity_HW[np.random.default_rng(seed).random(disparity_HW.shape) > 0.2] = np.nan
    view = disparity_of_right_view(disparity_HW)
    assert np.isfinite(view).mean() > 0.15
    assert np.nanmax(np.abs(view - right_disparity())) < 0.05


def test_the_nearest_surface_hides_the_others() -> None:
    """Columns 5 and 6, at disparity 3, land on columns 2 and 3, where 3 and 4 of the background land too; behind them
    the right camera sees what the left one does not."""
    disparity_HW = np.array([[1, 1, 1, 1, 1, 3, 3, 1, 1, 1]], np.float32)
    nan = np.nan
    expected = np.array([[1, 1, 3, 3, nan, nan, 1, 1, 1, nan]], np.float32)
    np.testing.assert_array_equal(disparity_of_right_view(disparity_HW), expected)


def test_flips_twice_give_the_original() -> None:
    """Upside down exactly; in the mirror the images exactly and the truth to 0.05 px where it is known."""
    sample = synthetic_pair()
    assert same(upside_down(upside_down(sample)), sample)
    twice = mirrored(mirrored(sample))
    np.testing.assert_array_equal(twice.left_HW3, sample.left_HW3)
    np.testing.assert_array_equal(twice.right_HW3, sample.right_HW3)
    known = np.isfinite(twice.disparity_HW)
    assert known.mean() > 0.9
    assert np.abs(twice.disparity_HW - sample.disparity_HW)[known].max() < 0.05


def test_a_mirrored_pair_is_exchanged() -> None:
    """The new left image is the old right one, mirrored."""
    sample = synthetic_pair()
    np.testing.assert_array_equal(mirrored(sample).left_HW3, sample.right_HW3[:, ::-1])


def test_resizing_multiplies_by_the_widths_alone() -> None:
    """Twice as wide and thrice as high: twice the disparity."""
    sample = synthetic_pair()._replace(disparity_HW=np.full((HEIGHT, WIDTH), 10.0, np.float32))
    assert np.unique(resized(sample, 3 * HEIGHT, 2 * WIDTH).disparity_HW) == pytest.approx([20.0])


def test_resizing_never_mixes_surfaces_nor_spreads_the_unknown() -> None:
    """Two depths stay two depths, and as much is known as before."""
    disparity_HW = np.full((40, 40), 10.0, np.float32)
    disparity_HW[:, 17:] = 30.0
    disparity_HW[20:, :9] = np.nan
    pair = TrainingSample(*(np.zeros((40, 40, 3), np.uint8),) * 2, disparity_HW)
    for length in (29, 40, 57):
        resized_HW = resized(pair, length, length).disparity_HW * np.float32(40 / length)
        assert np.unique(resized_HW[np.isfinite(resized_HW)]) == pytest.approx([10.0, 30.0])
        assert np.isnan(resized_HW).mean() == pytest.approx(9 / 80, abs=0.02)  # half a column of 29


def test_padding_is_never_truth() -> None:
    """What was not photographed has no disparity, on no side."""
    sample = padded(synthetic_pair(), 101, 165)
    assert sample.size == (101, 165)
    known = np.isfinite(sample.disparity_HW)
    assert known[2:98, 2:162].all()
    assert known.sum() == HEIGHT * WIDTH


def test_a_shift_is_added_and_forgets_what_leaves() -> None:
    """Disparity 3: with 5 more all is 8 where the match stays inside; with 5 less nothing is left."""
    sample = synthetic_pair()._replace(disparity_HW=np.full((HEIGHT, WIDTH), 3.0, np.float32))
    verged = displaced(sample, 0, 5).disparity_HW
    assert (verged[:, 8:] == 8.0).all()
    assert np.isnan(verged[:, :8]).all()
    assert np.isnan(displaced(sample, 0, -5).disparity_HW).all()
    diverged = displaced(sample, 0, -2).disparity_HW
    assert (diverged[:, 3:] == 1.0).all()
    assert np.isnan(diverged[:, :3]).all()  # the match lies in the two replicated columns, or outside


@pytest.mark.parametrize("seed", range(12))
def test_an_augmented_pair_reproduces_itself(seed: int) -> None:
    """All of the geometry at once, drawn by chance, with the jitter in y found again."""
    config = AugmentationConfig(crop_size=CROP, do_flip=True, hshift_prob=0.5, max_scale=0.5, **SAME_COLOURS)
    sample = augmented(synthetic_pair(), config, np.random.default_rng(seed))
    assert sample.size == CROP
    errors = [reproduction_error(sample, rows_down) for rows_down in (-2, -1, 0, 1, 2)]
    assert min(errors)[0] < 4.0
    assert min(errors)[1] > 0.5


def test_jitter_in_y_moves_the_right_image_by_up_to_two_rows() -> None:
    """All five displacements come up, and the truth stays what it was."""
    config = AugmentationConfig(crop_size=(HEIGHT, WIDTH), spatial_aug_prob=0.0, **SAME_COLOURS)
    sample, found = synthetic_pair(), set()
    for seed in range(40):
        jittered = augmented(sample, config, np.random.default_rng(seed))
        np.testing.assert_array_equal(jittered.disparity_HW, sample.disparity_HW)
        middle = jittered.right_HW3[10:-10]
        (rows,) = (n for n in range(-2, 3) if np.array_equal(middle, sample.right_HW3[10 + n : HEIGHT - 10 + n]))
        found.add(rows)
    assert found == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("crop", [(64, 128), (160, 256)])
def test_the_same_seed_gives_the_same_sample(crop: tuple[int, int]) -> None:
    """Everything switched on: the generator alone decides, the size is the crop's, and the input is left alone."""
    config = AugmentationConfig(crop_size=crop, do_flip=True, hshift_prob=0.5, gamma=(0.8, 1.2, 0.9, 1.1))
    sample = synthetic_pair()
    before = copied(sample)
    for seed in range(8):
        one, other = (augmented(sample, config, np.random.default_rng(seed)) for _ in range(2))
        assert same(one, other)
        assert [plane.dtype for plane in one] == [np.uint8, np.uint8, np.float32]
        assert [plane.shape for plane in one] == [(*crop, 3), (*crop, 3), crop]
        assert not np.isinf(one.disparity_HW).any()
        assert not any(np.shares_memory(plane, old) for plane in one[:2] for old in sample[:2])
    assert same(sample, before)
    assert not same(one, augmented(sample, config, np.random.default_rng(99)))


def test_scaling_never_needs_padding() -> None:
    """A pair that holds the crop still does after shrinking: all of its truth stays known."""
    config = AugmentationConfig(crop_size=(HEIGHT, WIDTH), min_scale=-1.0, max_scale=-0.5, yjitter_prob=0.0)
    assert np.isfinite(augmented(synthetic_pair(), config, np.random.default_rng(0)).disparity_HW).all()


def test_a_crop_has_the_least_share_of_known_truth() -> None:
    """With truth in one corner only, crops without it are drawn again; when none has enough the best is kept."""
    disparity_HW = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    disparity_HW[:40, :40] = 9.0
    sample = synthetic_pair()._replace(disparity_HW=disparity_HW)

    def shares(least: float) -> list[float]:
        config = AugmentationConfig(crop_size=(32, 32), crop_min_valid_disp_ratio=least, **SAME_PLACES)
        crops = [augmented(sample, config, np.random.default_rng(seed)) for seed in range(20)]
        return [float(np.isfinite(crop.disparity_HW).mean()) for crop in crops]

    assert min(shares(0.0)) == 0.0
    assert min(shares(0.3)) >= 0.3
    disparity_HW[::2] = np.nan
    assert 0.2 < min(shares(1.0)) <= 0.5


def test_left_and_right_change_colours_alike_or_apart() -> None:
    """Two equal images stay equal with probability 0 and differ with probability 1."""
    image = synthetic_pair().left_HW3
    sample = TrainingSample(image, image, np.ones((HEIGHT, WIDTH), np.float32))
    for probability, alike in ((0.0, True), (1.0, False)):
        config = AugmentationConfig(
            crop_size=(HEIGHT, WIDTH), color_aug_prob=probability, eraser_aug_prob=0.0, **SAME_PLACES
        )
        changed = augmented(sample, config, np.random.default_rng(0))
        assert np.array_equal(changed.left_HW3, changed.right_HW3) is alike
        assert not np.array_equal(changed.left_HW3, image)


def test_erasing_paints_the_right_images_mean() -> None:
    """One or two patches of one colour; the left image and the truth are left alone."""
    config = AugmentationConfig(crop_size=(HEIGHT, WIDTH), **{**SAME_COLOURS, "eraser_aug_prob": 1.0}, **SAME_PLACES)
    sample = synthetic_pair()
    erased = augmented(sample, config, np.random.default_rng(3))
    np.testing.assert_array_equal(erased.left_HW3, sample.left_HW3)
    np.testing.assert_array_equal(erased.disparity_HW, sample.disparity_HW)
    changed = (erased.right_HW3 != sample.right_HW3).any(axis=-1)
    assert 0.02 < changed.mean() < 1.0
    colours = np.unique(erased.right_HW3[changed], axis=0)
    np.testing.assert_array_equal(colours, np.rint(sample.right_HW3.mean(axis=(0, 1)))[None])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ColourChange(), [(200, 100, 50), (0, 0, 0)]),
        (ColourChange(brightness=0.5), [(100, 50, 25), (0, 0, 0)]),
        (ColourChange(brightness=2.0), [(255, 200, 100), (0, 0, 0)]),
        (ColourChange(contrast=0.0), [(62, 62, 62), (62, 62, 62)]),  # half of 0.299 R + 0.587 G + 0.114 B
        (ColourChange(saturation=0.0), [(124, 124, 124), (0, 0, 0)]),
        (ColourChange(hue_turns=1 / 3), [(50, 200, 100), (0, 0, 0)]),  # red to green, green to blue, blue to red
        (ColourChange(hue_turns=-1 / 3), [(100, 50, 200), (0, 0, 0)]),
        (ColourChange(gamma=2.0), [(157, 39, 10), (0, 0, 0)]),
        (ColourChange(gain=1.1), [(220, 110, 55), (0, 0, 0)]),
    ],
)
def test_colours_change_as_defined(change: ColourChange, expected: list[tuple[int, int, int]]) -> None:
    """One pixel of a known colour beside a black one."""
    image = np.array([[(200, 100, 50), (0, 0, 0)]], np.uint8)
    np.testing.assert_allclose(recoloured(image, change)[0].astype(int), expected, atol=1)
    assert image[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"min_scale": 0.5}, "min_scale"),
        ({"color_aug_saturation": (1.4, 0.0)}, "color_aug_saturation"),
        ({"gamma": (1.0, 1.0, 1.2, 0.8)}, "gamma"),
        ({"input_mean": (0.5, 0.5, 0.5)}, "input_mean"),
    ],
)
def test_contradictions_are_one_sentence(values: dict[str, tuple[float, ...]], name: str) -> None:
    """A range backwards, or a normalisation that the network does not have."""
    with pytest.raises(SpecError, match=rf"augmentation\.{name} is .*: expected "):
        AugmentationConfig(**values)
