"""One engine's share of an NVIDIA GPU: context, stream, buffers and a recorded run. PyCUDA, and no torch.

Everything is freed with the object. It may be used from any thread, by one at a time, since the context is current
only inside ``current``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from ffs_ros.errors import EngineError, GpuError

_THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do on the GPU does not spoil a recording."""
_EXTERNAL = 1
"""CU_EVENT_RECORD_EXTERNAL: the recording notes the time whenever it is replayed; invalid outside of a recording."""

_ERROR_LOG, _ERROR_LOG_BYTES, _LOG_BYTES = 5, 6, 8192
"""CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, and what we give."""
_OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY"""


class Replay(NamedTuple):
    """A recorded run."""

    launch: Callable[[], None]
    free: Callable[[], None]


Start = Callable[[Sequence[int], int, Sequence[int], Sequence[int]], None]
"""Enqueues, or records, a kernel: grid, threads of a block, arguments that are addresses, those behind that are int32.
Raises EngineError when the GPU refuses."""


class Laps(Protocol):
    """A stopwatch on a GPU's stream."""

    def mark(self, instant: int) -> None:
        """Enqueue, or record, a note of the time when all before it on the stream is done."""
        ...

    def ms(self) -> list[float]:
        """Milliseconds between the instants, one fewer than there are; after ``synchronize``."""
        ...


class Gpu(Protocol):
    """What an engine needs of CUDA. All but ``name`` and ``close`` are called inside ``current``."""

    name: str
    compute_capability: str
    """Such as ``9.0``."""
    stream: int
    """The handle that runtimes take."""

    def current(self) -> AbstractContextManager[None]:
        """The GPU's context is this thread's."""
        ...

    def memory_bytes(self) -> tuple[int, int]:
        """Free and in all."""
        ...

    def buffer(self, nbytes: int) -> int:
        """The address of that many bytes on the GPU. Raises MemoryError."""
        ...

    def pinned(self, nbytes: int) -> np.ndarray:
        """uint8 [nbytes] in memory that the GPU reads and writes by itself. Raises MemoryError."""
        ...

    def upload(self, address: int, array: np.ndarray) -> None:
        """Enqueue a copy from pinned memory. Raises EngineError when the GPU has failed."""
        ...

    def download(self, array: np.ndarray, address: int) -> None:
        """Enqueue a copy to pinned memory. Raises EngineError when the GPU has failed."""
        ...

    def synchronize(self) -> None:
        """Wait until all that was enqueued is done. Raises EngineError when it failed."""
        ...

    def recorded(self, enqueue: Callable[[], None]) -> Replay | None:
        """What ``enqueue`` enqueues, as one graph; None where something in it cannot be recorded."""
        ...

    def laps(self, instants: int) -> Laps:
        """A stopwatch with that many instants, numbered from 0."""
        ...

    def kernel(self, ptx: bytes, name: str) -> Start:
        """What starts the kernel of that name in a PTX file. Raises EngineError when the driver cannot compile it."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


def opened_gpu(index: int) -> Gpu:
    """The GPU with this index. Raises EngineError, with what to do, when there is none that can be used."""
    try:
        import pycuda.driver as driver
    except ImportError as error:
        raise EngineError(
            f"a TensorRT engine needs PyCUDA, which does not import ({error}); pip install pycuda"
        ) from error
    try:
        driver.init()
        gpus = driver.Device.count()
    except driver.Error as error:
        raise GpuError(f"no NVIDIA GPU can be used here ({error}); check nvidia-smi") from error
    if not 0 <= index < gpus:
        raise EngineError(f"there is no GPU {index}: {gpus} found, counted from 0; set gpu_index")
    try:
        return _PyCudaGpu(driver, index)
    except driver.Error as error:
        raise GpuError(f"GPU {index} cannot be used ({error}); check nvidia-smi") from error


@cache
def _primary_context(index: int) -> Any:
    """Shared by all engines of the process, and with TensorRT, which holds it until the process ends anyway."""
    import pycuda.driver as driver

    return driver.Device(index).retain_primary_context()


class _PyCudaGpu:
    def __init__(self, driver: Any, index: int) -> None:
        device = driver.Device(index)
        self.name = str(device.name())
        self.compute_capability = ".".join(map(str, device.compute_capability()))
        self._driver = driver
        self._context = _primary_context(index)
        self._held: list[Any] = []
        with self.current():
            self._stream: Any | None = driver.Stream()
        self.stream = int(self._stream.handle)

    @contextmanager
    def current(self) -> Iterator[None]:
        self._context.push()
        try:
            yield
        finally:
            self._driver.Context.pop()

    def memory_bytes(self) -> tuple[int, int]:
        free, total = self._driver.mem_get_info()
        return int(free), int(total)

    def buffer(self, nbytes: int) -> int:
        with self._as_memory_error():
            self._held.append(self._driver.mem_alloc(nbytes))
        return int(self._held[-1])

    def pinned(self, nbytes: int) -> np.ndarray:
        with self._as_memory_error():
            array = self._driver.pagelocked_empty(nbytes, np.uint8)
        self._held.append(array.base)
        return array

    def upload(self, address: int, array: np.ndarray) -> None:
        with self._as_engine_error():
            self._driver.memcpy_htod_async(address, array, self._stream)

    def download(self, array: np.ndarray, address: int) -> None:
        with self._as_engine_error():
            self._driver.memcpy_dtoh_async(array, address, self._stream)

    def synchronize(self) -> None:
        assert self._stream is not None
        with self._as_engine_error():
            self._stream.synchronize()

    def recorded(self, enqueue: Callable[[], None]) -> Replay | None:
        return _recorded(self.stream, enqueue)

    def laps(self, instants: int) -> Laps:
        self._held.append(_Laps(self.stream, instants))
        return self._held[-1]

    def kernel(self, ptx: bytes, name: str) -> Start:
        loaded = Module(self.stream, ptx, name)
        self._held.append(loaded)
        return loaded.start

    def close(self) -> None:
        if self._stream is None:
            return
        with self.current():
            # After a failure of the GPU nothing can be freed any more, and nothing needs to be.
            with suppress(EngineError):
                self.synchronize()
            while self._held:
                with suppress(self._driver.Error):
                    self._held.pop().free()
            self._stream = None

    @contextmanager
    def _as_engine_error(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise GpuError(f"the GPU failed ({error}); start the program again") from error

    @contextmanager
    def _as_memory_error(self) -> Iterator[None]:
        try:
            yield
        except self._driver.MemoryError as error:
            raise MemoryError(str(error)) from error


def _recorded(stream: int, enqueue: Callable[[], None]) -> Replay | None:
    """A CUDA graph by the driver's own functions, which PyCUDA does not wrap."""
    cuda = ctypes.CDLL("libcuda.so.1")
    handle = ctypes.c_void_p(stream)
    graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
    if cuda.cuStreamBeginCapture_v2(handle, _THREAD_LOCAL):
        return None
    enqueued = False
    try:
        with suppress(EngineError):
            enqueue()
            enqueued = True
    finally:  # whatever was raised: a stream that goes on recording runs nothing any more
        failed = cuda.cuStreamEndCapture(handle, ctypes.byref(graph))
        if graph and not enqueued:
            cuda.cuGraphDestroy(graph)
    if failed or not enqueued or not graph:
        return None
    failed = cuda.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
    cuda.cuGraphDestroy(graph)
    if failed:
        return None

    def launch() -> None:
        if code := cuda.cuGraphLaunch(executable, handle):
            raise GpuError(f"the GPU failed (CUDA error {code}); start the program again")

    def free() -> None:
        cuda.cuGraphExecDestroy(executable)

    return Replay(launch, free)


