"""Fixtures that every test may ask for; the folders below ``test/`` add their own."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from ray_cluster import ray_cluster

from ffs_ros.image_file import read_rgb
from ffs_ros.pfm import read_pfm

CHECKOUT = Path(__file__).resolve().parent.parent


class Heard(logging.getLoggerClass()):
    """``caplog`` hears what the package logs, also with ``launch_testing``'s plugin, whose loggers pass nothing on."""

    def __init__(self, name: str, level: int = logging.NOTSET) -> None:
        super().__init__(name, level)
        self.propagate |= name.partition(".")[0] == "ffs_ros"


logging.setLoggerClass(Heard)


@pytest.hookimpl(hookwrapper=True)
def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Iterator[None]:
    """Each file skips itself alone: ``launch_testing``'s plugin imports it earlier, where its whole folder would go."""
    outcome = yield
    if outcome.excinfo and issubclass(outcome.excinfo[0], pytest.skip.Exception):
        outcome.force_result(pytest.Module.from_parent(parent, path=module_path))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers a file stays with one of them, and so does all that runs nodes, which measure rates."""
    for item in items:
        folder = item.path.relative_to(CHECKOUT / "test").parts[0]
        group = "nodes" if folder in ("ros", "launch", "demo") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the source tree."""
    return CHECKOUT


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of an empty folder in fsspec's memory."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    yield "memory://bucket"
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """A Ray cluster on this machine; a test that needs it is skipped where Ray is not installed."""
    with ray_cluster() as address:
        yield address


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of conformance outputs and real stereo pairs; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("FFS_SHARED", CHECKOUT.parent / "shared")).resolve()
    if not (folder / "conformance").is_dir() or not (folder / "data" / "stereo").is_dir():
        pytest.skip(
            f"no reference data in {folder} (expected its conformance/ and data/stereo/): set FFS_SHARED to its folder"
        )
    return folder


class RealPair(NamedTuple):
    """A real stereo pair, its ground truth, and the published figures of OpenCV's SGBM on it."""

    left_HW3: np.ndarray
    right_HW3: np.ndarray
    truth_HW: np.ndarray
    """Disparity in px, float32, NaN where unknown."""
    sgbm: dict[str, Any]


@pytest.fixture(scope="session")
def real_pair(shared: Path) -> Callable[[str], RealPair]:
    """Reads one of the real pairs with ground truth, which are in their sources' own encodings, by its name."""
    stereo = shared / "data" / "stereo"

    def read(name: str) -> RealPair:
        folder = stereo / name
        facts = next(e for e in json.loads((stereo / "manifest.json").read_text()) if e["name"] == name)
        left_HW3, right_HW3 = (read_rgb(next(folder.glob(f"{side}.*"))) for side in ("left", "right"))
        if facts["gt_scale"] is None:
            return RealPair(left_HW3, right_HW3, read_pfm(folder / "disp_gt.pfm"), facts["baseline_sgbm"])
        values = cv2.imread(str(folder / "disp_gt.png"), cv2.IMREAD_UNCHANGED)
        values = values[..., 0] if values.ndim == 3 else values
        truth_HW = np.where(values > 0, values / np.float32(facts["gt_scale"]), np.nan).astype(np.float32)
        return RealPair(left_HW3, right_HW3, truth_HW, facts["baseline_sgbm"])

    return read


@pytest.fixture(scope="session")
def raw_pairs(shared: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Grey pairs as two cameras' sensors delivered them, not rectified."""
    folder = shared / "data" / "stereo" / "euroc_v101_raw"
    names = sorted(path.name for path in (folder / "cam0").glob("*.png"))
    pairs = {
        f"EuRoC {name}": tuple(cv2.imread(str(folder / side / name), cv2.IMREAD_GRAYSCALE) for side in ("cam0", "cam1"))
        for name in (names[0], names[-1])
    }
    rosbag1 = pytest.importorskip("rosbags.rosbag1", reason="the extra 'bag' is not installed")
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS1_NOETIC)
    images: dict[str, np.ndarray] = {}
    with rosbag1.Reader(shared / "data" / "stereo" / "ros1bag_t265_fisheye" / "trimmed_locoffice.bag") as bag:
        for connection, _, raw in bag.messages():
            if connection.topic.endswith("image_raw"):
                message = types.deserialize_ros1(raw, connection.msgtype)
                images[connection.topic] = message.data.reshape(message.height, message.step)[:, : message.width]
    pairs["T265"] = images["/camera/fisheye1/image_raw"], images["/camera/fisheye2/image_raw"]
    return pairs


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes an engine file with the real input and output names whose answer is known: d = left's red / 4."""
    onnx = pytest.importorskip("onnx")

    def write(
        size: tuple[int, int] | None = None, io: str = "image", output: str = "disparity", **metadata: str
    ) -> Path:
        make, types = onnx.helper, onnx.TensorProto
        rows, columns = size or ("H", "W")
        names, channel_axis = (("left", "right"), 3) if io == "image" else (("left_image", "right_image"), 1)
        shape = [1, rows, columns, 3] if io == "image" else [1, 3, rows, columns]
        scale, offset = (0.25, 0.0) if io == "image" else (0.229 * 255 * 0.25, 0.485 * 255 * 0.25)
        graph = make.make_graph(
            [
                make.make_node("Cast", [names[0]], ["float"], to=types.FLOAT),
                make.make_node("Gather", ["float", "red"], ["plane"], axis=channel_axis),
                make.make_node("Mul", ["plane", "scale"], ["scaled"]),
                make.make_node("Add", ["scaled", "offset"], ["sum"]),
                make.make_node("Unsqueeze", ["sum", "axis"], [output]),
            ],
            "tiny",
            [make.make_tensor_value_info(n, types.UINT8 if io == "image" else types.FLOAT, shape) for n in names],
            [make.make_tensor_value_info(output, types.FLOAT, [1, 1, rows, columns])],
            [
                make.make_tensor("red", types.INT64, [], [0]),
                make.make_tensor("scale", types.FLOAT, [], [scale]),
                make.make_tensor("offset", types.FLOAT, [], [offset]),
                make.make_tensor("axis", types.INT64, [1], [1]),
            ],
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        make.set_model_props(model, {f"ffs_ros.{key}": value for key, value in metadata.items()})
        path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
        onnx.save(model, path)
        return path

    return write


@pytest.fixture(scope="session")
def source_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from, so that a build leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("source") / "ffs_ros"
    copy.mkdir()
    for name in ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    for name in ("ffs_ros", "launch", "config", "resource"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy
