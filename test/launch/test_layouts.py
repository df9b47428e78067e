"""The layouts for RViz and Foxglove name topics, types and fields that the running node has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from own_domain import own_domain

pytest.importorskip("rclpy", reason="rclpy is not installed")

from ffs_ros.point_cloud import FIELDS

RVIZ_TYPES = {
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
}
RVIZ_FIELDS = {"XYZ": {"x", "y", "z"}, "RGB8": {"rgb"}}
"""What a position or colour transformer needs to find in the cloud."""


@pytest.fixture(scope="module")
def topics() -> dict[str, str]:
    """Every topic that an active node publishes or subscribes to -> its type."""
    import rclpy

    from ffs_ros.ros.node import StereoNode

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        rclpy.init(domain_id=own_domain())
        node = StereoNode(parameter_overrides=[rclpy.Parameter("engine", value="sgbm")])
    try:
        node.start()
        ends = [
            *node.get_publisher_names_and_types_by_node("stereo_node", "/"),
            *node.get_subscriber_names_and_types_by_node("stereo_node", "/"),
        ]
        return {name: kinds[0] for name, kinds in ends}
    finally:
        node.close()
        node.destroy_node()
        rclpy.shutdown()


def rviz_displays(checkout: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and settings of each display that has one."""
    layout = yaml.safe_load((checkout / "config" / "stereo.rviz").read_text(encoding="utf-8"))
    for display in layout["Visualization Manager"]["Displays"]:
        if "Topic" in display:
            yield display["Topic"]["Value"], display


def test_rviz_shows_what_the_node_has(checkout, topics):
    """Image, disparity, depth and points, each of the type that its display takes."""
    shown = dict(rviz_displays(checkout))
    assert {"/left/image_rect", "/disparity/color", "/depth/image_rect", "/points2"} <= set(shown)
    for topic, display in shown.items():
        assert topics[topic] == RVIZ_TYPES[display["Class"]], topic
        assert display["Topic"]["Reliability Policy"] == "Best Effort", "a driver may offer no more"
    points = shown["/points2"]
    needed = RVIZ_FIELDS[points["Position Transformer"]] | RVIZ_FIELDS[points["Color Transformer"]]
    assert needed <= set(FIELDS)


def test_the_launch_files_put_each_of_rvizs_topics_in_its_place(checkout):
    """No display is forgotten when a camera has other topics or a namespace."""
    pytest.importorskip("launch_ros", reason="launch_ros is not installed; test/launch/README.md says how")
    from ffs_ros.launching.rviz import SHOWN

    assert set(SHOWN) == {topic for topic, _ in rviz_displays(checkout)}


def test_rviz_makes_the_node_work_for_nothing_that_is_not_shown(checkout):
    """Confidence costs a second match for each pair, so its display is off."""
    assert {topic for topic, display in rviz_displays(checkout) if not display["Enabled"]} == {"/confidence"}


def panels(checkout: Path) -> dict[str, list[dict[str, Any]]]:
    """The settings of Foxglove's panels, by their type."""
    layout = json.loads((checkout / "config" / "foxglove.json").read_text(encoding="utf-8"))
    found: dict[str, list[dict[str, Any]]] = {}
    for name, settings in layout["configById"].items():
        found.setdefault(name.partition("!")[0], []).append(settings)
    return found


def test_foxglove_shows_what_the_node_has(checkout, topics):
    """Images with their calibration, points with their colour, and the diagnostics."""
    by_type = panels(checkout)
    assert set(by_type) == {"3D", "Image", "DiagnosticSummary", "DiagnosticStatusPanel"}
    shown = {panel["imageMode"]["imageTopic"]: panel["imageMode"]["calibrationTopic"] for panel in by_type["Image"]}
    assert set(shown) == {"/left/image_rect", "/disparity/color", "/depth/image_rect"}
    for image, calibration in shown.items():
        assert (topics[image], topics[calibration]) == ("sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo")
    ((topic, points),) = by_type["3D"][0]["topics"].items()
    assert topics[topic] == "sensor_msgs/msg/PointCloud2"
    assert points["colorField"] in FIELDS
    for name in ("DiagnosticSummary", "DiagnosticStatusPanel"):
        assert topics[by_type[name][0]["topicToRender"]] == "diagnostic_msgs/msg/DiagnosticArray"


def test_every_panel_of_foxglove_is_placed_once(checkout):
    """The layout's tree has each configured panel as a leaf."""
    layout = json.loads((checkout / "config" / "foxglove.json").read_text(encoding="utf-8"))

    def leaves(tree: Any) -> list[str]:
        return [tree] if isinstance(tree, str) else leaves(tree["first"]) + leaves(tree["second"])

    assert sorted(leaves(layout["layout"])) == sorted(layout["configById"])
