"""``ffs doctor`` over a real graph: finds the camera, says what is wrong, and exits with 0, 1 or 2."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from stereo_graph import Graph, camera_infos, image_message, wait_until
from stereo_msgs.msg import DisparityImage

from ffs_ros import cli
from ffs_ros.errors import FfsError
from ffs_ros.ros.doctor.visit import choose

RNG = np.random.default_rng(0)


class Said(NamedTuple):
    """What the command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs ``ffs doctor`` on another thread while this one plays."""

    def run(*arguments: str, play: Callable[[], None] = lambda: None) -> Said:
        codes: list[Any] = []

        def command() -> None:
            try:
                cli.main(["doctor", *arguments])
            except SystemExit as end:
                codes.append(end.code)

        thread = threading.Thread(target=command)
        thread.start()
        wait_until(lambda: play() or codes, "the end of ffs doctor")
        thread.join()
        captured = capsys.readouterr()
        return Said(codes[0], captured.out, captured.err)

    return run


@pytest.fixture
def cameras(graph: Graph, scene: Any) -> Callable[..., Callable[[], None]]:
    """Makes stereo cameras whose topics lie under a name; what comes back plays one pair with a sensor's noise."""

    def make(name: str, images: tuple[np.ndarray, np.ndarray], infos: Any = None) -> Callable[[], None]:
        for side in ("left", "right"):
            for kind, last in ((Image, "image_rect"), (CameraInfo, "camera_info")):
                topic = f"{name}/{side}/{last}"
                graph.publishers[topic] = graph.node.create_publisher(kind, topic, qos_profile_sensor_data)

        def play() -> None:
            header = graph.next_header()
            for side, image, info in zip(("left", "right"), images, infos or camera_infos(scene.camera), strict=True):
                noise = RNG.integers(0, 3, image.shape, np.uint8)
                message = image_message(np.minimum(image, 253) + noise)
                message.header = info.header = header
                graph.publish(f"{name}/{side}/camera_info", info)
                graph.publish(f"{name}/{side}/image_rect", message)

        return play

    return make


def test_a_healthy_camera_under_another_name(
    doctor: Callable[..., Said], cameras: Any, scene: Any, graph: Graph
) -> None:
    """It is found, what comes is listed, and the remap for the node is there to be copied."""
    graph.node.destroy_publisher(graph.publishers.pop("left/image_rect"))
    graph.node.destroy_publisher(graph.publishers.pop("right/image_rect"))
    said = doctor("--seconds", "2", play=cameras("/robot/front", (scene.left_HW3, scene.right_HW3)))
    assert (said.code, said.err) == (0, ""), said
    assert "320x240 rgb8, frame 'camera_left_optical_frame'" in said.out
    assert "from /stereo_test (best_effort, volatile), sensor_msgs/msg/Image" in said.out
    assert "0.12 m, fx = 260 px, cx_left - cx_right = -2 px" in said.out
    assert "-r left/image_rect:=/robot/front/left/image_rect" in said.out
    assert said.out.endswith("Nothing found that keeps a stereo node from giving depth.\n")
    assert "ERROR" not in said.out


def test_what_is_wrong_is_an_exit_code_of_1(doctor: Callable[..., Said], cameras: Any, scene: Any) -> None:
    """Exchanged pictures under a calibration that is right; named by their full topics."""
    play = cameras("/robot", (scene.right_HW3, scene.left_HW3))
    said = doctor("/robot", "--seconds", "2", play=play)
    assert said.code == 1, said
    assert "ERROR: left and right swapped: the pictures say that /robot/left/image_rect is the right" in said.out
    assert "Nothing found" not in said.out


