"""Pairs whose right image is the left one moved: every matcher finds the same disparity everywhere."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm


def shifted_pair(seed: int, disparity_px: int, size: tuple[int, int] = (48, 160)) -> tuple[np.ndarray, np.ndarray]:
    """Left and right, uint8 (H,W,3), of texture that repeats nowhere."""
    height, width = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width + disparity_px, 3), np.uint8)
    wide = cv2.GaussianBlur(noise, (0, 0), 1.0)
    return wide[:, :width].copy(), wide[:, disparity_px:].copy()


def shifted_pairs(folder: Path, count: int, size: tuple[int, int] = (48, 160), with_truth: bool = False) -> Path:
    """A list of pairs below ``folder``, FOLDER/p000/left.png and so on, with disparities of 8 px and more."""
    lines = []
    for number in range(count):
        place, disparity_px = folder / f"p{number:03d}", 8 + number % 16
        place.mkdir(parents=True)
        files = [place / "left.png", place / "right.png"]
        for file, image in zip(files, shifted_pair(number, disparity_px, size), strict=True):
            write_png(file, image)
        if with_truth:
            files.append(place / "truth.pfm")
            write_pfm(files[-1], np.full(size, disparity_px, np.float32))
        lines.append(" ".join(map(str, files)) + "\n")
    (folder / "list.txt").write_text("".join(lines))
    return folder / "list.txt"
