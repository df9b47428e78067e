"""A TensorRT that computes: its plans are ONNX graphs, run by ONNX Runtime on the arrays of the fake GPU."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from fake_tensorrt import FakeGpu, FakeTensorRt, Type

_TYPES = {"tensor(float)": Type.FLOAT, "tensor(float16)": Type.HALF, "tensor(uint8)": Type.UINT8}
_DTYPES = {Type.FLOAT: np.float32, Type.HALF: np.float16, Type.UINT8: np.uint8}


class ReferenceTensorRt(FakeTensorRt):
    """Builds what it is given, strongly typed, and keeps the graphs; each loaded plan is a session."""

    def __init__(self) -> None:
        super().__init__(weak=False)
        self.built: list[bytes] = []
        self.OnnxParser = _Parser
        self.Builder = lambda logger: _Builder(self)
        self.Runtime = lambda logger: SimpleNamespace(deserialize_cuda_engine=partial(_Engine, self))


class _Parser:
    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network

    def parse(self, content: bytes, path: str) -> bool:
        import onnx

        self._network.content = content
        inputs = onnx.load_model_from_string(content).graph.input
        shapes = {one.name: tuple(axis.dim_value for axis in one.type.tensor_type.shape.dim) for one in inputs}
        self._network.inputs = [SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()]
        self._network.num_inputs, self._network.num_outputs = len(inputs), 0
        self._network.get_input = self._network.inputs.__getitem__
        return True


class _Builder:
    def __init__(self, trt: ReferenceTensorRt) -> None:
        self._trt = trt

    def create_network(self, flags: int) -> Any:
        return SimpleNamespace()

    def create_builder_config(self) -> Any:
        return FakeTensorRt().Builder(None).create_builder_config()

    def build_serialized_network(self, network: Any, config: Any) -> bytes:
        if config.progress_monitor is not None:
            config.progress_monitor.phase_start("build", None, 2)
            config.progress_monitor.step_complete("build", 0)
            config.progress_monitor.phase_finish("build")
        self._trt.built.append(network.content)
        return bytes(network.content)


class _Engine:
    device_memory_size_v2 = 4096

    def __init__(self, trt: ReferenceTensorRt, content: bytes) -> None:
        import onnxruntime

        self.trt = trt
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # opens sooner
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]
        self._tensors = {one.name: one for one in (*self.session.get_inputs(), *self.session.get_outputs())}
        self.names = list(self._tensors)
        self.num_io_tensors = len(self.names)
        self.get_tensor_name = self.names.__getitem__

    def get_tensor_mode(self, name: str) -> Any:
        return self.trt.TensorIOMode.INPUT if name in self.inputs else self.trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Type:
        return _TYPES[self._tensors[name].type]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def create_execution_context(self, strategy: Any) -> _Context:
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_device_memory(self, address: int, nbytes: int) -> None:
        assert FakeGpu.memory[address].size >= nbytes >= self._engine.device_memory_size_v2

    def set_input_shape(self, name: str, shape: Any) -> None:
        assert tuple(shape) == self._engine.get_tensor_shape(name)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._engine.get_tensor_shape(name)

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        engine, addresses = self._engine, dict(self._addresses)
        written = {addresses[name] for name in engine.names if name not in engine.inputs}
        assert written.isdisjoint(addresses[name] for name in engine.inputs), "reads what it writes"

        def view(name: str) -> np.ndarray:
            shape, dtype = engine.get_tensor_shape(name), np.dtype(_DTYPES[engine.get_tensor_dtype(name)])
            return FakeGpu.memory[addresses[name]][: int(np.prod(shape)) * dtype.itemsize].view(dtype).reshape(shape)

        def run() -> None:
            outputs = [name for name in engine.names if name not in engine.inputs]
            results = engine.session.run(outputs, {name: view(name) for name in engine.inputs})
            for name, result in zip(outputs, results, strict=True):
                view(name)[...] = result

        assert engine.trt.gpu is not None
        engine.trt.gpu.do(run, ms=engine.trt.run_ms)
        return True
