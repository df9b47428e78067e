"""``libcuda.so.1`` as the tools read it: one H200, whose free memory a test sets."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any


class FakeDriver:
    """Asserts that memory is asked for in the context; ``fails`` is the function that answers with an error."""

    def __init__(self, free: Callable[[], int] = lambda: 10**9, fails: str = "") -> None:
        self.free, self.fails = free, fails
        self.pushed = self.retained = 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        function = getattr(self, f"_{name}")

        def call(*arguments: Any) -> int:
            if name == self.fails:
                return 100
            function(*arguments)
            return 0

        return call

    def _cuInit(self, flags: int) -> None:
        pass

    def _cuDeviceGet(self, device: Any, index: int) -> None:
        _set(device, ctypes.c_int, index)

    def _cuDeviceGetName(self, name: Any, length: int, device: Any) -> None:
        name.value = b"NVIDIA H200"

    def _cuDeviceGetPCIBusId(self, name: Any, length: int, device: Any) -> None:
        name.value = b"0000:1B:00.%d" % device.value

    def _cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> None:
        _set(value, ctypes.c_int, {16: 132}[attribute])

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> None:
        _set(context, ctypes.c_void_p, 77)
        self.retained += 1

    def _cuDevicePrimaryCtxRelease_v2(self, device: Any) -> None:
        self.retained -= 1

    def _cuCtxPushCurrent_v2(self, context: Any) -> None:
        assert context.value == 77
        self.pushed += 1

    def _cuCtxPopCurrent_v2(self, context: Any) -> None:
        self.pushed -= 1

    def _cuMemGetInfo_v2(self, free: Any, total: Any) -> None:
        assert self.pushed
        _set(free, ctypes.c_size_t, self.free())


def _set(reference: Any, kind: Any, value: int) -> None:
    ctypes.cast(reference, ctypes.POINTER(kind))[0] = value
