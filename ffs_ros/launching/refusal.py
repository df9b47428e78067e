"""How a launch file refuses a wrong set-up: one sentence, exit code 1, and nothing left running."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from launch import LaunchContext
from launch.actions import OpaqueFunction, TimerAction

from ffs_ros.errors import FfsError


def refusing(function: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """``function``, for an OpaqueFunction, whose FfsError ends the launch.

    Raised where it occurs, launch would forget the processes that it starts in the same go, and leave them running.
    """

    @wraps(function)
    def actions(*arguments: Any, **keywords: Any) -> list[Any]:
        try:
            return function(*arguments, **keywords)
        except FfsError as error:
            return [TimerAction(period=0.0, actions=[OpaqueFunction(function=_raise, args=[error])])]

    return actions


def _raise(context: LaunchContext, error: FfsError) -> None:
    raise error
