"""The node as a process and as a managed node: how it starts, fails, is driven, counts and ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted_start import interrupted_start

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from stereo_graph import Graph, camera_infos, image_message, wait_until
from tiny_engine import write_tiny_engine

from ffs_ros import live_engine
from ffs_ros.advice import WITHOUT_A_NETWORK
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.geometry import StereoCamera
from ffs_ros.ros import node as module
from ffs_ros.ros.frame_log import FrameCounts
from ffs_ros.weights import SYNTHETIC, SYNTHETIC_NOTE

HEIGHT, WIDTH = 32, 48
CAMERA = StereoCamera(WIDTH, HEIGHT, 50.0, 50.0, 24.0, 24.0, 16.0, 0.1)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"engine": "/nowhere/model.onnx"}, "/nowhere/model.onnx"),
        ({"engine": "model.trt"}, "'model.trt' is no engine that this version can open"),
        (
            {"engine": "sgbm", "max_disparity": 1_000_000},
            "parameter max_disparity is 1000000: expected an integer from 16 to 4096 px, for example",
        ),
        ({"gpu_index": "first"}, "parameter gpu_index is 'first': expected an integer from 0 to 63"),
        ({"fit": "stretch"}, "parameter fit is 'stretch': expected one of auto, pad, letterbox, resize"),
        ({"qos_overrides./disparity.publisher.reliability": "sure"}, "reliability 'reliable' or 'best_effort'"),
        ({"qos_overrides./left/image_rect.subscription.depth": "deep"}, "cannot make /left/image_rect"),
        ({"approximate_sync_tolerance_seconds": 1}, "expected a number with a decimal point"),
    ],
)
def test_a_wrong_set_up_is_one_sentence_and_exit_code_2(
    parameters: dict[str, Any], sentence: str, start_node: Callable[..., Any]
) -> None:
    """What the user can put right ends the process with one line that says what is expected."""
    node = start_node(**parameters)
    wait_until(lambda: not node.alive, "the end")
    assert node.popen.returncode == 2
    lines = [line for line in node.said().splitlines() if line.strip() and "[INFO]" not in line]
    assert len(lines) == 1, lines
    assert sentence in lines[0]


def test_arguments_that_ros_does_not_take_are_a_wrong_set_up() -> None:
    """A parameter file that is not there: one sentence of ours, exit code 2, no traceback."""
    command = [sys.executable, "-m", "ffs_ros.ros", "--ros-args", "--params-file", "nowhere.yaml"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "stereo_node: ROS does not take the arguments" in ended.stderr
    assert "nowhere.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_onnxruntime_the_shipped_weights_are_a_wrong_set_up() -> None:
    """The default engine of an installation that has no runtime for it: one sentence that names what needs none."""
    hidden = "import sys; sys.modules['onnxruntime'] = None; from ffs_ros.ros.node import main; main()"
    command = [sys.executable, "-c", hidden, "--ros-args", "-p", f"engine:={SYNTHETIC}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert [WITHOUT_A_NETWORK in line for line in ended.stderr.splitlines()] == [True]
    assert "Traceback" not in ended.stderr


def test_it_says_what_weights_ship(start_node: Callable[..., Any], tiny_onnx: Callable[..., Path]) -> None:
    """The log names the engine and, of ffs-synthetic, what to take for production."""
    node = start_node(engine=str(tiny_onnx(weights=SYNTHETIC)))
    wait_until(lambda: "engine tiny.onnx on ONNX Runtime" in node.said(), "the engine")
    wait_until(lambda: f"images of any size; {SYNTHETIC_NOTE}" in node.said(), "the note")


def test_without_ros_the_command_says_what_is_missing() -> None:
    """The executable of an environment without rclpy: one sentence, exit code 2."""
    hidden = "import sys; sys.modules['rclpy'] = None; from ffs_ros.ros import main; main()"
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "stereo_node: ROS 2 is not complete here" in ended.stderr


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["]: engine ", "pairs images"])
def test_signals_end_it_cleanly(moment: str, signal_number: int, start_node: Callable[..., Any]) -> None:
    """Ctrl-C and a launch file's SIGTERM, while it starts or runs: exit code 0 and no traceback."""
    node = start_node()
    node.wait_said(moment)
    assert node.stop(signal_number) == 0
    assert "Traceback" not in node.said()


