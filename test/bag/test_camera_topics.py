"""The stereo camera's topics are found where they are clear; otherwise the error says what there is, what to type."""

from __future__ import annotations

import pytest
from recordings import COMPRESSED, IMAGE, INFO

from ffs_ros.bag.camera_topics import Asked, camera_topics, missing_infos, wrong_depth_topic
from ffs_ros.bag.recorded import Topic
from ffs_ros.errors import FfsError
from ffs_ros.stereo_topics import StereoTopics


def topics(*names: str) -> list[Topic]:
    """Types by the names."""
    kinds = {"camera_info": INFO, "compressed": COMPRESSED}
    return [Topic(name, kinds.get(name.rpartition("/")[2], IMAGE)) for name in names]


def both(name: str) -> list[str]:
    """Of the left and the right side."""
    return [name, name.replace("left", "right").replace("infra1", "infra2")]


ALL_OF_A_CAMERA = [
    name
    for base in ("image_raw", "image_rect", "image_rect_color", "image_rect/compressed", "image_raw/compressed")
    for name in both(f"/rig/left/{base}")
]


@pytest.mark.parametrize(
    ("names", "asked", "left"),
    [
        (both("/left/image_rect"), Asked(), "/left/image_rect"),
        (ALL_OF_A_CAMERA, Asked(), "/rig/left/image_rect"),
        (ALL_OF_A_CAMERA, Asked(packed=True), "/rig/left/image_rect/compressed"),
        (ALL_OF_A_CAMERA, Asked(rectify=True), "/rig/left/image_raw"),
        (ALL_OF_A_CAMERA, Asked(rectify=True, packed=True), "/rig/left/image_raw/compressed"),
        (both("/d435/infra1/image_rect_raw"), Asked(), "/d435/infra1/image_rect_raw"),
        (["/front/depth/image_rect", *both("/front/left/image_rect")], Asked(), "/front/left/image_rect"),
        (both("/a/left/image_rect") + both("/b/left/image_rect"), Asked(left="b/left/"), "/b/left/image_rect"),
        (both("/oak/left/image"), Asked(left="/oak/left", right="/oak/right"), "/oak/left/image"),
        (both("/oak/left/image_raw"), Asked(left="/oak/left/image_raw"), "/oak/left/image_raw"),
        (ALL_OF_A_CAMERA, Asked(left="/rig/left"), "/rig/left/image_rect"),
        (ALL_OF_A_CAMERA, Asked(right="/rig/right", rectify=True), "/rig/left/image_raw"),
    ],
)
def test_topics_that_are_clear(names: list[str], asked: Asked, left: str) -> None:
    """The node's own names first; a namespace or one side is enough."""
    found = camera_topics(topics(*names), asked)
    assert (found.left, found.right) == tuple(both(left))
    folder = left.removesuffix("/compressed").rpartition("/")[0]
    assert found.left_info == f"{folder}/camera_info"


@pytest.mark.parametrize(
    ("names", "asked", "sentence"),
    [
        (
            both("/a/left/image_rect") + both("/b/left/image_rect"),
            Asked(),
            "several stereo cameras: .* type --left /a/left/image_rect --right /a/right/image_rect or --left /b",
        ),
        (both("/left/image_raw"), Asked(), "are not rectified .*: add --rectify, or, if they are, type --left /left"),
        (both("/left/image_rect"), Asked(rectify=True), "are rectified already .*: leave --rectify away"),
        (["/one/image_rect", "/two/image_rect"], Asked(), "with --left and --right; its images are /one/image_rect, "),
        ([], Asked(), "^the bag has no messages: expected the images of a stereo camera$"),
        (["/b/camera_info", "/a/camera_info"], Asked("/a"), "no images: .*; its topics are /a/camera_info, /b/camera"),
        (["/left/image_rect"], Asked(), "with --left and --right; its images are /left/image_rect"),
        (["/left/image_rect"], Asked(left="/left"), "differs .* alone: name the other with --right"),
        (["/one/image_rect", "/two/image_rect"], Asked(left="/one"), "name the other with --right"),
        (both("/left/image_rect"), Asked(left="/lefd"), "--left is /lefd, and the bag has no such image"),
        (both("/left/image_rect"), Asked("/left", "/left/image_rect"), "--left and --right are both /left/image_rect"),
        (["/x/left/image", "/x/left/color", *both("/y/left/image")], Asked("/x/left", "/y/right"), "--left is /x/left"),
        ([f"/webcam{i:02}/image_rect" for i in range(30)], Asked(), "/webcam19/image_rect and 10 more"),
    ],
)  # fmt: skip
def test_topics_that_are_not(names: list[str], asked: Asked, sentence: str) -> None:
    """One sentence with what the bag has."""
    with pytest.raises(FfsError, match=sentence):
        camera_topics(topics(*names), asked)


def test_camera_info_may_be_elsewhere_but_has_to_be_there() -> None:
    """Named by the user, or beside the image."""
    there = topics("/left/image_rect", "/right/image_rect", "/cal/left/camera_info", "/right/camera_info")
    found = camera_topics(there, Asked(left_info="cal/left/camera_info"))
    assert found.left_info == "/cal/left/camera_info"
    assert list(missing_infos(there, found)) == []
    left, right = missing_infos(there, StereoTopics.of_images("/left/image_rect", "/wrong/image_rect"))
    assert left == (
        "the bag has no CameraInfo on /left/camera_info: name it with --left-info, or give a calibration file with "
        "--camera; its CameraInfo are /cal/left/camera_info, /right/camera_info"
    )
    assert right.startswith("the bag has no CameraInfo on /wrong/camera_info: name it with --right-info, or give")


def test_a_depth_topic_is_another_cameras() -> None:
    """Not packed, and not the left image by mistake."""
    there = topics("/left/image_rect", "/right/image_rect", "/depth/image", "/depth/image/compressed")
    chosen = StereoTopics.of_images("/left/image_rect", "/right/image_rect")
    assert list(wrong_depth_topic(there, chosen, "/depth/image")) == []
    [own] = wrong_depth_topic(there, chosen, "/right/image_rect")
    assert own == "--depth-topic is /right/image_rect, an image of the stereo camera itself: name a depth camera's"
    [packed] = wrong_depth_topic(there, chosen, "/depth/image/compressed")
    assert "no such sensor_msgs/Image: its images are /depth/image, /left/image_rect, /right/image_rect" in packed
