"""A part of a training that must end in time: sets the steps so that the schedule ends when the clock does.

python test/benchmarks/train_part.py SPEC.yaml --seconds 1200 --pairs-per-s 33

The spec's train.num_steps is replaced by what ``--pairs-per-s`` make in that time; a machine that is slower ends by the
clock, with a schedule that has not come to its end. The weights lie in RESULTS_DIR/train/weights_fp16.safetensors.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import yaml

START_s, SAVE_s = 60.0, 15.0
"""What starting and compiling take on an H200, and the last validation with its checkpoint."""
MARGIN = 0.95
"""Of the steps that the pace allows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pairs-per-s", type=float, required=True, help="of all GPUs; training_pace.py measures it")
    args = parser.parse_args()
    spec = yaml.safe_load(args.spec.read_text(encoding="utf-8"))
    train = spec["train"]
    batch = spec["dataset"]["train_dataset"]["batch_size"] * train.get("num_gpus", 1)
    steps = int(MARGIN * (args.seconds - START_s - SAVE_s) * args.pairs_per_s / batch)
    if steps < 1:
        parser.error(
            f"--seconds {args.seconds:g} leaves no time to train in: starting and saving take {START_s + SAVE_s:g}"
        )
    train.update(num_steps=train.get("start_step", 0) + steps, max_time_minutes=(args.seconds - SAVE_s) / 60)
    path = args.spec.with_suffix(".part.yaml")
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    print(f"{steps} steps of {batch} pairs", flush=True)
    subprocess.run([sys.executable, "-m", "ffs_ros", "train", "-e", str(path)], check=True)


if __name__ == "__main__":
    main()
