"""Which of a graph's topics are a stereo camera's, told by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ffs_ros.topics import LEFT_IMAGE, LEFT_INFO, PACKED, RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE, RIGHT_IMAGE, RIGHT_INFO

_IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
_SIDES = (("left", "right"), ("infra1", "infra2"), ("fisheye1", "fisheye2"), ("cam0", "cam1"), ("camera0", "camera1"))
"""How drivers call their cameras."""
_NO_CAMERA = re.compile("depth|disparity|confidence|occlusion|theora")


class StereoTopics(NamedTuple):
    """The four inputs, as full names; images packed by image_transport keep their ending."""

    left: str
    right: str
    left_info: str
    right_info: str

    @classmethod
    def of_images(cls, left: str, right: str) -> StereoTopics:
        """With the ``camera_info`` beside each image, as image_transport has it."""
        left_info, right_info = (f"{unpacked(name).rpartition('/')[0]}/camera_info" for name in (left, right))
        return cls(left, right, left_info, right_info)

    @property
    def packed(self) -> bool:
        """Whether the images are CompressedImage, by the left one's name."""
        return self.left.endswith(PACKED)

    def remaps(self, rectify: bool = False) -> dict[str, str]:
        """Name of each input -> the topic, as it is remapped for a node, one that rectifies or not."""
        images = (RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE) if rectify else (LEFT_IMAGE, RIGHT_IMAGE)
        return {name: unpacked(topic) for name, topic in zip((*images, LEFT_INFO, RIGHT_INFO), self, strict=True)}


def unpacked(topic: str) -> str:
    """An image's name without image_transport's ending."""
    return topic.removesuffix(PACKED)


def image_topics(types: Mapping[str, Sequence[str]]) -> list[str]:
    """Cameras' images among all topics and their types."""
    return sorted(name for name, kinds in types.items() if _IMAGES.intersection(kinds) and not _NO_CAMERA.search(name))


def stereo_topics(images: Sequence[str], rectify: bool = False) -> list[StereoTopics]:
    """Pairs of ``images`` whose names differ in the side's word alone, one for each camera.

    Of a camera's several, rectified images go before raw ones (with ``rectify`` the other way round), and unpacked
    before packed.
    """

    def suits(pair: tuple[str, str]) -> tuple[bool, bool, str]:
        return ("rect" in pair[0]) == rectify, pair[0].endswith(PACKED), pair[0]  # less is better

    return [StereoTopics.of_images(*min(pairs, key=suits)) for pairs in stereo_pairs(images).values()]


def stereo_pairs(images: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """All of them, by the beginning of a camera's names up to its left side's word, in order."""
    by_camera: dict[str, list[tuple[str, str]]] = {}
    for name in images:
        for left, right in _SIDES:
            *_, last = [None, *re.finditer(rf"(?<![a-z0-9])({left}|{right})(?![a-z0-9])", name)]
            if last is not None and last[0] == left:  # the last word, since robots have sides too
                partner = name[: last.start()] + right + name[last.end() :]
                if partner in images:
                    by_camera.setdefault(name[: last.end()], []).append((name, partner))
    return dict(sorted(by_camera.items()))
