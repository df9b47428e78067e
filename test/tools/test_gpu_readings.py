"""What is read of a GPU, with a driver and an nvidia-smi that say what a test wants."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_cuda_driver import FakeDriver

from ffs_ros.tools import gpu_readings
from ffs_ros.tools.gpu_readings import Gpu, opened, sensors
from ffs_ros.tools.memory_use import MemoryUse


def test_a_gpu_by_its_index() -> None:
    """Name, place and multiprocessors; the context is held until it is closed and current only while it is asked."""
    driver = FakeDriver(lambda: 5)
    gpu = Gpu(driver, 3)
    assert (gpu.name, gpu.bus_id, gpu.multiprocessors) == ("NVIDIA H200", "0000:1B:00.3", 132)
    assert gpu.free_bytes() == 5
    assert (driver.retained, driver.pushed) == (1, 0)
    gpu.close()
    assert driver.retained == 0


def test_no_gpu_and_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to read is no error."""
    assert opened(0) is None or os.path.exists("/proc/driver/nvidia")  # noqa: PTH110
    monkeypatch.setattr(gpu_readings.ctypes, "CDLL", lambda name: FakeDriver(fails="cuInit"))
    assert opened(0) is None
    monkeypatch.setattr(gpu_readings.ctypes, "CDLL", lambda name: FakeDriver())
    assert opened(0) is not None


def test_memory_of_steps_adds_up_and_its_peak_is_seen() -> None:
    """Two steps leave 100 and 50; within the second 200 more were taken for a while. What is between does not count."""
    free = [1000]
    use = MemoryUse(Gpu(FakeDriver(lambda: free[0]), 0))
    with use.counted():
        free[0] -= 100
    free[0] -= 500
    with use.counted():
        free[0] -= 250
        time.sleep(0.1)
        free[0] += 200
    assert use.gpu_bytes == 150
    assert use.gpu_peak_bytes == 350


def test_host_memory_is_what_became_resident() -> None:
    """Where there is no GPU as well. In a process of its own: what other tests held goes whenever it likes."""
    measure = """
import numpy as np
from ffs_ros.tools.memory_use import MemoryUse
use = MemoryUse(None)
with use.counted():
    held = np.ones(50_000_000, np.uint8)
assert held.size == 50_000_000
print(use.host_bytes, use.gpu_bytes, use.gpu_peak_bytes)
"""
    run = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True)
    host_bytes, *gpu_bytes = map(int, run.stdout.split())
    assert 45e6 < host_bytes < 60e6
    assert gpu_bytes == [0, 0]


SAYS = """\
1980, 1980, 3201, 400.50, 700.00, 40
1500, 1980, 3201, 690.25, 700.00, 60
1800, 1980, 3201, 600.00, 700.00, 50
"""


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi that keeps its arguments, says what is in the file that this returns, and goes on for ever."""
    program, says = tmp_path / "nvidia-smi", tmp_path / "says"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {says}\n: > {tmp_path}/said\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return says


def read(says: Path, text: str) -> dict[str, object]:
    says.write_text(text)
    with sensors(Gpu(FakeDriver(), 1)) as found:
        deadline = time.monotonic() + 10
        while not (says.parent / "said").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    return found


def test_sensors_are_summed_up(nvidia_smi: Path) -> None:
    """Least, median and most of each reading, of this GPU; a line that is cut short is none."""
    found = read(nvidia_smi, SAYS + "1980, 1980, 3")
    assert found["readings"] == 3
    assert found["sm_clock_MHz"] == {"least": 1500.0, "median": 1800.0, "most": 1980.0}
    assert found["power_W"] == {"least": 400.5, "median": 600.0, "most": 690.25}
    assert found["temperature_C"] == {"least": 40.0, "median": 50.0, "most": 60.0}
    asked = (nvidia_smi.parent / "asked").read_text()
    assert "--id=0000:1B:00.1 " in asked
    assert "clocks.sm,clocks.max.sm,clocks.mem,power.draw,power.limit,temperature.gpu" in asked


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("", "nvidia-smi told nothing while the engines ran"),
        ("No devices were found\n", "nvidia-smi told nothing while the engines ran"),
        ("[N/A], [N/A], [N/A], [N/A], [N/A], [N/A]\n", "nvidia-smi knows neither clocks nor power of this GPU"),
    ],
)
def test_sensors_that_tell_nothing_say_so(nvidia_smi: Path, text: str, unknown: str) -> None:
    """As on a Jetson."""
    assert read(nvidia_smi, text) == {"unknown": unknown}


def test_some_sensors_are_better_than_none(nvidia_smi: Path) -> None:
    """Those that are not told are left out."""
    found = read(nvidia_smi, "1980, 1980, 3201, [N/A], [N/A], 40\n")
    assert "power_W" not in found
    assert found["sm_clock_MHz"] == {"least": 1980.0, "median": 1980.0, "most": 1980.0}


def test_no_nvidia_smi_and_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said plainly; the block runs all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with sensors(Gpu(FakeDriver(), 0)) as found:
        pass
    assert found == {"unknown": "nvidia-smi does not run here (No such file or directory)"}
    with sensors(None) as found:
        pass
    assert found == {"unknown": "no GPU is used"}
