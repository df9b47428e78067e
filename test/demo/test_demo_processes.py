"""The demo leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE_S = 30.0
PARENT = """
import sys, time
from pathlib import Path
from ffs_ros.demo.processes import running
with running("sleeper", ["timeit", "-n", "1", "import time; time.sleep(600)"], Path(sys.argv[1])) as sleeper:
    print(sleeper._popen.pid, flush=True)
    time.sleep(600)
"""


def alive(pid: str) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux ends processes with their parent")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_demo_takes_its_processes_along(signal_number: int, tmp_path: Path) -> None:
    """Ctrl-C, and even SIGKILL, end the node and the camera too."""
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = parent.stdout.readline().strip()
        assert alive(pid)
        parent.send_signal(signal_number)
    end = time.monotonic() + PATIENCE_S
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pid)
