"""A TensorRT and a GPU of arrays: what the engine code asks of the real ones, with an answer that is known.

The engine that the fake builds gives d = left's red / 4, as the graph of the fixture ``tiny_onnx`` does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
from kernel_twins import run_twin

from ffs_ros.engine.cuda import Replay, Start
from ffs_ros.engine.manifest import Manifest
from ffs_ros.errors import EngineError


class FakeGpu:
    """Counts what is held; the memory of all fakes is one table, as addresses are the process's."""

    memory: dict[int, np.ndarray] = {}  # noqa: RUF012
    held = 0
    """Buffers, on the GPU and pinned, that nobody has freed."""
    kernels: list[str] = []  # noqa: RUF012
    """Those that were loaded."""
    broken = ""
    """The kernel that makes NaN of everything."""

    def __init__(self, name: str = "Fake GPU", free: int = 10**9, records: bool = True) -> None:
        self.name, self.compute_capability, self.stream = name, "9.0", 7
        self.free, self.records = free, records
        self.is_current = False
        self.closed = False
        self.allocations = self.uploads = self.launches = 0
        self.clock_ms = 0.0
        self._mine: list[int] = []
        self._recording: list[Callable[[], None]] | None = None

    @contextmanager
    def current(self) -> Iterator[None]:
        assert not self.is_current
        self.is_current = True
        try:
            yield
        finally:
            self.is_current = False

    def memory_bytes(self) -> tuple[int, int]:
        assert self.is_current
        return self.free, 2 * 10**9

    def buffer(self, nbytes: int) -> int:
        return self._allocated(nbytes)[0]

    def pinned(self, nbytes: int) -> np.ndarray:
        return self._allocated(nbytes)[1]

    def _allocated(self, nbytes: int) -> tuple[int, np.ndarray]:
        assert self.is_current
        assert not self.closed
        self.free -= nbytes
        if self.free < 0:
            raise MemoryError
        self.allocations += 1
        address = max(FakeGpu.memory, default=0) + 1
        FakeGpu.memory[address] = np.zeros(nbytes, np.uint8)
        self._mine.append(address)
        FakeGpu.held += 1
        return address, FakeGpu.memory[address]

    def upload(self, address: int, array: np.ndarray) -> None:
        self.uploads += 1
        self.do(lambda: self._copy(FakeGpu.memory[address], array.reshape(-1).view(np.uint8)), ms=1)

    def download(self, array: np.ndarray, address: int) -> None:
        self.do(lambda: self._copy(array.reshape(-1).view(np.uint8), FakeGpu.memory[address]), ms=3)

    @staticmethod
    def _copy(to: np.ndarray, source: np.ndarray) -> None:
        length = min(to.size, source.size)
        to[:length] = source[:length]

    def do(self, work: Callable[[], None], ms: float = 0) -> None:
        """What is enqueued is done at once, and takes ``ms``, or kept while a recording goes on."""
        assert self.is_current

        def step() -> None:
            work()
            self.clock_ms += ms

        if self._recording is None:
            step()
        else:
            self._recording.append(step)

    def synchronize(self) -> None:
        assert self.is_current

    def recorded(self, enqueue: Callable[[], None]) -> Replay | None:
        if not self.records:
            return None
        self._recording = steps = []
        try:
            enqueue()
        except EngineError:
            return None
        finally:
            self._recording = None
        FakeGpu.held += 1

        def launch() -> None:
            assert self.is_current
            self.launches += 1
            for step in steps:
                step()

        def free() -> None:
            FakeGpu.held -= 1

        return Replay(launch, free)

    def laps(self, instants: int) -> FakeLaps:
        assert self.is_current
        return FakeLaps(self, instants)

    def kernel(self, ptx: bytes, name: str) -> Start:
        assert self.is_current
        assert f".entry {name}(".encode() in ptx
        FakeGpu.kernels.append(name)

        def start(grid: Sequence[int], threads: int, addresses: Sequence[int], numbers: Sequence[int]) -> None:
            assert addresses[-1] not in addresses[:-1], "reads what it writes"
            arrays = [FakeGpu.memory[address] for address in addresses]

            def run() -> None:
                if name == FakeGpu.broken:
                    arrays[-1].fill(0xFF)  # NaN
                else:
                    run_twin(name, arrays, numbers, grid[2])

            self.do(run)

        return start

    def close(self) -> None:
        assert not self.is_current
        self.closed = True
        FakeGpu.held -= len(self._mine)
        for address in self._mine:
            del FakeGpu.memory[address]
        self._mine.clear()


