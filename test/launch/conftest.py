"""Launches launch files with stand-ins for the processes that they start."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from own_domain import own_domain

from ffs_ros.ros.transport import BUILTIN_TRANSPORTS_VARIABLE, FAST_DDS_2_VARIABLE, PROFILE_VARIABLE

STAND_IN = """
import json, os, sys
with open(sys.argv[1], "a") as report:
    report.write(json.dumps([sys.argv[2:], dict(os.environ)]) + "\\n")
sys.exit(int(os.environ.get("STAND_IN_EXIT_CODE", 0)))
"""


class Started(NamedTuple):
    """One start of a process."""

    argv: list[str]
    env: dict[str, str]

    def after(self, flag: str) -> list[str]:
        """What follows each ``flag`` on the command line."""
        return [value for option, value in zip(self.argv, self.argv[1:], strict=False) if option == flag]

    @property
    def remaps(self) -> dict[str, str]:
        return dict(rule.split(":=") for rule in self.after("-r"))

    @property
    def given(self) -> dict[str, object]:
        """Parameters beside the parameter file's."""
        merged: dict[str, object] = {}
        for file in self.after("--params-file")[1:]:
            for node in yaml.safe_load(Path(file).read_text(encoding="utf-8")).values():
                merged.update(node["ros__parameters"])
        return merged


@pytest.fixture
def own_ros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ROS domain and a log folder of this test's own, and no transport profile."""
    pytest.importorskip("launch_ros", reason="launch_ros is not installed; test/launch/README.md says how")
    for variable in (PROFILE_VARIABLE, FAST_DDS_2_VARIABLE, BUILTIN_TRANSPORTS_VARIABLE, "RMW_IMPLEMENTATION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(own_domain()))
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What launch itself says."""
    sentences: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: sentences.append(record.getMessage())
    loggers = [logging.getLogger(name) for name in ("launch", "launch.user")]
    for logger in loggers:
        logger.addHandler(handler)
    yield sentences
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.fixture
def start(own_ros: None, checkout: Path, tmp_path: Path) -> Callable[..., list[Started]]:
    """Launches a launch file once for each of the given sets of arguments, and returns every start of a process in it.

    A stand-in takes each process's place, and writes down what it was started with.
    """
    from launch import LaunchDescription, LaunchService
    from launch.actions import GroupAction, IncludeLaunchDescription, SetLaunchConfiguration, Shutdown, TimerAction
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    report, stand_in = tmp_path / "starts.jsonl", tmp_path / "stand_in.py"
    stand_in.write_text(STAND_IN, encoding="utf-8")

    def launch(
        *includes: dict[str, str],
        file: str = "stereo.launch.py",
        shutdown_after_s: float | None = None,
        exit_code: int = 0,
    ) -> list[Started]:
        report.write_text("", encoding="utf-8")
        source = PythonLaunchDescriptionSource(str(checkout / "launch" / file))
        prefix = SetLaunchConfiguration("launch-prefix", f"{sys.executable} {stand_in} {report}")
        groups = [GroupAction([IncludeLaunchDescription(source, launch_arguments=a.items())]) for a in includes]
        timer = [TimerAction(period=shutdown_after_s, actions=[Shutdown()])] if shutdown_after_s else []
        service = LaunchService(noninteractive=True)
        service.include_launch_description(LaunchDescription([prefix, *groups, *timer]))
        assert service.run() == exit_code
        return [Started(*json.loads(line)) for line in report.read_text(encoding="utf-8").splitlines()]

    return launch


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes ROS know a package, which has the files given, and returns its share folder."""
    prefix = tmp_path / "prefix"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}:{os.environ.get('AMENT_PREFIX_PATH', '')}".rstrip(":"))

    def package(name: str, files: dict[str, str] | None = None, executable: str | None = None) -> Path:
        markers, share = prefix / "share" / "ament_index" / "resource_index" / "packages", prefix / "share" / name
        markers.mkdir(parents=True, exist_ok=True)
        (markers / name).touch()
        for path, text in (files or {}).items():
            (share / path).parent.mkdir(parents=True, exist_ok=True)
            (share / path).write_text(text, encoding="utf-8")
        if executable is not None:
            program = prefix / "lib" / name / executable
            program.parent.mkdir(parents=True)
            program.touch(mode=0o755)
        share.mkdir(parents=True, exist_ok=True)
        return share

    return package
