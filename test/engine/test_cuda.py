"""One engine's share of a GPU, with a PyCUDA and a driver library that only take notes."""

from __future__ import annotations

import ctypes
import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import cuda
from ffs_ros.engine.cuda import opened_gpu
from ffs_ros.errors import EngineError, GpuError


class FakeDriver(ModuleType):
    """``pycuda.driver``: a stack of contexts, and what is allocated."""

    Error = type("Error", (Exception,), {})
    MemoryError = type("MemoryError", (Error,), {})
    LogicError = type("LogicError", (Error,), {})

    def __init__(self) -> None:
        super().__init__("pycuda.driver")
        self.stack: list[str] = []
        self.held: list[Any] = []
        self.fails = ""
        self.Context = SimpleNamespace(pop=self.stack.pop)
        self.Device = _Device
        _Device.driver = self

    def init(self) -> None:
        if self.fails == "init":
            raise self.LogicError("cuInit failed: no CUDA-capable device is detected")

    def Stream(self) -> Any:
        def synchronize() -> None:
            if self.fails == "synchronize":
                raise self.LogicError("an illegal memory access was encountered")

        return SimpleNamespace(handle=11, synchronize=synchronize)

    def mem_get_info(self) -> tuple[int, int]:
        return 5, 9

    def mem_alloc(self, nbytes: int) -> Any:
        assert self.stack
        if nbytes > 100:
            raise self.MemoryError("cuMemAlloc failed: out of memory")
        return _Allocation(self)

    def pagelocked_empty(self, nbytes: int, dtype: Any) -> np.ndarray:
        assert self.stack
        return _Pinned(nbytes, _Allocation(self))

    def memcpy_htod_async(self, *arguments: Any) -> None:
        if self.fails == "copy":
            raise self.LogicError("an illegal memory access was encountered")
        self.copied = arguments

    memcpy_dtoh_async = memcpy_htod_async


class _Allocation(int):
    def __new__(cls, driver: FakeDriver) -> _Allocation:
        one = super().__new__(cls, 4096)
        one.driver = driver  # type: ignore[attr-defined]
        driver.held.append(one)
        return one

    def free(self) -> None:
        assert self.driver.stack  # type: ignore[attr-defined]
        self.driver.held.remove(self)  # type: ignore[attr-defined]


def _Pinned(nbytes: int, base: Any) -> Any:
    return SimpleNamespace(base=base, nbytes=nbytes)


class _Device:
    driver: FakeDriver

    def __init__(self, index: int) -> None:
        self.index = index

    @staticmethod
    def count() -> int:
        return 2

    def name(self) -> str:
        return "Fake GPU"

    def compute_capability(self) -> tuple[int, int]:
        return 8, 7

    def retain_primary_context(self) -> Any:
        return SimpleNamespace(push=lambda: self.driver.stack.append(f"context {self.index}"))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver = FakeDriver()
    package = ModuleType("pycuda")
    package.driver = driver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    cuda._primary_context.cache_clear()
    return driver


def test_the_context_is_current_only_inside(driver: FakeDriver) -> None:
    """Pushed and popped around each use, also when that fails."""
    gpu = opened_gpu(1)
    assert (gpu.name, gpu.compute_capability, gpu.stream) == ("Fake GPU", "8.7", 11)
    assert driver.stack == []
    with gpu.current():
        assert driver.stack == ["context 1"]
        assert gpu.memory_bytes() == (5, 9)
    with pytest.raises(ZeroDivisionError), gpu.current():
        raise ZeroDivisionError
    assert driver.stack == []


def test_what_was_handed_out_is_freed(driver: FakeDriver) -> None:
    """Buffers and pinned memory, inside the context; closing twice is fine; also after the GPU has failed."""
    for fails in ("", "synchronize"):
        gpu = opened_gpu(0)
        with gpu.current():
            assert gpu.buffer(10) == 4096
            gpu.pinned(10)
            with pytest.raises(MemoryError, match="out of memory"):
                gpu.buffer(1000)
        assert len(driver.held) == 2
        driver.fails = fails
        gpu.close()
        gpu.close()
        assert driver.held == []
        assert driver.stack == []


def test_a_gpu_that_fails_is_a_sentence(driver: FakeDriver) -> None:
    """Whatever was enqueued shows up when it is waited for."""
    gpu = opened_gpu(0)
    driver.fails = "synchronize"
    with (
        gpu.current(),
        pytest.raises(GpuError, match=r"the GPU failed \(an illegal memory.*start the program"),
    ):
        gpu.synchronize()


