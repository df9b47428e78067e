"""As much of a GPU as a kernel needs, by the driver's own functions and NumPy. LIBCUDA names another driver."""

import ctypes
import os
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
_REGISTERS, _SHARED, _LOCAL = 4, 1, 3
_LOG_BYTES = 8192


class Device:
    def __init__(self, index=0):
        self.cuda = ctypes.CDLL(os.environ.get("LIBCUDA", "libcuda.so.1"))
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

    def load(self, path=HERE / "kernels.ptx"):
        """The module of a PTX file, compiled by the driver."""
        self.module = ctypes.c_void_p()
        log = ctypes.create_string_buffer(_LOG_BYTES)
        options = (ctypes.c_int * 2)(5, 6)  # CU_JIT_ERROR_LOG_BUFFER, its size
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), _LOG_BYTES)
        text = Path(path).read_bytes() + b"\0"
        try:
            self.call("cuModuleLoadDataEx", ctypes.byref(self.module), text, 2, options, values)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.value.decode()}") from None
        return self

    def kernel(self, name):
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), self.module, name.encode())
        return function

    def facts(self, function, threads):
        values = []
        for attribute in (_REGISTERS, _SHARED, _LOCAL):
            value = ctypes.c_int()
            self.call("cuFuncGetAttribute", ctypes.byref(value), attribute, function)
            values.append(value.value)
        blocks = ctypes.c_int()
        self.call(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor",
            ctypes.byref(blocks), function, ctypes.c_int(threads), ctypes.c_size_t(0),
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

    def launch(self, function, grid, threads, *arguments):
        grid = (*grid, 1, 1)[:3]
        values = [one if isinstance(one, ctypes._SimpleCData) else ctypes.c_int(one) for one in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(one) for one in values))
        self.call("cuLaunchKernel", function, *grid, threads, 1, 1, 0, self.stream, pointers, None)

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
