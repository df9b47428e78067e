"""The ``augmentation`` block of a split: TAO's keys for what chance does to training pairs, ``training`` the doing."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from ffs_ros.errors import SpecError
from ffs_ros.imagenet import DEVIATION_RGB, MEAN_RGB

from .keys import key


@dataclass(frozen=True)
class AugmentationConfig:
    """Probabilities are per pair, 0 to 1, sizes (rows, columns).

    Raises SpecError where two values contradict each other.
    """

    crop_size: tuple[int, int] = key(
        (320, 736),
        "rows, columns; multiples of 32; `val_dataset`: the size of Scenes, pairs in files keep their own",
        least=32, most=4096,
    )  # fmt: skip
    color_aug_prob: float = key(
        0.2,
        "that left and right change colours each by itself, with at least 0.6 of the saturation; otherwise alike",
        least=0, most=1,
    )  # fmt: skip
    color_aug_brightness: float = key(0.4, "factor within 1 -+ this", least=0, most=1)
    color_aug_contrast: float = key(0.4, "factor within 1 -+ this", least=0, most=1)
    color_aug_saturation: tuple[float, float] = key((0.0, 1.4), "least and largest factor", least=0)
    color_aug_hue_range: tuple[float, float] = key(
        (-5 / 180, 5 / 180), "turns of the colour circle", least=-0.5, most=0.5
    )
    gamma: tuple[float, float, float, float] = key(
        (1.0, 1.0, 1.0, 1.0), "least and largest exponent, least and largest gain after it", above=0
    )
    eraser_aug_prob: float = key(
        0.5, "that one or two patches of 50 to 100 px of the right image become its mean colour", least=0, most=1
    )
    spatial_aug_prob: float = key(1.0, "that the pair is scaled, the disparity with it", least=0, most=1)
    min_scale: float = key(-0.2, "by 2 to the power of at least this", least=-2, most=2)
    max_scale: float = key(0.4, "and at most this", least=-2, most=2)
    stretch_prob: float = key(0.8, "that a scaled pair's axes differ", least=0, most=1)
    max_stretch: float = key(0.2, "by 2 to the power of -+ this each", least=0, most=1)
    yjitter_prob: float = key(1.0, "that the right image lies up to 2 rows off", least=0, most=1)
    do_flip: bool = key(False, "whether the two flips happen at all")
    """In TAO they never do, whatever the probabilities."""
    h_flip_prob: float = key(0.5, "that the pair is mirrored, which exchanges left and right", least=0, most=1)
    v_flip_prob: float = key(0.5, "that the pair stands on its head", least=0, most=1)
    hshift_prob: float = key(0.0, "that the right image moves up to 8 columns, the disparity with it", least=0, most=1)
    """TAO's schema has 0.5 and never does it."""
    crop_min_valid_disp_ratio: float = key(
        0.0, "least share of truth that counts in a crop; of 100 crops the best is taken", least=0, most=1
    )
    input_mean: tuple[float, float, float] = key(MEAN_RGB, "part of the network; another one is refused")
    input_std: tuple[float, float, float] = key(DEVIATION_RGB, "likewise")

    def __post_init__(self) -> None:
        for name in ("color_aug_saturation", "color_aug_hue_range", "gamma"):
            values = getattr(self, name)
            in_order = all(low <= high for low, high in zip(values[::2], values[1::2], strict=True))
            self._require(name, in_order, "the smaller number of a range before the larger one")
        self._require("min_scale", self.min_scale <= self.max_scale, f"at most max_scale, {self.max_scale}")
        for name, built_in in (("input_mean", MEAN_RGB), ("input_std", DEVIATION_RGB)):
            is_built_in = all(map(_is_about, getattr(self, name), built_in))
            self._require(name, is_built_in, f"{list(built_in)}, which is part of the network; leave out the key")

    def _require(self, name: str, fits: bool, expected: str) -> None:
        if not fits:
            found = getattr(self, name)
            found = list(found) if isinstance(found, tuple) else found
            raise SpecError(f"augmentation.{name} is {found}: expected {expected}")


def _is_about(found: float, expected: float) -> bool:
    return isclose(found, expected, rel_tol=1e-3)
