"""One plan of TensorRT's: loaded, with the tensors that it reads and writes at addresses of the caller's choice."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ffs_ros.engine import TensorSpec
from ffs_ros.engine.trt_versions import TensorRt

Shape = tuple[int, ...]


class Plan:
    """Loaded, and not ready before ``use_scratch`` and an ``at`` for each tensor."""

    def __init__(self, tensorrt: TensorRt, runtime: Any, content: bytes, refusal: Callable[[str], Exception]) -> None:
        """``refusal`` makes an error of a few words and of what the runtime said; it is raised when that refuses."""
        trt = tensorrt.trt
        self._tensorrt = tensorrt
        self._engine = engine = runtime.deserialize_cuda_engine(content)
        if engine is None:
            raise refusal("cannot be loaded")
        self._context = context = tensorrt.context_without_memory(engine)
        if context is None:
            raise refusal("cannot be prepared")
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.outputs = [name for name in names if name not in self.inputs]
        self.specs = {
            name: TensorSpec(self._in_memory(name), tensorrt.dtype(engine.get_tensor_dtype(name))) for name in names
        }
        """Shapes in the order of memory, with None where they are open."""
        self.limits = {name: self._range(name) for name in self.inputs}
        """Smallest and largest shape of each input."""
        for name, (_, largest) in self.limits.items():
            context.set_input_shape(name, largest)
        self.scratch_bytes = tensorrt.context_bytes(engine)
        self.nbytes = {
            name: prod(self.shape(name) if None in spec.shape else spec.shape) * spec.dtype.itemsize  # type: ignore[arg-type]
            for name, spec in self.specs.items()
        }
        """Of each tensor at its largest."""

    def _shape(self, name: str) -> tuple[int | None, ...]:
        return tuple(None if length < 0 else int(length) for length in self._engine.get_tensor_shape(name))

    def _in_memory(self, name: str) -> tuple[int | None, ...]:
        shape = self._shape(name)
        if not self._tensorrt.channels_last(self._engine, name):
            return shape
        batch, channels, *place = shape
        assert channels is not None  # only plans of one size have such tensors
        return (batch, *place, -(-channels // 8) * 8)

    def _range(self, name: str) -> tuple[Shape, Shape]:
        shape = self._shape(name)
        if None not in shape:
            return shape, shape  # type: ignore[return-value]
        smallest, _, largest = self._engine.get_tensor_profile_shape(name, 0)
        return tuple(smallest), tuple(largest)

    def use_scratch(self, address: int, nbytes: int) -> None:
        """Where it may keep what lives during a run, at least ``scratch_bytes``; plans that take turns may share it."""
        self._tensorrt.use_memory(self._context, address, nbytes)

    def resize(self, name: str, shape: Shape) -> None:
        """Give an input another shape within its limits."""
        self._context.set_input_shape(name, shape)

    def shape(self, name: str) -> Shape:
        """The shape of a tensor for the inputs' shapes now."""
        return tuple(self._context.get_tensor_shape(name))

    def at(self, name: str, address: int) -> None:
        """Where the next run reads or writes a tensor."""
        self._context.set_tensor_address(name, address)

    def enqueue(self, stream: int) -> bool:
        """Run once, on what the tensors' addresses hold by then; False when the runtime refuses."""
        return bool(self._context.execute_async_v3(stream))

    def close(self) -> None:
        """Free it. The context lives in the engine."""
        self._context = None
        self._engine = None
