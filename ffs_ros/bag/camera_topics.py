"""Which of a bag's topics the stereo camera's are: as the user says, or found by their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ffs_ros.bag.recorded import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, Topic, absolute
from ffs_ros.errors import FfsError
from ffs_ros.stereo_topics import StereoTopics, image_topics, stereo_pairs, unpacked
from ffs_ros.topics import LEFT_IMAGE, PACKED

_MOST_NAMED = 20
"""Topics in one sentence."""


class Asked(NamedTuple):
    """What the user says about the topics; empty: find it."""

    left: str = ""
    """A topic, or the namespace where its images lie."""
    right: str = ""
    left_info: str = ""
    right_info: str = ""
    packed: bool | None = None
    """Only packed images (CompressedImage), or only others; None: packed ones where there are no others."""
    rectify: bool = False
    """Raw images, which the topic's name tells, not rectified ones."""


def camera_topics(topics: Iterable[Topic], asked: Asked) -> StereoTopics:
    """The four topics of the camera; those of CameraInfo need not be in the bag.

    Raises FfsError, which lists what the bag has, where they are not there or not clear.
    """
    types = _types(topics)
    if not any(IMAGE in kinds or COMPRESSED_IMAGE in kinds for kinds in types.values()):
        raise FfsError(
            f"the bag has no images: expected sensor_msgs/Image or CompressedImage; its topics are {_listed(types)}"
            if types
            else "the bag has no messages: expected the images of a stereo camera"
        )
    images = [name for name in image_topics(types) if asked.packed in (None, COMPRESSED_IMAGE in types[name])]
    if asked.left or asked.right:
        left, right = _named(types, images, asked)
    else:
        left, right = _found(types, images, asked)
    found = StereoTopics.of_images(left, right)
    left_info, right_info = asked.left_info or found.left_info, asked.right_info or found.right_info
    return found._replace(left_info=absolute(left_info), right_info=absolute(right_info))


def _types(topics: Iterable[Topic]) -> dict[str, list[str]]:
    """Of each topic; a bag may have several of one name."""
    types: dict[str, list[str]] = {}
    for topic in topics:
        types.setdefault(topic.name, []).append(topic.msgtype)
    return types


def _images_in(types: dict[str, list[str]]) -> str:
    return _listed(types, IMAGE, COMPRESSED_IMAGE)


def _listed(types: dict[str, list[str]], *msgtypes: str) -> str:
    """The topics of these types, or of all where none is named, in words."""
    names = sorted(name for name, kinds in types.items() if not msgtypes or set(kinds) & set(msgtypes))
    listed = ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else "")
    return listed or "none"


def _found(types: dict[str, list[str]], images: Sequence[str], asked: Asked) -> tuple[str, str]:
    cameras = stereo_pairs(images)
    suitable = {camera: fit for camera, pairs in cameras.items() if (fit := [p for p in pairs if _fits(p[0], asked)])}
    if len(suitable) == 1:
        return min(*suitable.values(), key=lambda pair: _order(pair[0]))
    if len(suitable) > 1:
        choices = " or ".join(
            "--left {} --right {}".format(*min(pairs, key=lambda pair: _order(pair[0]))) for pairs in suitable.values()
        )
        raise FfsError(f"the bag has several stereo cameras: expected one; type {choices}")
    if cameras:
        left, right = min(next(iter(cameras.values())), key=lambda pair: _order(pair[0]))
        if asked.rectify:
            raise FfsError(
                f"by their names the bag's stereo images are rectified already ({left}, {right}): leave --rectify "
                f"away, or name raw ones with --left and --right; its images are {_images_in(types)}"
            )
        raise FfsError(
            f"by their names the bag's stereo images are not rectified ({left}, {right}): add --rectify, or, if they "
            f"are, type --left {left} --right {right}"
        )
    raise FfsError(
        "no two image topics of the bag differ in left and right alone (or infra1 and infra2, cam0 and cam1): name "
        f"them with --left and --right; its images are {_images_in(types)}"
    )


def _named(types: dict[str, list[str]], images: Sequence[str], asked: Asked) -> tuple[str, str]:
    sides = {"left": asked.left, "right": asked.right}
    chosen = {side: _one(types, images, side, absolute(name), asked) for side, name in sides.items() if name}
    for side, other in (("left", "right"), ("right", "left")):
        if side not in chosen:
            pairs = [pair for pairs in stereo_pairs(images).values() for pair in pairs]
            partner = [pair[side == "right"] for pair in pairs if pair[other == "right"] == chosen[other]]
            if not partner:
                raise FfsError(
                    f"--{other} is {chosen[other]}, and no topic's name differs from it in the side alone: name the "
                    f"other with --{side}; the bag's images are {_images_in(types)}"
                )
            chosen[side] = partner[0]
    if chosen["left"] == chosen["right"]:
        raise FfsError(f"--left and --right are both {chosen['left']}: expected the topics of two cameras")
    return chosen["left"], chosen["right"]


def _one(types: dict[str, list[str]], images: Sequence[str], side: str, name: str, asked: Asked) -> str:
    """The topic of that name, or the image in the namespace of that name."""
    if {IMAGE, COMPRESSED_IMAGE} & {*types.get(name, [])}:
        return name
    inside = [image for image in images if unpacked(image).rpartition("/")[0] == name]
    suitable = [image for image in inside if _fits(image, asked)] or (inside if len(inside) == 1 else [])
    if not suitable:
        raise FfsError(
            f"--{side} is {name}, and the bag has no such image, nor one below it; its images are {_images_in(types)}"
        )
    return min(suitable, key=_order)


def _fits(image: str, asked: Asked) -> bool:
    """Whether it is raw where it is to be rectified, by its name."""
    return ("rect" in unpacked(image).rpartition("/")[2]) != asked.rectify


def _order(image: str) -> tuple[bool, bool, str]:
    """Less is better: what the node takes, and not packed."""
    usual = LEFT_IMAGE.rpartition("/")[2]
    return not unpacked(image).endswith((usual, "image_raw")), image.endswith(PACKED), image


def missing_infos(topics: Iterable[Topic], chosen: StereoTopics) -> Iterator[str]:
    """A sentence for each camera of which the bag has no CameraInfo."""
    types = _types(topics)
    for side, name in (("left", chosen.left_info), ("right", chosen.right_info)):
        if CAMERA_INFO not in types.get(name, []):
            named = f"name it with --{side}-info, or " if any(CAMERA_INFO in kinds for kinds in types.values()) else ""
            others = f"its CameraInfo are {_listed(types, CAMERA_INFO)}" if named else "it has none at all"
            yield f"the bag has no CameraInfo on {name}: {named}give a calibration file with --camera; {others}"


def wrong_depth_topic(topics: Iterable[Topic], chosen: StereoTopics, name: str) -> Iterator[str]:
    """A sentence where ``name`` is no depth camera's image."""
    types = _types(topics)
    if name in chosen[:2]:
        yield f"--depth-topic is {name}, an image of the stereo camera itself: name a depth camera's"
    elif IMAGE not in types.get(name, []):
        there = _listed(types, IMAGE)
        yield f"--depth-topic is {name}, and the bag has no such sensor_msgs/Image: its images are {there}"
