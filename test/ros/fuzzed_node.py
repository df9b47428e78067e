"""The real node under hostile messages, in this process or over the ROS graph; the oracle judges every output."""

from __future__ import annotations

import itertools
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from depth_oracle import (
    Answer,
    Seen,
    answer_to,
    check_depth,
    check_disparity,
    check_millimetres,
    check_points,
    rectifies_to_itself,
)
from hostile_messages import IMAGES, INFOS, Exchange, Plan, plans
from hypothesis import HealthCheck, Phase, given, seed, settings
from known_engine import open_engine
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from stereo_graph import Graph, NodeProcess, stamp_ns_of, wait_until

from ffs_ros import live_engine
from ffs_ros.ros.node import StereoNode

LONGEST_S = 60.0
"""What takes longer hangs."""
PAIRS_TO_RECOVER = 30
"""Sound pairs after which one must have come out: hostile stamps may fill the queues for a second of images."""
PERIOD_NS = 33_333_333
FIRST_STAMP_NS = 1_700_000_000_000_000_000
SOUND = Plan(seed=5, encoding="rgb8", height=8, width=12, tamperings=(), same_on_both=False)
SETTINGS: list[dict[str, Any]] = [{}, {"approximate_sync": True}, {"rectify": True}, {"depth_encoding": "16UC1"}]
"""Parameters of the node that the same messages meet."""
CHECKS = {"disparity": check_disparity, "depth/image_rect": check_depth, "points2": check_points}


