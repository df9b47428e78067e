"""What comes out of the real node, over the real ROS graph, is what ``ffs infer`` computes."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from stereo_graph import Graph, Outputs, camera_infos, image_message, pixels_of, stamp_ns_of
from tiny_engine import expected_disparity

from ffs_ros import cli
from ffs_ros.camera_file import read_camera
from ffs_ros.geometry import StereoCamera
from ffs_ros.image_file import read_rgb, write_png
from ffs_ros.pfm import read_pfm
from ffs_ros.scene import render_pair

HEIGHT, WIDTH = 75, 150
VERGED = StereoCamera(
    width=WIDTH, height=HEIGHT, fx_px=200.0, fy_px=201.0, cx_left_px=70.0, cx_right_px=74.5, cy_px=37.0, baseline_m=0.12
)


def infer(engine: str, folder: Path, calibration: Path, out: Path, *arguments: str) -> tuple[np.ndarray, np.ndarray]:
    """``ffs infer``'s disparity, NaN where there is none, and its depth."""
    command = ["infer", engine, str(folder / "left.png"), str(folder / "right.png"), "-o", str(out)]
    with pytest.raises(SystemExit) as exit_info:
        cli.main([*command, "--camera", str(calibration), "--threads", "1", *arguments])
    assert exit_info.value.code == 0
    disparity_HW = read_pfm(out / "disparity.pfm")
    return np.where(np.isinf(disparity_HW), np.float32(np.nan), disparity_HW), np.load(out / "depth.npy")


