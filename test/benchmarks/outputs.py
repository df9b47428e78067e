"""How long it takes to make each output of a pair, without the middleware: rendered scene, exact disparity.

    python test/benchmarks/outputs.py [--size 480x640] [--rounds 200]

A tenth of the pixels has no answer, as with SGBM; buffers are kept from round to round, as the node keeps them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ffs_ros.geometry import StereoCamera, depth_from_disparity
from ffs_ros.left_right_check import agreement
from ffs_ros.limits import Limits
from ffs_ros.message_fields import depth_fields, disparity_fields
from ffs_ros.picture import colour_disparity
from ffs_ros.point_cloud import pack_points
from ffs_ros.scene import render_pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="480x640", help="rows x columns")
    parser.add_argument("--rounds", type=int, default=200)
    args = parser.parse_args()
    height, width = (int(side) for side in args.size.split("x"))
    cv2.setNumThreads(1)  # as the node does
    camera = StereoCamera(width, height, 0.8 * width, 0.8 * width, 0.5 * width, 0.505 * width, 0.5 * height, 0.12)
    pair = render_pair(camera)
    disparity_HW = pair.disparity_HW
    disparity_HW[np.random.default_rng(1).random((height, width)) < 0.1] = np.nan
    depth_HW = depth_from_disparity(disparity_HW, camera)
    plane_HW = np.empty((height, width), np.float32)
    points_HW4, colours_HW3 = np.empty((height, width, 4), np.float32), np.empty((height, width, 3), np.uint8)
    limits = Limits(1.0, 5.0, width // 8, height // 8, width // 2, height // 2)
    work: dict[str, Callable[[], Any]] = {
        "depth range and region": lambda: limits.applied(disparity_HW, camera),
        "disparity": lambda: disparity_fields(disparity_HW, camera, 192, out=plane_HW),
        "depth/image_rect, 32FC1": lambda: depth_from_disparity(disparity_HW, camera, out=plane_HW),
        "depth/image_rect, 16UC1": lambda: depth_fields(depth_from_disparity(disparity_HW, camera), "16UC1"),
        "points2, from the depth": lambda: pack_points(depth_HW, pair.left_HW3, camera, points_HW4),
        "disparity/color": lambda: colour_disparity(disparity_HW, 0.0, 192.0, out=colours_HW3),
        "confidence and occlusion": lambda: agreement(disparity_HW, disparity_HW),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(args.rounds):
        for name, step in work.items():
            begin = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begin)
    print(f"{width}x{height}, ms:                p50    p99")
    for name, each in seconds.items():
        p50, p99 = np.percentile(each, [50, 99]) * 1e3
        print(f"{name:26} {p50:6.2f} {p99:6.2f}")


if __name__ == "__main__":
    main()
