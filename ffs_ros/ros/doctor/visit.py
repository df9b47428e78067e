"""From the arguments of ``ffs doctor`` to what it prints: finds the topics, listens, reports."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.signals import SignalHandlerOptions

from ffs_ros.errors import FfsError
from ffs_ros.finding import Level
from ffs_ros.ros.doctor.examination import Examination
from ffs_ros.ros.doctor.report import report
from ffs_ros.stereo_topics import StereoTopics, image_topics, stereo_topics
from ffs_ros.topics import LEFT_IMAGE, RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE, RIGHT_IMAGE

DISCOVERY_S = 3.0
"""How long topics may take to be discovered; those that are asked for are waited for no longer than they take."""
_SETTLED_S = 1.0
"""After this time all topics of a graph are usually there, when none in particular is waited for."""


def visit(args: argparse.Namespace) -> bool:
    """Print what ``ffs doctor`` finds; False when something keeps depth from coming or makes it wrong.

    Raises FfsError for arguments that name no stereo camera, or more than one.
    """
    with _searching() as search:
        topics, images = _find(args, search)
        with Examination(search, topics, args.tolerance, args.rectify) as examination:
            print(f"listening to {topics.left} and {topics.right} for {args.seconds:g} s ...", flush=True)
            examination.listen(args.seconds)
            findings = examination.findings()
            print(report(examination, findings, images))
    return all(finding.level < Level.ERROR for finding in findings)


@contextmanager
def _searching() -> Iterator[Any]:
    """A node in a context of its own, with signals left to Python, so that Ctrl-C ends the command as any other.

    It has to outlive every other node of the context: with the last one goes what was discovered.
    """
    context = rclpy.context.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("ffs_doctor_search", context=context, use_global_arguments=False)
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def _find(args: argparse.Namespace, search: Any) -> tuple[StereoTopics, list[str]]:
    """The camera that the user means, and all topics with images."""
    namespace = _full_name(args.namespace).rstrip("/")
    names = [_full_name(getattr(args, side)) for side in ("left", "right")]
    wanted = [name for name in names if name] or list(_default(namespace, args.rectify)[:2])
    begin = time.monotonic()
    while not all(search.count_publishers(name) for name in wanted):
        waited_s = time.monotonic() - begin
        settled = waited_s > _SETTLED_S and not any(names) and stereo_topics(_images(search, namespace), args.rectify)
        if settled or waited_s > DISCOVERY_S:
            break
        time.sleep(0.05)
    images = _images(search)
    topics = choose(names[0], names[1], namespace, images, args.rectify)
    infos = [_full_name(getattr(args, f"{side}_info")) for side in ("left", "right")]
    return topics._replace(left_info=infos[0] or topics.left_info, right_info=infos[1] or topics.right_info), images


def choose(left: str, right: str, namespace: str, images: list[str], rectify: bool = False) -> StereoTopics:
    """The camera that is meant by full names (or none, or one of the two) among ``images`` in a graph.

    Raises FfsError where that is not clear.
    """
    if left and right:
        return StereoTopics.of_images(left, right)
    cameras = stereo_topics([name for name in images if name.startswith(f"{namespace}/")], rectify)
    if left or right:
        given, missing = ("left", "right") if left else ("right", "left")
        for camera in stereo_topics_with(left or right, images):
            return camera
        raise FfsError(f"--{given} is given, and no topic looks like its other side; give --{missing} too")
    default = _default(namespace, rectify)
    if default.left in images or default.right in images or not cameras:
        return default
    if len(cameras) > 1:
        commands = " or ".join(f"ffs doctor --left {camera.left} --right {camera.right}" for camera in cameras)
        raise FfsError(f"{len(cameras)} stereo cameras are on this graph; choose one: {commands}")
    return cameras[0]


def stereo_topics_with(image: str, images: list[str]) -> list[StereoTopics]:
    """Those pairs of ``images`` that ``image`` is half of, whichever others its camera has."""
    others = [name for name in images if name.rpartition("/")[2] == image.rpartition("/")[2]]
    return [camera for camera in stereo_topics(sorted({image, *others})) if image in camera[:2]]


def _default(namespace: str, rectify: bool) -> StereoTopics:
    """What a node without remaps takes."""
    left, right = (RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE) if rectify else (LEFT_IMAGE, RIGHT_IMAGE)
    return StereoTopics.of_images(f"{namespace}/{left}", f"{namespace}/{right}")


def _images(node: Any, namespace: str = "") -> list[str]:
    names = image_topics(dict(node.get_topic_names_and_types()))
    return [name for name in names if name.startswith(f"{namespace}/")]


def _full_name(name: str) -> str:
    return f"/{name.strip('/')}" if name.strip("/") else ""