def test_copies_of_a_gpu_that_has_failed(driver: FakeDriver) -> None:
    """An earlier failure shows up at any later call: the same sentence, not PyCUDA's own error."""
    gpu = opened_gpu(0)
    driver.fails = "copy"
    for copy in (lambda: gpu.upload(1, np.zeros(1)), lambda: gpu.download(np.zeros(1), 1)):
        with gpu.current(), pytest.raises(GpuError, match=r"the GPU failed \(an illegal memory"):
            copy()


def test_no_gpu_and_no_such_gpu(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to look at."""
    with pytest.raises(EngineError, match="there is no GPU 2: 2 found, counted from 0; set gpu_index"):
        opened_gpu(2)
    driver.fails = "init"
    with pytest.raises(GpuError, match=r"no NVIDIA GPU can be used here \(cuInit failed.*check nvidia-smi"):
        opened_gpu(0)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(EngineError, match=r"needs PyCUDA, which does not import .*pip install pycuda"):
        opened_gpu(0)


class FakeLibrary:
    """``libcuda.so.1``: notes of the calls; ``fails`` names the one that returns an error."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self.fails = fails
        self.capturing = 0
        self.events = 1000
        self.marks: list[tuple[int, int]] = []
        self.destroyed: list[int] = []

    def cuEventCreate(self, event: Any, flags: Any) -> int:
        ctypes.cast(event, ctypes.POINTER(ctypes.c_void_p))[0] = self.events
        self.events += 1
        return 0

    def cuStreamIsCapturing(self, stream: Any, capturing: Any) -> int:
        ctypes.cast(capturing, ctypes.POINTER(ctypes.c_int))[0] = self.capturing
        return 0

    def cuEventRecordWithFlags(self, event: Any, stream: Any, flags: Any) -> int:
        assert stream.value == 11
        self.marks.append((event.value, flags.value))
        return 0

    def cuEventElapsedTime(self, elapsed_ms: Any, begin: Any, end: Any) -> int:
        ctypes.cast(elapsed_ms, ctypes.POINTER(ctypes.c_float))[0] = (end.value - begin.value) / 2
        return 700 * (self.fails == "cuEventElapsedTime")

    def cuEventDestroy_v2(self, event: Any) -> int:
        self.destroyed.append(event.value)
        return 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == "cuStreamEndCapture" and not self.fails:
                ctypes.cast(arguments[1], ctypes.POINTER(ctypes.c_void_p))[0] = 77
            return 700 * (name == self.fails)

        return call


def recorded(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, library: FakeLibrary, enqueue: Any) -> Any:
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: library)
    gpu = opened_gpu(0)
    with gpu.current():
        return gpu.recorded(enqueue)


def test_a_run_is_recorded_launched_and_freed(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the driver's own functions, in their order."""
    library = FakeLibrary()
    replay = recorded(driver, monkeypatch, library, lambda: library.calls.append("enqueue"))
    assert replay is not None
    replay.launch()
    replay.free()
    assert library.calls == [
        "cuStreamBeginCapture_v2", "enqueue", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy",
        "cuGraphLaunch", "cuGraphExecDestroy",
    ]  # fmt: skip
    library.fails = "cuGraphLaunch"
    with pytest.raises(GpuError, match=r"the GPU failed \(CUDA error 700\)"):
        replay.launch()


@pytest.mark.parametrize("capturing", [0, 1])
def test_a_stopwatch_is_part_of_a_recording(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capturing: int
) -> None:
    """Its notes are external to a graph, and plain outside of one; the times are between neighbours; close frees it."""
    library = FakeLibrary()
    library.capturing = capturing
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: library)
    gpu = opened_gpu(0)
    with gpu.current():
        laps = gpu.laps(3)
        for instant in (2, 0, 1):
            laps.mark(instant)
        assert library.marks == [(1002, capturing), (1000, capturing), (1001, capturing)]
        assert laps.ms() == [0.5, 0.5]
        library.fails = "cuEventElapsedTime"
        with pytest.raises(GpuError, match=r"the GPU's clock cannot be read \(CUDA error 700\)"):
            laps.ms()
    gpu.close()
    assert sorted(library.destroyed) == [1000, 1001, 1002]


