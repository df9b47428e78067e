"""``ffs bench``: how fast engines are, where the time goes, and how near that is to what the hardware can do."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ffs_ros import __version__
from ffs_ros.config import NodeConfig
from ffs_ros.engine import SGBM, STAGES, Engine, Staged, open_engine
from ffs_ros.engine.contract import stereo_inputs
from ffs_ros.errors import EngineError, FileError
from ffs_ros.floor import Peak, peak_of
from ffs_ros.image_file import read_rgb
from ffs_ros.matcher import StereoMatcher
from ffs_ros.proof_pairs import proof_pairs
from ffs_ros.tools import gpu_readings
from ffs_ros.tools.bench_facts import Facts, Size, facts_of, floor_notes
from ffs_ros.tools.bench_runs import TOTAL, Runner, ratios, take_turns
from ffs_ros.tools.bench_table import table
from ffs_ros.tools.memory_use import MemoryUse
from ffs_ros.whole_file import whole_file

HELP = """\
Measure engines: warm up, then time pairs one after the other, of several engines in turns.

  ffs bench bp2.engine
  ffs bench bp2.engine --against bp2.onnx sgbm --seconds 30 -o bench.json

total is what a robot waits for: from two images in memory to the disparity in memory. The stages are timed by the GPU
itself, in runs of their own, and '-' where an engine cannot tell them."""

_DEFAULT_SIZE = (480, 640)
_LEAST_SIDE_px = 32
_MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs bench``."""
    parser.add_argument("engine", metavar="ENGINE", help="an .engine or .onnx file, 'ffs-synthetic' or 'sgbm'")
    parser.add_argument(
        "--against", metavar="ENGINE", nargs="+", action="extend", default=[], help="run these in turns with ENGINE"
    )
    pair = parser.add_mutually_exclusive_group()
    pair.add_argument(
        "--size", metavar="HxW",
        help="rows x columns where the engines leave them open (default: what their files call usual, or 480x640)",
    )  # fmt: skip
    pair.add_argument(
        "--pair", metavar=("LEFT", "RIGHT"), nargs=2, type=Path,
        help="time this pair, brought to each engine's size and back as in the node, instead of a generated one of the "
        "engine's size",
    )  # fmt: skip
    runs = parser.add_mutually_exclusive_group()
    runs.add_argument(
        "--seconds", type=_seconds, default=10.0, help="how long to measure in all (default: %(default)g)"
    )
    runs.add_argument("--frames", metavar="N", type=_count, help="how many pairs of each engine to measure")
    parser.add_argument(
        "--warm-up", metavar="SECONDS", type=_seconds, default=2.0, help="before it counts (default: %(default)g)"
    )
    parser.add_argument(
        "--peak", metavar=("TFLOP/s", "GB/s"), nargs=2, type=_rate,
        help="what the hardware can do in fp16, for the floor (default: known of H200, AGX Orin 64 GB, Thor, RTX 3090)",
    )  # fmt: skip
    parser.add_argument("--gpu-index", metavar="N", type=_index, default=0, help="the GPU to run on (default: 0)")
    parser.add_argument("--threads", metavar="N", type=_count, default=0, help="CPU threads (default: the runtime's)")
    parser.add_argument("-o", "--out", metavar="FILE.json", type=Path, help="the figures, as JSON")


def main(args: argparse.Namespace) -> None:
    """Measure, write the JSON and print the table. Raises FfsError."""
    with ExitStack() as files:
        if args.out is not None:
            out = files.enter_context(whole_file(args.out))
            out.touch()  # better refused now than after the runs
        record = _measured(args)
        if args.out is not None:
            out.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(table(record))


def _measured(args: argparse.Namespace) -> dict[str, Any]:
    asked = _size(args.size) if args.size else None
    images = _read_pair(*args.pair) if args.pair else None
    names = [args.engine, *args.against]
    with ExitStack() as held:
        gpu = gpu_readings.opened(args.gpu_index) if set(names) != {SGBM} else None
        if gpu is not None:
            held.callback(gpu.close)
        contenders = [_Contender(held, name, gpu, args) for name in names]
        if not any(one.engine.info.on_gpu for one in contenders):
            gpu = None
        size = None
        if images is None:
            size = _common_size(contenders, asked)
            left, right = proof_pairs(size)[0][1:3]
            images = left, right
        for one in contenders:
            one.get_ready(*images, through_matcher=size is None)
        runners = [one.runner for one in contenders]
        take_turns(runners, args.warm_up)
        for runner in runners:
            runner.forget()
        with gpu_readings.sensors(gpu) as sensors:
            take_turns(runners, *((args.seconds, 1) if args.frames is None else (0.0, args.frames)))
        found = [one.record(gpu, Peak(*args.peak) if args.peak else None) for one in contenders]
        first, *others = (one.runner.latencies() for one in contenders)
    return {
        "ffs_ros_version": __version__,
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "pair": [str(path) for path in args.pair] if args.pair else "generated",
        "matcher_included": args.pair is not None,
        "image_size": list(images[0].shape[:2]),
        "warm_up_s": args.warm_up,
        "gpu": gpu and {"name": gpu.name, "multiprocessors": gpu.multiprocessors},
        "sensors": sensors,
        "engines": found,
        "ratios_of_medians": [ratios(first, other) for other in others],
    }