def draw(exchanges: int, number: int, send: Callable[[Plan], None]) -> None:
    """Call ``send`` with as many plans as Hypothesis draws from the seed ``number``."""

    @seed(number)
    @settings(
        max_examples=exchanges, database=None, deadline=None, phases=[Phase.generate], report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(plans())
    def run(plan: Plan) -> None:
        send(plan)

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of NumPy: an overflow, a division by zero
        run()


class Sent(NamedTuple):
    """An exchange, its images decoded."""

    number: int
    left: Seen
    right: Seen
    left_info: Any
    right_info: Any


class Judge:
    """Knows what was sent lately, and so what may come out."""

    def __init__(self, calibrations: range, apart_ns: int = 0, rectify: bool = False, encoding: str = "32FC1") -> None:
        """``calibrations`` are the exchanges, counted from a pair's own, whose CameraInfo it may be worked on with.

        The others are how the node is set: by how much stamps may differ, and what becomes of images and of depth.
        """
        self.hostile = 0
        """Messages with something wrong."""
        self.judged = 0
        """Outputs."""
        self._calibrations, self._apart_ns, self._rectify = calibrations, apart_ns, rectify
        self._checks = {**CHECKS, "depth/image_rect": check_depth if encoding == "32FC1" else check_millimetres}
        self._sent: deque[Sent] = deque(maxlen=100)

    def send(self, exchange: Exchange) -> Answer | None:
        """Take note of an exchange that is about to be sent; gives its answer."""
        self.hostile += len({topic for topic, _ in exchange.tampered})
        images = (Seen.of(exchange.messages[topic]) for topic in IMAGES)
        infos = (exchange.messages[topic] for topic in INFOS)
        self._sent.append(Sent(self._sent[-1].number + 1 if self._sent else 0, *images, *infos))
        return self._answer(self._sent[-1], self._sent[-1], self._sent[-1], self._sent[-1])

    def judge(self, topic: str, message: Any) -> None:
        """Raises AssertionError for an output that must not be; its stamp names the images that it may be of."""
        self.judged += 1
        stamp_ns = stamp_ns_of(message)
        lefts = [sent for sent in self._sent if stamp_ns_of(sent.left.message) == stamp_ns]
        rights = [sent for sent in self._sent if abs(stamp_ns_of(sent.right.message) - stamp_ns) <= self._apart_ns]
        assert message.header.frame_id in [sent.left.message.header.frame_id for sent in lefts]
        answers = []
        for left, right in itertools.product(lefts, rights):
            pair = max(left.number, right.number)
            infos = [sent for sent in self._sent if sent.number - pair in self._calibrations]
            answers += [self._answer(left, right, *both) for both in itertools.product(infos, infos)]
        assert any(answers), f"{topic} came of a pair that has no answer"
        if topic in self._checks:
            faults = [fault_of(self._checks[topic], message, answer) for answer in answers if answer]
            assert None in faults, faults[0]

    def alone(self, stamp_ns: int) -> bool:
        """Whether two images only are of that time, so that none of another pair can take a partner away."""
        stamps_ns = [stamp_ns_of(image.message) for sent in self._sent for image in (sent.left, sent.right)]
        return sum(abs(other_ns - stamp_ns) <= self._apart_ns for other_ns in stamps_ns) == 2

    def _answer(self, left: Sent, right: Sent, left_info: Sent, right_info: Sent) -> Answer | None:
        answer = answer_to(left.left, right.right, left_info.left_info, right_info.right_info)
        known = rectifies_to_itself(left_info.left_info) and rectifies_to_itself(right_info.right_info)
        return answer.loosened() if answer and self._rectify and not known else answer


def fault_of(check: Callable[[Any, Answer], None], message: Any, answer: Answer) -> AssertionError | None:
    """What is wrong with an output."""
    try:
        check(message, answer)
    except AssertionError as fault:
        return fault
    return None


def must_come_out(exchange: Exchange, answer: Answer | None) -> bool:
    """Whether something has to come of an exchange after a sound one."""
    # With one stamp on both, the node need not wait for the other half of a changed calibration.
    together = stamp_ns_of(exchange.messages[INFOS[0]]) == stamp_ns_of(exchange.messages[INFOS[1]])
    return answer is not None and answer.must and together and exchange.stamps_are_sound


class _Output:
    """A publisher that has a subscriber: what it is given comes out of the middleware's format, at once."""

    def __init__(self, publisher: Any, kind: type, topic: str, sink: Callable[[str, Any], None]) -> None:
        self.publisher = publisher
        self._kind, self._topic, self._sink = kind, topic, sink

    def __getattr__(self, name: str) -> Any:
        return getattr(self.publisher, name)

    def publish(self, message: Any) -> None:
        self._sink(self._topic, deserialize_message(serialize_message(message), self._kind))

    def get_subscription_count(self) -> int:
        return 1


class FuzzedNode:
    """The node's own callbacks, pairing, worker and outputs, with the caller for an executor.

    ``send`` delivers an exchange message by message, waits for what comes of it, and judges that.
    """

    def __init__(self, context: Any, **parameters: Any) -> None:
        """``parameters`` are the node's: approximate_sync, rectify or depth_encoding."""
        self.judge = Judge(
            calibrations=range(1),
            apart_ns=9_999_999 if parameters.get("approximate_sync") else 0,
            rectify=parameters.get("rectify", False),
            encoding=parameters.get("depth_encoding", "32FC1"),
        )
        self.exchanges = self.published = self.had_to = 0
        self._stamp_ns = FIRST_STAMP_NS
        self._timely = True
        """No image of another time came last; if one did, the next pair may be lost to the jump back."""
        self._outputs: list[tuple[str, Any]] = []
        live_engine.open_engine, self._genuine = open_engine, live_engine.open_engine
        self.node = StereoNode(
            context=context, parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
        )
        create, destroy = self.node.create_lifecycle_publisher, self.node.destroy_lifecycle_publisher
        self.node.create_lifecycle_publisher = lambda kind, topic, *rest, **named: _Output(
            create(kind, topic, *rest, **named), kind, topic, lambda *output: self._outputs.append(output)
        )
        self.node.destroy_lifecycle_publisher = lambda output: destroy(output.publisher)
        self.node.start()
        self._callbacks = {
            s.topic_name.lstrip("/").replace("image_raw", "image_rect"): s.callback for s in self.node.subscriptions
        }

    def close(self) -> None:
        """Leave the graph."""
        live_engine.open_engine = self._genuine
        self.node.close()
        self.node.destroy_node()

    def send(self, plan: Plan) -> None:
        """One exchange, and now and then sound ones and a look of the doctor.

        Raises AssertionError where the node does what it must not, or not what it must.
        """
        self._exchange(plan)
        self.exchanges += 1
        if self.exchanges % 10 == 0:
            self._check_recovery()
        if self.exchanges % 25 == 0:
            self.node._look()
            self.node._diagnostics.publish()

    def _exchange(self, plan: Plan) -> None:
        self._stamp_ns += PERIOD_NS
        exchange = plan.exchange(self._stamp_ns)
        answer = self.judge.send(exchange)
        self._outputs.clear()
        for topic, message in exchange.messages.items():
            self._callbacks[topic](message)
            wait_until(lambda: not self.node.frames.counts.in_flight, f"the end of {plan}", lambda: time.sleep(20e-6))
        for topic, message in self._outputs:
            self.judge.judge(topic, message)
        timely, self._timely = self._timely, exchange.stamps_are_sound
        if timely and must_come_out(exchange, answer) and self.judge.alone(self._stamp_ns):
            self.had_to += 1
            topics = {topic for topic, message in self._outputs if stamp_ns_of(message) == self._stamp_ns}
            assert topics >= {*CHECKS}, f"nothing came of a sound pair: {self.node.frames.reason}; {plan}"
        self.published += bool(self._outputs)
        assert self.node.frames.counts.failed == 0, f"{self.node.frames.reason}; {plan}"

    def _check_recovery(self) -> None:
        for _ in range(PAIRS_TO_RECOVER):
            before = self.published
            self._exchange(SOUND)
            if self.published > before:
                return
        raise AssertionError(f"no sound pair of {PAIRS_TO_RECOVER} came out: {self.node.frames.reason}")


class FuzzedGraph:
    """The node in a process of its own: what it publishes is judged when it comes, and it has to stay alive."""

    def __init__(self, graph: Graph, node: NodeProcess) -> None:
        self.judge = Judge(calibrations=range(-2, 10))
        self.exchanges = self.recovered = 0
        self._graph, self._node = graph, node
        self._stamp_ns = FIRST_STAMP_NS
        self._judged: set[tuple[str, int]] = set()
        graph.wait_for_node()

    def send(self, plan: Plan) -> None:
        """One exchange, and now and then sound ones until one comes out."""
        self._exchange(plan)
        self._graph.spin(0.002)
        self._look_at_outputs()
        self.exchanges += 1
        if self.exchanges % 10 == 0:
            self._wait_for_a_sound_pair()

    def _exchange(self, plan: Plan) -> None:
        assert self._node.alive, f"the node ended: {self._node.said()[-3000:]}"
        self._stamp_ns += PERIOD_NS
        exchange = plan.exchange(self._stamp_ns)
        self.judge.send(exchange)
        for topic, message in exchange.messages.items():
            self._graph.publish(topic, message)

    def _wait_for_a_sound_pair(self) -> None:
        end_s = time.monotonic() + LONGEST_S
        first_ns = self._stamp_ns
        while not any(first_ns < stamp_ns <= self._stamp_ns for _, stamp_ns in self._judged):
            assert time.monotonic() < end_s, f"no sound pair came out: {self._node.said()[-3000:]}"
            self._exchange(SOUND)
            for _ in range(10):
                self._graph.spin(0.01)
            self._look_at_outputs()
        self.recovered += 1

    def _look_at_outputs(self) -> None:
        for topic, messages in self._graph.received.items():
            for stamp_ns, message in messages.items():
                if (topic, stamp_ns) not in self._judged:
                    self._judged.add((topic, stamp_ns))
                    self.judge.judge(topic, message)
