"""The real stereo pairs with ground truth as lists for ``ffs eval`` and ``ffs compare``.

python test/benchmarks/real_pairs.py FOLDER [--times N]

FOLDER receives ``list.txt``, the eight pairs whose disparities a network of 192 px finds, ``aloe.txt``, the ninth, for
which ``--engine-size 576x640`` halves the images on their way to the engine, ``all.txt``, and the truth as PFM, because
the sources' encodings differ. ``--times`` repeats each list, for measuring pace and memory.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ffs_ros.ground_truth import read_disparity
from ffs_ros.pfm import write_pfm

BEYOND_THE_RANGE = "mb2006_aloe"
KITTI_SCALE = 256


def main() -> None:
    """Write the lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=1)
    args = parser.parse_args()
    shared = Path(os.environ.get("FFS_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    pairs = shared.resolve() / "data" / "stereo"
    lines: dict[str, str] = {}
    for facts in json.loads((pairs / "manifest.json").read_text()):
        if not facts.get("baseline_sgbm"):
            continue
        folder, name = pairs / facts["name"], facts["name"]
        truth = args.folder.resolve() / name / "truth.pfm"
        truth.parent.mkdir(parents=True, exist_ok=True)
        scale = facts["gt_scale"] if facts["gt_scale"] != KITTI_SCALE else None
        write_pfm(truth, read_disparity(next(folder.glob("disp_gt.*")), "FSD" if scale else "Kitti", scale))
        files = [next(folder.glob("left.*")), next(folder.glob("right.*")), truth, *folder.glob("mask_nonocc.png")]
        lines[name] = " ".join(f'"{file}"' for file in files) + "\n"
    for file, names in (
        ("all.txt", list(lines)),
        ("list.txt", [name for name in lines if name != BEYOND_THE_RANGE]),
        ("aloe.txt", [BEYOND_THE_RANGE]),
    ):
        (args.folder / file).write_text("".join(lines[name] for name in names) * args.times)
        print(args.folder / file)


if __name__ == "__main__":
    main()
