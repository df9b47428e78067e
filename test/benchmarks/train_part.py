"""A part of a training that must end in time: measures the pace, then sets the steps so that the schedule ends.

python test/benchmarks/train_part.py SPEC.yaml --seconds 1000

The spec's train.num_steps is replaced: a first run of ``--calibrate`` seconds measures the pace, a second one resumes
it. The weights of the end lie in RESULTS_DIR/train/weights_fp16.safetensors.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

RESUME_s, SAVE_s = 35.0, 12.0
"""What starting again and the last validation with its checkpoint take on an H200."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--calibrate", type=float, default=130.0)
    args = parser.parse_args()
    begin_s = time.monotonic()
    spec = yaml.safe_load(args.spec.read_text())
    first_step = spec["train"].get("start_step", 0)

    def run(num_steps: int, seconds: float) -> None:
        spec["train"].update(num_steps=num_steps, max_time_minutes=seconds / 60)
        path = args.spec.with_suffix(".part.yaml")
        path.write_text(yaml.safe_dump(spec))
        subprocess.run([sys.executable, "-m", "ffs_ros", "train", "-e", str(path)], check=True)

    run(first_step + 100_000, args.calibrate)
    rows = _rows(Path(spec["results_dir"]) / "train" / "curve.csv")
    pairs_per_s = np.median([float(row["samples_per_s"]) for row in rows[1:]])
    batch = spec["dataset"]["train_dataset"]["batch_size"] * spec["train"].get("num_gpus", 1)
    left_s = args.seconds - (time.monotonic() - begin_s)
    steps = int(rows[-1]["step"]) + int(0.93 * (left_s - RESUME_s - SAVE_s) * pairs_per_s / batch)
    print(f"{pairs_per_s:.1f} pairs/s: {steps} steps", flush=True)
    run(steps, left_s - SAVE_s)


def _rows(path: Path) -> list[dict[str, Any]]:
    return list(csv.DictReader(path.read_text().splitlines()))


if __name__ == "__main__":
    main()
