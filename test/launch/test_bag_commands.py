"""The command lines for rosbag2 of every distribution, and what is asked of a bag before it is played."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("yaml")

from ffs_ros.errors import FfsError
from ffs_ros.launching.bag import check_topics, image_topics, play_command, record_command

METADATA = """
rosbag2_bagfile_information:
  topics_with_message_count:
    - {topic_metadata: {name: /l/image, type: sensor_msgs/msg/Image}, message_count: 3}
    - {topic_metadata: {name: /imu, type: sensor_msgs/msg/Imu}, message_count: 3}
    - {topic_metadata: {name: /l/camera_info, type: sensor_msgs/msg/CameraInfo}, message_count: 3}
"""


def test_a_bag_is_played_paused_with_its_clock():
    """The bag stands before --topics, which takes all that follows."""
    command = play_command(Path("drive"), ["/a", "/b"], "0.5", loop=False, more=["--start-offset", "10"])
    assert " ".join(command) == (
        "ros2 bag play drive --clock --start-paused --disable-keyboard-controls --rate 0.5 --start-offset 10 "
        "--topics /a /b"
    )
    assert "--loop" in play_command(Path("drive"), ["/a"], "1.0", loop=True, more=[])


@pytest.mark.parametrize(
    ("distro", "topics"),
    [
        ("humble", "/a /b"),
        ("iron", "/a /b"),
        ("jazzy", "--topics /a /b"),
        ("kilted", "--topics /a /b"),
        (None, "--topics /a /b"),
    ],
)
def test_topics_to_record_are_named_as_the_distribution_wants(distro, topics):
    """Humble's ros2 bag record has no --topics, later ones call the other form deprecated."""
    assert (
        " ".join(record_command(Path("out"), ["/a", "/b"], distro)) == f"ros2 bag record --use-sim-time -o out {topics}"
    )


def test_an_image_may_be_compressed_or_raw():
    """The names that the node makes of an image argument with image_transport and rectify."""
    assert image_topics("/l/image_rect") == [
        "/l/image_rect", "/l/image_rect/compressed", "/l/image_raw", "/l/image_raw/compressed"
    ]  # fmt: skip
    assert image_topics("/infra1/image_rect_raw") == ["/infra1/image_rect_raw", "/infra1/image_rect_raw/compressed"]


def test_a_bag_is_asked_for_its_topics(tmp_path):
    """What it has passes; of what it has not the sentence names the argument and the bag's images and CameraInfo."""
    (tmp_path / "metadata.yaml").write_text(METADATA)
    check_topics(tmp_path, {"left_image": ["/l/image"]})
    sentence = (
        "has no topic /r/image; name the one that it has with right_image:=. Its images and CameraInfo are: "
        "/l/camera_info, /l/image"
    )
    with pytest.raises(FfsError, match=re.escape(sentence) + "$"):
        check_topics(tmp_path, {"left_image": ["/x", "/l/image"], "right_image": ["/r/image", "/r/image/compressed"]})


def test_a_single_file_is_played_unseen(tmp_path):
    """A bag of one file has its topics inside."""
    file = tmp_path / "drive.mcap"
    file.touch()
    check_topics(file, {"left_image": ["/l/image"]})


@pytest.mark.parametrize("text", ["", "a: [", "rosbag2_bagfile_information: {topics_with_message_count: [3]}"])
def test_a_damaged_bag_is_named(tmp_path, text):
    """With what rosbag2 offers against it."""
    (tmp_path / "metadata.yaml").write_text(text)
    with pytest.raises(FfsError, match=r"metadata\.yaml is not a bag's metadata .*; type: ros2 bag reindex "):
        check_topics(tmp_path, {"left_image": ["/l/image"]})


def test_a_bag_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FfsError, match=r"there is no bag .*drive: expected the folder"):
        check_topics(tmp_path / "drive", {})
