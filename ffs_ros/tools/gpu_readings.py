"""What a GPU tells while others work on it: which one it is, its free memory, its clocks and power."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

_MULTIPROCESSORS = 16
"""CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT."""
_MOST_CHARACTERS = 256
_BETWEEN_LOOKS_s = 0.002
_BETWEEN_READINGS_ms = 500
_LONGEST_END_s = 5.0

SENSORS = {
    "sm_clock_MHz": "clocks.sm",
    "most_sm_clock_MHz": "clocks.max.sm",
    "memory_clock_MHz": "clocks.mem",
    "power_W": "power.draw",
    "power_limit_W": "power.limit",
    "temperature_C": "temperature.gpu",
}
"""Our names, and nvidia-smi's."""


class Gpu:
    """One GPU by CUDA's index, read with the driver's own functions, since PyCUDA may not be there."""

    def __init__(self, driver: Any, index: int) -> None:
        """Raises OSError when the driver refuses."""
        self._driver = driver
        device, count, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
        name, bus_id = (ctypes.create_string_buffer(_MOST_CHARACTERS) for _ in range(2))
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(device), index)
        self._call("cuDeviceGetName", name, _MOST_CHARACTERS, device)
        self._call("cuDeviceGetPCIBusId", bus_id, _MOST_CHARACTERS, device)
        self._call("cuDeviceGetAttribute", ctypes.byref(count), _MULTIPROCESSORS, device)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._device, self._context = device, context
        self.name = name.value.decode()
        self.bus_id = bus_id.value.decode()
        self.multiprocessors = count.value

    def free_bytes(self) -> int:
        """Free memory. The context that all runtimes share exists by now, so what it takes is not counted."""
        free, total, popped = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p()
        self._call("cuCtxPushCurrent_v2", self._context)
        try:
            self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        finally:
            self._driver.cuCtxPopCurrent_v2(ctypes.byref(popped))
        return free.value

    @contextmanager
    def watched(self) -> Iterator[list[int]]:
        """The least free memory while the block runs: one number, in the list when the block has ended."""
        found: list[int] = []
        ended = threading.Event()

        def look() -> None:
            least = self.free_bytes()
            while not ended.wait(_BETWEEN_LOOKS_s):
                least = min(least, self.free_bytes())
            found.append(min(least, self.free_bytes()))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()

    def close(self) -> None:
        """Let go of the context."""
        self._driver.cuDevicePrimaryCtxRelease_v2(self._device)

    def _call(self, function: str, *arguments: Any) -> None:
        if code := getattr(self._driver, function)(*arguments):
            raise OSError(f"{function} failed with CUDA error {code}")


def opened(index: int) -> Gpu | None:
    """The GPU with CUDA's ``index``; None where there is none that can be used."""
    try:
        return Gpu(ctypes.CDLL("libcuda.so.1"), index)
    except OSError:
        return None


Sensors = dict[str, Any]
"""``readings`` and, of each of ``SENSORS`` that was told, ``least``, ``median`` and ``most``; or ``unknown``: why."""


@contextmanager
def sensors(gpu: Gpu | None) -> Iterator[Sensors]:
    """What nvidia-smi reads twice a second while the block runs; filled in when it has ended.

    In a process of its own, so that it takes no time from what runs here.
    """
    found: Sensors = {}
    if gpu is None:
        found["unknown"] = "no GPU is used"
        yield found
        return
    command = [
        "nvidia-smi", f"--id={gpu.bus_id}", f"--query-gpu={','.join(SENSORS.values())}",
        "--format=csv,noheader,nounits", f"--loop-ms={_BETWEEN_READINGS_ms}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL)
        except OSError as error:
            found["unknown"] = f"nvidia-smi does not run here ({error.strerror})"
            yield found
            return
        try:
            yield found
        finally:
            process.terminate()
            try:
                process.wait(_LONGEST_END_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            said.seek(0)
            found.update(_summary(said.read().decode(errors="replace")))


def _summary(said: str) -> Sensors:
    rows = [line.split(",") for line in said.splitlines(keepends=True) if line.endswith("\n")]
    rows = [row for row in rows if len(row) == len(SENSORS)]
    if not rows:
        return {"unknown": "nvidia-smi told nothing while the engines ran"}
    found: Sensors = {"readings": len(rows)}
    for name, column in zip(SENSORS, zip(*rows, strict=True), strict=True):
        numbers = [number for number in map(_number, column) if number is not None]
        if numbers:
            found[name] = {"least": min(numbers), "median": median(numbers), "most": max(numbers)}
    return found if len(found) > 1 else {"unknown": "nvidia-smi knows neither clocks nor power of this GPU"}


def _number(text: str) -> float | None:
    """None for '[N/A]' and the like."""
    try:
        return float(text)
    except ValueError:
        return None
