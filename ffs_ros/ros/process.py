"""The life of a node's process: from its arguments over signals to its exit code."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cv2
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from ffs_ros.errors import EngineLost, FfsError, GpuError
from ffs_ros.ros import ENGINE_LOST, WRONG_SET_UP
from ffs_ros.ros.transport import publish_from_a_thread

LONGEST_END_S = 10.0
LONGEST_WAIT_S = 1.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt, from malloc.h."""


class ProcessNode(Protocol):
    """A node that can start by itself and that holds more than ROS knows of."""

    def start(self) -> None:
        """Do what a lifecycle manager would, if asked to. Raises what kept it from that, having logged it."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...

    def destroy_node(self) -> None:
        """rclpy's."""
        ...


def run(make_node: Callable[[], ProcessNode], args: Sequence[str] | None = None) -> None:
    """Spin a node until a signal ends it (exit code 0).

    A wrong set-up is one sentence and exit code 2; an engine that is lost, or a GPU that cannot be used now, is exit
    code 3, for a launch file's respawn.
    """
    spinning = False
    exit_code = 0

    def interrupt(signal_number: int, frame: Any) -> None:
        # rclpy's own handler ends the spinning. An exception as well could strike while rclpy makes a message in C++,
        # which turns it into a RuntimeError.
        if not spinning:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)  # before rclpy, which calls it from its handler
    _init(args)
    node: Any = None
    try:
        executor = SingleThreadedExecutor()
        node = make_node()
        node.start()
        executor.add_node(node)
        # A signal wakes what waits and then shuts ROS down, on a thread of rclpy's: what begins to wait between the two
        # is woken by nothing, and a node without timers, as one that was cleaned up, would never end.
        node.create_timer(LONGEST_WAIT_S, lambda: None, clock=Clock(clock_type=ClockType.STEADY_TIME))
        _calm_down()
        spinning = True
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception as error:
        if not rclpy.ok():
            pass  # SIGTERM during the start: rclpy shuts ROS down, and whatever comes next fails
        elif isinstance(error, FfsError):
            if node is None or spinning:  # otherwise its log has said it
                print(f"stereo_node: {error}", file=sys.stderr)
            exit_code = ENGINE_LOST if isinstance(error, (EngineLost, GpuError)) else WRONG_SET_UP
        else:
            raise
    finally:
        signal.signal(signal.SIGINT, _end_at_once)
        signal.signal(signal.SIGTERM, _end_at_once)
        if exit_code == ENGINE_LOST:
            _end_in_any_case()
        if node is not None:
            node.close()
            node.destroy_node()
        if rclpy.ok():
            rclpy.shutdown()
    if exit_code == ENGINE_LOST or threading.active_count() > 1:
        _end(exit_code)
    if exit_code:
        sys.exit(exit_code)


def _init(args: Sequence[str] | None) -> None:
    """``rclpy.init``; what it does not take, such as a parameter file that is not there, is a wrong set-up."""
    publish_from_a_thread(os.environ)
    try:
        rclpy.init(args=None if args is None else list(args))
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:  # the types differ between distributions
        reason = str(error).split(", at ")[0]
        print(f"stereo_node: ROS does not take the arguments behind --ros-args: {reason}", file=sys.stderr)
        sys.exit(WRONG_SET_UP)


def _end_at_once(signal_number: int, frame: Any) -> None:
    """The second signal: an engine that hangs in its driver would be waited for for ever."""
    print("stereo_node: ended at once, without waiting for the engine", file=sys.stderr, flush=True)
    os._exit(128 + signal_number)


def _end_in_any_case() -> None:
    """What a broken GPU holds may not be given back for ever, and whoever starts the node again waits for its end."""
    last = threading.Timer(LONGEST_END_S, _end, [ENGINE_LOST])
    last.daemon = True
    last.start()


def _end(exit_code: int) -> None:
    """Without the interpreter's own end, in which libraries of a broken GPU crash, and OpenCV if a thread uses it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _calm_down() -> None:
    """Keep what Python and OpenCV do in the background from holding up a frame.

    A full garbage collection looks at everything that was ever imported, 30 ms once in 300 pairs. Waking OpenCV's
    threads takes longer than what they would help with, 0.2 ms instead of 0.07 ms for a threshold at 480x640. glibc
    gives an image's memory back to the kernel and gets it again page by page for the next: taking a message of 900 KiB
    takes 1.5 instead of 0.7 ms once in a hundred, 0.5 ms otherwise.
    """
    gc.collect()
    gc.freeze()
    cv2.setNumThreads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)
