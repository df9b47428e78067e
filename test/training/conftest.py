"""Small runs: pairs in files, scenes that cost nothing, and a spec for both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.pfm import write_pfm

HEIGHT, WIDTH = 48, 96


def flat_pair(seed: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left, right (H,W,3) uint8 and disparity (H,W) of a textured wall that stands parallel to the images."""
    rng = np.random.default_rng(seed)
    shift_px = int(rng.integers(2, 12))
    wide = cv2.GaussianBlur(rng.integers(0, 256, (height, width + shift_px, 3)).astype(np.uint8), (3, 3), 1.0)
    return wide[:, :width], wide[:, shift_px:], np.full((height, width), shift_px, np.float32)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.txt, four pairs, and val.txt, one."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = []
    for seed in range(5):
        left, right, disparity = flat_pair(seed)
        cv2.imwrite(str(folder / f"left{seed}.png"), left)
        cv2.imwrite(str(folder / f"right{seed}.png"), right)
        write_pfm(folder / f"disparity{seed}.pfm", disparity)
        lines.append(f"left{seed}.png right{seed}.png disparity{seed}.pfm\n")
    (folder / "train.txt").write_text("".join(lines[:4]), encoding="utf-8")
    (folder / "val.txt").write_text(lines[4], encoding="utf-8")
    return folder


@pytest.fixture
def small_spec(pairs: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Builds the values of a spec; dotted keys (``__`` for a dot) change it. Two steps an epoch, one iteration each."""

    def build(**changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "results_dir": str(tmp_path / "results"),
            "model": {"train_iters": 1, "valid_iters": 1},
            "dataset": {
                "train_dataset": {
                    "data_sources": [{"dataset_name": "GenericDataset", "data_file": str(pairs / "train.txt")}],
                    "batch_size": 2,
                    "workers": 0,
                    "augmentation": {"crop_size": [32, 64]},
                },
                "val_dataset": {
                    "data_sources": [{"dataset_name": "GenericDataset", "data_file": str(pairs / "val.txt")}],
                    "workers": 0,
                    "augmentation": {"crop_size": [32, 64]},
                },
            },
            "train": {
                "num_steps": 2,
                "log_every_n_steps": 1,
                "cudnn": {"deterministic": False},
                "optim": {"lr": 1e-3, "warmup_steps": 2},
            },
        }
        for dotted, value in changes.items():
            *above, name = dotted.split("__")
            place = values
            for key in above:
                place = place.setdefault(key, {})
            place[name] = value
        return values

    return build


@pytest.fixture
def wall_scenes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Puts walls in place of rendered scenes; gives the changes that make a spec use them."""
    torch = pytest.importorskip("torch")
    from ffs_ros.training import scenes

    def render(_: Any, seed: int, pairs: int, height: int, width: int, device: Any = None, **__: Any) -> Any:
        walls = [flat_pair(seed % 2**32 + pair, height, width) for pair in range(pairs)]
        left, right, disparity = (
            torch.tensor(np.stack(planes), dtype=torch.float32, device=device) for planes in zip(*walls, strict=True)
        )
        return SimpleNamespace(left_BHW3=left, right_BHW3=right, disparity_BHW=disparity)

    monkeypatch.setattr(scenes, "render_batch", render)
    sources = [{"dataset_name": "Scenes", "data_file": "7"}]
    return lambda: {
        "dataset__train_dataset__data_sources": sources,
        "dataset__val_dataset__data_sources": sources,
        "dataset__val_dataset__num_scenes": 2,
        "train__checkpoint_interval_unit": "step",
        "train__validation_interval_unit": "step",
    }
