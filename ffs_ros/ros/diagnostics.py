"""``/diagnostics``, once a second, from configuring to cleaning up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ffs_ros.ros.health import Health, Look, SideCounts
from ffs_ros.ros.steady_timer import SteadyTimer

if TYPE_CHECKING:
    from ffs_ros.pairing import Side
    from ffs_ros.ros.node import StereoNode

TOPIC = "/diagnostics"
PERIOD_S = 1.0
_DEPTH = 10


class Diagnostics:
    """Publishes what ``Health`` makes of the node's looks, as long as it lives."""

    def __init__(self, node: StereoNode) -> None:
        """``node`` has an engine."""
        self._node = node
        self._health = Health()
        self._health.statuses(look_at(node))  # what rates begin at
        self._publisher: Any = node.create_publisher(DiagnosticArray, TOPIC, _DEPTH)
        self._timer = SteadyTimer(node, PERIOD_S, self.publish)

    def publish(self) -> None:
        """Say how the node does now."""
        look = look_at(self._node)
        name = self._node.get_fully_qualified_name().lstrip("/")
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        for status in self._health.statuses(look):
            entry = DiagnosticStatus(
                level=bytes([status.level]),
                name=f"{name}: {status.name}",
                message=status.message,
                hardware_id=look.engine.device,
            )
            entry.values = [KeyValue(key=key, value=value) for key, value in status.values.items()]
            message.status.append(entry)
        self._publisher.publish(message)

    def destroy(self) -> None:
        """Take the topic off the graph."""
        self._timer.destroy()
        self._node.destroy_publisher(self._publisher)


def look_at(node: StereoNode) -> Look:
    """What there is to see of a node that has an engine. On the executor's thread, which pairs."""
    assert node.engine is not None
    pairing, pipeline, inputs = node.pairing, node.pipeline, node.inputs
    newest = pipeline.newest if pipeline else None
    return Look(
        at_ns=time.monotonic_ns(),
        active=inputs is not None,
        left=_counts_of(pairing.left) if pairing else SideCounts(),
        right=_counts_of(pairing.right) if pairing else SideCounts(),
        frames=node.frames.counts,
        reason=node.frames.reason,
        engine=node.engine.info,
        lost_messages=inputs.lost if inputs else 0,
        jumps_back=pairing.jumps_back if pairing else 0,
        busy_s=pipeline.busy_s if pipeline else 0.0,
        times=list(node.frames.times),
        valid_share=_valid_share(newest.disparity_HW) if newest else None,
        non_finite_px=node.engine.non_finite_px,
        opened_again=node.engine.opened_again,
        fault=node.engine.fault,
        findings=node.findings_now(),
    )


def _valid_share(disparity_HW: np.ndarray) -> float:
    return int(np.count_nonzero(np.isfinite(disparity_HW))) / disparity_HW.size


def _counts_of(side: Side) -> SideCounts:
    return SideCounts(side.received, side.unmatched, len(side.waiting_ns))
