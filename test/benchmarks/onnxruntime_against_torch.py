"""Seconds of the same network in ONNX Runtime and in PyTorch, in turns, on the CPU.

python test/benchmarks/onnxruntime_against_torch.py CHECKPOINT [--size 320x736] [--iters 8] [--threads 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.engine import open_engine
from ffs_ros.graph.model import build_model
from ffs_ros.network import network_from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", default="320x736")
    parser.add_argument("--iters", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rows, columns = map(int, args.size.split("x"))
    torch.set_num_threads(args.threads)
    tensors = open_checkpoint(args.checkpoint).tensors
    left, right = np.random.default_rng(0).integers(0, 256, (2, 1, rows, columns, 3), dtype=np.uint8)
    network = network_from(tensors, args.iters)
    images = [torch.from_numpy(image).permute(0, 3, 1, 2) for image in (left, right)]

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(build_model(tensors, (rows, columns), args.iters), path)
        engine = open_engine(path, gpu_index=None, threads=args.threads)

    def by_torch() -> None:
        with torch.inference_mode():
            network(*images)

    def by_onnxruntime() -> None:
        engine.infer({"left": left, "right": right})

    runs = {"PyTorch": by_torch, "ONNX Runtime": by_onnxruntime}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            run()
            seconds[name].append((time.perf_counter() - wall_s, time.process_time() - cpu_s))
    print(f"{rows}x{columns}, {args.iters} iterations, {args.threads} threads, {args.rounds} rounds in turns")
    for name, pairs in seconds.items():
        walls, cpus = zip(*pairs, strict=True)
        print(
            f"{name:12}  median {np.median(walls):.2f} s, least {min(walls):.2f} s; CPU median {np.median(cpus):.2f} s"
        )
    medians, least = (
        [function([wall for wall, _ in pairs]) for pairs in seconds.values()] for function in (np.median, min)
    )
    print(f"ratio of medians {medians[1] / medians[0]:.2f}, of the least {least[1] / least[0]:.2f}")


if __name__ == "__main__":
    main()
