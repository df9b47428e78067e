"""``build_if_missing``: the node builds its engine in a process of its own, says so, and can still be ended."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from fake_tensorrt import fake_manifest, fake_plan
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from stereo_graph import wait_until

from ffs_ros.engine.manifest import install, read_engine, read_manifest

HERE = Path(__file__).resolve().parent


class Place:
    """A folder with ``bp2.onnx``, and what was built there."""

    def __init__(self, folder: Path, onnx: Path) -> None:
        self.folder = folder
        self.engine = folder / "bp2.engine"
        shutil.copy(onnx, folder / "bp2.onnx")

    @property
    def builds(self) -> list[int]:
        """The process of each build."""
        log = self.folder / "builds"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    @property
    def files(self) -> list[str]:
        """All but the log of builds, hidden ones too."""
        return sorted(file.name for file in self.folder.iterdir() if file.name != "builds")


@pytest.fixture
def place(tmp_path: Path, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where processes find the fake runtime, which builds at once."""
    folder = tmp_path / "engines"
    folder.mkdir()
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "kept"))
    paths = [HERE / "fake_runtime", HERE.parent, os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)).rstrip(os.pathsep))
    monkeypatch.setenv("FAKE_BUILDS", str(folder / "builds"))
    return Place(folder, tiny_onnx((32, 64), checkpoint_sha256="7aee"))


def test_it_is_built_proven_and_opened(
    place: Place, start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says that it builds, how long that may take, how far it is and what the proof found; then the node runs.

    The next start only opens it.
    """
    monkeypatch.setenv("FAKE_BUILD_S", "1")
    monkeypatch.setenv("FAKE_SAYS", "layer gru keeps no precision")
    node = start_node(engine=place.engine, build_if_missing=True)
    node.wait_said("pairs images")
    said = node.said()
    begin = "there is no bp2.engine for this GPU and its runtime: building it (minutes, on a small GPU many): "
    assert f"{begin}ffs build-engine {place.folder}/bp2.onnx --gpu-index 0 -o {place.engine}" in said
    assert "[###############...............]  50%  0:00, about 0:0" in said
    assert "against fp32: cosine 1.000000" in said
    assert node.warnings() == ["layer gru keeps no precision"]
    assert "engine bp2.engine on TensorRT 10.3.0 fp16 (Fake GPU, GPU 0), images of 64x32" in said
    assert place.files == ["bp2.engine", "bp2.engine.json", "bp2.onnx"]
    assert node.stop() == 0
    again = start_node(engine=place.engine, build_if_missing=True)
    again.wait_said("pairs images")
    assert len(place.builds) == 1


@pytest.mark.parametrize("foreign", [{"runtime_version": "8.6.1"}, {"gpu": "NVIDIA Orin", "compute_capability": "8.7"}])
def test_one_of_another_machine_is_built_again(
    foreign: dict[str, str], place: Place, start_node: Callable[..., Any]
) -> None:
    """Of another runtime version or another GPU: with the options of its manifest, in its place."""
    command = ["ffs", "build-engine", str(place.folder / "bp2.onnx"), "--precision", "fp32", "-o", "old.engine"]
    install(place.engine, fake_plan(), fake_manifest(fake_plan(), command=command, build_s=77.0, **foreign))
    node = start_node(engine=place.engine, build_if_missing=True)
    node.wait_said("pairs images")
    assert "building it (77 s the time before)" in node.said()
    manifest, _ = read_engine(place.engine)
    assert (manifest.runtime_version, manifest.gpu, manifest.precision) == ("10.3.0", "Fake GPU", "fp32")


def ends(node: Any) -> str:
    """The one line that is not information, of a node that ends with exit code 2."""
    wait_until(lambda: not node.alive, "the end")
    assert node.popen.returncode == 2, node.said()
    lines = [line for line in node.said().splitlines() if line.strip() and "[INFO]" not in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_unasked_it_builds_nothing(place: Place, start_node: Callable[..., Any]) -> None:
    """The sentence has the command and the parameter."""
    line = ends(start_node(engine=place.engine))
    assert f"there is no engine file {place.engine}" in line
    assert f"ffs build-engine MODEL.onnx -o {place.engine}" in line
    assert line.endswith("build_if_missing:=true")
    assert place.builds == []


def test_nothing_to_build_from_is_a_wrong_set_up(place: Place, start_node: Callable[..., Any]) -> None:
    """One sentence, that names the file that is missing."""
    (place.folder / "bp2.onnx").unlink()
    line = ends(start_node(engine=place.engine, build_if_missing=True))
    assert f"there is nothing to build {place.engine} from: expected {place.folder}/bp2.onnx" in line


def test_a_build_that_fails_is_a_wrong_set_up(
    place: Place, start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the builder's reason and the command to try by hand; no file."""
    monkeypatch.setenv("FAKE_REFUSES", "misaligned address")
    line = ends(start_node(engine=place.engine, build_if_missing=True))
    assert f"{place.engine} could not be built: " in line
    assert "it says: misaligned address" in line
    assert "; to try by hand: ffs build-engine " in line
    assert place.files == ["bp2.onnx"]


def test_a_build_that_crashes_is_a_wrong_set_up(
    place: Place, start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that takes its process along does not take the node."""
    monkeypatch.setenv("FAKE_BUILD_S", "60")
    node = start_node(engine=place.engine, build_if_missing=True)
    wait_until(lambda: place.builds, "the build")
    os.kill(place.builds[0], signal.SIGSEGV)
    assert "could not be built: the process ended with -11 and no reason" in ends(node)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_node_and_build(
    signal_number: int, place: Place, start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it builds: exit code 0, no traceback, no file, and no process that goes on."""
    monkeypatch.setenv("FAKE_BUILD_S", "60")
    node = start_node(engine=place.engine, build_if_missing=True)
    wait_until(lambda: place.builds, "the build")
    assert node.stop(signal_number) == 0
    assert "Traceback" not in node.said()
    with pytest.raises(ProcessLookupError):
        os.kill(place.builds[0], 0)
    assert place.files == ["bp2.onnx"]


def test_a_signal_ends_a_build_that_a_manager_asked_for(
    place: Place, start_node: Callable[..., Any], graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node spins then, where Ctrl-C raises nothing."""
    monkeypatch.setenv("FAKE_BUILD_S", "60")
    node = start_node(autostart=False, engine=place.engine, build_if_missing=True)
    change = graph.node.create_client(ChangeState, "stereo_node/change_state")
    graph.wait(change.service_is_ready, "the lifecycle service")
    request = ChangeState.Request()
    request.transition.id = Transition.TRANSITION_CONFIGURE
    change.call_async(request)
    graph.wait(lambda: place.builds, "the build")
    assert node.stop() == 0
    assert "Traceback" not in node.said()
    with pytest.raises(ProcessLookupError):
        os.kill(place.builds[0], 0)


def test_two_nodes_build_once(place: Place, start_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits for the first one's engine and opens it."""
    monkeypatch.setenv("FAKE_BUILD_S", "3")
    first = start_node("-r", "__ns:=/first", engine=place.engine, build_if_missing=True)
    wait_until(lambda: place.builds, "the build")
    second = start_node("-r", "__ns:=/second", engine=place.engine, build_if_missing=True)
    second.wait_said("another process builds from")
    for node in (first, second):
        node.wait_said("pairs images")
    assert len(place.builds) == 1
    assert read_manifest(place.engine).proof["state"] == "reported only"
