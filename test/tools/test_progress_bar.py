"""A step in the background: its result, its errors, and what the terminal shows."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest

from ffs_ros.tools import progress_bar
from ffs_ros.tools.progress_bar import Progress, watched


def test_the_result_and_the_errors_are_the_steps() -> None:
    """As if it had been called."""
    assert watched(lambda report: report(0.5) and 7) == 7
    with pytest.raises(ZeroDivisionError):
        watched(lambda report: 1 / 0)


@pytest.mark.parametrize(
    ("share", "expected_s", "elapsed_s", "line"),
    [
        (0.25, None, 30.0, "[########......................]  25%  0:30, about 1:30 left"),
        (0.0, None, 75.0, "[..............................]   0%  1:15"),
        (0.0, 300.0, 75.0, "[########......................]  25%  1:15, about 3:45 left"),
        (0.0, 60.0, 75.0, "[##############################]  99%  1:15, about 0:00 left"),
    ],
)
def test_the_line(monkeypatch, share: float, expected_s: float | None, elapsed_s: float, line: str) -> None:
    """Elapsed and remaining; a step that tells nothing is compared with the time before, where there was one."""
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: 1000.0)
    progress = Progress(expected_s)
    progress.report(share)
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: 1000.0 + elapsed_s)
    assert progress.line() == line


def test_a_terminal_sees_the_bar_and_a_file_does_not(monkeypatch) -> None:
    """The bar is wiped at the end."""
    shown = {}
    for is_terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda answer=is_terminal: answer  # type: ignore[method-assign]
        monkeypatch.setattr(progress_bar.sys, "stderr", stream)
        watched(lambda report: (report(0.5), time.sleep(0.4)))
        shown[is_terminal] = stream.getvalue()
    assert "50%" in shown[True]
    assert shown[True].endswith("\r\033[K")
    assert shown[False] == ""


def test_a_file_gets_a_line_now_and_then(monkeypatch) -> None:
    """Whoever reads a log sees that it goes on: whole lines, without what moves a terminal's cursor."""
    monkeypatch.setattr(progress_bar, "LINE_EVERY_s", 0.3)
    stream = io.StringIO()
    watched(lambda report: (report(0.5), time.sleep(1.2)), stream=stream)
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert all(line.startswith("[###############...............]  50%") for line in lines)


STUBBORN = """
import sys, time, _thread
from ffs_ros.tools.progress_bar import watched
def step(report):
    print("at work", flush=True)
    _thread.interrupt_main()
    while True:
        time.sleep(0.01)
try:
    watched(step)
finally:
    print("cleaned up")
"""


def test_a_step_that_does_not_stop_ends_with_the_process() -> None:
    """Ctrl-C cleans up and leaves with 130, without waiting for a runtime that hears nothing."""
    done = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stdout == "at work\ncleaned up\n"
