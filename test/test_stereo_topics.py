"""Stereo cameras are found by the names that drivers give their topics."""

from __future__ import annotations

import pytest

from ffs_ros.stereo_topics import StereoTopics, image_topics, stereo_topics

IMAGE, PACKED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"


@pytest.mark.parametrize(
    ("names", "left", "right"),
    [
        (("/left/image_rect", "/right/image_rect"), "/left/image_rect", "/right/image_rect"),
        (
            ("/camera/camera/infra1/image_rect_raw", "/camera/camera/infra2/image_rect_raw"),
            "/camera/camera/infra1/image_rect_raw",
            "/camera/camera/infra2/image_rect_raw",
        ),
        (
            [f"/zed/zed_node/{side}{raw}/image_{kind}_color" for side in ("left", "right")
             for raw, kind in (("", "rect"), ("_raw", "raw"))],
            "/zed/zed_node/left/image_rect_color",
            "/zed/zed_node/right/image_rect_color",
        ),
        (
            ("/oak/left/image_raw", "/oak/left/image_raw/compressed", "/oak/right/image_raw",
             "/oak/right/image_raw/compressed", "/oak/rgb/image_raw"),
            "/oak/left/image_raw",
            "/oak/right/image_raw",
        ),
        (("/cam0/image_raw", "/cam1/image_raw", "/cam10/image_raw"), "/cam0/image_raw", "/cam1/image_raw"),
        (("/left/x/compressed", "/right/x/compressed"), "/left/x/compressed", "/right/x/compressed"),
        (("/stereo/left_image", "/stereo/right_image"), "/stereo/left_image", "/stereo/right_image"),
    ],
)  # fmt: skip
def test_a_camera_of_each_driver_is_found(names: list[str], left: str, right: str) -> None:
    """With the rectified images where there are several."""
    (found,) = stereo_topics(sorted(names))
    assert found[:2] == (left, right)


def test_a_node_that_rectifies_takes_the_raw_images() -> None:
    """Where a driver has both; rectified ones where there are no others."""
    names = [f"/{side}/image_{kind}" for side in ("left", "right") for kind in ("raw", "rect")]
    assert stereo_topics(names)[0].left == "/left/image_rect"
    assert stereo_topics(names, rectify=True)[0].left == "/left/image_raw"
    assert stereo_topics(names[1::2], rectify=True)[0].left == "/left/image_rect"


def test_several_cameras_are_kept_apart() -> None:
    """One pair for each, also where a robot has sides of its own."""
    names = [f"/{arm}_arm/{side}/image" for arm in ("left", "right") for side in ("left", "right")]
    assert [found[:2] for found in stereo_topics(names)] == [
        ("/left_arm/left/image", "/left_arm/right/image"),
        ("/right_arm/left/image", "/right_arm/right/image"),
    ]


@pytest.mark.parametrize("names", [(), ("/left/image",), ("/rgb/image", "/ir/image"), ("/cleft/x", "/cright/x")])
def test_what_is_no_pair_is_not_taken_for_one(names: tuple[str, ...]) -> None:
    """Neither one side alone nor two cameras of other names."""
    assert stereo_topics(names) == []


def test_only_images_of_cameras_count() -> None:
    """Not what a stereo node itself publishes."""
    types = {
        "/left/image_rect": [IMAGE], "/left/image_rect/compressed": [PACKED], "/left/camera_info": [INFO],
        "/depth/image_rect": [IMAGE], "/disparity/color": [IMAGE], "/camera/aligned_depth_to_color/image_raw": [IMAGE],
    }  # fmt: skip
    assert image_topics(types) == ["/left/image_rect", "/left/image_rect/compressed"]


def test_calibrations_are_beside_the_images() -> None:
    """As image_transport has it; remaps are given without its ending."""
    topics = StereoTopics.of_images("/cam/left/image_raw/compressed", "/cam/right/image_raw/compressed")
    assert topics[2:] == ("/cam/left/camera_info", "/cam/right/camera_info")
    assert topics.packed
    assert topics.remaps()["left/image_rect"] == "/cam/left/image_raw"
    assert topics.remaps(rectify=True)["left/image_raw"] == "/cam/left/image_raw"
    assert StereoTopics.of_images("/left", "/right").left_info == "/camera_info"
