"""Input faster than the engine: does the newest pair win, is memory bounded, is every pair accounted for?

    python test/benchmarks/overload.py [--minutes 10] [--engine waiting] [--engine-ms 30] [--size 480x640] [--times 4]

The node gets pairs at half of what it can take, for a minute before and a minute after: that is its unloaded latency.
In between it gets four times as many as it can take. Camera, node and consumer are processes of their own
(camera_and_consumer.py), with the shipped transport profile. The engine waits a fixed time unless another is named.

Exit code 1 unless, under load, p99 of the latency stays below 1.3 times the unloaded p99 plus one inference, memory
grows by less than 1 MB a minute, and the books balance: in = matched + unmatched, matched = published + replaced +
rejected + failed + not wanted. Latency is from the camera's publishing the pair to the node's having published depth,
so that nothing can hide in a queue on the way.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from camera_and_consumer import OUTPUTS, Played, play, write_noise
from counting_node import WAITING, Sample, Times, rows, unbalanced

from ffs_ros.errors import FfsError
from ffs_ros.ros.transport import environment

UNLOADED_S = 60.0
LATENCY_FACTOR = 1.3
MOST_MB_PER_MINUTE = 1.0
FEWEST_SAMPLES = 30
SETTLED_S = 120.0
"""From when on memory counts, or from half of a shorter run on: the parts of Fast DDS's segments and of the allocator's
arenas have all been touched by then."""
FIRST_RATE_Hz = 2.0
"""For finding out how long a pair takes."""
FIRST_PAIRS = 10


class Run:
    """One run of the three processes."""

    def __init__(self, args: argparse.Namespace, rate_Hz: float, pairs: int) -> None:
        height, width = args.size
        with tempfile.TemporaryDirectory() as name:
            images, report = write_noise(Path(name) / "images.npz", height, width), Path(name) / "node"
            node = [str(Path(__file__).with_name("counting_node.py")), "--report", str(report), "--times"]
            node += ["--engine-ms", str(args.engine_ms), "--ros-args", "-p", f"engine:={args.engine}"]
            self.played: Played = play(node, images, pairs, rate_Hz, {**os.environ, **environment(os.environ)})
            self.report: dict[str, Any] = json.loads(report.read_text())
        self.rate_Hz = rate_Hz
        sent = set(self.played.sent_ns)
        self.times = [times for times in rows(self.report["times"], Times) if times.stamp_ns in sent]
        if not self.times:
            raise FfsError(f"no pair was answered at {rate_Hz:.1f} Hz; raise --minutes or lower --times")
        self.samples: list[Sample] = rows(self.report["samples"], Sample)

    @property
    def work_ms(self) -> float:
        """How long the worker is at a pair, p50."""
        return float(np.median([t.published_ns - t.started_ns for t in self.times])) / 1e6

    def latencies_ms(self, begin: str = "stamp_ns") -> np.ndarray:
        """From the camera's publishing, or the second image's arrival, until depth is published."""
        return np.array([t.published_ns - getattr(t, begin) for t in self.times]) / 1e6

    def print(self, name: str) -> None:
        arrivals = dict(map(tuple, self.played.arrivals[OUTPUTS[1]]))
        consumed = [arrivals[t.stamp_ns] - t.stamp_ns for t in self.times if t.stamp_ns in arrivals]
        spans_ms = {
            "camera publishes -> node has published": self.latencies_ms(),
            "second image arrives -> node has published": self.latencies_ms("arrival_ns"),
            "camera publishes -> consumer has depth": np.array(consumed) / 1e6,
            "of it inference": np.array([t.inference_ns for t in self.times]) / 1e6,
        }
        print(f"\n{name}: {len(self.played.sent_ns)} pairs at {self.rate_Hz:.1f} Hz, {len(self.times)} published")
        print(f"{'ms':<44} {'p50':>8} {'p95':>8} {'p99':>8} {'largest':>8}")
        for span, values in spans_ms.items():
            print(f"{span:<44} " + " ".join(f"{ms:8.2f}" for ms in np.percentile(values, (50, 95, 99, 100))))


def grown(samples: list[Sample]) -> list[str]:
    """Print memory, threads and files, and say what grew."""
    settles_ns = min(1e9 * SETTLED_S, (samples[-1].at_ns - samples[0].at_ns) / 2)
    settled = [sample for sample in samples if sample.at_ns > samples[0].at_ns + settles_ns]
    if len(settled) < FEWEST_SAMPLES:
        print("too short to tell whether memory grows")
        return []
    minutes = np.array([(sample.at_ns - settled[0].at_ns) / 60e9 for sample in settled])
    resident_MB = np.array([sample.resident_bytes / 1e6 for sample in settled])
    slope = float(np.polyfit(minutes, resident_MB, 1)[0])
    first, last = settled[0], settled[-1]
    print(f"memory {resident_MB[0]:.1f} -> {resident_MB[-1]:.1f} MB in {minutes[-1]:.1f} minutes, {slope:+.3f} MB/min")
    print(f"threads {first.threads} -> {last.threads}, open files {first.files} -> {last.files}")
    return [f"memory grows by {slope:.2f} MB a minute"] if slope >= MOST_MB_PER_MINUTE else []


def measure(args: argparse.Namespace) -> list[str]:
    """Run, print, and return what is wrong."""
    first = Run(args, FIRST_RATE_Hz, FIRST_PAIRS)
    rate_Hz = 0.5e3 / first.work_ms
    pairs = max(int(UNLOADED_S * rate_Hz), FIRST_PAIRS)
    before = Run(args, rate_Hz, pairs)
    before.print("unloaded, before")
    high_rate_Hz = args.times * 1e3 / before.work_ms
    loaded = Run(args, high_rate_Hz, int(60 * args.minutes * high_rate_Hz))
    loaded.print(f"{args.times:g} times what it can take")
    after = Run(args, rate_Hz, pairs)
    after.print("unloaded, after")
    inference_ms = float(np.median([t.inference_ns for t in [*before.times, *after.times]])) / 1e6
    unloaded_ms = float(np.percentile(np.concatenate([before.latencies_ms(), after.latencies_ms()]), 99))
    loaded_ms = float(np.percentile(loaded.latencies_ms(), 99))
    bound_ms = LATENCY_FACTOR * unloaded_ms + inference_ms
    print(
        f"\np99 {loaded_ms:.2f} ms under load; bound {bound_ms:.2f} ms = {LATENCY_FACTOR} * {unloaded_ms:.2f} + "
        f"{inference_ms:.2f}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )
    wrong = [f"p99 is {loaded_ms:.2f} ms, above {bound_ms:.2f}"] if loaded_ms > bound_ms else []
    wrong += grown(loaded.samples)
    return wrong + [sentence for run in (before, loaded, after) for sentence in unbalanced(run.report)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the load (default: %(default)g)")
    parser.add_argument("--engine", default=WAITING, help="as the node's parameter (default: %(default)s)")
    parser.add_argument("--engine-ms", type=float, default=30.0, help="that 'waiting' takes (default: %(default)g)")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(480, 640))
    parser.add_argument("--times", type=float, default=4.0, help="what the node can take (default: %(default)g)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the other processes too
    try:
        wrong = measure(args)
    except FfsError as error:
        print(f"overload: {error}", file=sys.stderr)
        sys.exit(2)
    print(*(f"wrong: {sentence}" for sentence in wrong), sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
