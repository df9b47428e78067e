"""``stereo_node``: rectified stereo images in, disparity and depth out. A managed node that starts by itself.

The callbacks of the executor's thread pair images and put the pair into a one-place mailbox. The mailbox's worker takes
the newest pair, matches and publishes; it owns the engine from opening to closing, because GPU contexts belong to
threads.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ffs_ros.calibration import Calibration
from ffs_ros.errors import BuildError, EngineLost, FfsError
from ffs_ros.finding import Finding
from ffs_ros.live_engine import LiveEngine
from ffs_ros.pairing import Pairing
from ffs_ros.ros import params
from ffs_ros.ros.diagnostics import Diagnostics
from ffs_ros.ros.doctor.doctor import Doctor
from ffs_ros.ros.doctor.matched_pictures import MatchedPictures, report_bug
from ffs_ros.ros.filters import installed_filters
from ffs_ros.ros.finding_log import FindingLog
from ffs_ros.ros.frame_log import FrameLog
from ffs_ros.ros.inputs import Inputs
from ffs_ros.ros.missing_engine import open_or_build
from ffs_ros.ros.outputs import Outputs
from ffs_ros.ros.pair_log import PairLog
from ffs_ros.ros.pipeline import Pipeline
from ffs_ros.ros.process import run
from ffs_ros.ros.steady_timer import SteadyTimer
from ffs_ros.ros.throttle import ThrottledLog
from ffs_ros.ros.transport import lost_images_remedy
from ffs_ros.ros.worker import Worker
from ffs_ros.topics import LEFT_INFO, RIGHT_INFO

REPORT_PERIOD_S = 5.0
HANDOVER_S = 50e-6
"""How long the executor's thread rests after a deposit. Otherwise it often keeps the interpreter to itself until it
next waits for messages, and the worker began after 0.6 to 1.0 ms in one of ten pairs; so it does after 0.2 ms."""


class StereoNode(LifecycleNode):
    """Configured it has its engine and its topics out, active it also subscribes and publishes.

    ``frames`` says what became of the pairs, ``failure`` is why the last failed transition failed.
    """

    def __init__(self, **arguments: Any) -> None:
        """``arguments`` are those of ``rclpy.node.Node``. Raises FfsError for a parameter that cannot be."""
        super().__init__("stereo_node", **arguments)
        self.frames = FrameLog()
        self.failure: Exception | None = None
        self.pairing: Pairing | None = None
        self.inputs: Inputs | None = None
        self.findings: list[Finding] = []
        """What was wrong at the last look, of which there is one every ``REPORT_PERIOD_S`` while the node is active."""
        self._log = ThrottledLog(self.get_logger())
        self._finding_log = FindingLog(self._log, self.get_logger())
        self._pair_log = PairLog(self._log, self.get_logger())
        self._worker: Worker | None = None
        self.engine: LiveEngine | None = None
        self._outputs: Outputs | None = None
        self._doctor: Doctor | None = None
        self._diagnostics: Diagnostics | None = None
        self._report_timer: SteadyTimer | None = None
        self._engine_lost = self.create_guard_condition(self._give_up)
        self.pipeline: Pipeline | None = None
        try:
            params.declare(self)
        except FfsError:
            self.destroy_node()
            raise
        misspelled = params.misspelled(self)
        if misspelled:
            self._log.warn(misspelled)

    # The life of the node

    def start(self) -> None:
        """Configure and activate, unless a manager does. Raises what kept the node from it; the log has said it."""
        if not self.get_parameter("autostart").value:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise self.failure or RuntimeError(f"{transition.__name__} did not succeed")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open and warm up the engine, which may have to be built first, and advertise the outputs.

        FAILURE, with the reason in the log, otherwise.
        """
        try:
            self._config = params.config_of(self)
            self._worker = Worker(self._say_what_failed)
            open_or_build(partial(self._worker.call, self._open_engine), self._config, self._go_on, self.get_logger())
            self._outputs = Outputs(self)
            self._diagnostics = Diagnostics(self)
        except Exception as error:
            self.close()
            return self._failed(error)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and publish from now on; FAILURE, with the reason in the log, otherwise."""
        try:
            self._start_input()
        except Exception as error:
            self._stop_input()
            return self._failed(error)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and publish what is being worked on. ERROR when there is no engine any more."""
        self._stop_input()
        if self.engine is not None and self.engine.lost:
            return TransitionCallbackReturn.ERROR
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the engine and take the outputs off the graph."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, whatever the state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, so that the node can be configured again."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the worker, close the engine and take all topics off the graph; calling it again does nothing."""
        self._stop_input()
        if self._worker is not None:
            try:
                self._worker.call(self._close_engine)
            finally:  # an engine that does not close must not keep the topics
                self._worker.close()
                self._worker = None
                if self._outputs is not None:
                    self._outputs.destroy(self)
                    self._outputs = None
                if self._diagnostics is not None:
                    self._diagnostics.destroy()
                    self._diagnostics = None

    def _go_on(self) -> None:
        if not self.context.ok():
            raise BuildError("ROS was shut down before the engine was built")

    def _start_input(self) -> None:
        config = self._config
        if self.pairing is None:  # one for the node's life, whose counts go on
            self.pairing = Pairing(
                self._deposit,
                approximate=config.approximate_sync,
                tolerance_s=config.approximate_sync_tolerance_seconds,
                queue_size=config.queue_size,
                filters=installed_filters(),
            )
        calibration = Calibration(
            self.resolve_topic_name(LEFT_INFO), self.resolve_topic_name(RIGHT_INFO), rectify=config.rectify
        )
        assert self.engine is not None
        assert self._outputs is not None
        self.pipeline = Pipeline(self.engine, calibration, self._outputs, self.frames, self._now_ns)
        self.inputs = Inputs(self, config, self.pairing, calibration, self._log, lost_images_remedy)
        pipeline = self.pipeline
        pictures = MatchedPictures(lambda: pipeline.newest, self.inputs.image_topics, self._log)
        self._doctor = Doctor(self, self.pairing, calibration, self.inputs, pictures, self._outputs.publishers)
        self._report_timer = SteadyTimer(self, REPORT_PERIOD_S, self._look)
        self.get_logger().info(f"{' and '.join(self.inputs.image_topics)}: {self.pairing.describe()}")

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _stop_input(self) -> None:
        if self._report_timer is not None:
            self._report_timer.destroy()
            self._report_timer = None
        if self._doctor is not None:
            self._doctor.close()
            self._doctor = None
            self.findings = []
        if self.inputs is not None:
            self.inputs.destroy()
            self.inputs = None
        if self.pairing is not None:
            self.pairing.clear()
        if self._worker is not None:
            _, replaced = self._worker.call(lambda: None)  # the pair in work is still published
            self.frames.count("replaced", replaced)

    def _failed(self, error: Exception) -> TransitionCallbackReturn:
        """Say why a transition did not succeed: a sentence, or the traceback of a bug."""
        self.failure = error
        if self.context.ok():  # otherwise ROS was shut down meanwhile
            text = str(error) if isinstance(error, FfsError) else "".join(traceback.format_exception(error))
            self.get_logger().error(text)
        return TransitionCallbackReturn.FAILURE

    # On the executor's thread

    def _deposit(self, left: Any, right: Any, arrival_ns: int) -> None:
        self.frames.count("paired")
        assert self._worker is not None
        work = partial(self._process, left, right, arrival_ns, params.live_values(self))
        self.frames.count("replaced", self._worker.put(work))
        time.sleep(HANDOVER_S)

    def _look(self) -> None:
        """Find out what is wrong, and say it."""
        assert self._doctor is not None
        try:
            self.findings = self._doctor.look(REPORT_PERIOD_S)
        except Exception as bug:  # must not cost the depth
            report_bug(bug, self._log)
            return
        self._finding_log.say(self.findings)

    def findings_now(self) -> list[Finding]:
        """What is wrong now: a camera that dies is not waited for until the next look."""
        return self._doctor.since(self.findings) if self._doctor is not None else []

    def _give_up(self) -> None:
        """The engine is lost. Raises that, so that the process ends and is started again; a manager configures anew."""
        if self.engine is None or not self.engine.lost:
            return
        assert self.failure is not None
        self.get_logger().fatal(str(self.failure))
        if self._diagnostics is not None:
            self._diagnostics.publish()
        if self.get_parameter("autostart").value:
            raise self.failure
        if self.inputs is not None:
            self.trigger_deactivate()
        else:
            self.trigger_cleanup()

    # On the worker's thread

    def _open_engine(self) -> None:
        self.engine = LiveEngine(self._config, self.get_logger())

    def _close_engine(self) -> None:
        if self.engine is not None:
            self.engine.close()
            self.engine = None

    def _process(self, left: Any, right: Any, arrival_ns: int, live: Mapping[str, Any]) -> None:
        assert self.pipeline is not None
        if self.pipeline.process(left, right, arrival_ns, live):
            newest = self.pipeline.newest
            self._pair_log.published(newest.disparity_HW.shape if newest else None)

    def _say_what_failed(self, error: BaseException) -> None:
        if not self.context.ok():
            return  # ROS was shut down under the worker
        if isinstance(error, EngineLost):
            self.failure = error
            self._engine_lost.trigger()
        else:
            self._pair_log.dropped(error)


def main(args: Sequence[str] | None = None) -> None:
    """Run the node until it is interrupted (exit code 0); 2 when its set-up is wrong, with one sentence saying how."""
    run(StereoNode, args)


if __name__ == "__main__":
    main()
