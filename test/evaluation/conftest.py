"""Pairs in files whose answer is known: ``tiny_onnx`` answers a quarter of the left image's red."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm

WritePair = Callable[..., str]


@pytest.fixture
def write_pair(tmp_path: Path) -> WritePair:
    """Writes a pair and gives its line of a list. The answer to it is ``answer_HW``, quarters of a pixel below 64."""

    def write(
        name: str, answer_HW: np.ndarray, truth_HW: np.ndarray | None = None, seen_HW: np.ndarray | None = None
    ) -> str:
        folder = tmp_path / name
        folder.mkdir()
        left = np.zeros((*answer_HW.shape, 3), np.uint8)
        left[..., 0] = np.round(4 * answer_HW)
        paths = [folder / "left.png", folder / "right.png"]
        write_png(paths[0], left)
        write_png(paths[1], left[:, ::-1])
        if truth_HW is not None:
            paths.append(folder / "truth.pfm")
            write_pfm(paths[-1], truth_HW)
        if seen_HW is not None:
            paths.append(folder / "seen.png")
            write_png(paths[-1], np.dstack([np.where(seen_HW, 255, 128).astype(np.uint8)] * 3))
        return " ".join(map(str, paths))

    return write
