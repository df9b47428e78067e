"""Which ends of the node ``respawn`` does not follow with another start."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import EmitEvent, LogInfo
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess

from ffs_ros.ros import WRONG_SET_UP


def unless_wrong_set_up(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
    """For ``on_exit`` of a node that is respawned after a delay: a set-up that was wrong will be wrong again.

    launch's own ``respawn`` does not look at the exit code; told to shut down during the delay it ends there.
    """
    if event.returncode != WRONG_SET_UP or context.is_shutdown:
        return None
    said = (
        f"{event.process_name} is not started again: its set-up is wrong (exit code {WRONG_SET_UP}), as its last line "
        "says; correct that and launch again"
    )
    return [LogInfo(msg=said), EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]
