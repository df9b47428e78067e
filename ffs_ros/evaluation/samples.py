"""The pairs of an evaluation, one by one, and everything that is wrong with their files before anything is computed.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from typing import NamedTuple, Protocol

import numpy as np

from ffs_ros.annotation import AnnotationList, StereoSample
from ffs_ros.errors import FileError, ListError
from ffs_ros.ground_truth import dataset_of, read_disparity, read_mask, wrong_encoding, wrong_suffix
from ffs_ros.image_file import read_rgb
from ffs_ros.picture_header import PictureHeader, read_header
from ffs_ros.storage import Location, suffix_of

_READING_AT_ONCE, _LOOKED_AT_TOGETHER = 32, 1024
_ARRAYS = (".npy", ".npz", ".pfm")


class PairList(Protocol):
    """Pairs that can be counted, and gone through as often as one likes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[StereoSample]: ...


class Source(NamedTuple):
    """Pairs of one data set."""

    pairs: PairList
    dataset_name: str
    """One of ``ground_truth.DATASET_NAMES``."""
    gt_scale: float | None = None
    """Steps a pixel in grey pictures; None: as the data set has them."""


class Sample(NamedTuple):
    """One pair, with all that is needed to evaluate it anywhere."""

    place: int
    """In all lists together, from 0."""
    files: StereoSample
    dataset_name: str
    gt_scale: float | None

    @property
    def scene(self) -> str:
        """Name of the folder that the left image is in, as TAO calls it."""
        return os.path.basename(os.path.dirname(self.files.left))  # noqa: PTH119, PTH120 (may be a URL)


class Samples:
    """The pairs of several sources, in order. Nothing is held of them; each pass reads the lists again."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Raises FileError for a data set that does not exist."""
        self.sources = [source._replace(dataset_name=dataset_of(source.dataset_name)) for source in sources]

    def __len__(self) -> int:
        return sum(len(source.pairs) for source in self.sources)

    def __iter__(self) -> Iterator[Sample]:
        place = 0
        for pairs, dataset_name, gt_scale in self.sources:
            for files in pairs:
                yield Sample(place, files, dataset_name, gt_scale)
                place += 1


def listed(files: Sequence[Location], dataset_name: str | Sequence[str], gt_scale: float | None = None) -> Samples:
    """The pairs of annotation files, of one data set or each of its own.

    Raises FileError, ListError with what is wrong in all files.
    """
    names = [dataset_name] * len(files) if isinstance(dataset_name, str) else dataset_name
    for name in names:
        dataset_of(name)
    opened = [_opened(file) for file in files]
    wrong = [sentence for one in opened if isinstance(one, FileError) for sentence in one.args]
    if wrong:
        raise ListError(*wrong)
    lists = [one for one in opened if isinstance(one, AnnotationList)]
    return Samples([Source(one, name, gt_scale) for one, name in zip(lists, names, strict=True)])


def _opened(file: Location) -> AnnotationList | FileError:
    try:
        return AnnotationList(file)
    except FileError as error:
        return error


def check_files(samples: Samples, needs_truth: bool = True) -> None:
    """Raises ListError when images, truth or masks are missing, unreadable by their first bytes, in another encoding
    than their data set's or of different sizes; also when no pair at all has ground truth and ``needs_truth``."""
    wrong = ListError.of(all_faults(samples, faults_of))
    if wrong:
        raise wrong
    if needs_truth and not any(sample.files.disparity for sample in samples):
        first = next(iter(samples)).files.left
        raise FileError(f"no pair has ground truth, {first} for one: expected 'left right disparity' on its line")


def all_faults(samples: Iterable[Sample], faults_of: Callable[[Sample], list[str]]) -> Iterator[str]:
    """What ``faults_of`` says about each, in their order."""
    remaining = iter(samples)
    with ThreadPoolExecutor(_READING_AT_ONCE) as pool:  # for disks and networks that take their time
        while some := list(islice(remaining, _LOOKED_AT_TOGETHER)):
            yield from chain.from_iterable(pool.map(faults_of, some))


def faults_of(sample: Sample) -> list[str]:
    """What is wrong with the files of one pair, as far as their first bytes tell; a sentence each."""
    left, right, disparity, mask = sample.files
    if left == right:
        return [f"{left} is listed as left and as right: expected the two images of a pair"]
    headers: list[tuple[str, PictureHeader]] = []
    faults: list[str] = []
    for path in (left, right, disparity, mask):
        if path is None:
            continue
        try:
            headers.append((path, _truth_header(sample, path) if path == disparity else _picture_header(path)))
        except FileError as error:
            faults += error.args
    if headers:
        (first, is_), *others = headers
        faults += [
            size_sentence(path, (it.height, it.width), first, (is_.height, is_.width))
            for path, it in others
            if (it.height, it.width) != (is_.height, is_.width)
        ]
    return faults


def _picture_header(path: str) -> PictureHeader:
    header = read_header(path)
    if suffix_of(path) in _ARRAYS or header.dtype not in (np.uint8, np.uint16):
        raise FileError(f"{path} is no picture of 8 or 16 bits: expected PNG, JPEG or the like")
    return header


def _truth_header(sample: Sample, path: str) -> PictureHeader:
    _refuse(wrong_suffix(path, sample.gt_scale))
    if suffix_of(path) not in _ARRAYS:
        header = read_header(path)
        _refuse(wrong_encoding(path, header.channels, header.dtype, sample.dataset_name, sample.gt_scale))
        return header
    with suppress(FileError):
        header = read_header(path)
        if header.channels == 1 and np.issubdtype(header.dtype, np.floating):
            return header
    truth_HW = read_disparity(path, sample.dataset_name)  # whose sentence is better; and for .npz
    return PictureHeader(truth_HW.shape[0], truth_HW.shape[1], 1, truth_HW.dtype)


def _refuse(sentence: str | None) -> None:
    if sentence is not None:
        raise FileError(sentence)


def size_sentence(path: str, size: tuple[int, int], left: str, left_size: tuple[int, int]) -> str:
    """For a file of a pair that has another size than the left image; sizes are (rows, columns)."""
    return (
        f"{path} is {size[1]}x{size[0]} and {left} is {left_size[1]}x{left_size[0]}: expected one size for both "
        "images, disparity and mask; where images are scaled, so are the disparities in them"
    )


class LoadedPair(NamedTuple):
    """What the files of a sample hold."""

    left_HW3: np.ndarray
    """uint8 RGB, as is ``right_HW3``."""
    right_HW3: np.ndarray
    truth_HW: np.ndarray | None
    """Disparity, float32 px, NaN where unknown; None where the sample has none."""
    seen_HW: np.ndarray | None
    """bool: pixels that both cameras see, as the mask says; None where there is none."""


def load(sample: Sample) -> LoadedPair:
    """Read the files of a sample. Raises FileError, naming the file."""
    left, right, disparity, mask = sample.files
    left_HW3, right_HW3 = read_rgb(left), read_rgb(right)
    truth_HW = None if disparity is None else read_disparity(disparity, sample.dataset_name, sample.gt_scale)
    seen_HW = None if mask is None else read_mask(mask)
    for path, pixels in ((right, right_HW3), (disparity, truth_HW), (mask, seen_HW)):
        if path is not None and pixels is not None and pixels.shape[:2] != left_HW3.shape[:2]:
            raise FileError(size_sentence(path, pixels.shape[:2], left, left_HW3.shape[:2]))
    return LoadedPair(left_HW3, right_HW3, truth_HW, seen_HW)
