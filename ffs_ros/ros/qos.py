"""Quality of service of inputs and outputs, and how a user overrides it.

Inputs are best effort, as REP 2003 asks of consumers of sensor data: they match every driver, and a late image is not
worth waiting for. Outputs are reliable: RViz and most tools subscribe reliably, and a best-effort publisher would never
reach them. Every policy below is a parameter, e.g. ``qos_overrides./left/image_rect.subscription.reliability``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rclpy.exceptions import ParameterException
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from ffs_ros.errors import FfsError
from ffs_ros.topics import OUTPUT_DEPTH

_INPUT_DEPTH = 3
"""Images that may wait while Python takes another one, a tenth of a second at 30 Hz. More of them make a busy machine
late and lose no fewer pairs: with 110 VGA pairs a second, p99 from camera to node was 99 to 114 ms with ten, 67 to 95
with five and 32 to 45 with three."""


def input_qos() -> QoSProfile:
    """Best effort. A new profile each time, because rclpy writes the user's overrides into it."""
    return _keep_last(_INPUT_DEPTH, ReliabilityPolicy.BEST_EFFORT)


def output_qos() -> QoSProfile:
    """Reliable, and shallow: a consumer that falls behind gets the newest. A new profile each time."""
    return _keep_last(OUTPUT_DEPTH, ReliabilityPolicy.RELIABLE)


def overridable() -> QoSOverridingOptions:
    """History, depth, reliability and durability become read-only parameters of the node.

    Durability is for drivers that publish CameraInfo once and latch it (``transient_local``), to be set along with
    reliability: what was sent before a subscription began only comes to reliable ones.
    """
    return QoSOverridingOptions(
        (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
    )


@contextmanager
def checked_overrides(topic: str) -> Iterator[None]:
    """For making the publisher or subscription of ``topic``, a full name.

    Raises FfsError instead of rclpy's errors, which do not say where the user's override is.
    """
    try:
        yield
    except (RuntimeError, ParameterException) as error:
        raise FfsError(
            f"cannot make {topic}: {error}; qos_overrides.{topic} takes reliability 'reliable' or 'best_effort', "
            "durability 'volatile' or 'transient_local', history 'keep_last' or 'keep_all', depth at least 1"
        ) from error


def _keep_last(depth: int, reliability: ReliabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=DurabilityPolicy.VOLATILE
    )
