"""How others reckon: each protocol is one pure function of one pair, so that figures can be put beside published ones.

A figure of a pair has a weight: 1 where the protocol takes the mean of images, the number of pixels where it pools.
Shares are 0..1, not percent. Read in the sources named at each function; what they leave open is said there.
Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ffs_ros.metrics import counted, d1_of, errors_px, scores_of, share_above


class Answer(NamedTuple):
    """What an engine says about one pair, and what is true."""

    disparity_HW: np.ndarray
    """float32 px, NaN for a hole."""
    filled_HW: np.ndarray
    """The same with its holes filled (``metrics.filled``)."""
    truth_HW: np.ndarray
    """float32 px, NaN where unknown."""
    seen_HW: np.ndarray | None
    """bool: pixels that both cameras see; None where that is not known."""
    dataset_name: str
    max_disparity_px: float
    """From here on truth does not count, where a protocol has such a limit."""


class Figure(NamedTuple):
    """One figure of one pair."""

    value: float
    weight: float = 1.0


Figures = dict[str, Figure]
"""Empty when no pixel of the pair counts."""


def native(answer: Answer) -> Figures:
    """The definitions of ``metrics``: all pixels with truth, occluded ones too, holes filled; means of images."""
    counted_HW = counted(answer.truth_HW, answer.max_disparity_px)
    if not counted_HW.any():
        return {}
    found = scores_of(errors_px(answer.filled_HW, answer.truth_HW, counted_HW), answer.truth_HW[counted_HW])
    return {name: Figure(getattr(found, name)) for name in ("epe", "bp1", "bp2", "bp3", "d1", "rmse")}


def tao(answer: Answer) -> Figures:
    """TAO's stereo evaluators (tao-pytorch 7.0.1 and tao-deploy, depth_net/evaluation/stereo_evaluator.py), batch 1.

    Names with ``val/`` are aggregated as the PyTorch container does, the others as the TensorRT container does. Quirks,
    all of which are kept: abs_rel is a sum over pixels, not a mean; sq_rel divides by the truth's summed deviation from
    its mean; PyTorch's rmse and rmse_log are the square root of the mean of the images' roots (``tao_finish``), and its
    rmse_log takes the logarithm of 0; val/d2 and val/d3 are always 0. Where there is a mask, what it does not keep is
    unknown. Left away: 1e-8 in denominators, and errors of theirs for batches above 1. Networks have no holes; those of
    others are filled.
    """
    known_HW = answer.truth_HW if answer.seen_HW is None else np.where(answer.seen_HW, answer.truth_HW, np.nan)
    counted_HW = counted(known_HW, answer.max_disparity_px)
    if not counted_HW.any():
        return {}
    truth, found = known_HW[counted_HW].astype(np.float64), answer.filled_HW[counted_HW].astype(np.float64)
    errors = errors_px(answer.filled_HW, known_HW, counted_HW)
    scored = scores_of(errors, truth)
    values = {name: getattr(scored, name) for name in ("epe", "bp1", "bp2", "bp3", "d1", "rmse")}
    with np.errstate(divide="ignore", invalid="ignore"):
        values["abs_rel"] = float(np.sum(errors / truth))
        values["sq_rel"] = float(np.sum(errors**2) / np.sum(np.abs(truth - truth.mean())))
        rmse_log = {
            prefix: float(np.sqrt(np.mean((np.log(found_) - np.log(truth)) ** 2)))
            for prefix, found_ in (("val/", found), ("", np.maximum(found, 1e-8)))
        }
    return {
        f"{prefix}{name}": Figure(value)
        for prefix, constant in (("val/", {"d2": 0.0, "d3": 0.0}), ("", {}))
        for name, value in {**values, "rmse_log": rmse_log[prefix], **constant}.items()
    }


def tao_finish(means: dict[str, float]) -> dict[str, float]:
    """PyTorch's second root."""
    return {
        name: math.sqrt(mean) if name in ("val/rmse", "val/rmse_log") and mean >= 0 else mean
        for name, mean in means.items()
    }


class _Raft(NamedTuple):
    threshold_px: float
    limit_px: float
    pools_pixels: bool


_RAFT = {
    "Eth3d": _Raft(1.0, 512.0, False),
    "Kitti": _Raft(3.0, math.inf, True),
    "Middlebury": _Raft(2.0, 1000.0, False),
}
_RAFT_THINGS = _Raft(1.0, 192.0, True)


