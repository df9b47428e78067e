"""The proof of an exported graph: ONNX Runtime and PyTorch give the same disparity.

Legend of shapes: B batch, H and W rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ffs_ros.engine import open_engine
from ffs_ros.engine.contract import normalised_tensor
from ffs_ros.errors import ExportError

LARGEST_DIFFERENCE_PX = 2e-3
"""Two fp32 evaluations of this network in different orders differ by about a quarter of that."""
DYNAMIC_SIZES = ((96, 160), (160, 224))
DYNAMIC_BATCH = 2


def prove(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    size: tuple[int, int] | None,
    iterations: int,
    io: str,
    batch: int | None,
) -> str:
    """How far the graph in ``path`` is from the network with ``tensors``, in words.

    A graph of open size is run at two sizes, one of open batch with two pairs. Raises ExportError when any pixel
    differs by more than 2e-3 px or is not finite.
    """
    from ffs_ros.network import disparity_of

    worst_px = 0.0
    with open_engine(path) as engine:
        for height, width in (size,) if size else DYNAMIC_SIZES:
            left, right = textured_pairs(batch or DYNAMIC_BATCH, height, width)
            (found,) = engine.infer(_feeds(left, right, io)).values()
            expected = disparity_of(tensors, left, right, iterations)
            worst_px = max(worst_px, float(np.abs(found - expected).max()))
            if not worst_px <= LARGEST_DIFFERENCE_PX:  # NaN included
                raise ExportError(
                    f"at {height}x{width} ONNX Runtime and PyTorch differ by {worst_px:.3g} px, expected at most "
                    f"{LARGEST_DIFFERENCE_PX:g}: nothing was written; try another version of onnxruntime"
                )
    return f"ONNX Runtime and PyTorch agree to {worst_px:.1e} px"


def textured_pairs(count: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [count,H,W,3] left and right: a smooth texture, its upper half shifted by W/16, its lower by W/5 pixels."""
    import cv2

    random = np.random.default_rng(seed)
    near, far = width // 5, width // 16
    left, right = np.empty((2, count, height, width, 3), np.uint8)
    for pair in range(count):
        noise = random.uniform(0.0, 255.0, (height, width + near, 3)).astype(np.float32)
        texture = np.clip(3.0 * (cv2.GaussianBlur(noise, (0, 0), 1.0) - 127.5) + 127.5, 0.0, 255.0).astype(np.uint8)
        left[pair] = texture[:, :width]
        middle = height // 2
        right[pair, :middle] = texture[:middle, far : far + width]
        right[pair, middle:] = texture[middle:, near : near + width]
    return left, right


def _feeds(left: np.ndarray, right: np.ndarray, io: str) -> dict[str, np.ndarray]:
    if io == "image":
        return {"left": left, "right": right}
    return {
        name: np.concatenate([normalised_tensor(image) for image in images])
        for name, images in (("left_image", left), ("right_image", right))
    }
