"""Image messages decoded anew from the definitions of their encodings, without OpenCV and without the package.

Legend of shapes: H and W rows and columns of the image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LONGEST_SIDE = 1000
"""Larger images may be refused."""


class Picture(NamedTuple):
    """What an Image shows."""

    rgb_HW3: np.ndarray
    """float64, 0 to 255."""
    error_HW: np.ndarray
    """How far a decoder may be off; infinite where the definition leaves it open."""
    sure: bool
    """Whether a node has to take it; one that ends within the padding of its last row may be refused."""


def picture_in(msg: Any) -> Picture | None:
    """None for what nobody can decode."""
    if msg.encoding not in DECODERS or msg.height < 1 or msg.width < 1:
        return None
    pixel_bytes, decode = DECODERS[msg.encoding]
    rows, remainder = divmod(3 * msg.height, 2) if msg.encoding.startswith("nv") else (msg.height, 0)
    in_pairs = msg.encoding.startswith(("nv", "yuv", "uyvy", "yuyv"))
    row_bytes = msg.width * pixel_bytes
    data = bytes(msg.data)
    if remainder or (in_pairs and msg.width % 2) or msg.step < row_bytes:
        return None
    if len(data) < (rows - 1) * msg.step + row_bytes:
        return None
    lines = [data[row * msg.step : row * msg.step + row_bytes] for row in range(rows)]
    bytes_HWc = np.array([np.frombuffer(line, np.uint8) for line in lines]).reshape(rows, msg.width, pixel_bytes)
    rgb_HW3, error_HW = decode(bytes_HWc.astype(np.float64), bool(msg.is_bigendian))
    complete = len(data) >= rows * msg.step
    return Picture(rgb_HW3, error_HW, complete and max(msg.height, msg.width) <= LONGEST_SIDE)


Decoder = Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray]]


def _exactly(rgb_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rgb_HW3, np.zeros(rgb_HW3.shape[:2])


def _bytes_in_order(*channels: int) -> Decoder:
    return lambda bytes_HWc, big: _exactly(bytes_HWc[..., channels])


def _eight_bits(bytes_HWc: np.ndarray, big: bool) -> np.ndarray:
    """Words scaled to 0..255 and rounded, (H,W,channels)."""
    high, low = (0, 1) if big else (1, 0)
    return np.rint((256.0 * bytes_HWc[..., high::2] + bytes_HWc[..., low::2]) * 255.0 / 65535.0)


def _words_in_order(*channels: int) -> Decoder:
    return lambda bytes_HWc, big: _exactly(_eight_bits(bytes_HWc, big)[..., channels])


def _from_yuv(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ITU-R BT.601, studio swing; decoders round differently."""
    y = 255.0 / 219.0 * np.maximum(y - 16.0, 0.0)
    u, v = (255.0 / 112.0 * (plane - 128.0) for plane in (u, v))
    rgb = np.stack([y + 0.701 * v, y - 0.886 * 0.114 / 0.587 * u - 0.701 * 0.299 / 0.587 * v, y + 0.886 * u], axis=2)
    return np.clip(rgb, 0.0, 255.0), np.full(y.shape, 2.0)


def _yuv_422(luminance: int) -> Decoder:
    def decode(bytes_HWc: np.ndarray, big: bool) -> tuple[np.ndarray, np.ndarray]:
        chroma = bytes_HWc[..., 1 - luminance]
        u, v = chroma[:, ::2].repeat(2, axis=1), chroma[:, 1::2].repeat(2, axis=1)
        return _from_yuv(bytes_HWc[..., luminance], u, v)

    return decode


def _yuv_420(first: int) -> Decoder:
    def decode(bytes_HWc: np.ndarray, big: bool) -> tuple[np.ndarray, np.ndarray]:
        rows = 2 * len(bytes_HWc) // 3
        planes = [bytes_HWc[rows:, k::2, 0].repeat(2, axis=0).repeat(2, axis=1) for k in (first, 1 - first)]
        return _from_yuv(bytes_HWc[:rows, :, 0], *planes)

    return decode


_NEAR = ([(0, 0)], [(-1, 0), (1, 0), (0, -1), (0, 1)], [(-1, -1), (-1, 1), (1, -1), (1, 1)])
"""Rows and columns to go to a pixel, its neighbours and its corners."""


def _mosaic(order: str, words: bool) -> Decoder:
    """The mean of the nearest pixels of each colour; what decoders do at the edges differs."""

    def decode(bytes_HWc: np.ndarray, big: bool) -> tuple[np.ndarray, np.ndarray]:
        value_HW = (_eight_bits(bytes_HWc, big) if words else bytes_HWc)[..., 0]
        height, width = value_HW.shape
        sites = np.array(["rgb".index(letter) for letter in order]).reshape(2, 2)
        site_HW = np.tile(sites, (height // 2 + 1, width // 2 + 1))[:height, :width]
        rgb_HW3 = np.zeros((height, width, 3))
        for colour in range(3):
            for steps in reversed(_NEAR):
                count_HW = sum(np.roll(site_HW == colour, step, (0, 1)).astype(float) for step in steps)
                sum_HW = sum(np.roll(np.where(site_HW == colour, value_HW, 0.0), step, (0, 1)) for step in steps)
                near_HW = count_HW > 0
                rgb_HW3[near_HW, colour] = (sum_HW / np.maximum(count_HW, 1.0))[near_HW]
        error_HW = np.full((height, width), np.inf)
        error_HW[1:-1, 1:-1] = 1.0
        return rgb_HW3, error_HW

    return decode


DECODERS: dict[str, tuple[int, Decoder]] = {
    "mono8": (1, _bytes_in_order(0, 0, 0)),
    "8UC1": (1, _bytes_in_order(0, 0, 0)),
    "rgb8": (3, _bytes_in_order(0, 1, 2)),
    "bgr8": (3, _bytes_in_order(2, 1, 0)),
    "8UC3": (3, _bytes_in_order(2, 1, 0)),
    "rgba8": (4, _bytes_in_order(0, 1, 2)),
    "bgra8": (4, _bytes_in_order(2, 1, 0)),
    "8UC4": (4, _bytes_in_order(2, 1, 0)),
    "mono16": (2, _words_in_order(0, 0, 0)),
    "16UC1": (2, _words_in_order(0, 0, 0)),
    "rgb16": (6, _words_in_order(0, 1, 2)),
    "bgr16": (6, _words_in_order(2, 1, 0)),
    "rgba16": (8, _words_in_order(0, 1, 2)),
    "bgra16": (8, _words_in_order(2, 1, 0)),
    "uyvy": (2, _yuv_422(luminance=1)),
    "yuv422": (2, _yuv_422(luminance=1)),
    "yuyv": (2, _yuv_422(luminance=0)),
    "yuv422_yuy2": (2, _yuv_422(luminance=0)),
    "nv12": (1, _yuv_420(first=0)),
    "nv21": (1, _yuv_420(first=1)),
    **{f"bayer_{order}8": (1, _mosaic(order, words=False)) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{order}16": (2, _mosaic(order, words=True)) for order in ("rggb", "bggr", "gbrg", "grbg")},
}
"""Encoding -> bytes per pixel and how to read them."""