class FakeLaps:
    """Reads the fake's clock."""

    def __init__(self, gpu: FakeGpu, instants: int) -> None:
        self._gpu = gpu
        self._noted_ms = [math.nan] * instants

    def mark(self, instant: int) -> None:
        def note() -> None:
            self._noted_ms[instant] = self._gpu.clock_ms

        self._gpu.do(note)

    def ms(self) -> list[float]:
        assert self._gpu.is_current
        return [end - begin for begin, end in pairwise(self._noted_ms)]


class Type(IntEnum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
    UINT8 = 5


class _ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class _IProgressMonitor:
    pass


class FakeTensorRt(SimpleNamespace):
    """The module. ``refuses`` is what the builder logs instead of building, ``answer`` what engines compute."""

    def __init__(
        self, version: str = "10.3.0", strong: bool = True, weak: bool = True, monitor: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            __version__=version,
            ILogger=_ILogger,
            NetworkDefinitionCreationFlag=_flags("EXPLICIT_BATCH", *["STRONGLY_TYPED"] * strong),
            BuilderFlag=_flags("TF32", *["FP16", "OBEY_PRECISION_CONSTRAINTS"] * weak),
            MemoryPoolType=_flags("WORKSPACE"),
            TacticSource=_flags("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS", "CUBLAS"),
            TensorIOMode=_flags("INPUT", "OUTPUT"),
            TensorFormat=_flags("LINEAR", "HWC8", "DHWC8"),
            float32=Type.FLOAT,
            float16=Type.HALF,
            Builder=lambda logger: _Builder(self, logger),
            OnnxParser=_Parser,
            Runtime=lambda logger: _Runtime(self, logger),
        )
        if monitor:
            self.IProgressMonitor = _IProgressMonitor
        if not version.startswith("8."):
            self.ExecutionContextAllocationStrategy = _flags("STATIC", "USER_MANAGED")
        self.gpu: FakeGpu | None = None
        self.refuses = ""
        self.says: list[str] = []
        self.during_build: Callable[[Any], None] = lambda config: None
        self.answer: Callable[[np.ndarray, str], np.ndarray] = lambda disparity, precision: disparity
        self.configs: list[Any] = []
        self.context_bytes = 1000
        self.contexts_left = 1000
        """How many more find memory for what they keep to themselves."""
        self.run_ms = 10.0
        self.loads = True

    def __hash__(self) -> int:
        return id(self)


def _flags(*names: str) -> Any:
    return IntEnum("Flag", {name: index for index, name in enumerate(names)})


class _Config:
    def __init__(self) -> None:
        self.flags: set[str] = {"TF32"}
        self.profile: Any = None
        self.progress_monitor: Any = None
        self.workspace = 0
        self.builder_optimization_level = 3
        self.tactic_sources = None
        self.cache = _Cache(b"")

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.workspace = size

    def set_tactic_sources(self, sources: int) -> None:
        self.tactic_sources = sources

    def add_optimization_profile(self, profile: Any) -> None:
        self.profile = profile

    def create_timing_cache(self, content: bytes) -> _Cache:
        return _Cache(content)

    def set_timing_cache(self, cache: _Cache, ignore_mismatch: bool) -> bool:
        if b"other driver" in cache.lines:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> _Cache:
        return self.cache


class _Cache:
    """One line for each kernel that was measured."""

    def __init__(self, content: bytes) -> None:
        self.lines = set(content.split())

    def combine(self, other: _Cache, ignore_mismatch: bool) -> bool:
        self.lines |= other.lines
        return True

    def serialize(self) -> bytes:
        return b"\n".join(sorted(self.lines))


class _Builder:
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def create_network(self, flags: int) -> Any:
        names = [flag.name for flag in self._trt.NetworkDefinitionCreationFlag if flags & (1 << flag)]
        return SimpleNamespace(flags=names, inputs=[], num_inputs=0, num_outputs=0, num_layers=0)

    def create_builder_config(self) -> _Config:
        self._trt.configs.append(_Config())
        return self._trt.configs[-1]

    def create_optimization_profile(self) -> Any:
        shapes: dict[str, Any] = {}
        return SimpleNamespace(shapes=shapes, set_shape=lambda name, *three: shapes.update({name: three}))

    def build_serialized_network(self, network: Any, config: _Config) -> bytes | None:
        self._trt.during_build(config)
        for message in self._trt.says:
            self._logger.log(_ILogger.WARNING, message)
        if self._trt.refuses:
            self._logger.log(_ILogger.ERROR, self._trt.refuses)
            return None
        half = "FP16" in config.flags or "half" in network.flags
        shapes = {tensor.name: list(tensor.shape) for tensor in network.inputs}
        profile = config.profile and config.profile.shapes
        plan = {"inputs": shapes, "profile": profile, "precision": "fp16" if half else "fp32"}
        return json.dumps(plan).encode()


class _Parser:
    num_errors = 1

    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network

    def parse(self, content: bytes, path: str) -> bool:
        import onnx

        if not content:
            return False
        model = onnx.load_model_from_string(content)
        for value in model.graph.input:
            shape = tuple(axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim)
            self._network.inputs.append(SimpleNamespace(name=value.name, shape=shape))
        self._network.num_inputs = len(self._network.inputs)
        self._network.get_input = self._network.inputs.__getitem__
        if any(entry.value == "fp16" for entry in model.metadata_props):
            self._network.flags.append("half")
        return True

    def get_error(self, index: int) -> Any:
        return SimpleNamespace(desc=lambda: "no ModelProto")


class _Runtime:
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        if not self._trt.loads:
            self._logger.log(_ILogger.ERROR, "Serialization assertion 0 failed")
            return None
        return _Engine(self._trt, self._logger, json.loads(plan))


class _Engine:
    num_io_tensors = 3

    def __init__(self, trt: FakeTensorRt, logger: Any, plan: dict[str, Any]) -> None:
        self.trt, self._logger, self.plan = trt, logger, plan
        self.device_memory_size = trt.context_bytes
        self.names = [*plan["inputs"], "disparity"]

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.trt.TensorIOMode.OUTPUT if name == "disparity" else self.trt.TensorIOMode.INPUT

    def get_tensor_dtype(self, name: str) -> Type:
        return Type.UINT8 if name in ("left", "right") else Type.FLOAT

    def get_tensor_format(self, name: str) -> Any:
        return self.trt.TensorFormat.LINEAR

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name != "disparity":
            return tuple(self.plan["inputs"][name])
        batch, rows, columns, _ = self.plan["inputs"]["left"]
        return batch, 1, rows, columns

    def get_tensor_profile_shape(self, name: str, index: int) -> Any:
        return self.plan["profile"][name]

    def create_execution_context(self, strategy: Any) -> _Context | None:
        assert strategy.name == "USER_MANAGED"
        return self.create_execution_context_without_device_memory()

    def create_execution_context_without_device_memory(self) -> _Context | None:
        assert self.trt.gpu is not None
        if self.trt.contexts_left == 0:
            self._logger.log(_ILogger.ERROR, "[defaultAllocator.cpp] Error Code 1: Cuda Runtime (out of memory)")
            return None
        self.trt.contexts_left -= 1
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Any) -> None:
        self._shapes[name] = tuple(shape)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name != "disparity":
            return self._shapes[name]
        batch, rows, columns, _ = self._shapes["left"]
        return batch, 1, rows, columns

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        trt, shape = self._engine.trt, self._shapes["left"]
        assert trt.gpu is not None

        def run() -> None:
            left = FakeGpu.memory[self._addresses["left"]][: int(np.prod(shape))].reshape(shape)
            disparity = trt.answer(left[:, None, ..., 0] * np.float32(0.25), self._engine.plan["precision"])
            to = FakeGpu.memory[self._addresses["disparity"]].view(np.float32)
            to[: disparity.size] = disparity.astype(np.float32).reshape(-1)

        trt.gpu.do(run, ms=trt.run_ms)
        return True


