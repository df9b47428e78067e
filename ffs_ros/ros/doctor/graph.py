"""Who is on the other end of a node's topics, and whether messages can reach them at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from ffs_ros.finding import Finding, Level

_FOR_EVER_NS = 2**63 - 1
"""How the middleware writes a duration that is not limited; in a profile that was never sent it is 0."""


class GraphFindings(NamedTuple):
    """What is wrong with the connections."""

    findings: list[Finding]
    cut_off: set[str]
    """Topics on which, for a reason among ``findings``, nothing can arrive."""


class Graph:
    """The graph as a node sees it."""

    def __init__(self, node: Any, subscriptions: Sequence[Any], publishers: Sequence[Any] = (), others: bool = False):
        """``subscriptions`` and ``publishers`` are the node's own, rclpy's; with ``others``, further subscribers of the
        same inputs count too."""
        self._node = node
        self._subscriptions = subscriptions
        self._publishers = publishers
        self._others = others

    def look(self) -> GraphFindings:
        """Ask the middleware, which answers from what it has discovered already."""
        findings: list[Finding] = []
        cut_off: set[str] = set()
        for subscription in self._subscriptions:
            found = input_findings(self._node, subscription)
            findings += found.findings
            cut_off |= found.cut_off
            if self._others:
                findings += _of_others(self._node, subscription.topic_name)
        for publisher in self._publishers:
            asked = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
            findings += _of_output(publisher, asked)
        return GraphFindings(findings, cut_off)


def type_name(message_type: type) -> str:
    """As ROS writes it: ``sensor_msgs/msg/Image``."""
    return f"{message_type.__module__.partition('.')[0]}/msg/{message_type.__name__}"


def full_name(endpoint: Any) -> str:
    """The node's that an endpoint belongs to, which is discovered after the endpoint."""
    if "UNKNOWN" in endpoint.node_name:
        return "a node"
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def obstacle(offered: Any, asked: Any) -> str | None:
    """Why nothing goes from a publisher to a subscription with these QoS profiles; None when it does."""
    reliable, latched = ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL
    if asked.reliability == reliable and offered.reliability == ReliabilityPolicy.BEST_EFFORT:
        return "reliability: reliable is asked for, best_effort is offered"
    if asked.durability == latched and offered.durability == DurabilityPolicy.VOLATILE:
        return "durability: transient_local is asked for, volatile is offered"
    for policy in ("deadline", "liveliness_lease_duration"):
        longest_ns, promised_ns = (getattr(profile, policy).nanoseconds or _FOR_EVER_NS for profile in (asked, offered))
        if promised_ns > longest_ns:
            return f"{policy}: {longest_ns / 1e6:g} ms are asked for, and as much is not promised"
    return None


def input_findings(node: Any, subscription: Any) -> GraphFindings:
    """What is wrong with the publishers of what ``node`` subscribes to."""
    topic, kind = subscription.topic_name, type_name(subscription.msg_type)
    offered = node.get_publishers_info_by_topic(topic)
    matching = [endpoint for endpoint in offered if endpoint.topic_type == kind]
    found = []
    if offered and not matching:
        others = sorted({f"{endpoint.topic_type} by {full_name(endpoint)}" for endpoint in offered})
        found.append(
            Finding(
                "another type",
                Level.ERROR,
                f"{topic} is published as {' and '.join(others)}: expected {kind}; remap to the topic that carries it, "
                "or set image_transport to what is there (raw for Image, compressed for CompressedImage)",
            )
        )
    obstacles = [obstacle(endpoint.qos_profile, subscription.qos_profile) for endpoint in matching]
    reached = obstacles.count(None)
    for endpoint, why in zip(matching, obstacles, strict=True):
        if why is not None:
            level = Level.WARN if reached else Level.ERROR
            found.append(Finding("input QoS", level, _nothing_arrives(endpoint, topic, "this node", why)))
    if reached > 1:
        names = " and ".join(sorted(full_name(endpoint) for endpoint in matching))
        found.append(
            Finding(
                "several publishers",
                Level.WARN,
                f"{topic} has {len(matching)} publishers ({names}), whose messages come mixed; stop one of them, or "
                "give each a namespace",
            )
        )
    return GraphFindings(found, {topic} if offered and not reached else set())


def _of_others(node: Any, topic: str) -> Iterator[Finding]:
    """Subscribers of ``topic`` beside ``node`` that a publisher does not reach."""
    own = node.get_name(), node.get_namespace()
    for subscription in node.get_subscriptions_info_by_topic(topic):
        if (subscription.node_name, subscription.node_namespace) == own:
            continue
        for publisher in node.get_publishers_info_by_topic(topic):
            why = obstacle(publisher.qos_profile, subscription.qos_profile)
            if why is not None and publisher.topic_type == subscription.topic_type:
                where = full_name(subscription)
                yield Finding("input QoS", Level.ERROR, _nothing_arrives(publisher, topic, where, why))


def _nothing_arrives(publisher: Any, topic: str, where: str, why: str) -> str:
    return (
        f"nothing of what {full_name(publisher)} publishes on {topic} arrives at {where} ({why}); set its "
        f"qos_overrides.{topic}.subscription.{why.partition(':')[0]} to what is offered"
    )


def _of_output(publisher: Any, asked: Iterable[Any]) -> Iterator[Finding]:
    """Subscribers of an output that get nothing of it."""
    topic, kind = publisher.topic_name, type_name(publisher.msg_type)
    for subscription in asked:
        if subscription.topic_type != kind:
            yield Finding(
                "output type",
                Level.WARN,
                f"{full_name(subscription)} subscribes to {topic} as {subscription.topic_type}, and it is {kind}: it "
                "gets nothing; choose that type there, or another topic",
            )
            continue
        why = obstacle(publisher.qos_profile, subscription.qos_profile)
        if why is not None:
            yield Finding(
                "output QoS",
                Level.WARN,
                f"{full_name(subscription)} gets nothing of {topic} ({why}); change it there, or set "
                f"qos_overrides.{topic}.publisher.{why.partition(':')[0]} for this node",
            )
