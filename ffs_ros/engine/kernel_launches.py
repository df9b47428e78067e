"""How each kernel of our own is launched for a size: what it reads and writes, its grid, its arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ffs_ros.engine import TensorSpec

_PLANES, _STORED, _FEATURES, _PROJECTED, _EVIDENCE = 48, 32, 224, 12, 56
_SAMPLES = 2 * 9 * _STORED
_FINER = 4
_HEAD, _HEAD_STORED, _HEAD_TILE = 36, 40, 8
_HIDDEN_AT_ONCE = 32


class Launch(NamedTuple):
    """A kernel for one size. Shapes are in the order in which tensors lie in memory."""

    reads: list[TensorSpec]
    writes: TensorSpec
    grid: tuple[int, int, int]
    threads: int
    numbers: tuple[int, ...]
    """Arguments behind the addresses of what it reads, of its constants, and of what it writes."""
    constant_bytes: tuple[int, ...] = ()
    """Of each constant: weights in the kernel's own order."""


def _cost_volume(batch: int, rows: int, columns: int) -> Launch:
    """Group correlation and concatenation of the features and their projection, left images before right ones."""
    return Launch(
        [_halves(2 * batch, channels, rows, columns) for channels in (_FEATURES, _PROJECTED)],
        _halves(batch, _PLANES, rows, columns, _STORED),
        (_ceil(columns, 32), rows, batch),
        128,
        (batch, rows, columns),
    )