class _Laps:
    """CUDA events by the driver's own functions: PyCUDA's cannot become part of a recording."""

    def __init__(self, stream: int, instants: int) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._stream = ctypes.c_void_p(stream)
        self._events = [ctypes.c_void_p() for _ in range(instants)]
        for event in self._events:
            self._check(self._cuda.cuEventCreate(ctypes.byref(event), ctypes.c_uint(0)))

    def mark(self, instant: int) -> None:
        recording = ctypes.c_int()
        self._check(self._cuda.cuStreamIsCapturing(self._stream, ctypes.byref(recording)))
        flag = ctypes.c_uint(_EXTERNAL if recording.value else 0)
        self._check(self._cuda.cuEventRecordWithFlags(self._events[instant], self._stream, flag))

    def ms(self) -> list[float]:
        elapsed_ms = ctypes.c_float()
        between = []
        for begin, end in pairwise(self._events):
            self._check(self._cuda.cuEventElapsedTime(ctypes.byref(elapsed_ms), begin, end))
            between.append(elapsed_ms.value)
        return between

    def free(self) -> None:
        while self._events:
            self._cuda.cuEventDestroy_v2(self._events.pop())

    def _check(self, code: int) -> None:
        if code:
            raise GpuError(f"the GPU's clock cannot be read (CUDA error {code}); start the program again")


class Module:
    """One kernel by the driver's own functions, which say what is wrong with its PTX; in the current context."""

    def __init__(self, stream: int, ptx: bytes, name: str, library: str = "libcuda.so.1") -> None:
        self._cuda = ctypes.CDLL(library)
        self._stream = ctypes.c_void_p(stream)
        self._module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        self._name = name
        log = ctypes.create_string_buffer(_LOG_BYTES)
        options = (ctypes.c_int * 2)(_ERROR_LOG, _ERROR_LOG_BYTES)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), _LOG_BYTES)
        text = ctypes.create_string_buffer(ptx)  # ends with a zero, as the driver wants it
        code = self._cuda.cuModuleLoadDataEx(ctypes.byref(self._module), text, ctypes.c_uint(2), options, values)
        if not code:
            code = self._cuda.cuModuleGetFunction(ctypes.byref(self.function), self._module, name.encode())
            if code:
                self.free()
        if code == _OUT_OF_MEMORY:
            raise MemoryError
        if code:
            said = " ".join(log.value.decode(errors="replace").split()) or "nothing"
            raise EngineError(
                f"the driver cannot load the kernel {name} (CUDA error {code}; it says: {said}); install a newer "
                "driver, or build the engine again with --no-kernels"
            )

    def start(self, grid: Sequence[int], threads: int, addresses: Sequence[int], numbers: Sequence[int]) -> None:
        # The driver copies the arguments before it returns, also while a recording goes on.
        values = [*map(ctypes.c_uint64, addresses), *map(ctypes.c_int32, numbers)]
        pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        sizes = [ctypes.c_uint(length) for length in (*grid, threads, 1, 1, 0)]  # the last: dynamic shared memory
        code = self._cuda.cuLaunchKernel(self.function, *sizes, self._stream, pointers, None)
        if code:
            raise GpuError(f"the GPU refused the kernel {self._name} (CUDA error {code}); start the program again")

    def free(self) -> None:
        module, self._module = self._module, ctypes.c_void_p()
        if module:
            self._cuda.cuModuleUnload(module)
