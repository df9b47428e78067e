"""What the received messages say: faults in their fields, and how good the disparity is.

Messages are read by attribute, so this needs no ROS. Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NamedTuple

import numpy as np

from ffs_ros.advice import few_answers
from ffs_ros.demo.pair import DemoPair
from ffs_ros.geometry import depth_from_disparity

LEAST_DENSITY_RENDERED = 0.9
MOST_MEAN_ERROR_RENDERED_PX = 0.5
"""An offset of one pixel is a mistake of ours; edges and thin things cost any engine about half of this limit."""
MOST_DEPTH_ERROR_RENDERED = 0.03
MOST_WRONG = 0.5
"""Share of pixels off by more than 3 px from the ground truth of a real pair: more is no match but a mistake in scale,
sign or calibration."""


class Scores(NamedTuple):
    """How good one frame is; None where the pair has no truth, or depths mean nothing."""

    density: float
    mean_error_px: float | None = None
    wrong_by_3_px: float | None = None
    """Share of the scored pixels."""
    median_depth_error: float | None = None
    """Relative."""


def disparity_of(message: Any, pair: DemoPair) -> np.ndarray:
    """The plain disparity x_left - x_right of a DisparityImage: float32 (H,W), NaN where it has no answer."""
    stored_HW = _image(message.image, np.float32)
    difference_px = np.float32(pair.camera.principal_point_difference_px)
    return np.where(stored_HW >= message.min_disparity, stored_HW + difference_px, np.float32(np.nan))


def depth_of(message: Any) -> np.ndarray:
    """The metres in a 32FC1 depth image: float32 (H,W), NaN where there is none."""
    return _image(message, np.float32)


def stamp_ns_of(header: Any) -> int:
    """The time in a header."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def faults(frame: Any, pair: DemoPair, frame_id: str, stamps_ns: Container[int]) -> Iterator[str]:
    """A sentence for each thing in one frame's messages that is not as their definitions and the camera ask.

    ``frame_id`` and ``stamps_ns`` are what the left images carried.
    """
    disparity, depth, info = frame.disparity, frame.depth, frame.depth_info
    for name, header in (("disparity.image", disparity.image.header), ("depth", depth.header), ("info", info.header)):
        if header != disparity.header:
            yield f"{name} has the header {header}, and disparity {disparity.header}"
    if disparity.header.frame_id != frame_id or stamp_ns_of(disparity.header) not in stamps_ns:
        yield f"the header {disparity.header} is none of the left image's"

    height, width = pair.left_HW3.shape[:2]
    for name, image in (("disparity.image", disparity.image), ("depth", depth)):
        found = (image.height, image.width, image.encoding, image.is_bigendian, image.step, len(image.data))
        expected = (height, width, "32FC1", 0, 4 * width, 4 * width * height)
        if found != expected:
            yield f"{name} has height, width, encoding, endianness, step and bytes {found} instead of {expected}"
            return

    camera = pair.camera
    found_camera = (disparity.f, disparity.t)
    if not np.allclose(found_camera, (camera.fx_px, camera.baseline_m), rtol=1e-6):
        yield f"disparity has f, t = {found_camera} instead of {(camera.fx_px, camera.baseline_m)}"
    if not 0.0 < disparity.min_disparity < disparity.max_disparity or not disparity.delta_d > 0.0:
        limits = (disparity.min_disparity, disparity.max_disparity, disparity.delta_d)
        yield f"disparity has min, max and delta {limits}: expected 0 < min < max and 0 < delta"
    window = disparity.valid_window
    if (window.x_offset + window.width, window.y_offset + window.height) > (width, height) or not window.width:
        yield f"disparity has the valid window {window} in an image of {width}x{height}"
    expected_p = [camera.fx_px, 0, camera.cx_left_px, 0, 0, camera.fy_px, camera.cy_px, 0, 0, 0, 1, 0]
    if (info.width, info.height) != (width, height) or not np.allclose(info.p, expected_p):
        yield f"depth/camera_info is for {info.width}x{info.height} with P = {list(info.p)} instead of {expected_p}"

    stored_HW = _image(disparity.image, np.float32)
    if np.nanmax(stored_HW) > disparity.max_disparity:
        yield f"disparity reaches {np.nanmax(stored_HW):.2f}, beyond its max_disparity {disparity.max_disparity:.2f}"
    yield from _depth_faults(stored_HW, depth_of(depth), disparity)


