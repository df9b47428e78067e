"""A timer that looks at what has come does not miss what waits to be taken."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from sensor_msgs.msg import Image
from stereo_graph import Graph, wait_until

from ffs_ros.ros.steady_timer import SteadyTimer

PERIOD_S = 0.1


def test_what_came_while_the_executor_was_held_up_comes_first(graph: Graph) -> None:
    """rclpy serves timers before subscriptions; a look at that moment would miss every image."""
    taken: list[Image] = []
    looks: list[int] = []
    graph.node.create_subscription(Image, "held", taken.append, 10)
    publisher = graph.node.create_publisher(Image, "held", 10)
    wait_until(lambda: publisher.get_subscription_count() == 1, "the subscription", lambda: graph.spin(0.01))
    timer = SteadyTimer(graph.node, PERIOD_S, lambda: looks.append(len(taken)))
    publisher.publish(Image())
    time.sleep(3.0 * PERIOD_S)  # held up: message and timer both wait
    wait_until(lambda: bool(looks), "a look", lambda: graph.spin(0.01))
    assert looks[0] == 1
    wait_until(lambda: len(looks) > 1, "the next look", lambda: graph.spin(0.01))
    timer.destroy()
    graph.spin(0.01)
    count = len(looks)
    time.sleep(2.0 * PERIOD_S)
    graph.spin(0.01)
    assert len(looks) == count
