"""What an engine's tensors are called and how they are laid out: the two contracts of ``Engine``, checked.

Legend of shapes: B batch, h and w rows and columns of the engine's input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.engine import Engine, TensorSpec
from ffs_ros.errors import EngineError, UnfitImages
from ffs_ros.imagenet import DEVIATION_RGB, MEAN_RGB

OUTPUT = "disparity"

# A byte has 256 values, so normalising is a table per channel: exact, and several times faster than arithmetic.
_NORMALISED = ((np.arange(256) / 255.0 - np.array(MEAN_RGB)[:, None]) / np.array(DEVIATION_RGB)[:, None]).astype(
    np.float32
)


def image_tensor(rgb_hw3: np.ndarray) -> np.ndarray:
    """``--io image``: uint8 (1,h,w,3), the picture itself; the graph normalises."""
    return np.ascontiguousarray(rgb_hw3)[None]


def normalised_tensor(rgb_hw3: np.ndarray) -> np.ndarray:
    """``--io tensor``: float32 (1,3,h,w), (x / 255 - mean) / deviation of ImageNet per channel."""
    tensor = np.empty((1, 3, *rgb_hw3.shape[:2]), np.float32)
    for channel, plane in enumerate(cv2.split(rgb_hw3)):
        cv2.LUT(plane, _NORMALISED[channel, None], dst=tensor[0, channel])
    return tensor


class StereoInputs(NamedTuple):
    """How one engine wants its two images."""

    left: str
    right: str
    size: tuple[int | None, int | None]
    """Rows and columns; None where the engine leaves them open."""
    tensor_of: Callable[[np.ndarray], np.ndarray]

    def feeds(self, left_hw3: np.ndarray, right_hw3: np.ndarray) -> dict[str, np.ndarray]:
        """Both images, uint8 (h,w,3) RGB of the engine's size, as the engine's named inputs."""
        return {self.left: self.tensor_of(left_hw3), self.right: self.tensor_of(right_hw3)}


class _Contract(NamedTuple):
    left: str
    right: str
    dtype: str
    layout: str
    channel_axis: int
    row_axis: int
    tensor_of: Callable[[np.ndarray], np.ndarray]

    def __str__(self) -> str:
        return f"'{self.left}' and '{self.right}', {self.dtype} {self.layout}"


_CONTRACTS = (
    _Contract("left", "right", "uint8", "[B,H,W,3]", 3, 1, image_tensor),
    _Contract("left_image", "right_image", "float32", "[B,3,H,W]", 1, 2, normalised_tensor),
)


def stereo_inputs(engine: Engine, batch: int = 1) -> StereoInputs:
    """How ``engine`` wants its images, ``batch`` pairs at a time.

    Raises EngineError, with what was found and expected, for any other engine.
    """
    for contract in _CONTRACTS:
        if set(engine.inputs) == {contract.left, contract.right}:
            left, right = engine.inputs[contract.left], engine.inputs[contract.right]
            if left != right or not _holds(contract, left, batch):
                break
            _check_output(engine)
            size = (left.shape[contract.row_axis], left.shape[contract.row_axis + 1])
            return StereoInputs(contract.left, contract.right, size, contract.tensor_of)
    raise EngineError(
        f"engine '{engine.info.name}' takes {described(engine.inputs)}; expected {' or '.join(map(str, _CONTRACTS))}, "
        "for one pair at a time (B = 1); export it with ffs export, with --batch 1"
    )


def _holds(contract: _Contract, spec: TensorSpec, batch: int) -> bool:
    return (
        len(spec.shape) == 4
        and spec.dtype == np.dtype(contract.dtype)
        and spec.shape[0] in (batch, None)
        and spec.shape[contract.channel_axis] in (3, None)
        and 0 not in spec.shape
    )


def _check_output(engine: Engine) -> None:
    spec = engine.outputs.get(OUTPUT)
    if spec is None or spec.dtype != np.float32 or len(spec.shape) != 4 or spec.shape[1] not in (1, None):
        raise EngineError(
            f"engine '{engine.info.name}' gives {described(engine.outputs)}; expected '{OUTPUT}', float32 [B,1,H,W]; "
            "export it with ffs export"
        )


def check_feeds(inputs: Mapping[str, TensorSpec], feeds: Mapping[str, np.ndarray]) -> None:
    """Raises UnfitImages, naming the tensor, the received and the expected, unless ``feeds`` fit ``inputs``."""
    if set(feeds) != set(inputs):
        raise UnfitImages(
            f"the engine was given {', '.join(map(repr, feeds)) or 'nothing'}; expected {described(inputs)}"
        )
    for name, spec in inputs.items():
        feed = feeds[name]
        fits = len(feed.shape) == len(spec.shape) and all(
            wanted in (None, length) for wanted, length in zip(spec.shape, feed.shape, strict=True)
        )
        if feed.dtype != spec.dtype or not fits:
            given = described({name: TensorSpec(feed.shape, feed.dtype)})
            raise UnfitImages(f"the engine was given {given}; expected {described({name: spec})}")


def described(tensors: Mapping[str, TensorSpec]) -> str:
    """The tensors in words: name, dtype, shape, '?' for an axis of any length."""
    words = (
        f"'{name}' {spec.dtype} [{','.join('?' if n is None else str(n) for n in spec.shape)}]"
        for name, spec in tensors.items()
    )
    return ", ".join(words) or "nothing"
