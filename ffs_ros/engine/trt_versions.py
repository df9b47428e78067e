"""What TensorRT 8.6, 10, 11 and TensorRT-RTX do differently; everything else is written once, with named tensors.

| | 8.6 | 10 | 11 | RTX |
|---|---|---|---|---|
| network types | weak | weak or strong | strong | strong |
| tells its progress | no | yes | yes | yes |
| times kernels, so wants a GPU and a timing cache | yes | yes | yes | no |
| compiles kernels one by one for most of that time | yes | no | no | no |
| ``device_memory_size`` | yes | ``_v2`` | ``_v2`` | ``_v2`` |
| a context without memory of its own | a call | a strategy | a strategy | a strategy |

Types: in a weakly typed network the builder chooses each layer's, among those that flags and layers allow; in a
strongly typed one they are the graph's.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ffs_ros.advice import RTX_PACKAGES, TENSORRT_PACKAGES
from ffs_ros.errors import EngineError

AUTO, TENSORRT, RTX = "auto", "tensorrt", "tensorrt_rtx"
RUNTIMES = (TENSORRT, RTX)
_TITLES = {TENSORRT: "TensorRT", RTX: "TensorRT-RTX"}
_OLDEST = (8, 6)
_INSTALL = {
    TENSORRT: f"{TENSORRT_PACKAGES} (on a Jetson JetPack brings it: use an environment made with "
    "--system-site-packages)",
    RTX: RTX_PACKAGES,
}

_MOST_MESSAGES = 10_000

_DTYPES = {"FLOAT": np.float32, "HALF": np.float16, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64}
"""TensorRT's own ``nptype`` of 8.6 needs a NumPy older than 1.24."""


_FEW_NODES = 100
"""Of a part that is built in half the time of the largest, also one level higher."""