def _depth_faults(stored_HW: np.ndarray, depth_HW: np.ndarray, disparity: Any) -> Iterator[str]:
    answered_HW = stored_HW >= disparity.min_disparity
    focal_times_baseline = disparity.f * disparity.t
    with np.errstate(divide="ignore"):
        wrong_HW = ~np.isclose(depth_HW, focal_times_baseline / stored_HW, rtol=1e-5)
    if (wrong_HW & answered_HW).any():
        yield f"depth is not f t / disparity in {(wrong_HW & answered_HW).sum()} pixels"
    # A disparity below min_disparity may still have a depth, farther than any that the message can say.
    if (depth_HW[~answered_HW] * disparity.min_disparity < focal_times_baseline * (1.0 - 1e-5)).any():
        yield "depth has answers where disparity has none"


def score(frame: Any, pair: DemoPair) -> Scores:
    """Density over all pixels, and errors over those that were answered, have truth and can be seen by both cameras."""
    disparity_HW = disparity_of(frame.disparity, pair)
    density = float(np.isfinite(disparity_HW).mean())
    if pair.truth_HW is None or pair.scored_HW is None:
        return Scores(density)
    scored_HW = pair.scored_HW & np.isfinite(disparity_HW)
    if not scored_HW.any():
        return Scores(density, np.inf, 1.0, np.inf if pair.calibrated else None)
    error_N = np.abs(disparity_HW - pair.truth_HW)[scored_HW]
    depth_error = None
    if pair.calibrated:
        truth_N = depth_from_disparity(pair.truth_HW, pair.camera)[scored_HW]
        depth_error = float(np.nanmedian(np.abs(depth_of(frame.depth)[scored_HW] - truth_N) / truth_N))
    return Scores(density, float(error_N.mean()), float((error_N > 3.0).mean()), depth_error)


def shortcomings(scores: Scores, rendered: bool) -> Iterator[str]:
    """A sentence for each score that says that something is wrong, not just difficult."""
    hint = None if rendered else few_answers(scores.density)
    if hint:
        yield hint
    if rendered and scores.density < LEAST_DENSITY_RENDERED:
        yield (
            f"only {scores.density:.1%} of the pixels have a disparity: expected at least {LEAST_DENSITY_RENDERED:.0%}"
        )
    if scores.wrong_by_3_px is not None and scores.wrong_by_3_px > MOST_WRONG:
        remedy = "" if rendered else "; check GT_SCALE, and that disp_gt is the left image's"
        yield (
            f"{scores.wrong_by_3_px:.1%} of the answers are off by more than 3 px: expected at most {MOST_WRONG:.0%}"
            f"{remedy}"
        )
    if not rendered:
        return
    if scores.mean_error_px is None or not scores.mean_error_px <= MOST_MEAN_ERROR_RENDERED_PX:
        found = "not known" if scores.mean_error_px is None else f"{scores.mean_error_px:.2f} px"
        yield f"the mean error is {found}: expected at most {MOST_MEAN_ERROR_RENDERED_PX:.2f} px"
    if scores.median_depth_error is None or not scores.median_depth_error <= MOST_DEPTH_ERROR_RENDERED:
        found = "not known" if scores.median_depth_error is None else f"{scores.median_depth_error:.1%}"
        yield f"the median depth error is {found}: expected at most {MOST_DEPTH_ERROR_RENDERED:.0%}"


def _image(message: Any, dtype: type) -> np.ndarray:
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)
