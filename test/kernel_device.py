"""As much of a GPU as a kernel needs, by the driver's own functions and NumPy. LIBCUDA names another driver."""

import ctypes
import os

import numpy as np

from ffs_ros.engine.cuda import Module
from ffs_ros.engine.kernel_calls import ptx

_REGISTERS, _SHARED, _LOCAL = 4, 1, 3


class Device:
    def __init__(self, index=0):
        self.library = os.environ.get("LIBCUDA", "libcuda.so.1")
        self.cuda = ctypes.CDLL(self.library)
        self.call("cuInit", 0)
        device, context, self.stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), index)
        name = ctypes.create_string_buffer(100)
        self.call("cuDeviceGetName", name, 100, device)
        self.name = name.value.decode()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.call("cuStreamCreate", ctypes.byref(self.stream), 1)
        self.buffers = []

    def call(self, function, *arguments):
        code = getattr(self.cuda, function)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self.cuda.cuGetErrorString(code, ctypes.byref(text))
            raise RuntimeError(f"{function}: {code}, {(text.value or b'').decode()}")

    def kernel(self, name):
        """As an engine loads it."""
        return Module(self.stream.value or 0, ptx(name), name, self.library)

    def facts(self, kernel, threads):
        values = []
        for attribute in (_REGISTERS, _SHARED, _LOCAL):
            value = ctypes.c_int()
            self.call("cuFuncGetAttribute", ctypes.byref(value), attribute, kernel.function)
            values.append(value.value)
        blocks = ctypes.c_int()
        self.call(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor",
            ctypes.byref(blocks), kernel.function, ctypes.c_int(threads), ctypes.c_size_t(0),
        )  # fmt: skip
        return dict(zip(("registers", "shared", "local"), values, strict=True), blocks_per_sm=blocks.value)

    def buffer(self, nbytes):
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(nbytes))
        self.call("cuMemsetD8_v2", address, ctypes.c_ubyte(0xFF), ctypes.c_size_t(nbytes))  # NaN
        self.call("cuCtxSynchronize")
        self.buffers.append(address)
        return address

    def up(self, array):
        array = np.ascontiguousarray(array)
        address = self.buffer(array.nbytes)
        self.call("cuMemcpyHtoD_v2", address, array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes))
        self.call("cuCtxSynchronize")
        return address

    def down(self, address, shape, dtype=np.float16):
        array = np.empty(shape, dtype)
        self.synchronize()
        self.call("cuMemcpyDtoH_v2", array.ctypes.data_as(ctypes.c_void_p), address, ctypes.c_size_t(array.nbytes))
        return array

    def flush(self, address, nbytes):
        """Enqueue a memset, which pushes other data out of the caches."""
        self.call("cuMemsetD8Async", address, ctypes.c_ubyte(0), ctypes.c_size_t(nbytes), self.stream)

    def free(self):
        while self.buffers:
            self.call("cuMemFree_v2", self.buffers.pop())

    def synchronize(self):
        self.call("cuStreamSynchronize", self.stream)

    def microseconds(self, enqueue, launches=200, rounds=7):
        """Per run of ``enqueue``, ``launches`` of them in one CUDA graph: least and median of the rounds."""
        enqueue()
        self.synchronize()
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuStreamBeginCapture_v2", self.stream, 1)
        for _ in range(launches):
            enqueue()
        self.call("cuStreamEndCapture", self.stream, ctypes.byref(graph))
        self.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        begin, end, ms, times = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_float(), []
        for event in (begin, end):
            self.call("cuEventCreate", ctypes.byref(event), 0)
        for turn in range(rounds + 1):
            self.call("cuEventRecord", begin, self.stream)
            self.call("cuGraphLaunch", executable, self.stream)
            self.call("cuEventRecord", end, self.stream)
            self.call("cuEventSynchronize", end)
            self.call("cuEventElapsedTime", ctypes.byref(ms), begin, end)
            times += [1000 * ms.value / launches] if turn else []
        self.call("cuGraphExecDestroy", executable)
        self.call("cuGraphDestroy", graph)
        return min(times), float(np.median(times))
