"""A small rectified camera whose pairs have a known disparity, and replays of bags of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")

from recordings import CAMERA, DISPARITY_px

from ffs_ros.bag.camera_topics import Asked
from ffs_ros.bag.job import Job, run
from ffs_ros.config import NodeConfig


class SilentLog:
    """Keeps what the engine says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, sentence: str) -> None:
        self.said.append(sentence)

    warning = error = info


@contextmanager
def uncounted(total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


@pytest.fixture(scope="session")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Six pairs of one texture, brighter from pair to pair so that they can be told apart."""
    texture = np.random.default_rng(5).integers(0, 200, (CAMERA.height, CAMERA.width + DISPARITY_px, 3), np.uint8)
    return [
        (texture[:, : CAMERA.width] + np.uint8(8 * index), texture[:, DISPARITY_px:] + np.uint8(8 * index))
        for index in range(6)
    ]


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], Path]]:
    """Runs a job on a bag with SGBM; the report and the new bag. ``parameters`` are the node's."""

    def start(bag: Path, asked: Asked | None = None, parameters: dict[str, Any] | None = None, **job: Any) -> Any:
        config = NodeConfig(**{"engine": "sgbm", "max_disparity": 16, "confidence_rate": 0.0, **(parameters or {})})
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        wanted = Job(bag, out, config, **({"asked": asked} if asked else {}), **job)
        return run(wanted, SilentLog(), uncounted), out

    return start
