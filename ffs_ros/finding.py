"""What somebody found out about the running system, in one sentence with its remedy."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """How bad it is; the numbers are those of ``diagnostic_msgs/DiagnosticStatus``."""

    OK = 0
    WARN = 1
    """Depth comes, but not as it should."""
    ERROR = 2
    """No depth comes, or what comes is wrong."""
    STALE = 3


class Finding(NamedTuple):
    """One thing that is wrong, or worth knowing."""

    name: str
    """Short and stable, for a robot's monitor: ``stamps apart``."""
    level: Level
    sentence: str
    """What was found, what was expected, what to do."""
