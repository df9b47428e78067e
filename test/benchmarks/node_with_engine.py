"""The node on a real engine and pair: what a robot waits for, how much of it the engine takes, whether memory is flat.

    python test/benchmarks/node_with_engine.py [--engine NAME|PATH] [--pair FOLDER] [--frames 1000] [--rate 30]

Camera, node and consumer are processes of their own; camera and consumer are camera_and_consumer.py's, with the shipped
transport profile. After its last frame the node's process runs the same pair through the same matcher and engine, on
the same thread, without ROS: at the camera's rate, at which a GPU may slow down between frames, and back to back, as
``ffs bench`` does.

Exit code 1 when frames were lost that were not meant to be, or when memory grew. Newer frames are meant to overtake
where the engine alone takes longer than the camera's period at its p99, and one frame in a hundred elsewhere, since the
machine has other things to do; none is meant to be lost otherwise. GPU memory is what the whole GPU has less of since
before the engine was opened, so other programs on it disturb; CUDA's context does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from camera_and_consumer import OUTPUTS, Played, play

from ffs_ros.config import DEFAULT_ENGINE
from ffs_ros.demo.pair import pair_in_folder, rendered_pair
from ffs_ros.errors import FfsError
from ffs_ros.ros.frame_log import FrameTimes
from ffs_ros.ros.node import StereoNode
from ffs_ros.ros.process import run
from ffs_ros.ros.transport import environment
from ffs_ros.sync import stamp_ns
from ffs_ros.tools import gpu_readings
from ffs_ros.tools.memory_use import resident_bytes

SETTLED_FRAMES = 100
"""Answers after which memory counts: Fast DDS's segments, OpenCV's buffers and the allocator's arenas have been touched
by then."""
SAMPLE_PERIOD_S = 1.0
TOLERANCE_MB = 4.0
"""Growth of the line through the samples, in all. Pages come and go by about 1 MB, which moves the end of a line
through 30 samples by 0.6 MB, and a GPU hands out 2 MiB at a time. It is 4 kB a frame of 1,000; a VGA image has 900."""
FEWEST_SAMPLES = 5
OVERTAKEN_SHARE = 0.01
ALONE_FRAMES, ALONE_S = 300, 10.0
"""Without ROS so many runs of each kind are made, or as many as begin within so many seconds."""
OVERTAKEN = "overtaken by newer ones"
PACED, BACK_TO_BACK = "at the camera's rate", "back to back"
_MB = 1e6


class WatchedNode(StereoNode):
    """The node, which also keeps every pair's times and its own memory, and at its end runs the pair without ROS.

    It keeps them as plain numbers, 88 bytes a frame, because what it keeps is part of the memory that it measures.
    """

    def __init__(self, images: Path, rate_hz: float, report: Path, **arguments: Any) -> None:
        with np.load(images) as stored:
            self.images = stored["left"], stored["right"]
        self.rate_hz, self.report = rate_hz, report
        self.reached_ns, self.taken_ns, self.times_ns, self.memory = (array("q") for _ in range(4))
        self.ended = threading.Event()
        super().__init__(**arguments)

    def on_activate(self, state: Any) -> Any:
        result = super().on_activate(state)
        threading.Thread(target=self._watch_memory, daemon=True).start()
        return result

    def close(self) -> None:
        if self.frames.counts.published and not self.ended.is_set():
            self.ended.set()
            alone = self._worker.call(self._alone)[0]
            info = self.engine.info
            columns = {name: list(getattr(self, name)) for name in ("reached_ns", "taken_ns", "times_ns", "memory")}
            engine = {"name": f"{info.name} on {info.runtime}", "on_gpu": info.on_gpu}
            self.report.write_text(json.dumps({**engine, "alone": alone, **columns}))
        super().close()

    def _open_engine(self) -> None:
        self.gpu = gpu_readings.opened(self._config.gpu_index)
        self.gpu_free_bytes = self.gpu.free_bytes() if self.gpu else 0
        super()._open_engine()

    def _deposit(self, left: Any, right: Any, arrival_ns: int) -> None:
        self.reached_ns.append(stamp_ns(left))
        super()._deposit(left, right, arrival_ns)

    def _process(self, left: Any, right: Any, arrival_ns: int, live: Mapping[str, Any]) -> None:
        published = self.frames.counts.published
        try:
            super()._process(left, right, arrival_ns, live)
        finally:
            if self.context.ok():  # otherwise nothing can be published any more: as good as overtaken
                self.taken_ns.append(stamp_ns(left))
        if self.frames.counts.published > published:
            self.times_ns.extend(self.frames.times[-1])

    def _watch_memory(self) -> None:
        while not self.ended.wait(SAMPLE_PERIOD_S):
            gpu_bytes = self.gpu_free_bytes - self.gpu.free_bytes() if self.gpu else 0
            self.memory.extend((self.frames.counts.published, resident_bytes(), gpu_bytes))

    def _alone(self) -> dict[str, list[tuple[int, int]]]:
        """Kind of run -> ns of the matcher and, of it, of the engine. On the worker's thread."""
        rows: dict[str, list[tuple[int, int]]] = {PACED: [], BACK_TO_BACK: []}
        for kind, period_s in ((PACED, 1 / self.rate_hz), (BACK_TO_BACK, 0.0)):
            begin_s = time.monotonic()
            for index in range(ALONE_FRAMES):
                if index and time.monotonic() - begin_s > ALONE_S:
                    break
                time.sleep(max(0.0, begin_s + index * period_s - time.monotonic()))
                started_ns = time.monotonic_ns()
                self.engine.match(*self.images)
                rows[kind].append((time.monotonic_ns() - started_ns, self.engine.inference_ns))
        return rows


