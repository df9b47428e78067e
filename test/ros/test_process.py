"""A node's process ends as it should, whatever the node does."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from ffs_ros.ros import ENGINE_LOST, WRONG_SET_UP

PATIENCE_S = 60

NODE = """
import time
from rclpy.node import Node
from ffs_ros.errors import FfsError, GpuError
from ffs_ros.ros.process import run

class Made(Node):
    def __init__(self):
        super().__init__("made")
        self.timer = self.create_timer(0.01, self.look)
    def start(self): pass
    def look(self): {look}
    def close(self): {close}

run(Made, [])
"""


@contextmanager
def running(look: str, close: str) -> Iterator[subprocess.Popen[str]]:
    """The node with these bodies of its timer and of ``close``."""
    code = NODE.format(look=look, close=close)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_a_node_that_hangs(signal_number: int) -> None:
    """An engine that never comes back is waited for until somebody insists."""
    with running("print('spins', flush=True)", "print('closes', flush=True); time.sleep(600)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spins\n"
        process.send_signal(signal_number)
        assert any(line == "closes\n" for line in process.stdout)
        process.send_signal(signal_number)
        assert process.wait(PATIENCE_S) == 128 + signal_number


def test_a_signal_that_wakes_nothing_ends_a_node_without_timers() -> None:
    """As one does that comes between two waits: ROS is shut down, and nothing tells the executor."""
    look = (
        "self.destroy_timer(self.timer); import threading; "
        "threading.Timer(0.5, self.context.handle.shutdown).start(); print('spins', flush=True)"
    )
    with running(look, "print('closes', flush=True)") as process:
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, said) == (0, "spins\ncloses\n")


@pytest.mark.parametrize(("error", "exit_code"), [("FfsError", WRONG_SET_UP), ("GpuError", ENGINE_LOST)])
def test_what_a_callback_raises_is_said(error: str, exit_code: int) -> None:
    """A wrong set-up that shows only while the node spins: its sentence and exit code 2, not a silent end; 3 for what a
    new process may find otherwise."""
    with running(f"raise {error}('the profile is not there')", "pass") as process:
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == exit_code
        assert "stereo_node: the profile is not there" in said


FAULTS = """
import resource
import numpy as np
{first}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pair = [np.ones(900 << 10, np.uint8) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(max([faults() for _ in range(30)][10:]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_memory_of_images_stays_with_the_process() -> None:
    """What was freed serves the next image without page faults, which would be 900 for these four."""
    first = "from ffs_ros.ros.process import _calm_down; _calm_down()"
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(first=first)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100
