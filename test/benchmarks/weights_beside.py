"""Seconds to open and to run the graph whose weights lie beside it, and the plain graph with the same weights in turns.

python test/benchmarks/weights_beside.py CHECKPOINT [--size 320x736] [--threads 2] [--rounds 4]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.checkpoint.stored import half_weights, stored
from ffs_ros.engine import open_engine
from ffs_ros.engine.weights_beside import notes_on
from ffs_ros.graph.form import Form
from ffs_ros.graph.model import build_model, build_model_beside

WEIGHTS = "weights.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", default="320x736")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    rows, columns = map(int, args.size.split("x"))
    halves = half_weights(open_checkpoint(args.checkpoint).tensors)
    file = stored(halves, {})
    beside = build_model_beside(file.places, WEIGHTS, Form(None))
    for key, value in notes_on(WEIGHTS, file.data).items():
        beside.metadata_props.add(key=key, value=value)
    plain = build_model({name: half.astype(np.float32) for name, half in halves.items()}, None)
    images = np.random.default_rng(0).integers(0, 256, (2, 1, rows, columns, 3), dtype=np.uint8)
    feeds = dict(zip(("left", "right"), images, strict=True))

    seconds: dict[str, list[tuple[float, float]]] = {"plain": [], "beside": []}
    answers = {}
    with TemporaryDirectory() as folder:
        (Path(folder) / WEIGHTS).write_bytes(file.data)
        for name, model in (("plain", plain), ("beside", beside)):
            (Path(folder) / f"{name}.onnx").write_bytes(model.SerializeToString())
        for _ in range(args.rounds):
            for name, times in seconds.items():
                begin_s = time.perf_counter()
                with open_engine(Path(folder) / f"{name}.onnx", gpu_index=None, threads=args.threads) as engine:
                    opened_s = time.perf_counter()
                    answers[name] = engine.infer(feeds)["disparity"]
                times.append((opened_s - begin_s, time.perf_counter() - opened_s))
    for name, times in seconds.items():
        opening, running = np.min(times, axis=0)
        print(f"{name:7} opened in {opening:.2f} s, run in {running:.2f} s, the least of {args.rounds} rounds")
    print(f"difference {np.abs(answers['plain'] - answers['beside']).max():.1e} px")


if __name__ == "__main__":
    main()
