"""Conversions between messages and arrays: this package's, and in the manner of two kinds of public Python nodes.

    python test/benchmarks/peer_conversions.py [--repeats 30]

``copies`` does what a node with cv_bridge does: an array on each image's data, turned to the other order of colours,
and results that go into new messages by way of ``tobytes`` and ``frombytes``. ``points`` builds its cloud as many nodes
do, pixel by pixel in Python: a list of points, each packed by ``struct``. Written anew here, at 640x480; nothing is
published.
"""

from __future__ import annotations

import argparse
import struct
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 480, 640
FOCAL_PX, BASELINE_M = 500.0, 0.1


def copies_decode(message: Any) -> np.ndarray:
    """A BGR array, as nodes ask cv_bridge for, and RGB again for the network."""
    pixels = np.ndarray((message.height, message.width, 3), np.uint8, buffer=message.data)
    bgr_HW3 = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.cvtColor(bgr_HW3, cv2.COLOR_BGR2RGB)


def copies_image(values_HW: np.ndarray, header: Any) -> Any:
    """A new Image."""
    from sensor_msgs.msg import Image

    message = Image(header=header, height=values_HW.shape[0], width=values_HW.shape[1], encoding="32FC1")
    message.data.frombytes(values_HW.tobytes())
    message.step = len(message.data) // message.height
    return message


def copies_results(disparity_HW: np.ndarray, header: Any) -> tuple[Any, Any]:
    """A new DisparityImage and a new depth Image."""
    from stereo_msgs.msg import DisparityImage

    disparity = DisparityImage(header=header, f=FOCAL_PX, t=BASELINE_M, max_disparity=64.0)
    disparity.image = copies_image(disparity_HW, header)
    depth_HW = np.zeros_like(disparity_HW)
    valid_HW = disparity_HW > 0
    depth_HW[valid_HW] = FOCAL_PX * BASELINE_M / disparity_HW[valid_HW]
    return disparity, copies_image(depth_HW, header)


def points_cloud(depth_HW: np.ndarray, rgb_HW3: np.ndarray, header: Any) -> Any:
    """A PointCloud2 of the valid pixels, one by one."""
    from sensor_msgs.msg import PointCloud2, PointField

    points = []
    for v in range(depth_HW.shape[0]):
        for u in range(depth_HW.shape[1]):
            z = float(depth_HW[v, u])
            if z > 0.0:
                red, green, blue = rgb_HW3[v, u]
                colour = int(red) << 16 | int(green) << 8 | int(blue)
                points.append(((u - WIDTH / 2) * z / FOCAL_PX, (v - HEIGHT / 2) * z / FOCAL_PX, z, colour))
    data = b"".join(struct.pack("<fffI", *point) for point in points)
    fields = [
        PointField(name=name, offset=4 * index, datatype=kind, count=1)
        for index, (name, kind) in enumerate((("x", 7), ("y", 7), ("z", 7), ("rgb", 6)))
    ]
    cloud = PointCloud2(header=header, height=1, width=len(points), fields=fields, point_step=16, is_dense=True)
    cloud.data.frombytes(data)
    cloud.row_step = len(cloud.data)
    return cloud


class Own:
    """This package's conversions, with the messages that the node keeps from pair to pair."""

    def __init__(self) -> None:
        from sensor_msgs.msg import Image
        from stereo_msgs.msg import DisparityImage

        from ffs_ros.geometry import StereoCamera
        from ffs_ros.ros.messages import point_cloud_message

        self._camera = StereoCamera(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, WIDTH / 2, WIDTH / 2, HEIGHT / 2, BASELINE_M)
        self._disparity, self._depth, self._cloud = DisparityImage(), Image(), point_cloud_message()

    def decode(self, message: Any) -> np.ndarray:
        from ffs_ros.wire import rgb_from_image

        return rgb_from_image(message)

    def results(self, disparity_HW: np.ndarray, header: Any) -> tuple[Any, Any]:
        from ffs_ros.message_fields import depth_fields, depth_of_message, disparity_fields
        from ffs_ros.ros.messages import data_of, fill_disparity, fill_image

        pixels_HW = data_of(self._disparity.image, disparity_HW.shape)
        fields = disparity_fields(disparity_HW, self._camera, 64.0, out=pixels_HW)
        disparity = fill_disparity(self._disparity, header, fields)
        depth_HW = depth_of_message(pixels_HW, self._camera)
        return disparity, fill_image(self._disparity.image, header, depth_fields(depth_HW, "32FC1"))

    def cloud(self, depth_HW: np.ndarray, rgb_HW3: np.ndarray, header: Any) -> Any:
        from ffs_ros.point_cloud import pack_points
        from ffs_ros.ros.messages import data_of, describe_points

        pack_points(depth_HW, rgb_HW3, self._camera, data_of(self._cloud, (HEIGHT, WIDTH, 4)))
        return describe_points(self._cloud, header, HEIGHT, WIDTH)


def table(repeats: int) -> str:
    """Milliseconds of each conversion, p50 and p99, in turns on the same arrays."""
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    chance = np.random.default_rng(0)
    rgb_HW3 = chance.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    disparity_HW = chance.uniform(1, 60, (HEIGHT, WIDTH)).astype(np.float32)
    depth_HW = np.float32(FOCAL_PX * BASELINE_M) / disparity_HW
    image, header, own = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH), Header(), Own()
    image.data.frombytes(rgb_HW3.tobytes())
    few = max(3, repeats // 10)
    rows: list[tuple[str, str, int, Callable[[], Any], Callable[[], Any]]] = [
        (
            "two rgb8 images", "copies", repeats,
            lambda: [own.decode(image) for _ in "lr"],
            lambda: [copies_decode(image) for _ in "lr"],
        ),
        (
            "disparity and depth", "copies", repeats,
            lambda: own.results(disparity_HW, header),
            lambda: copies_results(disparity_HW, header),
        ),
        (
            "coloured cloud", "points", few,
            lambda: own.cloud(depth_HW, rgb_HW3, header),
            lambda: points_cloud(depth_HW, rgb_HW3, header),
        ),
    ]  # fmt: skip
    lines = [f"{'conversion, ms p50 p99':<24}{'here':>14}{'peer':>20}{'ratio':>10}"]
    for name, peer, times, here, there in rows:
        ms = np.array([[_ms(here), _ms(there)] for _ in range(times)])
        (a, b), (a99, b99) = np.percentile(ms, 50, axis=0), np.percentile(ms, 99, axis=0)
        lines.append(f"{name:<24}{a:>7.2f}{a99:>7.2f}{b:>9.2f}{b99:>9.2f} {peer}{b / a:>6.1f}")
    return "\n".join(lines)


def _ms(call: Callable[[], Any]) -> float:
    started_s = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30, help="of each conversion; a tenth of the slow ones")
    print(table(parser.parse_args().repeats))


if __name__ == "__main__":
    main()
