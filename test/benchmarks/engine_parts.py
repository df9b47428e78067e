"""Where an engine's time goes: each part of a graph built and run for itself, with its slowest layers.

python3 test/benchmarks/engine_parts.py MODEL.onnx [--part backbone ...] [--optimization-level N] [--layers 15]

Needs TensorRT, PyCUDA, onnx and a GPU. Without a timing cache, so that build times are those of a first build; nothing
is installed. ``--one-plan`` takes the network in one piece; ``--log`` writes what the builder says, with the second at
which it said it. The kernels of our own between parts are not timed here but by ``kernels/time_kernels.py``;
``--no-kernels`` takes the parts without them.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ffs_ros.engine.cuda import Gpu, opened_gpu
from ffs_ros.engine.kernel_calls import unfit
from ffs_ros.engine.trt_build import Network, Settings, Source
from ffs_ros.engine.trt_plan import Plan
from ffs_ros.engine.trt_versions import TensorRt, imported
from ffs_ros.tools.build_graph import Graph

WARM_UP, RUNS, PROFILED = 20, 200, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--part", nargs="+", help="only these")
    parser.add_argument("--one-plan", action="store_true")
    parser.add_argument("--no-kernels", action="store_true")
    parser.add_argument("--optimization-level", type=int, help="default: what is usual for each part")
    parser.add_argument("--workspace", type=float, default=4.0, help="GiB")
    parser.add_argument("--layers", type=int, default=15, help="how many of the slowest to print")
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    tensorrt, gpu, graph = imported(), opened_gpu(0), Graph(args.onnx)
    level = "as usual" if args.optimization_level is None else args.optimization_level
    print(f"{tensorrt.title}, {gpu.name}; {args.onnx.name}, optimisation level {level}")
    if args.log:
        tensorrt.logger.listener = written_to(args.log)
    settings = Settings(
        "fp16" if graph.typed else "fp32", graph.typed, args.workspace, args.optimization_level, None, False
    )
    with_kernels = [] if args.one_plan or args.no_kernels or unfit(gpu) else graph.sources_with_kernels()
    sources = with_kernels or graph.sources(args.one_plan)
    with gpu.current():
        begin_s = time.perf_counter()
        builder = tensorrt.trt.Builder(tensorrt.logger)
        print(f"the builder took {time.perf_counter() - begin_s:.0f} s to start")
        total_ms = total_s = 0.0
        for source in sources:
            if args.part and source.name not in args.part:
                continue
            begin_s = time.perf_counter()
            network = Network(tensorrt, builder, args.onnx, source, settings)
            content = network.plan(gpu)
            took_s = time.perf_counter() - begin_s
            held = f"held to fp32 {len(network.pins.fp32)}, to fp16 {len(network.pins.fp16)}"
            for warning in dict.fromkeys(tensorrt.logger.warnings):
                print(f"  {warning[:200]}")
            tensorrt.logger.clear()
            print(
                f"\n{source.name}: {source.nodes} nodes, built in {took_s:.0f} s, {len(content) / 1e6:.1f} MB; {held}"
            )
            ms = measured(tensorrt, gpu, source, content, args.layers)
            total_ms, total_s = total_ms + ms * source.repeat, total_s + took_s
        print(f"\nall of it: {total_ms:.3f} ms, built in {total_s:.0f} s")
    gpu.close()


def written_to(path: Path) -> Callable[[str], None]:
    """What a logger tells everything to."""
    begin_s, file = time.perf_counter(), path.open("w", buffering=2**16)

    def write(message: str) -> None:
        file.write(f"{time.perf_counter() - begin_s:7.2f} {message[:200]}\n")

    return write


def measured(tensorrt: TensorRt, gpu: Gpu, source: Source, content: bytes, layers: int) -> float:
    """Milliseconds of one run on random values; prints them and the slowest layers."""
    runtime = tensorrt.trt.Runtime(tensorrt.logger)
    free, _ = gpu.memory_bytes()
    plan = Plan(tensorrt, runtime, content, lambda what: RuntimeError(f"{what}: {list(tensorrt.logger.errors)}"))
    plan.use_scratch(gpu.buffer(max(plan.scratch_bytes, 1)), plan.scratch_bytes)
    rng = np.random.default_rng(0)
    for name, spec in plan.specs.items():
        address = gpu.buffer(plan.nbytes[name])
        host = gpu.pinned(plan.nbytes[name])
        values = host.view(spec.dtype)
        drawn = rng.integers(0, 256, values.size) if spec.dtype == np.uint8 else rng.random(values.size)
        values[...] = drawn.astype(spec.dtype)
        gpu.upload(address, host)
        plan.at(name, address)

    def run() -> None:
        assert plan.enqueue(gpu.stream), list(tensorrt.logger.errors)

    run()
    gpu.synchronize()
    replay = gpu.recorded(run)
    taken_ms = []
    for _ in range(WARM_UP + RUNS):
        begin_s = time.perf_counter()
        replay.launch() if replay else run()
        gpu.synchronize()
        taken_ms.append(1e3 * (time.perf_counter() - begin_s))
    p50, p99 = np.percentile(taken_ms[WARM_UP:], (50, 99))
    used = free - gpu.memory_bytes()[0]
    print(
        f"  p50 {p50:.3f} ms, p99 {p99:.3f} ms ({'recorded' if replay else 'enqueued'}), {source.repeat} times; "
        f"{used / 1e6:.0f} MB, of them {plan.scratch_bytes / 1e6:.0f} while it runs",
        flush=True,
    )
    if layers:
        print_layers(tensorrt.trt, plan, gpu, run, layers)
    if replay is not None:
        replay.free()
    plan.close()
    return float(p50)


def print_layers(trt: Any, plan: Plan, gpu: Gpu, run: Any, layers: int) -> None:
    sums: dict[str, float] = defaultdict(float)

    class Profiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, name: str, ms: float) -> None:
            sums[name] += ms / PROFILED

    plan._context.profiler = Profiler()
    for _ in range(PROFILED):
        run()
        gpu.synchronize()
    copies = sum(ms for name, ms in sums.items() if "Reformat" in name or name.endswith(" copy"))
    print(f"  {len(sums)} layers, {sum(sums.values()):.3f} ms one by one, of them {copies:.3f} ms copies and reformats")
    for name, ms in sorted(sums.items(), key=lambda item: -item[1])[:layers]:
        print(f"    {ms:.4f} {name[:150]}")


if __name__ == "__main__":
    main()
