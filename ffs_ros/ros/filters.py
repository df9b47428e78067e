"""ROS's own pairing, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ffs_ros import sync


def installed_filters() -> Any:
    """``message_filters``, or the module that stands in for it."""
    return importlib.import_module("message_filters") if importlib.util.find_spec("message_filters") else sync
