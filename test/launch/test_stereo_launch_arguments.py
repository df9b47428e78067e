"""stereo.launch.py turns its arguments into one process: its name, topics, parameters and environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ffs_ros.config import parameter_facts
from ffs_ros.ros import ENGINE_LOST, WRONG_SET_UP
from ffs_ros.ros.transport import FAST_DDS_2_VARIABLE, PROFILE_VARIABLE, profile_path

pytest.importorskip("launch_ros", reason="launch_ros is not installed; test/launch/README.md says how")

RESPAWN_DELAY_S = 2.0


def test_without_arguments_the_parameter_file_decides(start, checkout):
    """The shipped parameter file is the only source of parameters, and topics have their own names."""
    (node,) = start({})
    assert node.argv[:3] == [sys.executable, "-m", "ffs_ros.ros"]
    assert [Path(file).resolve() for file in node.after("--params-file")] == [checkout / "config" / "stereo.yaml"]
    topics = [f"{side}/{name}" for side in ("left", "right") for name in ("image_rect", "image_raw", "camera_info")]
    assert node.remaps == {"__node": "stereo_node", "__ns": "/", **{topic: topic for topic in topics}}
    assert "--log-level" not in node.argv


def test_every_parameter_is_an_argument_with_a_description(checkout):
    """--show-args explains each parameter in the words of the node, and gives none a second default."""
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(checkout / "launch" / "stereo.launch.py"))
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert all(argument.description for argument in arguments.values())
    for name, (_, _, facts) in parameter_facts().items():
        assert arguments[name].description.startswith(facts.description)
        assert "".join(part.text for part in arguments[name].default_value) == ""


def test_what_is_given_reaches_the_node_with_its_type(start):
    """Numbers and truth values arrive as such; a text stays one even when it looks like a number."""
    given = {
        "engine": "007",
        "max_disparity": "64",
        "approximate_sync": "true",
        "approximate_sync_tolerance_seconds": "0.02",
        "use_sim_time": "true",
    }
    (node,) = start({**given, "namespace": "front", "log_level": "debug"})
    expected = {
        "engine": "007",
        "max_disparity": 64,
        "approximate_sync": True,
        "approximate_sync_tolerance_seconds": 0.02,
        "use_sim_time": True,
    }
    assert node.given == expected
    assert {name: type(value) for name, value in node.given.items()} == {n: type(v) for n, v in expected.items()}
    assert node.after("--log-level") == ["debug"]


def test_a_mistyped_argument_is_pointed_out(start, said):
    """launch ignores it, and the node would run on another engine; what resembles nothing is for somebody else."""
    start({"enigne": "model.onnx", "my_robots_arm": "left"})
    assert [sentence for sentence in said if "no such argument" in sentence] == [
        "no such argument: 'enigne' (did you mean 'engine'?); it is ignored"
    ]


@pytest.mark.parametrize("preset", ["realsense", "zed", "oakd"])
def test_a_presets_own_arguments_are_not_mistyped(start, said, preset):
    """The camera's name and the driver's settings resemble none of the node's."""
    start({"engine": "sgbm"}, file=f"{preset}.launch.py")
    assert not [sentence for sentence in said if "no such argument" in sentence]


def test_topics_follow_the_sides_namespaces_or_are_named_one_by_one(start):
    """left_namespace moves both topics of a side, as in stereo_image_proc; an explicit topic goes before it."""
    (node,) = start({"left_namespace": "/camera/infra1", "right_namespace": "infra2", "right_image": "/other/image"})
    assert node.remaps["left/image_rect"] == "/camera/infra1/image_rect"
    assert node.remaps["left/camera_info"] == "/camera/infra1/camera_info"
    assert node.remaps["left/image_raw"] == "/camera/infra1/image_raw"
    assert node.remaps["right/image_rect"] == node.remaps["right/image_raw"] == "/other/image"
    assert node.remaps["right/camera_info"] == "infra2/camera_info"


