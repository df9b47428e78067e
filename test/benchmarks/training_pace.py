"""Pairs a second of a training from nothing on rendered scenes, what the GPUs do meanwhile, and the loss curve.

python test/benchmarks/training_pace.py [--gpus 1 2] [--seeds 1 2] [--size 320x736] [--batch 16] [--iters 8] [--compile]

``--batch`` is of all GPUs together, so that the curves of one and of two GPUs can be compared; with several ``--seeds``
the noise shows, between runs of one kind. With ``--profile`` one bare step of the network is taken apart by kernel
instead.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import threading
import time
from itertools import product
from pathlib import Path

import numpy as np
import yaml


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of the scenes and of all that is drawn")
    parser.add_argument("--size", default="320x736")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--iters", type=int, default=8)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    height, width = map(int, args.size.split("x"))
    if args.profile:
        profile(args.batch, height, width, args.iters)
        return
    print(f"{args.size}, {args.batch} pairs a step, {args.iters} iterations, bfloat16, rendered while training")
    print("GPUs  seed  pairs/s  rendering  GPU busy  loss in five parts of the run")
    for gpus, seed in product(args.gpus, args.seeds):
        rows, busy = run(gpus, seed, args, height, width)
        settled = rows[len(rows) // 3 :]
        pace = np.median([float(row["samples_per_s"]) for row in settled])
        share = np.median([float(row["rendering_share"]) for row in settled])
        losses = [np.mean(part) for part in np.array_split([float(row["loss"]) for row in rows], 5)]
        print(
            f"{gpus:4}  {seed:4}  {pace:7.1f}  {share:9.1%}  {busy:7.0f}%  "
            + ", ".join(f"{loss:.2f}" for loss in losses),
            flush=True,
        )


def run(gpus: int, seed: int, args: argparse.Namespace, height: int, width: int) -> tuple[list[dict[str, str]], float]:
    """The curve's rows, and the mean utilisation (percent) of the GPUs after the first third of the steps."""
    split = {
        "data_sources": [{"dataset_name": "Scenes", "data_file": str(seed)}],
        "batch_size": args.batch // gpus,
        "augmentation": {"crop_size": [height, width]},
    }
    with tempfile.TemporaryDirectory() as folder:
        spec = {
            "results_dir": folder,
            "model": {"train_iters": args.iters},
            "dataset": {"train_dataset": split, "val_dataset": {**split, "num_scenes": gpus}},
            "train": {
                "num_steps": args.steps, "num_gpus": gpus, "seed": seed, "precision": "bf16", "compile": args.compile,
                "checkpoint_interval": args.steps, "checkpoint_interval_unit": "step",
                "validation_interval": args.steps, "validation_interval_unit": "step", "log_every_n_steps": 10,
                "cudnn": {"benchmark": True, "deterministic": False},
                "optim": {"lr": 2e-4, "lr_scheduler": "Constant", "warmup_steps": 50},
            },
        }  # fmt: skip
        path = Path(folder) / "spec.yaml"
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        busy: list[float] = []
        done = threading.Event()
        curve = Path(folder) / "train" / "curve.csv"
        watcher = threading.Thread(target=_watch, args=(gpus, busy, done, curve, args.steps))
        watcher.start()
        try:
            subprocess.run(
                [sys.executable, "-m", "ffs_ros", "train", "-e", str(path)], check=True, stdout=subprocess.DEVNULL
            )
        finally:
            done.set()
            watcher.join()
        rows = _rows(curve)
    return rows, float(np.mean(busy)) if busy else float("nan")


def _rows(curve: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(curve.read_text().splitlines())) if curve.is_file() else []


def _watch(gpus: int, busy: list[float], done: threading.Event, curve: Path, steps: int) -> None:
    """Once a second from the second third of the steps to their end, so that neither compiling nor saving counts."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    while not done.wait(1.0):
        rows = _rows(curve)
        if not rows or not steps / 3 <= int(rows[-1]["step"]) < steps:
            continue
        try:
            lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
        except (OSError, subprocess.CalledProcessError):
            return
        busy.append(float(np.mean([float(line) for line in lines[:gpus]])))


def profile(batch: int, height: int, width: int, iterations: int) -> None:
    """Kernels of one step by time, after a warm-up."""
    import torch
    from torch.profiler import ProfilerActivity

    from ffs_ros.network import FastFoundationStereo
    from ffs_ros.network.layout import channels_last
    from ffs_ros.training.loss import sequence_loss

    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    network = FastFoundationStereo(iterations).cuda().train()
    channels_last(network)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-5, fused=True)
    left, right = torch.rand(2, batch, 3, height, width, device="cuda") * 255
    truth = torch.rand(batch, 1, height, width, device="cuda") * 100

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            initial, maps = network.predictions(left, right)
            loss = sequence_loss(initial, maps, truth, 192)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - begin) / 5
    print(f"{batch} pairs {height}x{width}: {1e3 * seconds:.0f} ms a step, {batch / seconds:.1f} pairs/s, "
          f"peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")  # fmt: skip
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU], record_shapes=True) as trace:
        step()
        torch.cuda.synchronize()
    for by_shape, count in ((False, 30), (True, 50)):
        events = trace.key_averages(group_by_input_shape=by_shape)
        time_of = (lambda e: e.device_time_total) if by_shape else (lambda e: e.self_device_time_total)
        for event in sorted(events, key=time_of, reverse=True)[:count]:
            shapes = str(event.input_shapes)[:90] if by_shape else ""
            print(f"{time_of(event) / 1e3:8.2f} ms {event.count:5} {event.key[:110]} {shapes}")


if __name__ == "__main__":
    main()
