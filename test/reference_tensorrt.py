"""A TensorRT that computes: its plans are ONNX graphs, run by ONNX Runtime on the arrays of the fake GPU."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from fake_tensorrt import FakeGpu, FakeTensorRt, Type

_TYPES = {"tensor(float)": Type.FLOAT, "tensor(float16)": Type.HALF, "tensor(uint8)": Type.UINT8}
_CHANNELS_LAST = "channels last"
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
        graph, network = onnx.load_model_from_string(content).graph, self._network
        network.inputs, network.outputs = (
            [
                SimpleNamespace(
                    name=one.name, shape=tuple(axis.dim_value for axis in one.type.tensor_type.shape.dim),
                    allowed_formats=None,
                )
                for one in ones
            ]
            for ones in (graph.input, graph.output)
        )  # fmt: skip
        network.num_inputs, network.num_outputs = len(network.inputs), len(network.outputs)
        network.get_input, network.get_output = network.inputs.__getitem__, network.outputs.__getitem__
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
        formats = self._trt.TensorFormat
        last = [
            one.name
            for one in (*network.inputs, *network.outputs)
            if one.allowed_formats == 1 << int(formats.HWC8 if len(one.shape) == 4 else formats.DHWC8)
        ]
        self._trt.built.append(with_note(network.content, last))
        return self._trt.built[-1]


def with_note(content: bytes, channels_last: list[str]) -> bytes:
    """The graph, with the tensors that are to lie so in memory; as it was where there are none."""
    import onnx

    if not channels_last:
        return bytes(content)
    model = onnx.load_model_from_string(content)
    model.metadata_props.add(key=_CHANNELS_LAST, value=" ".join(channels_last))
    return bytes(model.SerializeToString())


class _Engine:
    device_memory_size_v2 = 4096

    def __init__(self, trt: ReferenceTensorRt, content: bytes) -> None:
        import onnxruntime

        self.trt = trt
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # opens sooner
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        notes = self.session.get_modelmeta().custom_metadata_map
        self.channels_last = notes.get(_CHANNELS_LAST, "").split()
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

    def get_tensor_format(self, name: str) -> Any:
        if name not in self.channels_last:
            return self.trt.TensorFormat.LINEAR
        return self.trt.TensorFormat.HWC8 if len(self.get_tensor_shape(name)) == 4 else self.trt.TensorFormat.DHWC8

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
            """What is there, with the axes of the graph; what fills channels up is beside it."""
            shape, dtype = engine.get_tensor_shape(name), np.dtype(_DTYPES[engine.get_tensor_dtype(name)])
            channels = shape[1] if name in engine.channels_last else 0
            if channels:
                shape = (shape[0], *shape[2:], -(-channels // 8) * 8)
            there = FakeGpu.memory[addresses[name]][: int(np.prod(shape)) * dtype.itemsize].view(dtype).reshape(shape)
            return np.moveaxis(there[..., :channels], -1, 1) if channels else there

        def run() -> None:
            outputs = [name for name in engine.names if name not in engine.inputs]
            results = engine.session.run(outputs, {name: np.ascontiguousarray(view(name)) for name in engine.inputs})
            for name, result in zip(outputs, results, strict=True):
                view(name)[...] = result

        assert engine.trt.gpu is not None
        engine.trt.gpu.do(run, ms=engine.trt.run_ms)
        return True
