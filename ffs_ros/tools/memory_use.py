"""How much memory one of several engines takes, on the GPU and beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffs_ros.tools.gpu_readings import Gpu


class MemoryUse:
    """Adds up what is taken in the steps that are counted, in which nothing else should take or free any."""

    def __init__(self, gpu: Gpu | None) -> None:
        """``gpu``: None where there is none to look at."""
        self._gpu = gpu
        self.host_bytes = 0
        """Resident memory of the process, libraries that were loaded included."""
        self.gpu_bytes = 0
        """Beyond the runtimes' shared context."""
        self.gpu_peak_bytes = 0
        """The most that was taken at a time."""

    @contextmanager
    def counted(self) -> Iterator[None]:
        """The block is one of the steps."""
        host_before, gpu_before = resident_bytes(), self._gpu.free_bytes() if self._gpu else 0
        if self._gpu is None:
            yield
        else:
            with self._gpu.watched() as least:
                yield
            self.gpu_peak_bytes = max(self.gpu_peak_bytes, self.gpu_bytes + gpu_before - min(least))
            self.gpu_bytes += gpu_before - self._gpu.free_bytes()
        self.host_bytes += resident_bytes() - host_before


def resident_bytes() -> int:
    """Of this process. The second field of statm is the resident set, in pages (proc(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