class TensorRt:
    """One runtime: its Python module, and what its version can."""

    def __init__(self, runtime: str, module: Any) -> None:
        self.runtime = runtime
        self.trt = module
        self.version = str(module.__version__)
        self.title = f"{_TITLES[runtime]} {self.version}"
        self.logger = _logger(module)
        self.can_be_strong = hasattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
        self.can_be_weak = hasattr(module.BuilderFlag, "FP16")
        self.builds_without_gpu = runtime == RTX
        # Speed shows in no attribute. Where the GPU is idle meanwhile, builds side by side do not disturb their timing.
        self.compiles_while_timing = runtime == TENSORRT and self.version.startswith("8.")
        self.usual_optimization_level = 2 if self.compiles_while_timing else 3
        """Of a whole graph, and of the largest part of one."""
        self.tells_progress = hasattr(module, "IProgressMonitor")

    def optimization_level(self, nodes: int, repeat: int) -> int:
        """What is usual for a graph or a part of one, which runs ``repeat`` times for each pair.

        Where levels cost minutes the largest part says how long a build takes. Smaller ones, built beside it, are done
        before it at a higher one; those that run again and again gain most.
        """
        if not self.compiles_while_timing:
            return self.usual_optimization_level
        more = 2 if repeat > 1 else 1 if nodes < _FEW_NODES else 0
        return self.usual_optimization_level + more

    def network(self, builder: Any, strong: bool) -> Any:
        """An empty network definition."""
        flags = self.trt.NetworkDefinitionCreationFlag
        wanted = [flags.STRONGLY_TYPED] if strong else []
        if hasattr(flags, "EXPLICIT_BATCH"):  # 8.6 wants it, 10 ignores it, 11 has it no more
            wanted.append(flags.EXPLICIT_BATCH)
        return builder.create_network(sum(1 << int(flag) for flag in wanted))

    def avoid_libraries(self, config: Any) -> None:
        """Keep to TensorRT's own kernels: cuBLAS and cuDNN gain nothing here, and their contexts cost memory."""
        source = getattr(self.trt, "TacticSource", None)
        own = [getattr(source, name, None) for name in ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")]
        if not self.builds_without_gpu and None not in own:
            config.set_tactic_sources(sum(1 << int(one) for one in own if one is not None))

    def lay_out(self, network: Any, channels_last: Collection[str]) -> None:
        """Fix how what passes a network's borders lies in memory: as its shape says, or with the channels last.

        Channels last is how convolutions read pictures and volumes; kernels of our own read and write both.
        """
        if self.builds_without_gpu:
            return
        formats = self.trt.TensorFormat
        inputs = [network.get_input(index) for index in range(network.num_inputs)]
        for tensor in (*inputs, *(network.get_output(index) for index in range(network.num_outputs))):
            kept = formats.LINEAR
            if tensor.name in channels_last:
                kept = formats.HWC8 if len(tensor.shape) == len("BCHW") else formats.DHWC8
            tensor.allowed_formats = 1 << int(kept)

    def channels_last(self, engine: Any, name: str) -> bool:
        """Whether a tensor at a plan's border lies so, its channels filled up to a multiple of eight."""
        formats = self.trt.TensorFormat
        return engine.get_tensor_format(name) in (formats.HWC8, formats.DHWC8)

    def watch(self, config: Any, report: Callable[[float], bool]) -> None:
        """``report`` gets the share that is done, 0 to 1, now and then, and returns whether to go on."""
        if self.tells_progress:
            config.progress_monitor = _monitor(self.trt, report)

    def context_bytes(self, engine: Any) -> int:
        """GPU memory that one execution context takes."""
        name = "device_memory_size_v2" if hasattr(engine, "device_memory_size_v2") else "device_memory_size"
        return int(getattr(engine, name))

    def context_without_memory(self, engine: Any) -> Any:
        """An execution context that uses the memory that ``use_memory`` names; None when there is none to be had."""
        strategy = getattr(self.trt, "ExecutionContextAllocationStrategy", None)
        if strategy is None:
            return engine.create_execution_context_without_device_memory()
        return engine.create_execution_context(strategy.USER_MANAGED)

    def use_memory(self, context: Any, address: int, nbytes: int) -> None:
        """Have a context keep what lives during a run at ``address``."""
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(address, nbytes)
        else:  # before 10.1
            context.device_memory = address

    def dtype(self, tensor_dtype: Any) -> np.dtype[np.generic]:
        """NumPy's name for a type. Raises EngineError for one that no engine of ours has at its border."""
        if tensor_dtype.name not in _DTYPES:
            raise EngineError(f"a tensor of the engine is {tensor_dtype.name}, which is not supported; export it again")
        return np.dtype(_DTYPES[tensor_dtype.name])


def imported(runtime: str = AUTO) -> TensorRt:
    """The runtime of that name, or the first one that is installed. Raises EngineError when there is none."""
    problems = []
    for name in RUNTIMES if runtime == AUTO else (runtime,):
        try:
            found = TensorRt(name, _module(name))
        except ImportError as error:
            problems.append(f"{_TITLES[name]} does not import ({error}): {_INSTALL[name]}")
            continue
        numbers = tuple(int(number) for number in re.findall(r"\d+", found.version)[:2])
        if name == TENSORRT and numbers < _OLDEST:
            problems.append(f"TensorRT {found.version} is older than 8.6: install a newer one")
            continue
        return found
    raise EngineError("; ".join(problems))


def _module(runtime: str) -> Any:
    if runtime == TENSORRT:
        return import_module("tensorrt")
    try:
        return import_module("tensorrt_rtx")
    except ModuleNotFoundError:  # the parts are packages of their own, which work without the one above them
        import_module("tensorrt_rtx_libs")
        return import_module("tensorrt_rtx_bindings")


class Messages:
    """What a runtime says, kept until somebody asks: errors explain what came back as None."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=_MOST_MESSAGES)
        self.warnings: deque[str] = deque(maxlen=_MOST_MESSAGES)
        self.listener: Callable[[str], None] | None = None
        """Hears everything, thousands of sentences about each layer, to find out what a build spends its time on."""

    def clear(self) -> None:
        self.errors.clear()
        self.warnings.clear()


@cache
def _logger(trt: Any) -> Any:
    """One for the whole process: TensorRT keeps the first that it gets."""

    class Logger(trt.ILogger, Messages):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            Messages.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(" ".join(message.split()))
            elif severity == trt.ILogger.WARNING:
                self.warnings.append(" ".join(message.split()))
            if self.listener is not None:
                self.listener(message)

    return Logger()


def _monitor(trt: Any, report: Callable[[float], bool]) -> Any:
    phases = Phases()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            phases.start(name, parent, steps)

        def phase_finish(self, name: str) -> None:
            phases.finish(name)

        def step_complete(self, name: str, step: int) -> bool:
            phases.step(name, step)
            return report(phases.done)

    return Monitor()


class Phases:
    """How much of a build is done, from phases within phases, each with a number of steps."""

    def __init__(self) -> None:
        self._steps: dict[str, tuple[str | None, int, int]] = {}
        """Parent, steps in all and steps done of each phase that goes on."""
        self.done = 0.0
        """0 to 1; never falls, though a phase may begin another round."""

    def start(self, name: str, parent: str | None, steps: int) -> None:
        self._steps[name] = (parent, steps, 0)

    def step(self, name: str, step: int) -> None:
        parent, steps, _ = self._steps[name]
        self._steps[name] = (parent, steps, step + 1)
        self.done = max(self.done, sum(self._share(root) for root, (above, _, _) in self._steps.items() if not above))

    def finish(self, name: str) -> None:
        self._steps.pop(name, None)

    def _share(self, name: str) -> float:
        _, steps, done = self._steps[name]
        within = sum(self._share(child) for child, (parent, _, _) in self._steps.items() if parent == name)
        return min(1.0, (done + min(1.0, within)) / max(steps, 1))