def print_latencies(published: list[FrameTimes], arrivals_ns: dict[int, int], alone: dict[str, Any]) -> None:
    rows = {
        "camera publishes -> consumer has depth": [ns - stamp for stamp, ns in arrivals_ns.items()],
        "second image arrives -> node has published": [times.published_ns - times.arrival_ns for times in published],
        "  of it inference": [times.inference_ns for times in published],
    }
    for kind, runs in alone.items():
        rows[f"without ROS {kind}, matcher"] = [total_ns for total_ns, _ in runs]
        rows[f"  of it inference, {kind}"] = [inference_ns for _, inference_ns in runs]
    print(f"\n{'ms':<48} {'frames':>6} {'p50':>8} {'p95':>8} {'p99':>8} {'largest':>8}")
    for name, spans_ns in rows.items():
        if spans_ns:
            figures = " ".join(f"{ns / 1e6:8.2f}" for ns in np.percentile(spans_ns, (50, 95, 99, 100)))
            print(f"{name:<48} {len(spans_ns):6} {figures}")


def lost_frames(node: dict[str, Any], published: list[FrameTimes], played: Played, period_ms: float) -> list[str]:
    """Print what became of the frames, and say which were lost that should not have been."""
    sent = set(played.sent_ns)
    reached, taken = (sent.intersection(node[name]) for name in ("reached_ns", "taken_ns"))
    answered = sent.intersection(stamp for stamp, _ in played.arrivals[OUTPUTS[1]])
    losses = {
        "on the way to the node": len(sent) - len(reached),
        OVERTAKEN: len(reached) - len(taken),
        "failed": len(taken) - len(published),
        "on the way to the consumer": len({times.stamp_ns for times in published} - answered),
    }
    dropped = len(sent) - len(answered)
    where = ", ".join(f"{count} {name}" for name, count in losses.items())
    print(f"\nframes: {len(sent)} sent, {len(answered)} answered, {dropped} dropped: {where}")
    alone_ms = float(np.percentile([total_ns for total_ns, _ in node["alone"][PACED]], 99)) / 1e6
    if alone_ms > period_ms:
        print(
            f"without ROS a pair takes up to {alone_ms:.1f} ms (p99) and a new one comes every {period_ms:.1f} ms, so"
        )
        print("newer ones are meant to overtake")
    if alone_ms > period_ms or losses[OVERTAKEN] <= OVERTAKEN_SHARE * len(sent):
        del losses[OVERTAKEN]
    if not answered:
        return [f"no frame was answered in {len(sent) * period_ms / 1e3:.0f} s; lower --rate or raise --frames"]
    return [f"{count} frames lost: {name}" for name, count in losses.items() if count]


