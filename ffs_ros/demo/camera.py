"""A camera in a process of its own: plays one stereo pair again and again, as a driver would."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from ffs_ros.demo.verdict import stamp_ns_of
from ffs_ros.geometry import StereoCamera
from ffs_ros.message_fields import ImageFields
from ffs_ros.ros.messages import fill_image
from ffs_ros.topics import LEFT_IMAGE, LEFT_INFO, RIGHT_IMAGE, RIGHT_INFO

FRAME_ID = "demo_left_optical_frame"
PLAYED = "played"
"""A line with this word and the stamp in ns says that a pair was published."""


def save_pair(path: Path, left_HW3: np.ndarray, right_HW3: np.ndarray, camera: StereoCamera) -> None:
    """Write what this process plays."""
    np.savez(path, left=left_HW3, right=right_HW3, **vars(camera))


def camera_info(camera: StereoCamera, side: str, header: Header) -> CameraInfo:
    """What the driver of a rectified camera says: no distortion, and the baseline in the right P[3]."""
    cx_px = camera.cx_left_px if side == "left" else camera.cx_right_px
    fx_px, fy_px, cy_px = camera.fx_px, camera.fy_px, camera.cy_px
    offset = 0.0 if side == "left" else -fx_px * camera.baseline_m
    return CameraInfo(
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[fx_px, 0.0, cx_px, 0.0, fy_px, cy_px, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx_px, 0.0, cx_px, offset, 0.0, fy_px, cy_px, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class DemoCamera(Node):
    """Publishes both images and calibrations with one stamp, best effort, ``rate_hz`` times a second."""

    def __init__(self, pair_file: Path, rate_hz: float) -> None:
        super().__init__("demo_camera")
        with np.load(pair_file) as stored:
            images = {"left": stored["left"], "right": stored["right"]}
            numbers = {name: stored[name].item() for name in StereoCamera.__dataclass_fields__}
        self._camera = StereoCamera(**numbers)
        topics = {"left": (LEFT_IMAGE, LEFT_INFO), "right": (RIGHT_IMAGE, RIGHT_INFO)}
        self._sides = [
            (
                side,
                self.create_publisher(Image, topics[side][0], qos_profile_sensor_data),
                self.create_publisher(CameraInfo, topics[side][1], qos_profile_sensor_data),
                fill_image(Image(), Header(), _rgb8(image_HW3)),
            )
            for side, image_HW3 in images.items()
        ]
        self.create_timer(1.0 / rate_hz, self._play)

    def _play(self) -> None:
        stamp: Time = self.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id=FRAME_ID)
        for side, images, infos, image in self._sides:
            infos.publish(camera_info(self._camera, side, header))
            image.header = header
            images.publish(image)
        print(PLAYED, stamp_ns_of(header), flush=True)


def _rgb8(image_HW3: np.ndarray) -> ImageFields:
    height, width = image_HW3.shape[:2]
    return ImageFields(height, width, "rgb8", 0, 3 * width, np.ascontiguousarray(image_HW3))


def main() -> None:
    """``python -m ffs_ros.demo.camera PAIR.npz RATE_HZ [--ros-args ...]``"""
    rclpy.init(args=sys.argv)
    try:
        rclpy.spin(DemoCamera(Path(sys.argv[1]), float(sys.argv[2])))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
