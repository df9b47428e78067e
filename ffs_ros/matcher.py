"""The method: two rectified images in, disparity out, all in the camera's own pixels.

Legend of shapes: H and W rows and columns of the camera's image, h and w of the engine's input.
"""

from __future__ import annotations

import functools

import numpy as np

from ffs_ros.encodings import check_equal_sizes
from ffs_ros.engine import Engine
from ffs_ros.engine.contract import OUTPUT, stereo_inputs
from ffs_ros.engine_size import settled_size
from ffs_ros.errors import EngineError, MessageError
from ffs_ros.fit import MODES, InputFit

_fit_of = functools.lru_cache(maxsize=16)(InputFit.of)
"""Asked three times for each pair."""
_BITS_OF_INFINITY = 0x7F800000
"""Of float32, read as an integer. Finite numbers that are not negative have smaller ones, all others this or more."""


class StereoMatcher:
    """Runs ``engine`` on images of any size. The engine stays the caller's, to be closed by the caller."""

    def __init__(
        self,
        engine: Engine,
        fit: str = "auto",
        mask_out_of_view: bool = False,
        size: tuple[int, int] | None = None,
    ) -> None:
        """``fit`` is one of ``ffs_ros.fit.MODES``; ``mask_out_of_view`` makes pixels whose match would lie left of the
        right image (x - d < 0) NaN; ``size`` (rows, columns) is what an engine of open size is to run at, otherwise the
        images decide. Raises EngineError when the engine's tensors are not those of ``Engine`` or its size is another.
        """
        if fit not in MODES:
            raise EngineError(f"fit '{fit}' does not exist: expected one of {', '.join(MODES)}")
        self.engine = engine
        self.mask_out_of_view = mask_out_of_view
        self._fit = fit
        self._inputs = stereo_inputs(engine)
        self.engine_size = settled_size(engine.info.name, self._inputs.size, engine.info.size_multiple, size)
        """Rows and columns of the engine's input; None where the images decide."""

    def match(self, left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
        """Disparity of the left image: float32 (H,W), x_right = x_left - d, in camera pixels, at least 0.

        ``left_HW3`` and ``right_HW3`` are rectified RGB images, uint8, of one size. NaN is no answer: the engine's own
        holes, anything not finite, and what ``mask_out_of_view`` removes; 0 is a disparity. The array is the caller's.
        Raises MessageError when the images do not fit each other, EngineError when the engine cannot take them.
        """
        check_pair(left_HW3, right_HW3)
        fit = self.fit_of(*left_HW3.shape[:2])
        feeds = self._inputs.feeds(fit.to_engine(left_HW3), fit.to_engine(right_HW3))
        disparity_hw = self._disparity_of_engine(self.engine.infer(feeds), fit.engine_size)
        disparity_HW = np.ascontiguousarray(fit.to_camera(disparity_hw))
        # Looking first is several times faster than writing to every pixel, and there is seldom anything to write.
        if disparity_HW.view(np.uint32).max() >= _BITS_OF_INFINITY:
            least, most = (
                reduced(disparity_HW, axis=None) for reduced in (np.fmin.reduce, np.fmax.reduce)
            )  # beside NaN
            if np.isinf(least) or np.isinf(most):
                disparity_HW[np.isinf(disparity_HW)] = np.nan
            if least < 0.0:
                np.maximum(disparity_HW, 0.0, out=disparity_HW)  # keeps NaN
        if self.mask_out_of_view:
            disparity_HW[disparity_HW > np.arange(disparity_HW.shape[1], dtype=np.float32)] = np.nan
        return disparity_HW

    def fit_of(self, height: int, width: int) -> InputFit:
        """How images of this size reach the engine. Raises EngineError when they cannot."""
        return _fit_of((height, width), self.engine_size, self.engine.info.size_multiple, self._fit)

    def max_disparity_px(self, height: int, width: int) -> float:
        """The largest disparity that can be found on images of this size, in camera pixels."""
        return self.engine.info.max_disparity * self.fit_of(height, width).width_ratio

    def warm_up(self, height: int, width: int) -> None:
        """Match one pair of this size, so that the first real one does not pay for what a runtime does once.

        It is noise: a blank one has nothing to normalise, and a network may answer it with NaN.
        """
        noise_HW3 = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        self.match(noise_HW3, noise_HW3)

    def _disparity_of_engine(self, results: dict[str, np.ndarray], engine_size: tuple[int, int]) -> np.ndarray:
        disparity = results[OUTPUT]
        if disparity.shape != (1, 1, *engine_size):
            raise EngineError(
                f"engine '{self.engine.info.name}' answered with '{OUTPUT}' of shape {disparity.shape}: expected "
                f"{(1, 1, *engine_size)}, the size of its input; export it with ffs export"
            )
        return disparity[0, 0]


def check_pair(left_HW3: np.ndarray, right_HW3: np.ndarray) -> None:
    """Raises MessageError unless both are uint8 (H,W,3) and of one size."""
    for side, image in (("left", left_HW3), ("right", right_HW3)):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise MessageError(
                f"the {side} image is {image.dtype} {image.shape}: expected uint8 (height, width, 3) RGB"
            )
    check_equal_sizes(left_HW3.shape, right_HW3.shape)
