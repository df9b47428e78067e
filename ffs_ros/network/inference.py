"""The network on NumPy images, for those who have no use for torch otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from .model import network_from


def disparity_of(
    tensors: Mapping[str, np.ndarray], left: np.ndarray, right: np.ndarray, iterations: int = 8
) -> np.ndarray:
    """Disparity of the left images, float32 [B,1,H,W] in pixels, not clipped.

    ``tensors`` as for ``network_from``; ``left`` and ``right`` uint8 [B,H,W,3] RGB, H and W multiples of 32.
    """
    network = network_from(tensors, iterations)
    with torch.inference_mode():
        return network(*(torch.from_numpy(images).permute(0, 3, 1, 2) for images in (left, right))).numpy()
