"""An engine that fails, over the ROS graph: what the node says, what it does, and that it goes on or ends well."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import faulty_engine
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from faulty_engine import FAULTY, MUTE, SOUND, UNPLUGGED, DISPARITY_px, Fault
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from stereo_graph import Graph, camera_infos, image_message, pixels_of, wait_until

from ffs_ros.geometry import StereoCamera
from ffs_ros.ros import ENGINE_LOST

HEIGHT, WIDTH = 40, 50
CAMERA = StereoCamera(WIDTH, HEIGHT, 50.0, 50.0, 24.0, 24.0, 16.0, 0.1)
DEPTH_m = 50.0 * 0.1 / DISPARITY_px
PROGRAM = (faulty_engine.__file__,)


def picture(fault: Fault = Fault.NONE) -> Any:
    """A black image that asks for a fault."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[0, 0, 0] = fault
    return image_message(pixels)


def answer(graph: Graph, fault: Fault = Fault.NONE) -> np.ndarray:
    """The depth of a pair, which must come."""
    return pixels_of(graph.exchange(picture(fault), picture(), camera_infos(CAMERA)).depth)


def provoke(graph: Graph, node: Any, fault: Fault, sentence: str) -> None:
    """Send pairs with the fault until the log says so."""

    def said() -> bool:
        graph.publish_pair(picture(fault), picture(), camera_infos(CAMERA))
        return re.search(sentence, node.said()) is not None or not node.alive

    graph.wait(said, sentence)


def check_no_depth_under(graph: Graph, stamp_ns: int) -> None:
    """The next pair's depth comes, and none under the stamp before."""
    answer(graph)
    assert stamp_ns not in graph.received["depth/image_rect"]


@pytest.fixture
def faulty(start_node: Callable[..., Any], graph: Graph) -> Callable[..., Any]:
    """Starts the node on a faulty engine that has answered once."""

    def start(**parameters: Any) -> Any:
        node = start_node(program=PROGRAM, **{"engine": FAULTY, **parameters})
        if parameters.get("autostart", True):
            assert answer(graph) == pytest.approx(DEPTH_m)
        return node

    return start


def test_a_gpu_that_fails_once_is_survived(graph: Graph, faulty: Callable[..., Any]) -> None:
    """The engine is opened again, the pair is lost, the next one is answered; both are said once."""
    node = faulty()
    stamp_ns = graph.publish_pair(picture(Fault.GPU), picture(), camera_infos(CAMERA))
    node.wait_said("the engine failed, and is opened again: the GPU failed (an illegal memory access")
    check_no_depth_under(graph, stamp_ns)
    node.wait_said("pairs come out again")
    assert node.said().count("a pair was dropped: the engine failed on it, and was opened again") == 1


def test_a_gpu_that_fails_again_ends_the_process_with_3(graph: Graph, faulty: Callable[..., Any]) -> None:
    """With a sentence, so that launch's respawn starts it again; the new process answers."""
    node = faulty()
    provoke(graph, node, Fault.GPU, "is opened again")
    provoke(graph, node, Fault.GPU, "the engine failed again, less than 60 s after it was opened again")
    wait_until(lambda: not node.alive, "the end")
    assert node.popen.returncode == ENGINE_LOST == 3
    assert "Traceback" not in node.said()
    faulty()


def test_an_engine_that_does_not_open_again_ends_the_process_with_3(graph: Graph, faulty: Callable[..., Any]) -> None:
    """The reason of the first failure and that of the second are both said."""
    node = faulty()
    provoke(graph, node, Fault.STAYS_BROKEN, "does not open again: the GPU failed")
    wait_until(lambda: not node.alive, "the end")
    assert node.popen.returncode == ENGINE_LOST


@pytest.mark.parametrize("parameters", [{"engine": UNPLUGGED}, {"engine": SOUND, "fallback_engine": UNPLUGGED}])
def test_a_gpu_that_is_not_there_at_start_is_tried_again(
    start_node: Callable[..., Any], parameters: dict[str, str]
) -> None:
    """Its driver may still be loading: one sentence and exit code 3, with which launch's respawn goes on."""
    node = start_node(program=PROGRAM, **parameters)
    wait_until(lambda: not node.alive, "the end")
    assert node.popen.returncode == ENGINE_LOST
    (line,) = (line for line in node.said().splitlines() if line.strip())
    assert line.endswith("no NVIDIA GPU can be used here (unknown error); check nvidia-smi")