@pytest.mark.parametrize("module", ["ffs_ros.ros.node", "rclpy", "cv2", "ffs_ros.ros.process"])
def test_an_interrupt_while_it_still_imports_ends_it_cleanly(module: str) -> None:
    """A launch that is stopped at once shows no traceback."""
    assert interrupted_start("ffs_ros.ros", at=module) == (0, "")


@pytest.mark.parametrize(
    ("start", "exit_code"),
    [("from ffs_ros.ros import main; main()", 0), ("from ffs_ros.cli import main; main(['doctor'])", 130)],
)
def test_an_interrupt_within_rclpy_is_not_taken_for_a_missing_ros(start: str, exit_code: int, tmp_path: Path) -> None:
    """pybind11 makes an ImportError of it."""
    (tmp_path / "rclpy.py").write_text("raise ImportError('initialization failed') from KeyboardInterrupt()")
    first = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {start}"
    ended = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (exit_code, "")


def test_an_unknown_parameter_is_pointed_out(start_node: Callable[..., Any]) -> None:
    """ROS ignores a misspelled parameter; the node says which name was meant, and starts."""
    node = start_node(engin="model.onnx", depth_encodng="16UC1")
    node.wait_said("pairs images")
    (warning,) = node.warnings()
    assert "'engin' (did you mean 'engine'?)" in warning
    assert "'depth_encodng' (did you mean 'depth_encoding'?)" in warning