def fake_manifest(plan: bytes, **changes: Any) -> Manifest:
    """A manifest that fits ``plan`` and the fakes."""
    facts: dict[str, Any] = {
        "engine_bytes": len(plan),
        "engine_sha256": hashlib.sha256(plan).hexdigest(),
        "source": "model.onnx",
        "source_sha256": "5" * 64,
        "command": ["ffs", "build-engine", "/models/my model.onnx", "--precision", "fp16", "-o", "old.engine"],
        "runtime": "tensorrt",
        "runtime_version": "10.3.0",
        "gpu": "Fake GPU",
        "compute_capability": "9.0",
        "precision": "fp16",
        "why_precision": "",
        "strongly_typed": True,
        "io": "image",
        "sizes": {bound: [1, 32, 64] for bound in ("min", "opt", "max")},
        "max_disparity": 192.0,
        "iterations": 8,
        "weights": {"checkpoint_sha256": "7" * 64},
        "workspace_GiB": 4.0,
        "optimization_level": 3,
        "built_at": "2026-11-23T00:00:00+00:00",
        "build_s": 12.5,
        "proof": {"state": "passed"},
    }
    return Manifest(**{**facts, **changes})


def fake_plan(size: tuple[int, int] | None = (32, 64)) -> bytes:
    """An engine file of the fake; without a size it takes 32x32 to 64x128."""
    rows, columns = size or (-1, -1)
    shape = [1, rows, columns, 3]
    profile = None if size else [[1, 32, 32, 3], [1, 32, 64, 3], [1, 64, 128, 3]]
    names = ("left", "right")
    inputs = dict.fromkeys(names, shape)
    plan = {"inputs": inputs, "profile": profile and dict.fromkeys(names, profile), "precision": "fp16"}
    return json.dumps(plan).encode()