def raft(answer: Answer) -> Figures:
    """RAFT-Stereo's evaluation (princeton-vl/RAFT-Stereo, evaluate_stereo.py), which many papers follow.

    epe is the mean of images. ``d1`` is what it calls D1, the share above a threshold that is the data set's: 1 px for
    ETH3D, 2 px for Middlebury, both means of images, 3 px without the 5 % for KITTI and 1 px for anything else
    (FlyingThings3D: truth below 192 px), both over all pixels together. Occluded pixels count, on Middlebury as well:
    it reads the mask there, but compares it with -0.5. Networks have no holes; those of others are filled.
    """
    rule = _RAFT.get(answer.dataset_name, _RAFT_THINGS)
    with np.errstate(invalid="ignore"):
        counted_HW = np.isfinite(answer.truth_HW) & (answer.truth_HW < rule.limit_px)
    errors = errors_px(answer.filled_HW, answer.truth_HW, counted_HW)
    if not errors.size:
        return {}
    bad = share_above(errors, rule.threshold_px)
    return {"epe": Figure(float(errors.mean())), "d1": Figure(bad, errors.size if rule.pools_pixels else 1.0)}


def kitti(answer: Answer) -> Figures:
    """KITTI's development kits (cvlibs.net; 2015: evaluate_scene_flow.cpp, 2012: evaluate_stereo.cpp).

    ``d1_*`` is 2015's: above 3 px and above 5 %, over the pixels of all images together; ``d1_est_*`` the same of
    the pixels that the method answered. ``out2_*`` to ``out5_*`` and ``avg_*`` are 2012's: means of images. ``all`` has
    occluded pixels, ``noc`` has not. Holes are filled, ``density`` says how few there were. A result that is sent
    there is rounded to 1/256 px, which is not done here.
    """
    regions = {"all": counted(answer.truth_HW, math.inf)}
    if answer.seen_HW is not None:
        regions["noc"] = regions["all"] & answer.seen_HW
    figures: Figures = {}
    for name, counted_HW in regions.items():
        errors, truth = errors_px(answer.filled_HW, answer.truth_HW, counted_HW), answer.truth_HW[counted_HW]
        if not errors.size:
            continue
        answered = np.isfinite(answer.disparity_HW[counted_HW])
        figures[f"d1_{name}"] = Figure(d1_of(errors, truth), errors.size)
        if answered.any():
            figures[f"d1_est_{name}"] = Figure(d1_of(errors[answered], truth[answered]), int(answered.sum()))
        for threshold_px in (2, 3, 4, 5):
            figures[f"out{threshold_px}_{name}"] = Figure(share_above(errors, threshold_px))
        figures[f"avg_{name}"] = Figure(float(errors.mean()))
        figures[f"density_{name}"] = Figure(float(answered.mean()))
    return figures


def middlebury(answer: Answer) -> Figures:
    """Middlebury's evaluation, version 3 (vision.middlebury.edu/stereo/submit3, SDK, evaldisp.cpp).

    ``bad*`` counts answers that are off by more, ``invalid`` holes, ``totbad*`` both; ``avgerr`` is the mean error of
    answers. ``nonocc`` are the pixels whose mask is 255, ``all`` those with truth, 0 included. Means of images: the
    leaderboard's weights of scenes are not applied, nor is the upper clip to a scene's number of disparities, which the
    SDK does where it is told one. Thresholds are pixels of the truth: the leaderboard's are of full resolution.
    """
    known_HW = np.isfinite(answer.truth_HW)
    regions = {"all": known_HW} if answer.seen_HW is None else {"nonocc": known_HW & answer.seen_HW, "all": known_HW}
    figures: Figures = {}
    for name, counted_HW in regions.items():
        errors = errors_px(answer.disparity_HW, answer.truth_HW, counted_HW)
        if not errors.size:
            continue
        answered = np.isfinite(errors)
        invalid = 1.0 - float(answered.mean())
        for threshold_px in (0.5, 1.0, 2.0, 4.0):
            total = share_above(errors, threshold_px)
            figures[f"bad{threshold_px}_{name}"] = Figure(total - invalid)
            figures[f"totbad{threshold_px}_{name}"] = Figure(total)
        figures[f"invalid_{name}"] = Figure(invalid)
        if answered.any():
            figures[f"avgerr_{name}"] = Figure(float(errors[answered].mean()))
    return figures


class Protocol(NamedTuple):
    """A way to reckon."""

    measure: Callable[[Answer], Figures]
    """One pair's figures."""
    main: str
    """The figure by which pairs are ranked."""
    finish: Callable[[dict[str, float]], dict[str, float]] = dict
    """What becomes of the weighted means."""
    at_engine_size: bool = False
    """Images and truth are stretched to the engine's size before anything, as TAO's TensorRT container does."""
    has_limit: bool = False
    """Truth from the engine's largest disparity on does not count, unless another limit is given."""


PROTOCOLS = {
    "native": Protocol(native, "epe"),
    "tao": Protocol(tao, "epe", tao_finish, has_limit=True),
    "tao-deploy": Protocol(tao, "epe", tao_finish, at_engine_size=True, has_limit=True),
    "raft": Protocol(raft, "d1"),
    "kitti": Protocol(kitti, "d1_all"),
    "middlebury": Protocol(middlebury, "totbad2.0_all"),
}
