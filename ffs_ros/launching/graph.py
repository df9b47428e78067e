"""What a launch file asks of the running graph, through the ROS node that launch has anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from launch import LaunchContext
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

_POLL_S = 0.1


class Graph:
    """Waits without end: launch cancels it when a process that is waited for has died."""

    def __init__(self, context: LaunchContext) -> None:
        self._node = get_ros_node(context)

    async def until_active(self, lifecycle_node: str) -> None:
        """Return when the node, named in full, is active."""
        while True:
            answer = await self._call(GetState, f"{lifecycle_node}/get_state", GetState.Request())
            if answer.current_state.id == State.PRIMARY_STATE_ACTIVE:
                return
            await asyncio.sleep(_POLL_S)

    async def until_subscribed(self, node: str, topics: Sequence[str]) -> None:
        """Return when a node of that name subscribes to every topic."""
        ends = self._node.get_subscriptions_info_by_topic
        while not all(node in (end.node_name for end in ends(topic)) for topic in topics):
            await asyncio.sleep(_POLL_S)

    async def until_published(self, node: str, choices: Iterable[Sequence[str]]) -> None:
        """Return when a node of that name publishes one topic of every choice."""
        ends = self._node.get_publishers_info_by_topic
        while not all(any(node in (end.node_name for end in ends(topic)) for topic in topics) for topics in choices):
            await asyncio.sleep(_POLL_S)

    async def deactivate(self, lifecycle_node: str) -> None:
        """Return when the node, named in full, has been deactivated."""
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        await self._call(ChangeState, f"{lifecycle_node}/change_state", request)

    async def _call(self, kind: type, service: str, request: Any) -> Any:
        client = self._node.create_client(kind, service)
        try:
            while not client.service_is_ready():
                await asyncio.sleep(_POLL_S)
            answer = client.call_async(request)
            while not answer.done():
                await asyncio.sleep(_POLL_S)
            return answer.result()
        finally:
            self._node.destroy_client(client)