def check_messages(outputs: Outputs, disparity_HW: np.ndarray, camera: StereoCamera, max_disparity_px: float) -> None:
    """Every field of the three messages, from the disparity in pixels and the camera, by the definitions."""
    height, width = disparity_HW.shape
    disparity, depth, info = outputs
    difference_px = camera.cx_left_px - camera.cx_right_px
    for header in (disparity.header, disparity.image.header, depth.header, info.header):
        assert header == disparity.header
        assert header.frame_id == "camera_left_optical_frame"

    adjusted_HW = disparity_HW.astype(np.float64) - difference_px
    answered_HW = adjusted_HW > disparity.min_disparity
    expected_HW = np.where(answered_HW, adjusted_HW, 0.0)
    np.testing.assert_allclose(pixels_of(disparity.image), expected_HW, rtol=1e-6, atol=1e-5)
    assert disparity.image.encoding == "32FC1"
    assert (disparity.image.height, disparity.image.width) == (height, width)
    assert disparity.f == pytest.approx(camera.fx_px, rel=1e-6)
    assert disparity.t == pytest.approx(camera.baseline_m, rel=1e-6)
    window = disparity.valid_window
    assert (window.x_offset, window.y_offset, window.width, window.height) == (0, 0, width, height)
    assert not window.do_rectify
    assert 0.0 < disparity.min_disparity < 0.1
    assert disparity.max_disparity == pytest.approx(max_disparity_px - difference_px, rel=1e-6)
    assert 0.0 < disparity.delta_d <= 0.125

    with np.errstate(divide="ignore", invalid="ignore"):
        expected_depth_HW = camera.fx_px * camera.baseline_m / (disparity_HW.astype(np.float64) - difference_px)
    expected_depth_HW[~(disparity_HW > difference_px)] = np.nan
    np.testing.assert_allclose(pixels_of(depth), expected_depth_HW, rtol=1e-5)
    assert depth.encoding == "32FC1"
    left_info, _ = camera_infos(camera)
    left_info.header = info.header
    assert info == left_info


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two images of noise with a region where the tiny engine has no answer and one where the disparity is 0."""
    rng = np.random.default_rng(1)
    left_HW3, right_HW3 = rng.integers(0, 250, (2, HEIGHT, WIDTH, 3), np.uint8)
    left_HW3[:10, :20, 1] = 255
    left_HW3[20:30, :20] = right_HW3[20:30, :20] = 0
    return left_HW3, right_HW3


@pytest.mark.parametrize(
    ("name", "calibration"), [("mb2014_adirondack_q", "calib.txt"), ("kitti2015_000000", "calib_cam_to_cam.txt")]
)
def test_real_pairs_equal_ffs_infer(
    name: str, calibration: str, shared: Path, tmp_path: Path, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """SGBM on a real pair: disparity and depth over ROS equal the command line's; Adirondack's depth is
    f B / (d + doffs)."""
    folder = shared / "data" / "stereo" / name
    start_node(engine="sgbm", max_disparity=80)
    disparity_HW, depth_HW = infer("sgbm", folder, folder / calibration, tmp_path, "--max-disparity", "80")
    assert np.isfinite(disparity_HW).mean() > 0.7
    camera = read_camera(folder / calibration, disparity_HW.shape)
    images = [image_message(read_rgb(folder / f"{side}.png")) for side in ("left", "right")]
    outputs = graph.exchange(*images, camera_infos(camera))
    check_messages(outputs, disparity_HW, camera, max_disparity_px=80)
    np.testing.assert_allclose(pixels_of(outputs.depth), depth_HW, rtol=1e-6)
    if name == "mb2014_adirondack_q":
        lines = (folder / calibration).read_text().splitlines()
        numbers = dict(line.split("=") for line in lines if "[" not in line and "=" in line)
        focal_px = float(lines[0].split("[")[1].split()[0])
        by_definition_HW = focal_px * float(numbers["baseline"]) / 1000 / (disparity_HW + float(numbers["doffs"]))
        np.testing.assert_allclose(pixels_of(outputs.depth), by_definition_HW, rtol=1e-5)


@pytest.mark.parametrize(
    ("encoding", "channels", "padding"), [("rgb8", [0, 1, 2], 0), ("bgr8", [2, 1, 0], 0), ("rgb8", [0, 1, 2], 37)]
)
def test_known_answers_of_a_graph(
    encoding: str,
    channels: list[int],
    padding: int,
    tiny: Path,
    pair: Any,
    graph: Graph,
    start_node: Callable[..., Any],
) -> None:
    """An ONNX engine with a known answer: colours, sides and rows arrive where they belong on a verged camera."""
    start_node(engine=tiny)
    messages = [image_message(image[..., channels], encoding, padding) for image in pair]
    outputs = graph.exchange(*messages, camera_infos(VERGED))
    expected_HW = expected_disparity(*pair)
    assert np.isnan(expected_HW[:10, :20]).all()
    check_messages(outputs, expected_HW, VERGED, max_disparity_px=192)
    # cx_left - cx_right = -4.5 px: d = 0 is a point 4.5 px from infinity, with a depth; no answer has none.
    assert pixels_of(outputs.depth)[25, 5] == pytest.approx(200.0 * 0.12 / 4.5)
    assert np.isnan(pixels_of(outputs.depth)[5, 5])
    assert pixels_of(outputs.disparity.image)[5, 5] == 0.0


def test_an_exported_network_equals_ffs_infer(
    shared: Path, tmp_path: Path, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """The bp2 network, as the exporter's graph with the conformance weights: the node answers as the command line."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("array_api_compat")
    from ffs_ros.graph.model import build_model

    tensors = runpy.run_path(str(shared / "conformance" / "make_checkpoint.py"))["state_dict"]()
    engine = tmp_path / "network.onnx"
    onnx.save(build_model(tensors, size=(96, 160), iterations=2), engine)
    scene = render_pair(StereoCamera(150, 80, 120.0, 120.0, 74.5, 76.0, 39.5, 0.1))
    write_png(tmp_path / "left.png", scene.left_HW3)
    write_png(tmp_path / "right.png", scene.right_HW3)
    (tmp_path / "calib.txt").write_text(
        "cam0=[120 0 74.5; 0 120 39.5; 0 0 1]\ncam1=[120 0 76; 0 120 39.5; 0 0 1]\nbaseline=100\nwidth=150\nheight=80\n"
    )
    disparity_HW, depth_HW = infer(str(engine), tmp_path, tmp_path / "calib.txt", tmp_path / "out")
    assert np.isfinite(disparity_HW).all()
    assert disparity_HW.std() > 0.01
    start_node(engine=engine)
    camera = read_camera(tmp_path / "calib.txt", disparity_HW.shape)
    images = [image_message(read_rgb(tmp_path / f"{side}.png")) for side in ("left", "right")]
    outputs = graph.exchange(*images, camera_infos(camera))
    check_messages(outputs, disparity_HW, camera, max_disparity_px=192)
    np.testing.assert_allclose(pixels_of(outputs.depth), depth_HW, rtol=1e-6)


def test_outputs_follow_their_subscribers(tiny: Path, pair: Any, start_node: Callable[..., Any]) -> None:
    """Nothing is computed for nobody; whoever subscribes later gets what comes from then on."""
    node = start_node(engine=tiny, depth_encoding="16UC1")
    graph = Graph(subscribe=False)
    try:
        messages = [image_message(image) for image in pair]
        graph.wait_for_node()
        for _ in range(5):
            graph.publish_pair(*messages, camera_infos(VERGED))
            graph.spin()
        graph.subscribe()
        outputs = graph.exchange(*messages, camera_infos(VERGED))
        assert outputs.depth.encoding == "16UC1"
        depth_m = np.nan_to_num(200.0 * 0.12 / (expected_disparity(*pair).astype(np.float64) + 4.5))
        np.testing.assert_allclose(pixels_of(outputs.depth), depth_m * 1000, atol=0.5001)
        assert not node.warnings()
    finally:
        graph.close()


