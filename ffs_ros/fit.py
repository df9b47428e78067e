"""The one place where images leave the camera's size and disparities come back to it.

Legend of shapes: H and W rows and columns of the camera's image, h and w of the engine's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ffs_ros.advice import export_size
from ffs_ros.errors import EngineError

MODES = ("auto", "pad", "letterbox", "resize")

_MOST_AUTO_PADDING_PX = 31
"""'auto' pads what a network's multiple of 32 can be short of, and prefers the engine's own scale beyond that."""


@dataclass(frozen=True)
class InputFit:
    """A camera image becomes ``content`` (by resizing, where the sizes differ) inside an engine input with replicated
    edges, half on each side with the odd pixel at the right and the bottom. All sizes are (rows, columns)."""

    camera_size: tuple[int, int]
    content_size: tuple[int, int]
    engine_size: tuple[int, int]

    @classmethod
    def of(
        cls,
        camera_size: tuple[int, int],
        engine_size: tuple[int | None, int | None] | None,
        size_multiple: int = 1,
        mode: str = "auto",
    ) -> InputFit:
        """How images of ``camera_size`` reach ``engine_size``; an axis that is None takes the camera's length, rounded
        up to ``size_multiple``.

        ``pad``: no resizing; the image must fit. ``resize``: each axis is stretched to the engine's. ``letterbox``: one
        scale for both axes, so that one of them fills the engine (a smaller image grows: networks are at their best at
        their own size), and edge replication for the other. ``auto``: ``pad`` where at most 31 pixels are missing
        on each axis, otherwise ``letterbox``. Raises EngineError when the image is empty or ``pad`` cannot hold it.
        """
        if mode not in MODES:
            raise EngineError(f"fit '{mode}' does not exist: expected one of {', '.join(MODES)}")
        if min(camera_size) < 1:
            raise EngineError(f"the image is empty ({camera_size[1]}x{camera_size[0]}): expected at least 1x1 pixels")
        rows, columns = (
            -(-length // size_multiple) * size_multiple if fixed is None else fixed
            for length, fixed in zip(camera_size, engine_size or (None, None), strict=True)
        )
        missing = (rows - camera_size[0], columns - camera_size[1])
        if mode == "auto":
            mode = "pad" if min(missing) >= 0 and max(missing) <= _MOST_AUTO_PADDING_PX else "letterbox"
        if mode == "pad":
            if min(missing) < 0:
                size = export_size(camera_size)
                larger = f", or export a larger engine: ffs export CHECKPOINT -o FILE.onnx {size}" if size else ""
                raise EngineError(
                    f"the image is {camera_size[1]}x{camera_size[0]} and the engine takes {columns}x{rows}: padding "
                    f"cannot make an image smaller; use fit 'auto', 'letterbox' or 'resize'{larger}"
                )
            content_size = camera_size
        elif mode == "resize":
            content_size = (rows, columns)
        else:
            scale = min(rows / camera_size[0], columns / camera_size[1])
            content_size = (
                min(rows, max(1, round(camera_size[0] * scale))),
                min(columns, max(1, round(camera_size[1] * scale))),
            )
        return cls(camera_size, content_size, (rows, columns))

    @property
    def width_ratio(self) -> float:
        """Camera pixels per engine pixel along a row: what a disparity is multiplied by on its way back."""
        return self.camera_size[1] / self.content_size[1]

    def to_engine(self, rgb_HW3: np.ndarray) -> np.ndarray:
        """The image at the engine's size, (h,w,3) of the same dtype; the argument itself where nothing changes."""
        rgb_hw3 = _resized(rgb_HW3, self.content_size)
        if self.content_size == self.engine_size:
            return rgb_hw3
        top, left = self._corner
        bottom = self.engine_size[0] - self.content_size[0] - top
        right = self.engine_size[1] - self.content_size[1] - left
        return cv2.copyMakeBorder(rgb_hw3, top, bottom, left, right, cv2.BORDER_REPLICATE)

    def to_camera(self, disparity_hw: np.ndarray) -> np.ndarray:
        """Disparity of the camera's size and in its pixels, float32 (H,W); a view of the argument where nothing but
        cropping is needed.

        Multiplied by the ratio of the widths alone: stretching rows does not move a match. A pixel that would be
        interpolated from a NaN is NaN, so that holes do not bleed into made-up values.
        """
        top, left = self._corner
        content_hw = disparity_hw[top : top + self.content_size[0], left : left + self.content_size[1]]
        if self.content_size == self.camera_size:
            return content_hw
        # Linear in both directions (averaging areas would mix the two sides of more edges). NaN * 0 is NaN.
        disparity_HW = cv2.resize(content_hw, self.camera_size[::-1], interpolation=cv2.INTER_LINEAR)
        return np.multiply(disparity_HW, np.float32(self.width_ratio), out=disparity_HW)

    @property
    def _corner(self) -> tuple[int, int]:
        """Top-left corner of the content within the engine's input: (row, column)."""
        return (
            (self.engine_size[0] - self.content_size[0]) // 2,
            (self.engine_size[1] - self.content_size[1]) // 2,
        )


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Half-pixel-centre resizing: areas are averaged where an axis shrinks, pixels interpolated where it grows."""
    rows, columns = image.shape[:2]
    shrunk = (min(rows, size[0]), min(columns, size[1]))
    if shrunk != (rows, columns):
        image = cv2.resize(image, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != size:
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    return image
