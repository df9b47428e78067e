"""What chance does to a training pair, so that the network sees more than the files hold. TAO's keys and meanings.

Geometry comes first, so that colours are computed for the crop's pixels only and what is erased lies within the crop.
Validation and evaluation never come here: they measure on pairs as they are.
"""

from __future__ import annotations

import math

import numpy as np

from ffs_ros.metrics import counted
from ffs_ros.spec.augmentation import AugmentationConfig

from .augment_colour import ColourChange, recoloured
from .augment_geometry import cropped, displaced, mirrored, padded, resized, upside_down
from .sample import TrainingSample

_LARGEST_Y_JITTER_px = 2
_LARGEST_SHIFT_px = 8
_ERASED_px = (50, 100)
_MOST_ERASED_PATCHES = 2
_LEAST_SATURATION_OF_ONE = 0.6
"""Two cameras see the same scene more or less colourful, but not one of them grey."""
_CROPS_TRIED = 100


def augmented(
    sample: TrainingSample, config: AugmentationConfig, rng: np.random.Generator, max_disparity_px: float = math.inf
) -> TrainingSample:
    """A variation of ``sample`` of ``config.crop_size``, contiguous; the same ``rng`` state gives the same one.

    The truth stays true: the match of (x, y) is at (x - d, y) of the right image but for the jitter in y, and what is
    no longer known is NaN. ``max_disparity_px`` is that of the loss, which does not count what is beyond.
    """
    sample = _moved(sample, config, rng)
    return _recoloured(_cropped(sample, config, rng, max_disparity_px), config, rng)


def _moved(sample: TrainingSample, config: AugmentationConfig, rng: np.random.Generator) -> TrainingSample:
    if rng.random() < config.spatial_aug_prob:
        sample = resized(sample, *_new_size(sample.size, config, rng))
    if config.do_flip and rng.random() < config.h_flip_prob:
        sample = mirrored(sample)
    if config.do_flip and rng.random() < config.v_flip_prob:
        sample = upside_down(sample)
    down_px = along_px = 0
    if rng.random() < config.yjitter_prob:
        down_px = int(rng.integers(-_LARGEST_Y_JITTER_px, _LARGEST_Y_JITTER_px, endpoint=True))
    if rng.random() < config.hshift_prob:
        along_px = int(rng.integers(-_LARGEST_SHIFT_px, _LARGEST_SHIFT_px, endpoint=True))
    return displaced(sample, down_px, along_px)


def _new_size(size: tuple[int, int], config: AugmentationConfig, rng: np.random.Generator) -> tuple[int, int]:
    exponents_2 = np.full(2, rng.uniform(config.min_scale, config.max_scale))
    if rng.random() < config.stretch_prob:
        exponents_2 += rng.uniform(-config.max_stretch, config.max_stretch, 2)
    # Nothing shrinks below the crop: padding has no truth.
    height, width = (
        max(round(length * factor), min(length, needed))
        for length, factor, needed in zip(size, 2.0**exponents_2, config.crop_size, strict=True)
    )
    return height, width


def _cropped(
    sample: TrainingSample, config: AugmentationConfig, rng: np.random.Generator, max_disparity_px: float
) -> TrainingSample:
    height, width = config.crop_size
    sample = padded(sample, height, width)
    counted_HW = counted(sample.disparity_HW, max_disparity_px)
    best_corner, best_share = (0, 0), -1.0
    for _ in range(_CROPS_TRIED):
        top, left = (int(rng.integers(0, free, endpoint=True)) for free in np.subtract(sample.size, (height, width)))
        share = counted_HW[top : top + height, left : left + width].mean()
        if share > best_share:
            best_corner, best_share = (top, left), share
        if share >= config.crop_min_valid_disp_ratio:
            break
    return cropped(sample, *best_corner, height, width)


def _recoloured(sample: TrainingSample, config: AugmentationConfig, rng: np.random.Generator) -> TrainingSample:
    if rng.random() < config.color_aug_prob:
        left_HW3 = recoloured(sample.left_HW3, _colour_change(config, rng, _LEAST_SATURATION_OF_ONE))
        right_HW3 = recoloured(sample.right_HW3, _colour_change(config, rng, _LEAST_SATURATION_OF_ONE))
    else:  # as one image, so that the mean grey is common too
        both = recoloured(np.concatenate([sample.left_HW3, sample.right_HW3]), _colour_change(config, rng, 0.0))
        left_HW3, right_HW3 = np.split(both, 2)
    if rng.random() < config.eraser_aug_prob:
        right_HW3 = _with_erased_patches(right_HW3, rng)
    return TrainingSample(left_HW3, right_HW3, np.ascontiguousarray(sample.disparity_HW))


def _colour_change(config: AugmentationConfig, rng: np.random.Generator, least_saturation: float) -> ColourChange:
    low, high = np.maximum(config.color_aug_saturation, least_saturation)
    return ColourChange(
        brightness=rng.uniform(1.0 - config.color_aug_brightness, 1.0 + config.color_aug_brightness),
        contrast=rng.uniform(1.0 - config.color_aug_contrast, 1.0 + config.color_aug_contrast),
        saturation=rng.uniform(low, high),
        hue_turns=rng.uniform(*config.color_aug_hue_range),
        gamma=rng.uniform(*config.gamma[:2]),
        gain=rng.uniform(*config.gamma[2:]),
    )


def _with_erased_patches(image_HW3: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    erased_HW3 = image_HW3.copy()
    mean_3 = np.rint(image_HW3.mean(axis=(0, 1))).astype(np.uint8)
    for _ in range(rng.integers(1, _MOST_ERASED_PATCHES, endpoint=True)):
        top, left = rng.integers(0, image_HW3.shape[:2])
        height, width = rng.integers(*_ERASED_px, size=2, endpoint=True)
        erased_HW3[top : top + height, left : left + width] = mean_3
    return erased_HW3