@pytest.mark.parametrize("fails", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "enqueue"])
def test_what_cannot_be_recorded_is_none(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """And a recording that was begun is ended."""
    library = FakeLibrary(fails)

    def enqueue() -> None:
        if fails == "enqueue":
            raise EngineError("not now")

    assert recorded(driver, monkeypatch, library, enqueue) is None
    ends = library.calls.count("cuStreamEndCapture")
    assert ends == (fails != "cuStreamBeginCapture_v2")
    assert library.calls.count("cuGraphDestroy") == 0


def test_a_recording_that_is_given_up_is_ended(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has so far is freed; an interrupt goes on, and leaves no stream that records for ever."""
    for error in (EngineError("not now"), KeyboardInterrupt()):
        library = FakeLibrary()

        def enqueue(error: BaseException = error) -> None:
            raise error

        with pytest.raises(KeyboardInterrupt) if isinstance(error, KeyboardInterrupt) else nullcontext():
            assert recorded(driver, monkeypatch, library, enqueue) is None
        assert library.calls == ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphDestroy"]


class LibraryOfKernels(FakeLibrary):
    """Takes notes of what is loaded and of the arguments of what is started."""

    def __init__(self, fails: str = "", code: int = 218) -> None:
        super().__init__(fails)
        self.code = code
        self.started: list[tuple[Any, ...]] = []

    def cuModuleLoadDataEx(self, module: Any, text: Any, count: Any, options: Any, values: Any) -> int:
        self.calls.append("cuModuleLoadDataEx")
        assert text.raw == b"PTX\0"
        assert (count.value, list(options), values[1]) == (2, [5, 6], 8192)
        if self.fails == "cuModuleLoadDataEx":
            ctypes.memmove(values[0], b"ptxas fatal:\n  no", 18)
            return self.code
        ctypes.cast(module, ctypes.POINTER(ctypes.c_void_p))[0] = 2**40
        return 0

    def cuModuleGetFunction(self, function: Any, module: Any, name: bytes) -> int:
        self.calls.append("cuModuleGetFunction")
        assert (module.value, name) == (2**40, b"sum")
        ctypes.cast(function, ctypes.POINTER(ctypes.c_void_p))[0] = 2**41
        return 500 * (self.fails == "cuModuleGetFunction")

    def cuLaunchKernel(self, function: Any, *rest: Any) -> int:
        *sizes, stream, pointers, extra = rest
        longs = [ctypes.cast(pointers[i], ctypes.POINTER(ctypes.c_uint64))[0] for i in range(2)]
        number = ctypes.cast(pointers[2], ctypes.POINTER(ctypes.c_int32))[0]
        self.started.append((function.value, [one.value for one in sizes], stream.value, longs, number, extra))
        return 700 * (self.fails == "cuLaunchKernel")


def test_a_kernel_is_loaded_started_and_unloaded(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the engine's stream, with whole addresses; a refused start is a sentence."""
    library = LibraryOfKernels()
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: library)
    gpu = opened_gpu(0)
    with gpu.current():
        start = gpu.kernel(b"PTX", "sum")
        start((5, 4, 3), 128, (2**40 + 1, 2**41 + 2), (-7,))
        assert library.started == [(2**41, [5, 4, 3, 128, 1, 1, 0], 11, [2**40 + 1, 2**41 + 2], -7, None)]
        library.fails = "cuLaunchKernel"
        with pytest.raises(GpuError, match=r"the GPU refused the kernel sum \(CUDA error 700\)"):
            start((1, 1, 1), 1, (1, 2), (3,))
    gpu.close()
    assert library.calls == ["cuModuleLoadDataEx", "cuModuleGetFunction", "cuModuleUnload"]


def test_a_kernel_that_the_driver_does_not_take(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is passed on; memory that is short is an error of its own; nothing stays loaded."""
    for fails, code, error, sentence in (
        (
            "cuModuleLoadDataEx",
            218,
            EngineError,
            r"cannot load the kernel sum \(CUDA error 218; it says: ptxas fatal: no",
        ),
        ("cuModuleLoadDataEx", 2, MemoryError, "^$"),
        ("cuModuleGetFunction", 500, EngineError, r"CUDA error 500; it says: nothing\); .*--no-kernels"),
    ):
        library = LibraryOfKernels(fails, code)
        monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name, library=library: library)
        gpu = opened_gpu(0)
        with gpu.current(), pytest.raises(error, match=sentence):
            gpu.kernel(b"PTX", "sum")
        gpu.close()
        assert library.calls.count("cuModuleUnload") == (fails == "cuModuleGetFunction")
