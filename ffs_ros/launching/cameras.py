"""The file that says which cameras a robot has."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ffs_ros.errors import FfsError


class Camera(NamedTuple):
    """One camera: which launch file knows it, and the arguments for that."""

    launch: str
    """The launch file's name without ``.launch.py``."""
    arguments: dict[str, str]


def read_cameras(path: Path, launch_files: Collection[str]) -> list[Camera]:
    """The cameras of a YAML file, each with a namespace of its own.

    ``cameras:`` is a list; an entry holds ``namespace`` and other launch arguments, and ``launch`` where it is not
    'stereo' but another of ``launch_files``. Raises FfsError for anything else.
    """
    expected = (
        "expected 'cameras:' and below it '- namespace: front' and so on for each camera; config/cameras.yaml is one"
    )
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["cameras"]
        cameras = [Camera(entry.pop("launch", "stereo"), {k: _text(v) for k, v in entry.items()}) for entry in entries]
    except OSError as error:
        raise FfsError(f"cannot read the cameras' file {path}: {error.strerror}; {expected}") from None
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise FfsError(f"{path} does not list cameras ({error!r}); {expected}") from None
    seen: set[str] = set()
    for camera in cameras:
        namespace = camera.arguments.get("namespace", "").strip("/")
        if not namespace or namespace in seen:
            found = f"two cameras with the namespace '{namespace}'" if namespace else "a camera without namespace"
            raise FfsError(f"{path} has {found}: each needs one of its own, which keeps their topics apart")
        seen.add(namespace)
        if camera.launch not in launch_files:
            raise FfsError(f"{path} has 'launch: {camera.launch}': expected one of {', '.join(launch_files)}")
    return cameras


def check_arguments(camera: Camera, known: set[str]) -> None:
    """Raises FfsError when a camera has an argument that its launch file does not know."""
    for name in camera.arguments:
        if name not in known:
            raise FfsError(
                f"the camera '{camera.arguments['namespace']}' has '{name}', which is no argument of "
                f"{camera.launch}.launch.py; ros2 launch ffs_ros {camera.launch}.launch.py --show-args lists them"
            )


def _text(value: Any) -> str:
    """A value as it is typed after ``name:=``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
