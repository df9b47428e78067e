"""realsense, zed and oakd.launch.py: the drivers' topics, and the drivers themselves with what they need to be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ffs_ros.config import parameter_facts
from ffs_ros.ros.transport import PROFILE_VARIABLE, profile_path

pytest.importorskip("launch_ros", reason="launch_ros is not installed; test/launch/README.md says how")

DRIVER = """
import json, os
from launch import LaunchDescription
from launch.actions import OpaqueFunction

def write(context):
    with open(os.environ["DRIVER_REPORT"], "w") as report:
        json.dump([dict(context.launch_configurations), dict(context.environment)], report)

def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=write)])
"""


class Preset(NamedTuple):
    """What a preset is expected to do, in the drivers' documented names."""

    file: str
    package: str
    driver: str
    left: str
    right: str
    image: str
    frame: str
    settings_argument: str
    arguments: dict[str, str]
    """What its driver is told beside the settings."""


PRESETS = [
    Preset("realsense", "realsense2_camera", "rs_launch.py", "/camera/camera/infra1", "/camera/camera/infra2",
           "image_rect_raw", "camera_infra1_optical_frame", "config_file",
           {"camera_namespace": "camera", "camera_name": "camera"}),
    Preset("zed", "zed_wrapper", "zed_camera.launch.py",
           "/zed/zed_node/left/color/rect", "/zed/zed_node/right/color/rect",
           "image", "zed_left_camera_frame_optical", "ros_params_override_path",
           {"camera_name": "zed", "camera_model": "zed2i"}),
    Preset("oakd", "depthai_ros_driver_v3", "driver.launch.py", "/oak/left", "/oak/right",
           "image_rect", "oak_left_camera_optical_frame", "params_file", {"name": "oak"}),
    Preset("oakd", "depthai_ros_driver", "driver.launch.py", "/oak/left", "/oak/right",
           "image_rect", "oak_left_camera_optical_frame", "params_file", {"name": "oak"}),
    Preset("oakd", "depthai_ros_driver", "camera.launch.py", "/oak/left", "/oak/right",
           "image_raw", "oak_left_camera_optical_frame", "params_file", {"name": "oak"}),
]  # fmt: skip
each_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda p: f"{p.file}-{p.package}-{p.driver}")
one_of_each = pytest.mark.parametrize("preset", PRESETS[:3], ids=lambda p: p.file)


@pytest.fixture
def driver_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in for a driver's launch file writes its arguments and environment."""
    path = tmp_path / "driver.json"
    monkeypatch.setenv("DRIVER_REPORT", str(path))
    return path


@each_preset
def test_the_driver_is_started_with_what_the_network_needs(start, install, driver_report, checkout, preset):
    """driver:=true includes the installed driver's launch file, with its names, our settings and the transport profile,
    and without the node's arguments; the node takes the driver's topics."""
    install(preset.package, {f"launch/{preset.driver}": DRIVER})
    (node,) = start({"driver": "true", "log_level": "debug"}, file=f"{preset.file}.launch.py")
    arguments, environment = json.loads(driver_report.read_text(encoding="utf-8"))
    settings = checkout / "config" / f"{preset.file}_driver.yaml"
    assert arguments == {**preset.arguments, preset.settings_argument: str(settings)}
    assert environment[PROFILE_VARIABLE] == str(profile_path())
    assert node.remaps["left/image_rect"] == f"{preset.left}/{preset.image}"
    assert node.remaps["left/camera_info"] == f"{preset.left}/camera_info"
    assert node.remaps["right/image_rect"] == f"{preset.right}/{preset.image}"
    assert node.remaps["right/camera_info"] == f"{preset.right}/camera_info"


@one_of_each
def test_a_driver_elsewhere_is_said_how_to_start(start, said, driver_report, preset):
    """Without driver:=true nothing but the node runs, and the log has the command that starts the driver."""
    start({}, file=f"{preset.file}.launch.py")
    assert not driver_report.exists()
    (sentence,) = (sentence for sentence in said if "the camera's driver is not started here" in sentence)
    assert f"{PROFILE_VARIABLE}={profile_path()} ros2 launch {preset.package} {preset.driver} " in sentence
    assert f" {preset.settings_argument}:=" in sentence