class _Contender:
    """One engine, what it runs on and what it takes."""

    runner: Runner
    size: Size

    def __init__(self, held: ExitStack, name: str, gpu: gpu_readings.Gpu | None, args: argparse.Namespace) -> None:
        self._memory = MemoryUse(gpu)
        with self._memory.counted():
            self.engine: Engine = held.enter_context(
                open_engine(
                    name, max_disparity=NodeConfig().max_disparity, gpu_index=args.gpu_index, threads=args.threads
                )
            )
        self.facts: Facts = facts_of(name)
        self.inputs = stereo_inputs(self.engine)

    def get_ready(self, left_HW3: np.ndarray, right_HW3: np.ndarray, through_matcher: bool) -> None:
        """Take the pair, of any size ``through_matcher`` and otherwise of the engine's, and run once."""
        matcher = StereoMatcher(self.engine, NodeConfig().fit)
        fit = matcher.fit_of(*left_HW3.shape[:2])
        self.size = fit.engine_size
        feeds = self.inputs.feeds(fit.to_engine(left_HW3), fit.to_engine(right_HW3))
        run = partial(matcher.match, left_HW3, right_HW3) if through_matcher else partial(self.engine.infer, feeds)
        stages_ms = partial(self.engine.stages_ms, feeds) if isinstance(self.engine, Staged) else None
        with self._memory.counted():
            run()
        self.runner = Runner(run, stages_ms)

    def record(self, gpu: gpu_readings.Gpu | None, peak: Peak | None) -> dict[str, Any]:
        """All that was found out, for the JSON."""
        info, latencies = self.engine.info, self.runner.latencies()
        gpu = gpu if info.on_gpu else None
        if gpu is not None and peak is None:
            peak = peak_of(gpu.name, gpu.multiprocessors)
        return {
            "engine": info.name,
            "runtime": info.runtime,
            "note": info.note,
            "io": "image" if self.inputs.left == "left" else "tensor",
            "size": list(self.size),
            "iterations": self.facts.iterations,
            "precision": self.facts.precision,
            "latency": {name: latencies[name]._asdict() if name in latencies else None for name in (*STAGES, TOTAL)},
            "gpu_MB": self._memory.gpu_bytes / _MB if gpu else None,
            "gpu_peak_MB": self._memory.gpu_peak_bytes / _MB if gpu else None,
            "host_MB": self._memory.host_bytes / _MB,
            "floor": floor_notes(self.facts, self.size, peak, gpu.name if gpu else None, latencies),
        }


def _common_size(contenders: Sequence[_Contender], asked: Size | None) -> Size:
    """What all are measured at: as asked, as one of them fixes it, as one of their files calls usual, or 480x640."""
    fixed = [(rows, columns) for rows, columns in (one.inputs.size for one in contenders) if rows and columns]
    usual = [one.facts.usual_size for one in contenders if one.facts.usual_size]
    size = asked or next(iter([*fixed, *usual]), _DEFAULT_SIZE)
    for one in contenders:
        name, multiple = one.engine.info.name, one.engine.info.size_multiple
        if any(wanted not in (None, length) for wanted, length in zip(one.inputs.size, size, strict=True)):
            wanted = _text(one.inputs.size)
            if asked:
                raise EngineError(f"--size is {_text(size)} and '{name}' takes {wanted}; leave --size away")
            raise EngineError(
                f"'{name}' takes {wanted} and another engine {_text(size)}: expected one size; export one of them with "
                f"--size {_text(size)}, or give --pair, which each takes in its own"
            )
        if None in one.inputs.size and any(length % multiple for length in size):
            raise EngineError(
                f"the size is {_text(size)}: '{name}' takes rows and columns that are multiples of {multiple}"
            )
    return size


def _size(text: str) -> Size:
    parts = re.fullmatch(r"(\d{1,4})[xX](\d{1,4})", text)
    if not parts or min(int(parts[1]), int(parts[2])) < _LEAST_SIDE_px:
        raise EngineError(
            f"--size is '{text}': expected rows x columns, each {_LEAST_SIDE_px} to 9999, such as --size 480x736"
        )
    return int(parts[1]), int(parts[2])


def _text(size: Sequence[int | None]) -> str:
    return "x".join("any" if length is None else str(length) for length in size)


def _read_pair(left: Path, right: Path) -> tuple[np.ndarray, np.ndarray]:
    left_HW3, right_HW3 = read_rgb(left), read_rgb(right)
    if left_HW3.shape != right_HW3.shape:
        found = " but ".join(
            f"{path} is {image.shape[1]}x{image.shape[0]}" for path, image in ((left, left_HW3), (right, right_HW3))
        )
        raise FileError(f"{found}: expected the two rectified images of one pair")
    return left_HW3, right_HW3


def _seconds(text: str) -> float:
    return _number(text, "seconds, 0 or more", 0.0)


def _rate(text: str) -> float:
    return _number(text, "a rate above 0", 1e-6)


def _number(text: str, expected: str, least: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}': expected {expected}")
    return number


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 10**7):
        raise argparse.ArgumentTypeError(f"'{text}': expected a number from 1")
    return int(text)


def _index(text: str) -> int:
    if not (text.isdecimal() and int(text) < 64):
        raise argparse.ArgumentTypeError(f"'{text}': expected 0 to 63")
    return int(text)
