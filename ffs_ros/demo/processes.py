"""The demo's other processes: started, watched and ended as a launch file would."""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ffs_ros.errors import FfsError

STOP_TIMEOUT_S = 60.0
"""The node finishes the pair that it works on, which may take as long as the slowest engine that the demo waits for."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
WRONG_SETUP = 2
"""Exit code of a node that has logged in one sentence what its user can put right."""
_LOGGED_ERROR = re.compile(r"^\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^]]*\]: (.+)$", re.MULTILINE)


class Process:
    """A running module of this package and the file its output goes to."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self._popen = popen
        self._log = log

    def said(self) -> str:
        """Its output so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def check_alive(self) -> None:
        """Raises FfsError, with what it said, when it has ended."""
        exit_code = self._popen.poll()
        if exit_code is None:
            return
        said = self.said().strip()
        errors = _LOGGED_ERROR.findall(said)
        if exit_code == WRONG_SETUP and errors:
            raise FfsError(errors[-1])
        raise FfsError(f"the {self.name} ended with exit code {exit_code}; it said: {said}")


@contextmanager
def running(name: str, command: Sequence[str], folder: Path) -> Iterator[Process]:
    """``python -m`` a module as long as the block lasts, then end it as Ctrl-C does.

    Raises FfsError when it does not end by itself with exit code 0, unless the block raises already.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        # A group of its own: Ctrl-C in the terminal ends the demo, and the demo ends the others.
        popen = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=end_with_parent,
        )  # fmt: skip
    process = Process(name, popen, log)
    try:
        yield process
        _stop(popen)
        if popen.returncode != 0:
            raise FfsError(
                f"the {name} ended with exit code {popen.returncode} instead of 0; it said: {process.said()}"
            )
    finally:
        _stop(popen)


def end_with_parent() -> None:
    """Has Linux interrupt this process when its parent is gone, even by SIGKILL."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _stop(popen: subprocess.Popen[bytes]) -> None:
    if popen.poll() is not None:
        return
    popen.send_signal(signal.SIGINT)
    try:
        popen.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()
