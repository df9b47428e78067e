"""Arguments that were meant for a launch file and are none of its own: launch takes any name without a word."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from launch import LaunchContext
from launch.actions import LogInfo

_ALIKE = 0.8
"""Of 0 to 1, from which two names are taken for one: the presets' own arguments are less like those here."""


def say_mistyped(context: LaunchContext, known: Collection[str]) -> list[LogInfo]:
    """For an OpaqueFunction: a sentence about each argument that looks like one of ``known``. Others may be meant for
    whatever else is launched."""
    unknown = sorted(set(context.launch_configurations) - set(known))
    return [
        LogInfo(msg=f"no such argument: '{name}' (did you mean '{near}'?); it is ignored")
        for name in unknown
        for near in difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
    ]