def grown_memory(samples: np.ndarray, on_gpu: bool) -> list[str]:
    """Print the memory and its slope, and say what grew; ``samples``: frames, resident bytes, bytes on the GPU."""
    samples = samples[samples[:, 0] >= SETTLED_FRAMES]
    frames = samples[:, 0]
    print(f"\n{'MB':<24} {f'at frame {SETTLED_FRAMES}':>14} {'at the end':>12} {'kB per 1,000 frames':>21}")
    if len(samples) < FEWEST_SAMPLES or frames[0] == frames[-1]:
        print(f"too few frames to tell: memory counts from frame {SETTLED_FRAMES} on")
        return []
    grown = []
    for name, used_MB, known in (
        ("the node's, resident", samples[:, 1] / _MB, True),
        ("on the GPU", samples[:, 2] / _MB, on_gpu),
    ):
        if not known:
            print(f"{name:<24} {'-':>14} {'-':>12} {'-':>21}")
            continue
        slope_MB = float(np.polyfit(frames, used_MB, 1)[0])
        growth_MB = slope_MB * (frames[-1] - frames[0])
        print(f"{name:<24} {used_MB[0]:14.1f} {used_MB[-1]:12.1f} {1e6 * slope_MB:21.0f}")
        if growth_MB > TOLERANCE_MB:
            grown.append(
                f"memory grew, {name}: {growth_MB:.1f} MB in {frames[-1] - frames[0]:.0f} frames, expected at most "
                f"{TOLERANCE_MB:g}"
            )
    return grown


def measure(args: argparse.Namespace) -> list[str]:
    """Run, print, and return what is wrong. Raises FfsError when nothing could be measured."""
    try:
        pair = pair_in_folder(args.pair) if args.pair else rendered_pair()
    except ModuleNotFoundError as error:
        raise FfsError(f"a rendered pair takes {error.name}, which is missing; name a pair with --pair") from None
    with tempfile.TemporaryDirectory() as name:
        images, report = Path(name) / "pair.npz", Path(name) / "node"
        np.savez(images, left=pair.left_HW3, right=pair.right_HW3)
        roles = ["--report", str(report), "--images", str(images), "--rate", str(args.rate)]
        node_command = [__file__, *roles, "--ros-args", "-p", f"engine:={args.engine}"]
        env = {**os.environ, **environment(os.environ)}
        played = play(node_command, images, args.frames, args.rate, env)
        node = json.loads(report.read_text())
    height, width = pair.left_HW3.shape[:2]
    print(f"{node['name']}; {pair.name}, {width}x{height} rgb8, {args.frames} frames at {args.rate:g} Hz")
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    sent = set(played.sent_ns)
    every = [FrameTimes(*numbers) for numbers in np.reshape(node["times_ns"], (-1, len(FrameTimes._fields))).tolist()]
    published = [times for times in every if times.stamp_ns in sent]
    arrivals_ns = {stamp: ns for stamp, ns in played.arrivals[OUTPUTS[1]] if stamp in sent}
    print_latencies(published, arrivals_ns, node["alone"])
    lost = lost_frames(node, published, played, 1e3 / args.rate)
    return lost + grown_memory(np.reshape(node["memory"], (-1, 3)).astype(np.float64), node["on_gpu"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="as the node's parameter (default: %(default)s)")
    parser.add_argument("--pair", type=Path, help="folder with left.* and right.*; default: a rendered scene")
    parser.add_argument("--frames", type=int, default=1000, help="counted pairs (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=30.0, help="pairs per second (default: %(default)g)")
    parser.add_argument("--images", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    args, ros_arguments = parser.parse_known_args()
    if args.report:
        return run(partial(WatchedNode, args.images, args.rate, args.report), ros_arguments)
    if ros_arguments:
        parser.error(f"unknown: {' '.join(ros_arguments)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the other processes too
    try:
        wrong = measure(args)
    except FfsError as error:
        print(f"node_with_engine: {error}", file=sys.stderr)
        sys.exit(2)
    print(*(f"\nwrong: {sentence}" for sentence in wrong), sep="")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