def test_the_node_that_runs_is_quoted(doctor: Callable[..., Said], graph: Graph) -> None:
    """Its status on /diagnostics; here it is all that comes."""
    graph.node.create_publisher(DisparityImage, "disparity", 10)
    publisher = graph.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    own = DiagnosticStatus(level=b"\x01", name="stereo_test: input", message="few pairs", hardware_id="GPU")
    another = DiagnosticStatus(level=b"\x02", name="battery: input", message="empty")

    said = doctor("--seconds", "1", play=lambda: publisher.publish(DiagnosticArray(status=[own, another])))
    assert said.code == 1
    assert "/stereo_test publishes /disparity, which has 1 subscribers" in said.out
    assert "WARN stereo_test: input: few pairs" in said.out
    assert "battery" not in said.out
    assert "ERROR: no images: no image has come on /left/image_rect or /right/image_rect" in said.out


def test_a_calibration_that_was_sent_once_is_heard(doctor: Callable[..., Said], graph: Graph, scene: Any) -> None:
    """A driver that latches its CameraInfo; packed images are unpacked."""
    once = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    header = graph.next_header()
    for side, info in zip(("left", "right"), camera_infos(scene.camera), strict=True):
        info.header = header
        graph.publishers[f"cam/{side}/camera_info"] = graph.node.create_publisher(
            CameraInfo, f"/cam/{side}/camera_info", once
        )  # fmt: skip
        graph.publish(f"cam/{side}/camera_info", info)
        topic = f"/cam/{side}/image_rect/compressed"
        graph.publishers[topic] = graph.node.create_publisher(CompressedImage, topic, qos_profile_sensor_data)

    def play() -> None:
        header = graph.next_header()
        for side, image in zip(("left", "right"), (scene.left_HW3, scene.right_HW3), strict=True):
            noisy = np.minimum(image, 253) + RNG.integers(0, 3, image.shape, np.uint8)
            data = cv2.imencode(".jpg", noisy[..., ::-1])[1]
            message = CompressedImage(header=header, format="rgb8; jpeg compressed bgr8")
            message.data.frombytes(data.tobytes())
            graph.publish(f"/cam/{side}/image_rect/compressed", message)

    said = doctor("/cam", "--left", "/cam/left/image_rect/compressed", "--seconds", "2", play=play)
    assert said.code == 0, said
    assert "/cam/right/image_rect/compressed" in said.out
    assert "from /stereo_test (reliable, transient_local), sensor_msgs/msg/CameraInfo" in said.out


def euroc_infos(folder: Path) -> list[CameraInfo]:
    """Both CameraInfo of the real camera, with OpenCV's rectification of its calibration."""
    yaml = pytest.importorskip("yaml")
    texts = [(folder / f"cam{index}.sensor.yaml").read_text(encoding="utf-8") for index in (0, 1)]
    facts = [yaml.safe_load(text.replace("%YAML:1.0", "")) for text in texts]
    matrices = [np.array([[f, 0, u], [0, g, v], [0, 0, 1]]) for f, g, u, v in (one["intrinsics"] for one in facts)]
    lenses = [np.array(one["distortion_coefficients"]) for one in facts]
    body_of = [np.array(one["T_BS"]["data"]).reshape(4, 4) for one in facts]
    right_of_left = np.linalg.inv(body_of[1]) @ body_of[0]
    turn, shift = right_of_left[:3, :3].copy(), right_of_left[:3, 3:].copy()
    rotations_and_projections = cv2.stereoRectify(
        matrices[0], lenses[0], matrices[1], lenses[1], (752, 480), turn, shift, alpha=0
    )[:4]
    infos = []
    for index in (0, 1):
        info = CameraInfo(width=752, height=480, distortion_model="plumb_bob", d=lenses[index].tolist())
        info.k = matrices[index].ravel().tolist()
        info.r = rotations_and_projections[index].ravel().tolist()
        info.p = rotations_and_projections[2 + index].ravel().tolist()
        infos.append(info)
    return infos