def test_a_manager_drives_it(start_node: Callable[..., Any], graph: Graph, tmp_path: Path) -> None:
    """Without autostart it waits, refuses a bad configuration with FAILURE and a sentence, and can be asked again."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    engine = tmp_path / "later.onnx"
    node = start_node(autostart=False, engine=engine)
    change = graph.node.create_client(ChangeState, "stereo_node/change_state")
    get = graph.node.create_client(GetState, "stereo_node/get_state")
    graph.wait(lambda: change.service_is_ready() and get.service_is_ready(), "the lifecycle services")

    def trigger(transition: int) -> tuple[bool, int]:
        request = ChangeState.Request()
        request.transition.id = transition
        return graph.call(change, request).success, graph.call(get, GetState.Request()).current_state.id

    assert trigger(Transition.TRANSITION_CONFIGURE) == (False, State.PRIMARY_STATE_UNCONFIGURED)
    assert str(engine) in node.said()
    assert graph.node.count_publishers("/disparity") == 0
    write_tiny_engine(engine, HEIGHT, WIDTH)
    messages = [image_message(np.full((HEIGHT, WIDTH, 3), 100, np.uint8))] * 2
    for _ in range(2):
        assert trigger(Transition.TRANSITION_CONFIGURE) == (True, State.PRIMARY_STATE_INACTIVE)
        graph.wait(lambda: graph.node.count_publishers("/disparity") == 1, "the outputs")
        assert graph.node.count_subscribers("/left/image_rect") == 0
        for _ in range(2):
            assert trigger(Transition.TRANSITION_ACTIVATE) == (True, State.PRIMARY_STATE_ACTIVE)
            graph.exchange(*messages, camera_infos(CAMERA))
            assert trigger(Transition.TRANSITION_DEACTIVATE) == (True, State.PRIMARY_STATE_INACTIVE)
            graph.wait(lambda: graph.node.count_subscribers("/left/image_rect") == 0, "unsubscribing")
        assert trigger(Transition.TRANSITION_CLEANUP) == (True, State.PRIMARY_STATE_UNCONFIGURED)
        graph.wait(lambda: graph.node.count_publishers("/disparity") == 0, "the outputs' end")
    assert trigger(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN) == (True, State.PRIMARY_STATE_FINALIZED)


class SlowEngine:
    """Takes its time, checks that one thread owns it, and remembers what it saw."""

    info = EngineInfo("slow", "a test", 64.0, 1)
    inputs = {side: TensorSpec((1, HEIGHT, WIDTH, 3), np.dtype(np.uint8)) for side in ("left", "right")}  # noqa: RUF012
    outputs = {"disparity": TensorSpec((1, 1, HEIGHT, WIDTH), np.dtype(np.float32))}  # noqa: RUF012

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.threads = {threading.current_thread()}
        self.runs = 0
        self.closed = False

    def infer(self, feeds: Any) -> dict[str, np.ndarray]:
        assert self.go.wait(60)
        self.threads.add(threading.current_thread())
        self.runs += 1
        return {"disparity": np.full((1, 1, HEIGHT, WIDTH), 8.0, np.float32)}

    def close(self) -> None:
        self.threads.add(threading.current_thread())
        self.closed = True


@pytest.fixture
def managed(monkeypatch: pytest.MonkeyPatch, graph: Graph) -> Iterator[tuple[Any, SlowEngine]]:
    """An active node of this process on a ``SlowEngine``; the graph spins it."""
    engines: list[SlowEngine] = []

    def open_engine(*_: Any, **__: Any) -> SlowEngine:
        engines.append(SlowEngine())
        return engines[-1]

    monkeypatch.setattr(live_engine, "open_engine", open_engine)
    node = module.StereoNode(context=graph.context)
    executor = SingleThreadedExecutor(context=graph.context)
    executor.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def spin() -> None:
        for _ in range(8):  # more than a pair and its CameraInfo
            executor.spin_once(timeout_sec=0.002)

    graph.also_spin = spin
    yield node, engines[0]
    engines[0].go.set()
    node.close()
    executor.shutdown()
    node.destroy_node()


@pytest.fixture
def messages() -> list[Any]:
    """A pair of black images."""
    return [image_message(np.zeros((HEIGHT, WIDTH, 3), np.uint8)) for _ in range(2)]


def test_every_pair_is_accounted_for(graph: Graph, managed: Any, messages: list[Any]) -> None:
    """While the engine is busy newer pairs replace the one that waits: paired = published + replaced, the newest wins,
    and what the consumer gets is exactly what was published."""
    node, engine = managed
    infos = camera_infos(CAMERA)
    graph.exchange(*messages, infos)
    frames = node.frames
    before = frames.counts
    engine.go.clear()
    stamps = []
    for index in range(20):
        stamps.append(graph.publish_pair(*messages, infos))
        graph.wait(lambda count=before.paired + index + 1: frames.counts.paired == count, "the pair's arrival")
    assert frames.counts.published == before.published
    assert frames.counts.in_flight == 2, "one in work and one that waits"
    engine.go.set()
    graph.wait(lambda: stamps[-1] in graph.received["depth/camera_info"], "the newest pair's outputs")
    since = [now - then for now, then in zip(frames.counts, before, strict=True)]
    assert FrameCounts(*since) == FrameCounts(paired=20, published=2, replaced=18)
    assert frames.counts.in_flight == 0
    published = {times.stamp_ns for times in frames.times}
    assert {stamps[0], stamps[-1]} <= published
    assert not set(stamps[1:-1]) & published
    for messages_by_stamp in graph.received.values():
        assert set(stamps) & set(messages_by_stamp) == {stamps[0], stamps[-1]}


def test_a_pair_keeps_the_parameters_that_it_came_with(graph: Graph, managed: Any, messages: list[Any]) -> None:
    """Changes meet the next pair, all at once: while one is in work nothing of it gets half of them."""
    node, engine = managed
    infos = camera_infos(CAMERA)
    graph.exchange(*messages, infos)
    engine.go.clear()
    before = node.frames.counts.paired
    stamp_ns = graph.publish_pair(*messages, infos)
    graph.wait(lambda: node.frames.counts.paired == before + 1, "the pair's arrival")
    changed = {"roi_x_offset": 40, "roi_width": 8, "depth_encoding": "16UC1"}
    assert node.set_parameters_atomically([Parameter(name, value=value) for name, value in changed.items()]).successful
    engine.go.set()
    graph.wait(lambda: all(stamp_ns in received for received in graph.received.values()), "the pair's outputs")
    assert graph.received["disparity"][stamp_ns].valid_window.x_offset == 0
    assert graph.received["depth/image_rect"][stamp_ns].encoding == "32FC1"
    after = graph.exchange(*messages, infos)
    assert (after.disparity.valid_window.x_offset, after.disparity.valid_window.width) == (40, 8)
    assert after.depth.encoding == "16UC1"


def test_a_pair_that_nobody_wants_is_not_matched(graph: Graph, managed: Any, messages: list[Any]) -> None:
    """Without subscribers the engine rests and the pair is counted; CameraInfo alone needs no engine either."""
    node, engine = managed
    graph.exchange(*messages, camera_infos(CAMERA))
    for subscription in graph.subscriptions:
        graph.node.destroy_subscription(subscription)
    graph.wait(lambda: not any(node._outputs.wanted(0.0)), "unsubscribing")
    runs, unwanted = engine.runs, node.frames.counts.unwanted
    graph.publish_pair(*messages, camera_infos(CAMERA))
    graph.wait(lambda: node.frames.counts.unwanted == unwanted + 1, "the pair")
    graph.node.create_subscription(CameraInfo, "depth/camera_info", lambda message: None, 10)
    graph.wait(lambda: any(node._outputs.wanted(0.0)), "the subscription")
    published = node.frames.counts.published
    graph.publish_pair(*messages, camera_infos(CAMERA))
    graph.wait(lambda: node.frames.counts.published == published + 1, "the CameraInfo")
    assert engine.runs == runs


def test_a_bug_is_shown_and_survived(
    graph: Graph,
    managed: Any,
    messages: list[Any],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An exception that nobody expected is logged with its traceback once, counted, and the next pair comes out."""
    node, _ = managed
    graph.exchange(*messages, camera_infos(CAMERA))

    def publish(*_: Any) -> None:
        raise ZeroDivisionError("a bug in the outputs")

    monkeypatch.setattr(node._outputs, "publish", publish)
    for count in range(5):
        graph.publish_pair(*messages, camera_infos(CAMERA))
        graph.wait(lambda count=count: node.frames.counts.failed == count + 1, "a failure")
    monkeypatch.undo()
    graph.exchange(*messages, camera_infos(CAMERA))
    assert node.frames.counts.failed == 5
    assert capfd.readouterr().err.count("ZeroDivisionError: a bug in the outputs") == 1


