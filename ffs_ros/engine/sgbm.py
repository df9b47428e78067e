"""OpenCV's semi-global matcher as an engine: the classical baseline that needs no weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import cv2
import numpy as np

from ffs_ros.engine import SGBM, EngineInfo, TensorSpec
from ffs_ros.engine.contract import OUTPUT, check_feeds
from ffs_ros.errors import EngineError, UnfitImages

_STEPS_PER_PIXEL = 16
_MOST_DISPARITY = 4096
_BLOCK = 5


class SgbmEngine:
    """Searches 0 to ``max_disparity`` - 1 pixels; NaN where the match is not unique, not confirmed from the right image
    or a speckle. Holes are never filled: that is for whoever evaluates."""

    def __init__(self, max_disparity: int) -> None:
        """``max_disparity`` (px) is rounded up to a multiple of 16. Raises EngineError outside 1..4096."""
        if not 1 <= max_disparity <= _MOST_DISPARITY:
            raise EngineError(f"max_disparity is {max_disparity}: expected 1 to {_MOST_DISPARITY} pixels")
        self._disparities = -(-max_disparity // 16) * 16
        self._matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=self._disparities,
            blockSize=_BLOCK,
            P1=8 * 3 * _BLOCK**2,
            P2=32 * 3 * _BLOCK**2,
            disp12MaxDiff=1,
            preFilterCap=63,
            uniquenessRatio=10,
            speckleWindowSize=100,
            speckleRange=2,
            mode=cv2.STEREO_SGBM_MODE_HH,
        )
        self.info = EngineInfo(
            name=SGBM,
            runtime=f"OpenCV {cv2.__version__} (CPU)",
            max_disparity=float(self._disparities),
            size_multiple=1,
            one_core=True,
        )
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs: Mapping[str, TensorSpec] = {"left": image, "right": image}
        self.outputs: Mapping[str, TensorSpec] = {OUTPUT: TensorSpec((1, 1, None, None), np.dtype(np.float32))}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Match one pair; see ``Engine``."""
        check_feeds(self.inputs, feeds)
        if feeds["left"].shape != feeds["right"].shape:
            raise UnfitImages(
                f"'left' is {feeds['left'].shape} and 'right' is {feeds['right'].shape}: expected equal sizes"
            )
        if feeds["left"].shape[2] <= _BLOCK // 2:
            raise UnfitImages(f"the image has {feeds['left'].shape[2]} columns: sgbm needs {_BLOCK // 2 + 1} or more")
        # The matcher answers only where the whole range lies inside the right image; with the left edge
        # replicated by that much, every pixel of the image is answered.
        padded = [
            cv2.copyMakeBorder(feeds[side][0], 0, 0, self._disparities, 0, cv2.BORDER_REPLICATE)
            for side in ("left", "right")
        ]
        try:
            steps_hw = self._matcher.compute(*padded)[:, self._disparities :]
        except cv2.error as error:
            said = " ".join(str(error.err).split())
            raise EngineError(f"OpenCV's matcher failed on images of shape {feeds['left'].shape}: {said}") from error
        disparity_hw = np.multiply(steps_hw, np.float32(1.0 / _STEPS_PER_PIXEL), dtype=np.float32)
        disparity_hw[steps_hw < 0] = np.nan
        return {OUTPUT: disparity_hw[None, None]}

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> SgbmEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
