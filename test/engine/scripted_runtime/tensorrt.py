"""TensorRT for processes that have this folder on their path: what it builds is a script in the place of a graph.

A script is JSON: ``name``, ``images`` (whether it takes them), ``held`` (layers held to fp32), and what building it
does, in this order: ``meets`` others that have begun, ``signal`` to itself, ``takes_s``, ``deaf_s`` (the same, and no
other thread of its process runs meanwhile), ``says`` a warning, ``raises``, ``refuses``. ``SCRIPT_LOG`` names a file
that gets ``name process`` when one begins. ONNX graphs take as long as ``SCRIPT_TAKES_S`` says.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fake_tensorrt import FakeGpu, FakeTensorRt

from ffs_ros.engine.precision_pins import Held

_LONGEST_MEETING_s = 60


def opened_gpu(index: int) -> FakeGpu:
    return FakeGpu()


def held(trt: Any, network: Any, full_nodes: Any) -> Held:
    return Held([None] * network.script.get("held", 0), [], [])


class _Parser:
    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network

    def parse(self, content: bytes, path: str) -> bool:
        try:
            script = json.loads(content)
            shapes = {"left": (1, 32, 64, 3), "right": (1, 32, 64, 3)} if script.get("images") else {}
        except ValueError:
            import onnx

            graph = onnx.load_model_from_string(content).graph
            inputs = {one.name: one.type.tensor_type.shape.dim for one in graph.input}
            shapes = {name: tuple(axis.dim_value for axis in dims) for name, dims in inputs.items()}
            script = {"name": "-".join(shapes), "takes_s": float(os.environ.get("SCRIPT_TAKES_S", "0"))}
        inputs = [SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()]
        self._network.script, self._network.inputs, self._network.num_inputs = script, inputs, len(inputs)
        self._network.get_input, self._network.num_outputs = inputs.__getitem__, 0
        return True


class _Builder:
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def create_network(self, flags: int) -> Any:
        return SimpleNamespace()

    def create_builder_config(self) -> Any:
        return FakeTensorRt().Builder(None).create_builder_config()

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        script, log = network.script, Path(os.environ["SCRIPT_LOG"])
        with log.open("a") as file:
            file.write(f"{script['name']} {os.getpid()}\n")
        end_s = time.monotonic() + _LONGEST_MEETING_s
        while len(log.read_text().splitlines()) < script.get("meets", 0):
            assert time.monotonic() < end_s, "the others do not come"
            time.sleep(0.01)
        if "signal" in script:
            os.kill(os.getpid(), script["signal"])
        if config.progress_monitor is not None:
            config.progress_monitor.phase_start("build", None, 2)
            config.progress_monitor.step_complete("build", 0)
        time.sleep(script.get("takes_s", 0))
        ctypes.PyDLL(None).sleep(script.get("deaf_s", 0))
        if "says" in script:
            self._logger.log(self._trt.ILogger.WARNING, script["says"])
        if "raises" in script:
            raise RuntimeError(script["raises"])
        if "refuses" in script:
            self._logger.log(self._trt.ILogger.ERROR, script["refuses"])
            return None
        config.get_timing_cache().lines.add(script["name"].encode())
        return f"plan of {script['name']};".encode()


_module = FakeTensorRt("8.6.1", strong=False, monitor="SCRIPT_MONITOR" in os.environ)
_module.OnnxParser = _Parser
_module.Builder = lambda logger: _Builder(_module, logger)
_module.opened_gpu, _module.held = opened_gpu, held
if "ffs_ros.tools.build_engine" in sys.modules:
    sys.modules["ffs_ros.tools.build_engine"].opened_gpu = opened_gpu  # type: ignore[attr-defined]
if sys.argv[0] == "-c" and "ffs_ros.tools.build_engine" not in sys.modules:  # a worker
    sys.modules["ffs_ros.engine.side_by_side"].opened_gpu = opened_gpu  # type: ignore[attr-defined]
    sys.modules["ffs_ros.engine.trt_build"].pin = held  # type: ignore[attr-defined]
sys.modules["tensorrt"] = _module  # type: ignore[assignment]