def test_a_bug_of_the_doctor_costs_no_depth(
    graph: Graph,
    managed: Any,
    messages: list[Any],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is logged with its traceback, and pairs come out."""
    node, _ = managed
    monkeypatch.setattr(node._doctor, "look", lambda elapsed_s: 1 // 0)
    node._look()
    graph.exchange(*messages, camera_infos(CAMERA))
    said = capfd.readouterr().err
    assert "the doctor met a bug; please report it:" in said
    assert "ZeroDivisionError" in said


def test_one_thread_owns_the_engine(graph: Graph, managed: Any, messages: list[Any]) -> None:
    """Opening, matching and closing happen on the worker, which is not the executor's thread; then it is gone."""
    node, engine = managed
    graph.exchange(*messages, camera_infos(CAMERA))
    assert node.trigger_deactivate() == node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert engine.closed
    assert engine.runs >= 2, "the warm-up and a pair"
    (owner,) = engine.threads
    assert owner is not threading.current_thread()
    assert not owner.is_alive()


def test_parameters_are_described_and_guarded(managed: Any) -> None:
    """Descriptors carry description, unit, range and read-only; live ones can be set within their choices only."""
    node, _ = managed
    descriptor = node.describe_parameter("max_disparity")
    assert "[px]" in descriptor.description
    assert (descriptor.integer_range[0].from_value, descriptor.integer_range[0].to_value) == (16, 4096)
    assert descriptor.read_only
    assert "16UC1" in node.describe_parameter("depth_encoding").additional_constraints

    def set_to(name: str, value: Any) -> Any:
        return node.set_parameters([Parameter(name, value=value)])[0]

    assert set_to("depth_encoding", "16UC1").successful
    refused = set_to("depth_encoding", "64FC1")
    assert not refused.successful
    assert "one of 32FC1, 16UC1" in refused.reason
    assert node.get_parameter("depth_encoding").value == "16UC1"
    assert not set_to("engine", "other.onnx").successful
    assert not set_to("bit_depth", 17).successful
    assert not set_to("mask_out_of_view", 1).successful


def test_importing_the_node_needs_no_runtime() -> None:
    """The node's module imports neither torch nor an inference runtime nor the tools."""
    code = "import sys, json, ffs_ros.ros.node; print(json.dumps([m for m in sys.modules]))"
    modules = json.loads(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    )
    assert not {"torch", "onnxruntime", "onnx", "ffs_ros.tools", "ffs_ros.network"} & set(modules)
