"""Batches of rendered scenes: the loader yields a seed, the training's own device renders it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from array_api_compat import torch as torch_namespace
from torch import Tensor
from torch.nn import functional

from ffs_ros.scene import render_batch
from ffs_ros.scene.render import Renderer

from .batches import Place, mixed, share

_TRAINING, _VALIDATION = 0, 1
WIDEST_PADDING_px = 16
"""What ``fit.InputFit`` adds to one side of an image that it pads to a multiple of 32."""


def training_seed(seed: int, step: int, place: Place) -> int:
    """The seed of one process's batch."""
    return mixed(_TRAINING, seed, step, place.rank)


def validation_seeds(seed: int, batches: int, place: Place) -> list[int]:
    """The seeds of one process's share of the validation: always the same, and none of training's."""
    return [mixed(_VALIDATION, seed, index) for index in share(batches, place)]


class SceneBatches:
    """Renders the batch of a seed, and knows how long that took."""

    def __init__(self, pairs: int, height: int, width: int, max_disparity_px: float, is_compiled: bool = False) -> None:
        self.pairs, self.height, self.width, self.max_disparity_px = pairs, height, width, max_disparity_px
        compiled = partial(torch.compile, dynamic=False) if is_compiled else None
        self._renderer = Renderer(torch_namespace, compiled, _moved)
        self._spans: list[tuple[Any, Any]] = []

    @torch.no_grad()
    def batch(self, seed: int, device: torch.device) -> dict[str, Any]:
        """``left``, ``right`` B,3,H,W float32 0..255; ``disparity`` B,1,H,W float32 px, NaN where none; ``name``."""
        begin = _now(device)
        rendered = render_batch(
            torch_namespace, seed, self.pairs, self.height, self.width, device=device,
            max_disparity_px=self.max_disparity_px, occlusion=False, renderer=self._renderer,
        )  # fmt: skip
        left, right, disparity = padded_edges(
            _planes(rendered.left_BHW3), _planes(rendered.right_BHW3), rendered.disparity_BHW[:, None], seed
        )
        batch = {
            "left": left,
            "right": right,
            "disparity": disparity,
            "name": [f"scene {seed} pair {pair}" for pair in range(self.pairs)],
        }
        self._spans.append((begin, _now(device)))
        return batch

    def seconds(self) -> float:
        """Of rendering since the last call. On a GPU the caller has waited for it to finish."""
        spans, self._spans = self._spans, []
        return sum(end - begin if isinstance(begin, float) else 1e-3 * begin.elapsed_time(end) for begin, end in spans)


def padded_edges(left: Tensor, right: Tensor, disparity: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """In half of the batches the outermost pixels replaced by replicas of those inside, and their truth unknown: what
    the network meets when an image is padded to its size."""
    rng = np.random.default_rng(mixed(seed, 2))
    if rng.uniform() < 0.5:
        return left, right, disparity
    height, width = disparity.shape[-2:]
    top, bottom, before, after = (int(pixels) for pixels in rng.integers(0, WIDEST_PADDING_px + 1, 4))
    inside = (..., slice(top, height - bottom), slice(before, width - after))
    sides = (before, after, top, bottom)
    left, right = (functional.pad(image[inside], sides, mode="replicate") for image in (left, right))
    return left, right, functional.pad(disparity[inside], sides, value=torch.nan)


def _moved(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """To the device without waiting for what it is doing."""
    tensor = torch.from_numpy(values).to(dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _planes(images_BHW3: Tensor) -> Tensor:
    return images_BHW3.permute(0, 3, 1, 2).contiguous()


def _now(device: torch.device) -> Any:
    """Seconds on the CPU; on a GPU an event in its queue, which nobody waits for."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