def _four_times_finer(batch: int, rows: int, columns: int) -> Launch:
    """What enters the hourglass plus the coarse volume, at 1/16 of the images, interpolated."""
    fine = _halves(batch, _PLANES, rows, columns, _STORED)
    coarse = _halves(batch, _PLANES // _FINER, _ceil(rows, _FINER), _ceil(columns, _FINER), _STORED)
    return Launch(
        [coarse, fine],
        fine,
        (_ceil(columns, 32), _ceil(rows + 2, _FINER), batch * (_PLANES // _FINER + 1)),
        128,
        (rows, columns),
    )


_PAIRED_COLUMNS = 96
"""Of each image, of a block of ``all_pairs``."""


def _all_pairs(batch: int, rows: int, columns: int) -> Launch:
    """The correlation of left and right pixels of a row, from the features, left images before right ones."""
    return Launch(
        [_halves(2 * batch, _FEATURES, rows, columns)],
        _halves(batch, rows, columns, columns),
        (_ceil(columns, _PAIRED_COLUMNS) ** 2, rows, batch),
        2 * _PAIRED_COLUMNS,
        (batch, rows, columns),
    )


def _look_up_convc1(batch: int, rows: int, columns: int) -> Launch:
    """What is around the disparity in the geometry volume and the correlation of all pairs, through ``convc1``."""
    pixels = batch * rows * columns
    return Launch(
        [
            TensorSpec((batch, 1, rows, columns), np.dtype(np.float32)),
            _halves(batch, _PLANES, rows, columns, _STORED),
            _halves(batch, rows, columns, columns),
        ],
        _halves(batch, rows, columns, _EVIDENCE),
        (_ceil(pixels, 32), 1, 1),
        256,
        (pixels, rows * columns, columns),
        (2 * _SAMPLES * _EVIDENCE, 4 * _EVIDENCE),
    )


_SEEN_TILE = (8, 16)
_SEEN_STORED, _SEEN_TAPS = 24, 7


def _disparity_features(batch: int, rows: int, columns: int) -> Launch:
    """The first layer on the disparity, 7x7, with its ReLU."""
    return Launch(
        [TensorSpec((batch, 1, rows, columns), np.dtype(np.float32))],
        _halves(batch, rows, columns, _SEEN_STORED),
        (_ceil(columns, _SEEN_TILE[1]), _ceil(rows, _SEEN_TILE[0]), batch),
        128,
        (rows, columns),
        (2 * 2 * _SEEN_TAPS * 8 * _SEEN_STORED, 4 * _SEEN_STORED),
    )


_UPSAMPLED, _LOGITS = 128, 16
"""Pixels of a block of ``convex_upsampling``, and channels of what it reads, of which nine count."""


def _convex_upsampling(batch: int, rows: int, columns: int) -> Launch:
    """The disparity of the images, from logits for the nine around each pixel and the disparity at 1/4."""
    finer = batch, 1, _FINER * rows, _FINER * columns
    return Launch(
        [_halves(batch, *finer[2:], _LOGITS), TensorSpec((batch, 1, rows, columns), np.dtype(np.float32))],
        TensorSpec(finer, np.dtype(np.float32)),
        (_ceil(finer[3], _UPSAMPLED), finer[2], batch),
        _UPSAMPLED,
        (rows, columns),
    )


_ATTENTION_THREADS, _ATTENTION_WEIGHTS = 64, 10108


def _head_attention(batch: int, rows: int, columns: int) -> Launch:
    """The transformer layer on the volume at 1/16."""
    volume, places = (
        _halves(batch, _PLANES // _FINER, rows, columns, _STORED),
        batch * _PLANES // _FINER * rows * columns,
    )
    return Launch(
        [volume],
        volume,
        (_ceil(places, _ATTENTION_THREADS), 1, 1),
        _ATTENTION_THREADS,
        (places, rows * columns),
        (4 * _ATTENTION_WEIGHTS,),
    )


_HIDDEN, _DRIVE = 60, 100
_GRU_THREADS = 256


def _gru(batch: int, rows: int, columns: int, reads: tuple[int, ...], writes: int, maps: int = 0) -> Launch:
    """What stands between the convolutions of the GRUs, on so many channels; ``maps`` of one channel behind them."""

    def picture(channels: int) -> TensorSpec:
        return _halves(batch, rows, columns, _ceil(channels, _CHANNELS_AT_ONCE) * _CHANNELS_AT_ONCE)

    places, made = batch * rows * columns, picture(writes)
    return Launch(
        [*map(picture, reads), *[_halves(batch, 1, rows, columns)] * maps],
        made,
        (_ceil(places * made.shape[-1] // 4, _GRU_THREADS), 1, 1),  # type: ignore[operator]
        _GRU_THREADS,
        (places,),
    )


_CONVOLUTION_TILE, _CONVOLUTION_THREADS = (8, 16), 128
_CONVOLUTION_BLOCKS = 396
"""Three for each processor of a large GPU, which have as much to do each; small ones take them in turns."""


def _volume_convolution(batch: int, planes: int, rows: int, columns: int, slope: int, behind: str = "") -> Launch:
    """A convolution 3x3x3, 32 channels to 28, and a leaky ReLU of ``slope`` thousandths.

    What it reads must be finite also where it fills up: it is weighted by 0.
    """
    volume = _halves(batch, planes, rows, columns, _STORED)
    others = {"": [], "add": [volume], "gated": [_halves(batch, rows, columns, _STORED)]}
    tiles = batch * _ceil(rows, _CONVOLUTION_TILE[0]) * _ceil(columns, _CONVOLUTION_TILE[1])
    return Launch(
        [volume, *others[behind]],
        volume,
        (min(_CONVOLUTION_BLOCKS, tiles * planes), 1, 1),
        _CONVOLUTION_THREADS,
        (batch, planes, rows, columns, slope),
        (2 * 27 * _STORED * _STORED, 4 * _STORED),
    )


_TILE_ROWS, _TILE_COLUMNS = 6, 14
"""Pixels of a block of ``first_disparity``, and a warp for each row and for the two beside them."""


def _first_disparity(batch: int, rows: int, columns: int) -> Launch:
    """The mean plane of each pixel, by the softmax of what the classifier makes of the geometry volume."""
    return Launch(
        [_halves(batch, _PLANES, rows, columns, _STORED)],
        TensorSpec((batch, 1, rows, columns), np.dtype(np.float32)),
        (_ceil(columns, _TILE_COLUMNS), _ceil(rows, _TILE_ROWS), batch),
        32 * (_TILE_ROWS + 2),
        (rows, columns),
        (2 * _STORED * 32,),
    )


def _wide_block(batch: int, rows: int, columns: int, hidden: int) -> Launch:
    """A block of the disparity head: depthwise 7x7, two linear layers with a GELU between them, and the sum."""
    picture, groups = _halves(batch, rows, columns, _HEAD_STORED), 2 * _ceil(hidden, _HIDDEN_AT_ONCE)
    return Launch(
        [picture],
        picture,
        (_ceil(columns, _HEAD_TILE), _ceil(rows, _HEAD_TILE), batch),
        128,
        (rows, columns, groups),
        (4 * 52 * _HEAD, groups * 32 * 80, 4 * _HEAD_STORED),
    )


def _disparity_step(batch: int, rows: int, columns: int) -> Launch:
    """The last convolution of the disparity head, in fp32, plus the disparity."""
    disparity = TensorSpec((batch, 1, rows, columns), np.dtype(np.float32))
    return Launch(
        [_halves(batch, rows, columns, _HEAD_STORED), disparity],
        disparity,
        (_ceil(columns, _HEAD_TILE), _ceil(rows, _HEAD_TILE), batch),
        128,
        (rows, columns),
        (4 * 10 * 32, 4),
    )


_CHANNELS_AT_ONCE = 8
_CHUNKS, _FEWEST_CHUNKS = 128, 16
"""Of all images and of one: enough blocks for all of a GPU, and few enough for each block of the norm to read."""
_SUM_THREADS, _SUM_VECTORS = 512, 64
_NORM_BLOCKS, _NORM_THREADS, _NORM_VECTORS = 600, 256, 4
"""Vectors, of eight channels: of a block."""


def _channel_sums(batch: int, rows: int, columns: int, channels: int) -> Launch:
    """Mean and squared deviations of each channel, of chunks of the places of a picture; what fills them up too."""
    pixels, vectors = rows * columns, _ceil(channels, _CHANNELS_AT_ONCE)
    stored = vectors * _CHANNELS_AT_ONCE
    least = _SUM_THREADS // min(vectors, _SUM_VECTORS)  # places: one for each thread
    chunk = max(least, _ceil(pixels, max(_FEWEST_CHUNKS, _CHUNKS // batch)))
    chunks = _ceil(pixels, chunk)
    return Launch(
        [_halves(batch, rows, columns, stored)],
        TensorSpec((batch, chunks, 2, stored), np.dtype(np.float32)),
        (chunks, _ceil(vectors, _SUM_VECTORS), batch),
        _SUM_THREADS,
        (pixels, vectors, chunk),
    )


def _instance_norm(batch: int, rows: int, columns: int, channels: int, slope: int) -> Launch:
    """Instance norm from that, then a leaky ReLU of ``slope`` thousandths."""
    sums = _channel_sums(batch, rows, columns, channels)
    pixels, vectors, chunk = sums.numbers
    tiles = _ceil(vectors, _NORM_VECTORS)
    least = 4 * (_NORM_THREADS // min(vectors, _NORM_VECTORS))  # places: four for each thread
    length = max(least, _ceil(pixels, _ceil(_NORM_BLOCKS, tiles * batch)))
    return Launch(
        [*sums.reads, sums.writes],
        sums.reads[0],
        (_ceil(pixels, length), tiles, batch),
        _NORM_THREADS,
        (pixels, channels, chunk, length, slope),
    )


def _instance_norm_add(batch: int, rows: int, columns: int, channels: int, slope: int) -> Launch:
    """The same, with a picture added in front of the ReLU."""
    norm = _instance_norm(batch, rows, columns, channels, slope)
    return norm._replace(reads=[*norm.reads, norm.writes])


def _instance_norm_join(batch: int, rows: int, columns: int, channels: int, slope: int, behind: int) -> Launch:
    """Without a picture to add, with one of ``behind`` channels behind it; each filled up to a multiple of eight."""
    norm, vectors = _instance_norm(batch, rows, columns, channels, slope), _ceil(behind, _CHANNELS_AT_ONCE)
    added = _halves(batch, rows, columns, vectors * _CHANNELS_AT_ONCE)
    stored = (_ceil(channels, _CHANNELS_AT_ONCE) + vectors) * _CHANNELS_AT_ONCE
    ranges, tiles, images = norm.grid
    return norm._replace(
        reads=[*norm.reads, added],
        writes=_halves(batch, rows, columns, stored),
        grid=(ranges, tiles + _ceil(vectors, _NORM_VECTORS), images),
        numbers=(*norm.numbers, behind),
    )


_JOIN_THREADS, _JOINED_AT_ONCE = 256, 4


def _join_leaky(batch: int, rows: int, columns: int, channels: int, slope: int, behind: int) -> Launch:
    """A leaky ReLU of ``slope`` thousandths, and ``behind`` channels of another picture behind it."""

    def picture(many: int) -> TensorSpec:
        return _halves(batch, rows, columns, _ceil(many, _CHANNELS_AT_ONCE) * _CHANNELS_AT_ONCE)

    places, made = batch * rows * columns, picture(_ceil(channels, _JOINED_AT_ONCE) * _JOINED_AT_ONCE + behind)
    return Launch(
        [picture(channels), picture(behind)],
        made,
        (_ceil(places * made.shape[-1] // _CHANNELS_AT_ONCE, _JOIN_THREADS), 1, 1),  # type: ignore[operator]
        _JOIN_THREADS,
        (places, channels, slope, behind),
    )


def _halves(*shape: int) -> TensorSpec:
    return TensorSpec(shape, np.dtype(np.float16))


def _ceil(length: int, step: int) -> int:
    return -(-length // step)


class Kernel(NamedTuple):
    """What a call of one name is."""

    launch: Callable[..., Launch]
    """For a size."""
    least: tuple[int, ...] = (1, 1, 1)
    """Of each number of a size. The first three are batch, rows and columns."""


_VOLUME_SIZES = (1, 1, 1, 1, 0)
KERNELS = {
    "cost_volume": Kernel(_cost_volume),
    "four_times_finer": Kernel(_four_times_finer),
    "first_disparity": Kernel(_first_disparity),
    "all_pairs": Kernel(_all_pairs),
    "look_up_convc1": Kernel(_look_up_convc1),
    "disparity_features": Kernel(_disparity_features),
    "convex_upsampling": Kernel(_convex_upsampling),
    "head_attention": Kernel(_head_attention),
    "gru_input": Kernel(partial(_gru, reads=(_DRIVE, _HIDDEN), writes=_DRIVE + _HIDDEN)),
    "gru_reset": Kernel(partial(_gru, reads=(2 * _HIDDEN, _DRIVE + _HIDDEN), writes=_DRIVE + _HIDDEN)),
    "gru_output": Kernel(partial(_gru, reads=(*(2 * _HIDDEN, _HIDDEN) * 2, _HIDDEN), writes=_HIDDEN, maps=1)),
    "volume_convolution": Kernel(_volume_convolution, least=_VOLUME_SIZES),
    "volume_convolution_add": Kernel(partial(_volume_convolution, behind="add"), least=_VOLUME_SIZES),
    "volume_convolution_gated": Kernel(partial(_volume_convolution, behind="gated"), least=_VOLUME_SIZES),
    "wide_block": Kernel(_wide_block, least=(1, 1, 1, 1)),
    "disparity_step": Kernel(_disparity_step),
    "channel_sums": Kernel(_channel_sums, least=(1, 1, 1, 1)),
    "instance_norm": Kernel(_instance_norm, least=(1, 1, 1, 1, 0)),
    "instance_norm_add": Kernel(_instance_norm_add, least=(1, 1, 1, 1, 0)),
    "instance_norm_join": Kernel(_instance_norm_join, least=(1, 1, 1, 1, 0, 1)),
    "join_leaky": Kernel(_join_leaky, least=(1, 1, 1, 1, 0, 1)),
}