def test_an_engine_that_has_never_answered_is_not_blamed_on_the_images(
    graph: Graph, start_node: Callable[..., Any]
) -> None:
    """One of open size first runs on the first pair: what to do is said, and the process ends."""
    node = start_node(program=PROGRAM, engine=MUTE)
    node.wait_said("pairs images")
    provoke(graph, node, Fault.NONE, "the engine failed again")
    wait_until(lambda: not node.alive, "the end")
    assert node.popen.returncode == ENGINE_LOST
    sentence = (
        "no kernel image is available for execution; it has not answered any pair yet: where ffs bench mute --size"
    )
    assert sentence in node.said()
    assert "not on others" not in node.said()


def test_a_manager_finds_the_node_unconfigured_and_configures_it_again(
    graph: Graph, faulty: Callable[..., Any]
) -> None:
    """Under a lifecycle manager the process stays: error processing, then unconfigured, then as new."""
    node = faulty(autostart=False)
    change = graph.node.create_client(ChangeState, "stereo_node/change_state")
    get = graph.node.create_client(GetState, "stereo_node/get_state")
    graph.wait(lambda: change.service_is_ready() and get.service_is_ready(), "the lifecycle services")

    for _ in range(2):
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request()
            request.transition.id = transition
            assert graph.call(change, request).success
        assert answer(graph) == pytest.approx(DEPTH_m)
        provoke(graph, node, Fault.GPU, "is opened again")

        def lost() -> bool:
            graph.publish_pair(picture(Fault.GPU), picture(), camera_infos(CAMERA))
            state = graph.call(get, GetState.Request()).current_state.id
            return bool(state == State.PRIMARY_STATE_UNCONFIGURED)

        graph.wait(lost, "the way to unconfigured")
        graph.wait(lambda: graph.node.count_publishers("/disparity") == 0, "the outputs' end")
    assert node.alive


@pytest.mark.parametrize("fault", [Fault.SOME_NAN, Fault.INFINITE])
def test_pixels_that_are_no_numbers_are_nan_in_depth_and_no_answer_in_disparity(
    graph: Graph, faulty: Callable[..., Any], fault: Fault
) -> None:
    """A pixel of a thousand: masked, the others as they were."""
    faulty()
    outputs = graph.exchange(picture(fault), picture(), camera_infos(CAMERA))
    depth, disparity = pixels_of(outputs.depth), pixels_of(outputs.disparity.image)
    wrong = np.zeros((HEIGHT, WIDTH), bool)
    wrong.flat[::1000] = True
    assert np.isnan(depth[wrong]).all()
    assert depth[~wrong] == pytest.approx(DEPTH_m)
    assert (disparity[wrong] < outputs.disparity.min_disparity).all()
    assert disparity[~wrong] == pytest.approx(DISPARITY_px)


def test_too_many_pixels_that_are_no_numbers_are_an_error_and_no_depth(
    graph: Graph, faulty: Callable[..., Any]
) -> None:
    """Nothing is published under such a stamp; good answers are."""
    node = faulty()
    stamp_ns = graph.publish_pair(picture(Fault.MANY_NAN), picture(), camera_infos(CAMERA))
    node.wait_said("50.0% of the pixels that faulty answered are no numbers")
    check_no_depth_under(graph, stamp_ns)


def test_the_fallback_takes_over(graph: Graph, faulty: Callable[..., Any]) -> None:
    """After three such answers in a row; depth comes from then on, of the same pictures."""
    node = faulty(fallback_engine=SOUND)
    provoke(graph, node, Fault.MANY_NAN, "sound takes over")
    assert answer(graph, Fault.MANY_NAN) == pytest.approx(DEPTH_m)
    node.wait_said("engine sound on a test")
