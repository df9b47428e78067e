"""What the left-right check's confidence is worth: errors of what it trusts, and what it calls occluded.

    python test/benchmarks/confidence.py ENGINE [--pairs FOLDER] [--names NAME ...]

On the rendered scene, whose hidden pixels are known, and on real pairs with ground truth; occlusion is scored where a
pair has a mask of what both cameras see. Confidence of at least 0.5 is a difference of at most 1 px.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.demo.pair import pair_in_folder
from ffs_ros.engine import open_engine
from ffs_ros.left_right_check import agreement, right_disparity
from ffs_ros.matcher import StereoMatcher
from ffs_ros.scene import render_pair

SMALL = ("mb2001_tsukuba", "mb2003_cones", "mb2006_reindeer", "mb2014_adirondack_q")


class Case(NamedTuple):
    """A pair and what is known of it."""

    name: str
    left_HW3: np.ndarray
    right_HW3: np.ndarray
    truth_HW: np.ndarray
    hidden_HW: np.ndarray | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine")
    default = Path(os.environ.get("FFS_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "stereo"
    parser.add_argument("--pairs", type=Path, default=default)
    parser.add_argument("--names", nargs="*", default=SMALL)
    args = parser.parse_args()
    matcher = StereoMatcher(open_engine(args.engine, gpu_index=None))
    print(f"{'':22} {'all':>15} {'confidence >= 0.5':>24} {'of the wrong':>14}   occlusion")
    print(
        f"{'pair':22} {'epe':>8} {'bp2 %':>6} {'share':>8} {'epe':>8} {'bp2 %':>6} {'below 0.5':>14}   precision recall"
    )
    for case in cases(args.pairs, args.names):
        disparity_HW = matcher.match(case.left_HW3, case.right_HW3)
        right_HW = right_disparity(matcher.match, case.left_HW3, case.right_HW3)
        confidence_HW, occluded_HW = agreement(disparity_HW, right_HW)
        scored_HW = np.isfinite(case.truth_HW) & np.isfinite(disparity_HW)
        error_N, trusted_N = np.abs(disparity_HW - case.truth_HW)[scored_HW], (confidence_HW >= 0.5)[scored_HW]
        wrong_N = error_N > 2.0
        line = f"{case.name:22} {error_N.mean():8.2f} {100 * wrong_N.mean():6.2f} {trusted_N.mean():8.1%}"
        line += f" {error_N[trusted_N].mean():8.2f} {100 * wrong_N[trusted_N].mean():6.2f}"
        line += f" {(~trusted_N)[wrong_N].mean():14.1%}"
        if case.hidden_HW is not None:
            both = ((occluded_HW > 0) & case.hidden_HW & scored_HW).sum()
            called, hidden = (((map_HW > 0) & scored_HW).sum() for map_HW in (occluded_HW, case.hidden_HW))
            line += f"   {both / called:9.1%} {both / hidden:6.1%}"
        print(line, flush=True)


def cases(folder: Path, names: list[str]) -> list[Case]:
    """The rendered scene and the named pairs."""
    scene = render_pair()
    found = [Case("rendered scene", scene.left_HW3, scene.right_HW3, scene.disparity_HW, ~scene.seen_by_both_HW)]
    for name in names:
        pair = pair_in_folder(folder / name)
        hidden_HW = None
        if (folder / name / "mask_nonocc.png").is_file():
            mask = cv2.imread(str(folder / name / "mask_nonocc.png"), cv2.IMREAD_UNCHANGED)
            hidden_HW = (mask if mask.ndim == 2 else mask[..., 0]) != 255
        found.append(Case(name, pair.left_HW3, pair.right_HW3, pair.truth_HW, hidden_HW))
    return found


if __name__ == "__main__":
    main()
