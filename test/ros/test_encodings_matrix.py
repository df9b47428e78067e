"""Every encoding, with and without padded rows, in either byte order: decoded, and through the ROS graph to depth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("hypothesis")

from depth_oracle import Seen, answer_to, check_depth, check_disparity
from hostile_messages import TOPICS, sound_messages
from reference_pictures import DECODERS, picture_in
from stereo_graph import Graph, NodeProcess, stamp_ns_of

from ffs_ros.encodings import LAYOUTS
from ffs_ros.wire import rgb_from_image

KINDS = list(itertools.product(DECODERS, (False, True), (False, True)))
"""Encoding, whether rows are padded, whether is_bigendian is set."""


def messages_of(encoding: str, padded: bool, big: bool, size: tuple[int, int]) -> dict[str, Any]:
    """The first sound messages of which both images are of that kind."""
    for seed in itertools.count():
        messages = sound_messages(seed, encoding, *size, stamp_ns=0)
        images = [messages[topic] for topic in TOPICS[2:]]
        row_bytes = images[0].width * DECODERS[encoding][0]
        if all((image.step > row_bytes, bool(image.is_bigendian)) == (padded, big) for image in images):
            return messages
    raise AssertionError


def test_the_reference_knows_every_encoding() -> None:
    """A new one has to be defined there, and is then tested here and with hostile messages."""
    assert set(DECODERS) == set(LAYOUTS)


@pytest.mark.parametrize("size", [(2, 2), (26, 34)], ids=str)
@pytest.mark.parametrize(("encoding", "padded", "big"), KINDS)
def test_the_picture_is_what_the_definition_says(encoding: str, padded: bool, big: bool, size: tuple[int, int]) -> None:
    """Noise of every encoding, byte for byte; colours that are interpolated within what rounding leaves open."""
    message = messages_of(encoding, padded, big, size)["left/image_rect"]
    picture = picture_in(message)
    assert picture is not None
    rgb_HW3 = rgb_from_image(message)
    assert rgb_HW3.shape == picture.rgb_HW3.shape
    assert (np.abs(rgb_HW3 - picture.rgb_HW3).max(axis=2) <= picture.error_HW).all()


@pytest.fixture
def known_node(tmp_path: Path) -> Iterator[NodeProcess]:
    """The node on an engine whose answer is known."""
    node = NodeProcess(tmp_path / "node.log", {}, program=(str(Path(__file__).with_name("known_engine.py")),))
    yield node
    assert node.stop() == 0, node.said()


def test_depth_of_every_encoding_over_the_graph(graph: Graph, known_node: NodeProcess) -> None:
    """The left camera sends one kind and the right camera the next: depth and disparity are what both pictures say."""
    infos = [messages_of(*KINDS[0], (8, 12))[topic] for topic in TOPICS[:2]]
    for kind, other in itertools.pairwise([*KINDS, KINDS[0]]):
        left = messages_of(*kind, (8, 12))["left/image_rect"]
        right = messages_of(*other, (8, 12))["right/image_rect"]
        outputs = graph.exchange(left, right, (infos[0], infos[1]))
        answer = answer_to(Seen.of(left), Seen.of(right), *infos)
        assert answer is not None
        check_depth(outputs.depth, answer)
        check_disparity(outputs.disparity, answer)
        assert stamp_ns_of(outputs.depth) == stamp_ns_of(left)
    assert "dropped" not in known_node.said()
