"""The node with the weights that ship, over the real ROS graph, is the network in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

from stereo_graph import Graph, camera_infos, image_message, pixels_of  # noqa: E402

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.geometry import StereoCamera  # noqa: E402
from ffs_ros.image_file import read_rgb  # noqa: E402
from ffs_ros.network import network_from  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

HEIGHT, WIDTH = 128, 192
ALLOWED_px = 2e-3


def test_a_real_pair_is_answered_as_by_pytorch(shared: Path, graph: Graph, start_node: Callable[..., Any]) -> None:
    """The middle of cones, in the message and in the depth; the node is told no engine."""
    sides = [read_rgb(shared / "data" / "stereo" / "mb2003_cones" / f"{side}.png") for side in ("left", "right")]
    row, column = ((length - wanted) // 2 for length, wanted in zip(sides[0].shape, (HEIGHT, WIDTH)))  # noqa: B905
    images = [np.ascontiguousarray(side[row : row + HEIGHT, column : column + WIDTH]) for side in sides]
    network = network_from(open_checkpoint(WEIGHTS).tensors, 8)
    with torch.no_grad():
        wanted_HW = network(*(torch.from_numpy(image.transpose(2, 0, 1)[None]).float() for image in images))[0, 0]
    wanted_HW = np.maximum(wanted_HW.numpy(), 0)

    start_node()
    camera = StereoCamera(WIDTH, HEIGHT, 200.0, 200.0, 95.5, 95.5, 63.5, 0.1)
    outputs = graph.exchange(*map(image_message, images), camera_infos(camera))
    found_HW = pixels_of(outputs.disparity.image)
    assert found_HW.mean() > 3
    np.testing.assert_allclose(found_HW, wanted_HW, atol=ALLOWED_px)
    depth_HW = pixels_of(outputs.depth)
    near_HW = wanted_HW > 1
    np.testing.assert_allclose(200.0 * 0.1 / depth_HW[near_HW], wanted_HW[near_HW], atol=ALLOWED_px)