def test_calibration_is_looked_up_for_each_pair(
    tiny: Path, pair: Any, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """CameraInfo that came once serves all later pairs; a changed one counts from the next pair on."""
    start_node(engine=tiny)
    messages = [image_message(image) for image in pair]
    first = graph.exchange(*messages, camera_infos(VERGED))
    again = graph.exchange(*messages, None)
    assert stamp_ns_of(again.depth) > stamp_ns_of(first.depth)
    assert again.camera_info.header == again.depth.header
    np.testing.assert_array_equal(pixels_of(again.depth), pixels_of(first.depth))
    wider = StereoCamera(**{**vars(VERGED), "baseline_m": 0.24})
    changed = graph.exchange(*messages, camera_infos(wider))
    np.testing.assert_allclose(pixels_of(changed.depth), 2 * pixels_of(first.depth), rtol=1e-6)
    assert changed.disparity.t == pytest.approx(0.24)


def test_names_can_be_remapped_one_by_one(graph: Graph, start_node: Callable[..., Any]) -> None:
    """Each of the four inputs and three outputs goes where a remap says, from within a namespace."""
    inputs = ("left/image_rect", "left/camera_info", "right/image_rect", "right/camera_info")
    topics = (*inputs, "disparity", "depth/image_rect", "depth/camera_info")
    remaps = [item for index, topic in enumerate(topics) for item in ("-r", f"{topic}:=/elsewhere/topic{index}")]
    start_node(*remaps, "-r", "__ns:=/robot")
    subscribed = graph.node.count_subscribers
    published = graph.node.count_publishers
    graph.wait(lambda: all(subscribed(f"/elsewhere/topic{i}") == 1 for i in range(4)), "the inputs' remaps")
    graph.wait(lambda: all(published(f"/elsewhere/topic{i}") == 1 for i in range(4, 7)), "the outputs' remaps")
    assert not any(subscribed(f"/robot/{topic}") + published(f"/robot/{topic}") for topic in topics)


def test_qos_is_best_effort_in_and_reliable_out(graph: Graph, start_node: Callable[..., Any]) -> None:
    """Inputs fit every driver and outputs every consumer, unless a parameter says otherwise."""
    start_node("-p", "qos_overrides./right/image_rect.subscription.reliability:=reliable")

    def reliability(topic: str, endpoints: Callable[[str], Any]) -> str:
        def of_node() -> list[Any]:
            return [endpoint for endpoint in endpoints(topic) if endpoint.node_name == "stereo_node"]

        graph.wait(of_node, f"{topic} on the graph")
        return str(of_node()[0].qos_profile.reliability.name)

    subscriptions, publishers = graph.node.get_subscriptions_info_by_topic, graph.node.get_publishers_info_by_topic
    assert reliability("/left/image_rect", subscriptions) == "BEST_EFFORT"
    assert reliability("/left/camera_info", subscriptions) == "BEST_EFFORT"
    assert reliability("/right/image_rect", subscriptions) == "RELIABLE"
    for topic in ("/disparity", "/depth/image_rect", "/depth/camera_info"):
        assert reliability(topic, publishers) == "RELIABLE"


def test_approximate_pairs_keep_the_left_header(
    tiny: Path, pair: Any, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """Stamps 3 ms apart pair where the user allows 5 ms; every output carries the left image's stamp and frame."""
    start_node(engine=tiny, approximate_sync=True, approximate_sync_tolerance_seconds=0.005)
    left, right = (image_message(image) for image in pair)
    infos = camera_infos(VERGED)
    graph.wait_for_node()

    lefts = set()

    def send_apart() -> bool:
        left.header = graph.next_header()
        lefts.add(stamp_ns_of(left))
        right.header = graph.next_header("camera_right_optical_frame")
        right.header.stamp.sec, right.header.stamp.nanosec = divmod(stamp_ns_of(left) + 3_000_000, 10**9)
        for side, info in zip(("left", "right"), infos, strict=True):
            info.header = left.header
            graph.publish(f"{side}/camera_info", info)
        graph.publish("left/image_rect", left)
        graph.publish("right/image_rect", right)
        return all(graph.received.values())

    graph.wait(send_apart, "an output")
    for messages in graph.received.values():
        for message in messages.values():
            assert message.header.frame_id == "camera_left_optical_frame"
            assert stamp_ns_of(message) in lefts