@pytest.mark.parametrize("rectify", [False, True])
def test_a_real_raw_camera(
    doctor: Callable[..., Said], graph: Graph, raw_pairs: Any, shared: Path, rectify: bool
) -> None:
    """EuRoC's raw images are found not to be rectified, by how much; as a node that rectifies sees them all is well."""
    infos = euroc_infos(shared / "data" / "stereo" / "euroc_v101_raw")
    for side in ("left", "right"):
        topic = f"/euroc/{side}/image_raw"
        graph.publishers[topic] = graph.node.create_publisher(Image, topic, qos_profile_sensor_data)
        topic = f"/euroc/{side}/camera_info"
        graph.publishers[topic] = graph.node.create_publisher(CameraInfo, topic, qos_profile_sensor_data)

    def play() -> None:
        header = graph.next_header()
        for side, grey, info in zip(("left", "right"), raw_pairs["EuRoC 1403715273262142976.png"], infos, strict=True):
            message = image_message(np.minimum(grey, 253) + RNG.integers(0, 3, grey.shape, np.uint8), "mono8")
            message.header = info.header = header
            graph.publish(f"/euroc/{side}/camera_info", info)
            graph.publish(f"/euroc/{side}/image_raw", message)

    said = doctor("/euroc", "--seconds", "3", *(["--rectify"] if rectify else []), play=play)
    assert re.search(r"baseline +0\.110\d* m, fx = 436\.2\d* px", said.out)
    if rectify:
        assert said.code == 0, said
        assert "-r left/image_raw:=/euroc/left/image_raw" in said.out
    else:
        assert said.code == 1
        (error,) = (line for line in said.out.splitlines() if line.startswith("ERROR"))
        assert re.match(r"ERROR: not rectified: .* differ by 1[01]\.\d px over the image", error)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--seconds", "0"), "--seconds is 0: expected more than 0"),
        (("--tolerance", "nan"), "--tolerance is nan"),
        (("--left", "/a", "--right", "a/"), "--left and --right are both /a"),
    ],
)
def test_arguments_that_mean_nothing_are_an_exit_code_of_2(
    doctor: Callable[..., Said], arguments: tuple[str, ...], sentence: str
) -> None:
    """One sentence on stderr, nothing else."""
    said = doctor(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"ffs: {sentence}")
    assert said.err.count("\n") == 1


def test_without_ros_it_is_one_sentence() -> None:
    """Exit code 2 and what to install, from the command line."""
    hidden = "import sys; sys.modules['rclpy'] = None; from ffs_ros.cli import main; main(['doctor'])"
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "ffs: ROS 2 is not complete here" in ended.stderr


IMAGES = [f"/{name}/{side}/image_rect" for name in ("back", "front") for side in ("left", "right")]


def test_the_camera_that_is_meant() -> None:
    """Full names, one of the two, a namespace, the only one there is, or the node's own names without any."""
    assert choose("/a", "/b", "", IMAGES)[:2] == ("/a", "/b")
    assert choose("", "/back/right/image_rect", "", IMAGES)[:2] == tuple(IMAGES[:2])
    assert choose("", "", "/front", IMAGES)[:2] == tuple(IMAGES[2:])
    assert choose("", "", "", IMAGES[:2])[:2] == tuple(IMAGES[:2])
    assert choose("", "", "", [])[:2] == ("/left/image_rect", "/right/image_rect")
    assert choose("", "", "", [*IMAGES, "/left/image_rect"])[:2] == ("/left/image_rect", "/right/image_rect")
    assert choose("", "", "/other", IMAGES)[:2] == ("/other/left/image_rect", "/other/right/image_rect")


def test_a_camera_that_is_not_clear_is_asked_for() -> None:
    """With the commands to choose from."""
    with pytest.raises(FfsError, match="ffs doctor --left /back/left/image_rect --right /back/right/image_rect or ffs"):
        choose("", "", "", IMAGES)
    with pytest.raises(FfsError, match="give --right too"):
        choose("/mono/image", "", "", IMAGES)
