"""What chance does to a training pair, so that the network sees more than the files hold. TAO's keys and meanings.

Geometry comes first, so that colours are computed for the crop's pixels only and what is erased lies within the crop.
Validation and evaluation never come here: they measure on pairs as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ffs_ros.metrics import counted
from ffs_ros.network.model import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB

from .augment_colour import ColourChange, recoloured
from .augment_geometry import cropped, displaced, mirrored, padded, resized, upside_down
from .keys import SpecError, key
from .sample import TrainingSample

_LARGEST_Y_JITTER_px = 2
_LARGEST_SHIFT_px = 8
_ERASED_px = (50, 100)
_MOST_ERASED_PATCHES = 2
_LEAST_SATURATION_OF_ONE = 0.6
"""Two cameras see the same scene more or less colourful, but not one of them grey."""
_CROPS_TRIED = 100


@dataclass(frozen=True)
class AugmentationConfig:
    """The ``augmentation`` block of a spec. Probabilities are 0 to 1, sizes (rows, columns).

    Raises SpecError where two values contradict each other.
    """

    crop_size: tuple[int, int] = key((320, 736), least=32, most=4096)
    color_aug_prob: float = key(0.2, least=0, most=1)
    """That left and right change colours each by itself; otherwise both change alike."""
    color_aug_brightness: float = key(0.4, least=0, most=1)
    """Factor within 1 -+ this."""
    color_aug_contrast: float = key(0.4, least=0, most=1)
    color_aug_saturation: tuple[float, float] = key((0.0, 1.4), least=0)
    color_aug_hue_range: tuple[float, float] = key((-5 / 180, 5 / 180), least=-0.5, most=0.5)
    """In turns of the colour circle."""
    gamma: tuple[float, float, float, float] = key((1.0, 1.0, 1.0, 1.0), above=0)
    """Least and largest exponent, least and largest gain after it."""
    eraser_aug_prob: float = key(0.5, least=0, most=1)
    """That one or two patches of the right image become its mean colour, as if something hid them there."""
    spatial_aug_prob: float = key(1.0, least=0, most=1)
    """That the pair is scaled by 2 to the power of between ``min_scale`` and ``max_scale``."""
    min_scale: float = key(-0.2, least=-2, most=2)
    max_scale: float = key(0.4, least=-2, most=2)
    stretch_prob: float = key(0.8, least=0, most=1)
    """That a scaled pair's axes differ: each is scaled by 2 to the power of -+ ``max_stretch`` more."""
    max_stretch: float = key(0.2, least=0, most=1)
    yjitter_prob: float = key(1.0, least=0, most=1)
    """That the right image lies up to 2 rows off, as after an imperfect rectification."""
    do_flip: bool = key(False)
    """Whether the two flips below happen at all. In TAO they never do, whatever the probabilities."""
    h_flip_prob: float = key(0.5, least=0, most=1)
    """That the pair is seen in a mirror, which exchanges left and right."""
    v_flip_prob: float = key(0.5, least=0, most=1)
    hshift_prob: float = key(0.0, least=0, most=1)
    """That the right image is moved up to 8 columns, as with verged cameras. TAO's schema has 0.5 and never does it."""
    crop_min_valid_disp_ratio: float = key(0.0, least=0, most=1)
    """Least share of truth that counts in a crop; of 100 crops without it the best is taken."""
    input_mean: tuple[float, float, float] = key(IMAGENET_MEAN_RGB)
    """The network itself subtracts it, so it cannot be another one; the same for ``input_std``."""
    input_std: tuple[float, float, float] = key(IMAGENET_STD_RGB)

    def __post_init__(self) -> None:
        for name in ("color_aug_saturation", "color_aug_hue_range", "gamma"):
            values = getattr(self, name)
            in_order = all(low <= high for low, high in zip(values[::2], values[1::2], strict=True))
            self._require(name, in_order, "the smaller number of a range before the larger one")
        self._require("min_scale", self.min_scale <= self.max_scale, f"at most max_scale, {self.max_scale}")
        for name, built_in in (("input_mean", IMAGENET_MEAN_RGB), ("input_std", IMAGENET_STD_RGB)):
            is_built_in = np.allclose(getattr(self, name), built_in, rtol=1e-3)
            self._require(name, is_built_in, f"{list(built_in)}, which is part of the network; leave out the key")

    def _require(self, name: str, fits: bool, expected: str) -> None:
        if not fits:
            found = getattr(self, name)
            found = list(found) if isinstance(found, tuple) else found
            raise SpecError(f"augmentation.{name} is {found}: expected {expected}")


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
