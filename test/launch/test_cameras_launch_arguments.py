"""cameras.launch.py: one process for each camera of a file, whose arguments stay apart."""

from __future__ import annotations

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed; test/launch/README.md says how")


@pytest.fixture
def launch_cameras(start, tmp_path):
    """Launches cameras.launch.py with a file of this text; gives the nodes by their namespace."""

    def launch(text: str, exit_code: int = 0, **arguments: str) -> dict:
        file = tmp_path / "robot.yaml"
        file.write_text(text, encoding="utf-8")
        nodes = start({"cameras": str(file), **arguments}, file="cameras.launch.py", exit_code=exit_code)
        return {node.remaps["__ns"]: node for node in nodes}

    return launch


def test_each_camera_has_a_node_of_its_own(launch_cameras):
    """A camera's arguments are its own; what is typed goes to all that do not say otherwise."""
    nodes = launch_cameras(
        """
        cameras:
          - {namespace: front, launch: realsense, camera_name: eyes, max_disparity: 64}
          - {namespace: arm/left, left_namespace: /wrist/left, approximate_sync: true}
        """,
        max_disparity="32", fit="pad", right_image="/of/no/camera",
    )  # fmt: skip
    assert set(nodes) == {"/front", "/arm/left"}
    assert nodes["/front"].given == {"max_disparity": 64, "fit": "pad"}
    assert nodes["/arm/left"].given == {"max_disparity": 32, "fit": "pad", "approximate_sync": True}
    assert nodes["/front"].remaps["left/image_rect"] == "/camera/eyes/infra1/image_rect_raw"
    assert nodes["/arm/left"].remaps["left/image_rect"] == "/wrist/left/image_rect"
    assert nodes["/arm/left"].remaps["right/image_rect"] == "right/image_rect"


def test_the_example_launches(start, checkout):
    """config/cameras.yaml is such a file."""
    nodes = start({"cameras": str(checkout / "config" / "cameras.yaml")}, file="cameras.launch.py")
    assert {node.remaps["__ns"] for node in nodes} == {"/front", "/rear"}


def test_a_wrong_argument_ends_the_launch_with_a_sentence(launch_cameras, said):
    """What a camera's launch file does not know is named."""
    launch_cameras("cameras: [{namespace: front, enigne: sgbm}]", exit_code=1)
    (sentence,) = (
        sentence for sentence in said if "has 'enigne', which is no argument of stereo.launch.py" in sentence
    )
    assert "ros2 launch ffs_ros stereo.launch.py --show-args lists them" in sentence
