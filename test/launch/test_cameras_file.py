"""The file that lists a robot's cameras: what it says, and the sentence for what it cannot say."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("yaml")

from ffs_ros.errors import FfsError
from ffs_ros.launching.cameras import Camera, check_arguments, read_cameras

LAUNCH_FILES = ("stereo", "zed")


def test_entries_become_arguments_as_they_are_typed(tmp_path):
    """Truth values and numbers are written as after name:= on a command line."""
    file = tmp_path / "robot.yaml"
    file.write_text("cameras: [{namespace: a, launch: zed, respawn: true, rate: 0.5, queue_size: 3}, {namespace: b}]")
    assert read_cameras(file, LAUNCH_FILES) == [
        Camera("zed", {"namespace": "a", "respawn": "true", "rate": "0.5", "queue_size": "3"}),
        Camera("stereo", {"namespace": "b"}),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "cameras: [{namespace: a}, {namespace: /a/}]",
            "has two cameras with the namespace 'a': each needs one of",
        ),
        ("cameras: [{engine: sgbm}]", "has a camera without namespace: each needs one of its own"),
        ("cameras: [{namespace: a, launch: kinect}]", "has 'launch: kinect': expected one of stereo, zed"),
        ("front: {engine: sgbm}", "does not list cameras (KeyError('cameras')); expected 'cameras:' and below it "),
        ("cameras: [front]", "does not list cameras (AttributeError("),
        ("cameras:", "does not list cameras (TypeError("),
        ("", "does not list cameras (TypeError("),
        ("cameras: {a", "does not list cameras (ParserError("),
        (None, "cannot read the cameras' file "),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, sentence):
    """The sentence says what was found and what was expected."""
    file = tmp_path / "robot.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(FfsError, match=re.escape(sentence)):
        read_cameras(file, LAUNCH_FILES)


def test_an_argument_that_is_none_is_refused():
    """The camera, the argument and its launch file are named."""
    check_arguments(Camera("zed", {"namespace": "a", "engine": "x"}), {"namespace", "engine"})
    with pytest.raises(FfsError, match=r"the camera 'a' has 'enigne', which is no argument of zed\.launch\.py"):
        check_arguments(Camera("zed", {"namespace": "a", "enigne": "x"}), {"namespace", "engine"})
