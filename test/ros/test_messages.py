"""Fields become messages: all of them, fast, and without sharing what must not be shared."""

from __future__ import annotations

import time
from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 (sensor_msgs) is not installed")

from sensor_msgs.msg import CameraInfo, Image, PointField
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from ffs_ros.geometry import StereoCamera
from ffs_ros.message_fields import depth_fields, disparity_fields, image_fields
from ffs_ros.point_cloud import pack_points
from ffs_ros.ros.messages import (
    camera_info_of_depth,
    data_of,
    describe_points,
    fill_disparity,
    fill_image,
    point_cloud_message,
)

CAMERA = StereoCamera(640, 480, 500.0, 501.0, 320.0, 316.0, 240.0, 0.1)


def header(sec: int) -> Header:
    """A header with a stamp."""
    made = Header(frame_id="left")
    made.stamp.sec = sec
    return made


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_an_image_holds_the_fields(encoding: str) -> None:
    """Header, size, encoding, step and the bytes; a second frame of another size replaces the first."""
    message = Image()
    for sec, (height, width) in enumerate(((3, 5), (3, 5), (4, 2))):
        depth_HW = np.random.default_rng(sec).uniform(1, 9, (height, width)).astype(np.float32)
        fields = depth_fields(depth_HW, encoding)
        assert fill_image(message, header(sec), fields) is message
        assert message.header == header(sec)
        assert (message.height, message.width, message.encoding) == (height, width, encoding)
        assert (message.step, message.is_bigendian) == (width * fields.data.itemsize, 0)
        assert isinstance(message.data, array)
        assert message.data.tobytes() == fields.data.tobytes()


def test_pixels_written_in_place_are_the_message() -> None:
    """What is computed straight into the message is there without a copy, and the message says its size."""
    message = DisparityImage()
    disparity_HW = np.array([[5.0, np.nan, 4.0], [70.0, 4.5, 0.0]], np.float32)
    pixels_HW = data_of(message.image, (2, 3))
    data = message.image.data
    fields = disparity_fields(disparity_HW, CAMERA, 64, out=pixels_HW)
    fill_disparity(message, header(7), fields)
    assert message.image.data is data
    np.testing.assert_array_equal(np.frombuffer(data, np.float32), [1.0, 0.0, 0.0, 66.0, 0.5, 0.0])
    assert message.header == message.image.header == header(7)
    assert (message.f, message.t, message.max_disparity) == pytest.approx((500.0, 0.1, 60.0))
    assert (message.valid_window.width, message.valid_window.height) == (3, 2)
    assert 0 < message.min_disparity < message.delta_d
    # Another size gets another buffer.
    assert data_of(message.image, (4, 4)).shape == (4, 4)
    assert len(message.image.data) == 64


def test_a_colour_image_holds_three_bytes_a_pixel() -> None:
    """rgb8 pixels written into the message: step is in bytes, and the order is red, green, blue."""
    message = Image()
    data_of(message, (2, 3, 3), np.uint8)[...] = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    fill_image(message, header(3), image_fields(data_of(message, (2, 3, 3), np.uint8), "rgb8"))
    assert (message.height, message.width, message.encoding, message.step) == (2, 3, "rgb8", 9)
    assert list(message.data) == list(range(18))


def test_a_cloud_is_the_bytes_of_its_points() -> None:
    """PCL's PointXYZRGB, unpadded: four FLOAT32 of 16 bytes, organised, not dense; no copy, and another size after."""
    message = point_cloud_message()
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 0, PointField.FLOAT32, 1), ("y", 4, PointField.FLOAT32, 1), ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
    ]  # fmt: skip
    for sec, (height, width) in enumerate(((2, 3), (2, 3), (5, 4))):
        points_HW4 = data_of(message, (height, width, 4))
        data = message.data
        depth_HW = np.full((height, width), 2.0 + sec, np.float32)
        pack_points(depth_HW, np.full((height, width, 3), 7, np.uint8), CAMERA, points_HW4)
        assert describe_points(message, header(sec), height, width) is message
        assert message.data is data
        assert message.header == header(sec)
        assert (message.height, message.width, message.point_step, message.row_step) == (height, width, 16, 16 * width)
        assert len(message.data) == 16 * width * height
        assert (message.is_bigendian, message.is_dense) == (False, False)
        assert np.frombuffer(message.data, "<f4")[2::4].tolist() == [2.0 + sec] * (width * height)


def test_depth_camera_info_is_the_left_one_under_another_header() -> None:
    """Everything of the left CameraInfo but its header, which stays what it was."""
    left = CameraInfo(height=480, width=640, distortion_model="plumb_bob", d=[0.1] * 5, binning_x=2)
    left.p[0], left.roi.width = 500.0, 320
    left.header = header(1)
    info = camera_info_of_depth(left, header(2))
    assert info.header == header(2)
    assert left.header == header(1)
    info.header = header(1)
    assert info == left


def test_filling_takes_a_fraction_of_a_millisecond() -> None:
    """640x480 floats are copied as one block: element by element they would take 69 ms."""
    message, fields = Image(), depth_fields(np.ones((480, 640), np.float32), "32FC1")
    fill_image(message, header(0), fields)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        fill_image(message, header(0), fields)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.005
