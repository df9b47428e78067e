"""The node on an engine that takes a known time; at its end it writes down its books, times and what it held.

    python test/benchmarks/counting_node.py --report FILE [--times] [--engine-ms 30] --ros-args [-p engine:=NAME]

``overload.py`` and ``soak.py`` run it. What it keeps is part of the memory that is measured: plain numbers, 40 bytes a
frame for its times.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from array import array
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ffs_ros import live_engine
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.ros.node import StereoNode
from ffs_ros.ros.process import run
from ffs_ros.tools.memory_use import resident_bytes

SAMPLE_PERIOD_S = 1.0
WAITING = "waiting"
"""The engine that takes a known time."""


class Sample(NamedTuple):
    """What the process held at one moment."""

    at_ns: int
    published: int
    resident_bytes: int
    threads: int
    files: int


class Times(NamedTuple):
    """Of one published pair; see ``FrameTimes``."""

    stamp_ns: int
    arrival_ns: int
    started_ns: int
    inference_ns: int
    published_ns: int


class WaitingEngine:
    """Waits as a CPU waits for a GPU, and answers 8 px everywhere."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self.info = EngineInfo(WAITING, f"{1e3 * wait_s:g} ms", 64.0, 1)
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs: Mapping[str, TensorSpec] = {"left": image, "right": image}
        self.outputs: Mapping[str, TensorSpec] = {"disparity": TensorSpec((1, 1, None, None), np.dtype(np.float32))}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        time.sleep(self._wait_s)
        return {"disparity": np.full((1, 1, *feeds["left"].shape[1:3]), 8.0, np.float32)}

    def close(self) -> None:
        """Nothing is held."""


class CountingNode(StereoNode):
    """The node, which also keeps every pair's times and samples what its process holds."""

    def __init__(self, report: Path, keeps_times: bool, **arguments: Any) -> None:
        self.report, self.keeps_times = report, keeps_times
        self.times, self.samples = array("q"), array("q")
        self.ended = threading.Event()
        super().__init__(**arguments)

    def on_activate(self, state: Any) -> Any:
        result = super().on_activate(state)
        threading.Thread(target=self._sample, daemon=True).start()
        return result

    def close(self) -> None:
        super().close()  # first, so that nothing is in flight any more
        if self.pairing is not None and not self.ended.is_set():
            self.ended.set()
            sides = {"left": self.pairing.left, "right": self.pairing.right}
            books = {name: [s.received, s.unmatched, len(s.waiting_ns)] for name, s in sides.items()}
            counts = self.frames.counts
            self.report.write_text(
                json.dumps(
                    {
                        "frames": {**counts._asdict(), "in_flight": counts.in_flight},
                        **books,
                        "times": self.times.tolist(),
                        "samples": self.samples.tolist(),
                    }
                )
            )

    def _process(self, left: Any, right: Any, arrival_ns: int, live: Mapping[str, Any]) -> None:
        published = self.frames.counts.published
        super()._process(left, right, arrival_ns, live)
        if self.keeps_times and self.frames.counts.published > published:
            newest = self.frames.times[-1]
            self.times.extend(getattr(newest, name) for name in Times._fields)

    def _sample(self) -> None:
        while not self.ended.wait(SAMPLE_PERIOD_S):
            files, threads = (sum(1 for _ in Path("/proc/self", kind).iterdir()) for kind in ("fd", "task"))
            published = self.frames.counts.published
            self.samples.extend(Sample(time.monotonic_ns(), published, resident_bytes(), threads, files))


def rows(numbers: list[int], kind: Any) -> list[Any]:
    """``numbers`` of a report as ``Times`` or ``Sample``."""
    width = len(kind._fields)
    return [kind(*numbers[index : index + width]) for index in range(0, len(numbers), width)]


def unbalanced(report: Mapping[str, Any]) -> list[str]:
    """Print the books, and say where they do not balance."""
    frames, wrong = report["frames"], []
    print("  ".join(f"{name} {count}" for name, count in frames.items()))
    if frames["in_flight"] or frames["paired"] != sum(frames.values()) - frames["paired"]:
        wrong.append(f"pairs are missing at the end: {frames}")
    for side in ("left", "right"):
        received, unmatched, waiting = report[side]
        print(f"{side}: received {received} = matched {frames['paired']} + unmatched {unmatched} + waiting {waiting}")
        if received != frames["paired"] + unmatched + waiting:
            wrong.append(f"{side} images are missing: {received} came")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--times", action="store_true", help="of every pair too")
    parser.add_argument("--engine-ms", type=float, default=30.0, help="of the engine 'waiting' (default: %(default)g)")
    arguments, ros_arguments = parser.parse_known_args()
    opened = live_engine.open_engine

    def open_engine(engine: str, **others: Any) -> Any:
        return WaitingEngine(arguments.engine_ms / 1e3) if engine == WAITING else opened(engine, **others)

    live_engine.open_engine = open_engine
    run(partial(CountingNode, arguments.report, arguments.times), ros_arguments)


if __name__ == "__main__":
    main()