def test_two_cameras_keep_apart(start):
    """Included twice, each node has its own namespace and parameters and nothing of the other's."""
    nodes = start(
        {"namespace": "front", "max_disparity": "64", "left_namespace": "l"}, {"namespace": "rear", "fit": "pad"}
    )
    front, rear = sorted(nodes, key=lambda node: node.remaps["__ns"])
    assert (front.remaps["__ns"], rear.remaps["__ns"]) == ("/front", "/rear")
    assert (front.given, rear.given) == ({"max_disparity": 64}, {"fit": "pad"})
    assert rear.remaps["left/image_rect"] == "left/image_rect"


def test_the_node_gets_the_transport_profile(start):
    """The process finds the shipped profile in its environment; the launching process keeps its own."""
    (node,) = start({})
    given = [node.env[variable] for variable in (PROFILE_VARIABLE, FAST_DDS_2_VARIABLE) if variable in node.env]
    assert [Path(profile).resolve() for profile in given] == [profile_path()]
    assert PROFILE_VARIABLE not in os.environ
    assert FAST_DDS_2_VARIABLE not in os.environ


def test_a_users_transport_profile_stays(start, monkeypatch):
    """Who set a profile keeps it."""
    monkeypatch.setenv(PROFILE_VARIABLE, "/etc/robot/fastdds.xml")
    (node,) = start({})
    assert node.env[PROFILE_VARIABLE] == "/etc/robot/fastdds.xml"
    assert FAST_DDS_2_VARIABLE not in node.env


def test_respawn_starts_a_dead_node_again(start, monkeypatch):
    """With respawn:=true a node that dies comes back; without, the launch ends with it."""
    monkeypatch.setenv("STAND_IN_EXIT_CODE", str(ENGINE_LOST))
    assert len(start({"respawn": "false"})) == 1
    assert len(start({"respawn": "true"}, shutdown_after_s=2.0 * RESPAWN_DELAY_S)) >= 2


def test_respawn_leaves_a_wrong_set_up_alone(start, said, monkeypatch):
    """What the user has to correct first is not tried again and again; the launch ends with a sentence."""
    monkeypatch.setenv("STAND_IN_EXIT_CODE", str(WRONG_SET_UP))
    started = start({"respawn": "true", "namespace": "front"}, shutdown_after_s=2.0 * RESPAWN_DELAY_S)
    assert len(started) == 1
    (sentence,) = (sentence for sentence in said if "is not started again" in sentence)
    assert sentence.startswith("stereo_node-")
    assert "its set-up is wrong (exit code 2)" in sentence
    start({"respawn": "false"})
    assert len([sentence for sentence in said if "is not started again" in sentence]) == 1


def test_rviz_shows_the_cameras_topics(start, install, checkout):
    """With rviz:=true RViz runs in the node's namespace, its layout's names remapped to the camera's topics."""
    install("rviz2", executable="rviz2")
    processes = start(
        {"rviz": "true", "namespace": "front", "left_namespace": "/camera", "fixed_frame": "left_optical"}
    )
    (rviz,) = (process for process in processes if process.argv[0].endswith("/rviz2"))
    assert [Path(file).resolve() for file in rviz.after("-d")] == [checkout / "config" / "stereo.rviz"]
    assert rviz.after("-f") == ["left_optical"]
    assert rviz.remaps == {
        "__node": "rviz",
        "__ns": "/front",
        "/left/image_rect": "/camera/image_rect",
        "/disparity/color": "disparity/color",
        "/depth/image_rect": "depth/image_rect",
        "/points2": "points2",
        "/confidence": "confidence",
    }


def test_without_rviz_its_argument_says_what_to_install(start, said, monkeypatch):
    """rviz:=true ends the launch with a sentence where there is no RViz, and the node with it."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    start({"rviz": "true"}, exit_code=1)
    assert [sentence for sentence in said if "rviz:=true needs the ROS package rviz2" in sentence]