def test_a_missing_driver_ends_the_launch_with_a_sentence(start, said, monkeypatch):
    """driver:=true where the package is not installed says which one is missing and what to do."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    start({"driver": "true"}, file="realsense.launch.py", exit_code=1)
    (sentence,) = (
        sentence for sentence in said if "driver:=true needs the ROS package realsense2_camera, " in sentence
    )
    assert sentence.endswith("type: sudo apt install ros-$ROS_DISTRO-realsense2-camera")


def test_more_arguments_and_other_names_reach_driver_and_node(start, install, driver_report):
    """camera_name moves topics, frame and driver together; driver_arguments go to the driver alone."""
    install("zed_wrapper", {"launch/zed_camera.launch.py": DRIVER})
    install("rviz2", executable="rviz2")
    given = {"camera_name": "chest", "driver_arguments": "serial_number:=123 svo_path:='a b.svo'", "rviz": "true"}
    node, rviz = sorted(start({"driver": "true", **given}, file="zed.launch.py"), key=lambda p: "rviz2" in p.argv[0])
    arguments, _ = json.loads(driver_report.read_text(encoding="utf-8"))
    assert (arguments["camera_name"], arguments["serial_number"], arguments["svo_path"]) == ("chest", "123", "a b.svo")
    assert node.remaps["left/image_rect"] == "/chest/zed_node/left/color/rect/image"
    assert rviz.after("-f") == ["chest_left_camera_frame_optical"]


def test_a_driver_argument_that_is_none_is_refused(start, said):
    """What is not name:=value is named."""
    start({"driver_arguments": "serial_number=123"}, file="zed.launch.py", exit_code=1)
    assert [
        sentence for sentence in said if "driver_arguments has 'serial_number=123': expected name:=value" in sentence
    ]


@one_of_each
def test_every_argument_of_the_node_is_one_of_the_preset(checkout, preset):
    """A preset takes what stereo.launch.py takes, and changes the defaults of topics and frame only."""
    from launch.launch_description_sources import get_launch_description_from_python_launch_file as load

    def defaults(name: str) -> dict[str, str]:
        description = load(str(checkout / "launch" / f"{name}.launch.py"))
        return {
            a.name: "".join(part.describe() for part in a.default_value) for a in description.get_launch_arguments()
        }

    ours, theirs = defaults("stereo"), defaults(preset.file)
    assert set(parameter_facts()) <= set(ours) <= set(theirs)
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed - {"left_image", "right_image"} == {"left_namespace", "right_namespace", "fixed_frame"}


def test_the_settings_turn_projectors_and_other_depth_off(checkout):
    """Known answers: what each driver must publish, and what would disturb the network or take its GPU."""

    def settings(name: str) -> dict:
        return yaml.safe_load((checkout / "config" / f"{name}_driver.yaml").read_text(encoding="utf-8"))

    realsense = settings("realsense")
    assert (realsense["enable_infra1"], realsense["enable_infra2"], realsense["enable_sync"]) == (True, True, True)
    assert realsense["depth_module.emitter_enabled"] == 0
    assert type(realsense["depth_module.emitter_enabled"]) is int  # the driver ignores a truth value
    assert realsense["enable_depth"] is False
    zed = settings("zed")["/**"]["ros__parameters"]
    assert (zed["video"]["publish_left_right"], zed["depth"]["depth_mode"]) == (True, "NONE")
    oakd = settings("oakd")["/**"]["ros__parameters"]
    assert oakd["camera"]["i_enable_ir"] is oakd["driver"]["i_enable_ir"] is False
    for side in ("left", "right"):
        assert oakd["stereo"][f"i_{side}_rect_publish_topic"] is oakd["stereo"][f"i_{side}_rect_synced"] is True
    assert oakd["stereo"]["i_reverse_stereo_socket_order"] is True  # the baseline in the right CameraInfo
    assert oakd["pipeline_gen"]["i_enable_sync"] is True
