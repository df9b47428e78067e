"""Pairs in files, as the training and the validation want them.

A training sample is a pure function of its ``Draw``: neither the number of workers nor what was read before matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ffs_ros import ground_truth
from ffs_ros.annotation import read_annotations
from ffs_ros.errors import FfsError, FileError
from ffs_ros.image_file import read_rgb
from ffs_ros.spec.augmentation import AugmentationConfig
from ffs_ros.spec.dataset import Source, Split

from .augmentation import augmented
from .batches import Draw
from .sample import TrainingSample


class SampleError(FileError):
    """A pair that cannot be read. Its sentence survives the way out of a worker process, from where torch raises it
    anew with the whole traceback as its message."""

    def __init__(self, message: str) -> None:
        super().__init__(message.rpartition(f"{__name__}.{SampleError.__name__}: ")[2].rstrip())


class Pair(NamedTuple):
    """One line of an annotation list, which names ground truth."""

    left: str
    right: str
    disparity: str
    mask: str | None
    dataset_name: str
    """One of ``ground_truth.DATASET_NAMES``."""


class PairsInFiles(Dataset[dict[str, Any]]):
    """The pairs that annotation lists name, each with its ground truth, at their own size and as they are.

    An item has ``left`` and ``right``, float32 (3,H,W) RGB 0..255, ``disparity``, float32 (1,H,W) px of the left image
    with NaN where it is unknown, and ``name``, the left image's path. Raises FileError for a list that cannot be read
    or lacks ground truth; an item raises SampleError for a file that cannot be read or does not fit its pair.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        # A worker is a fork of this process without its threads, for which OpenCV would wait in it forever.
        cv2.setNumThreads(0)
        self.pairs = [pair for source in sources for pair in _pairs_of(source)]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._item(index, self._sample(index))

    def _sample(self, index: int) -> TrainingSample:
        try:
            return read_pair(self.pairs[index])
        except FfsError as error:
            raise SampleError(str(error)) from None

    def _item(self, index: int, sample: TrainingSample) -> dict[str, Any]:
        return {
            "left": _planes(sample.left_HW3),
            "right": _planes(sample.right_HW3),
            "disparity": torch.from_numpy(np.ascontiguousarray(sample.disparity_HW[None])),
            "name": str(self.pairs[index].left),
        }


class AugmentedPairs(PairsInFiles):
    """The same pairs, varied; an item is asked for with a ``Draw``."""

    def __init__(self, sources: Sequence[Source], augmentation: AugmentationConfig, max_disparity_px: float) -> None:
        super().__init__(sources)
        self.augmentation, self.max_disparity_px = augmentation, max_disparity_px

    def __getitem__(self, draw: Draw) -> dict[str, Any]:  # type: ignore[override]
        rng = np.random.default_rng(draw.seed)
        return self._item(
            draw.index, augmented(self._sample(draw.index), self.augmentation, rng, self.max_disparity_px)
        )


def dataset_of(split: Split, max_disparity_px: float, is_training: bool) -> PairsInFiles:
    """What a part of the spec's ``dataset`` says; only training varies its pairs."""
    if is_training:
        return AugmentedPairs(split.data_sources, split.augmentation, max_disparity_px)
    return PairsInFiles(split.data_sources)


def read_pair(pair: Pair) -> TrainingSample:
    """The images and their ground truth, unknown where a mask does not keep it. Raises FileError, naming the file."""
    left_HW3, right_HW3 = read_rgb(pair.left), read_rgb(pair.right)
    disparity_HW = ground_truth.read_disparity(pair.disparity, pair.dataset_name)
    keep_HW = np.ones(disparity_HW.shape, bool) if pair.mask is None else ground_truth.read_mask(pair.mask)
    for file, plane in ((pair.right, right_HW3), (pair.disparity, disparity_HW), (pair.mask, keep_HW)):
        if plane.shape[:2] != left_HW3.shape[:2]:
            (height, width), (left_height, left_width) = plane.shape[:2], left_HW3.shape[:2]
            raise FileError(
                f"{file} is {width}x{height} and {pair.left} is {left_width}x{left_height}: expected one size for the "
                "images, the truth and the mask of a pair; correct the list"
            )
    disparity_HW[~keep_HW] = np.nan
    return TrainingSample(left_HW3, right_HW3, disparity_HW)


def _pairs_of(source: Source) -> Iterator[Pair]:
    dataset_name = ground_truth.dataset_of(source.dataset_name)
    for left, right, disparity, mask in read_annotations(source.data_file):
        if disparity is None:
            raise FileError(
                f"{source.data_file} names no ground truth for {left}: expected 'left right disparity' there"
            )
        yield Pair(left, right, disparity, mask, dataset_name)


def _planes(image_HW3: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image_HW3.transpose(2, 0, 1))).float()
