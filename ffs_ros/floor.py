"""The least time that the bp2 network can take on a GPU: its multiply-adds and bytes over what the hardware can do.

Counted from the network's layers: convolutions, linear layers and the correlations; without normalisations, activations
and sampling. Everything grows with the number of pixels but the correlation of all pairs of a row, which grows with its
length squared. The batch is 1, the numbers fp16.
"""

from __future__ import annotations

from typing import NamedTuple

_MACS_PER_PIXEL = {
    "EdgeNeXt, two images": 38_086,
    "feature decoder, two images": 68_522,
    "stem_2": 513,
    "volume build": 1_008,
    "corr_feature_att": 137_844,
    "hourglass": 406_473,
    "classifier": 2_268,
    "context": 13_614,
    "upsampling": 3_936,
}
_MACS_PER_PIXEL_AND_ITERATION = 50_608
_CHANNELS = 224
_FEATURE_STRIDE = 4
"""Of the features whose pixels are correlated with all of their row."""

_WEIGHT_BYTES = 29_200_000
_WRITTEN_BYTES_PER_PIXEL, _WRITTEN_BYTES_PER_PIXEL_AND_ITERATION = 2_440, 252
"""The outputs of convolutions and linear layers and what the look-up found, each written once; the rest is fused."""
_MOVED_BYTES_PER_PIXEL, _MOVED_BYTES_PER_PIXEL_AND_ITERATION = 5_092, 583
"""The same with every input of these layers read once."""


class Peak(NamedTuple):
    """What a GPU can do."""

    tflops: float
    """fp16 on tensor cores, dense, in 1e12 operations per second, a multiply-add being two."""
    GB_per_s: float
    """Memory traffic."""


class Floor(NamedTuple):
    """Two lower bounds, which overlap."""

    compute_ms: float
    written_ms: float
    """Memory traffic where each result is written once and read from a cache."""
    moved_ms: float
    """Memory traffic where each result is written once and read once: what fusing and caches can avoid."""

    @property
    def ms(self) -> float:
        """Nothing can be faster."""
        return max(self.compute_ms, self.written_ms)


_PEAKS = {
    ("NVIDIA H200", 132): Peak(790, 4300),
    # Every Orin has this name; with 16 multiprocessors it is AGX Orin 64 GB. NVIDIA's 171 INT8 TOPS are with sparsity:
    # half of them dense, half of those in fp16. Likewise Thor's 2070 FP4 TFLOPS, an eighth.
    ("Orin", 16): Peak(42.7, 205),
    ("NVIDIA Thor", 20): Peak(259, 273),
    ("NVIDIA GeForce RTX 3090", 82): Peak(71, 936),
}


def peak_of(gpu: str, multiprocessors: int) -> Peak | None:
    """What a GPU with this name and so many multiprocessors can do; None where that is not known."""
    return _PEAKS.get((gpu, multiprocessors))


def macs(size: tuple[int, int], iterations: int) -> float:
    """Multiply-adds of one pair of ``size`` (rows, columns)."""
    rows, columns = size
    all_pairs = rows * columns**2 * _CHANNELS / _FEATURE_STRIDE**3
    return rows * columns * (sum(_MACS_PER_PIXEL.values()) + iterations * _MACS_PER_PIXEL_AND_ITERATION) + all_pairs


def traffic_bytes(size: tuple[int, int], iterations: int) -> tuple[float, float]:
    """Bytes of one pair: with each result written once, and with each also read once. The weights count once."""
    pixels = size[0] * size[1]
    written = pixels * (_WRITTEN_BYTES_PER_PIXEL + iterations * _WRITTEN_BYTES_PER_PIXEL_AND_ITERATION)
    moved = pixels * (_MOVED_BYTES_PER_PIXEL + iterations * _MOVED_BYTES_PER_PIXEL_AND_ITERATION)
    return _WEIGHT_BYTES + written, _WEIGHT_BYTES + moved


def floor(size: tuple[int, int], iterations: int, peak: Peak) -> Floor:
    """The least milliseconds for one pair of ``size`` (rows, columns)."""
    written_ms, moved_ms = (bytes_ / (peak.GB_per_s * 1e6) for bytes_ in traffic_bytes(size, iterations))
    return Floor(2 * macs(size, iterations) / (peak.tflops * 1e9), written_ms, moved_ms)
