"""``make demo``: a camera process, the real node and this process as its consumer, over real ROS topics.

Plays a stereo pair, checks every message that comes back against what was played, prints rate, latency, density and
error, and writes a picture. Exit code 1, with the reasons, when anything is missing or wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ffs_ros.advice import ROS_PACKAGES
from ffs_ros.config import DEFAULT_ENGINE, NodeConfig
from ffs_ros.demo import verdict
from ffs_ros.demo.pair import DemoPair, pair_in_folder, rendered_pair
from ffs_ros.demo.processes import running
from ffs_ros.engine import SGBM
from ffs_ros.errors import FfsError
from ffs_ros.image_file import write_png
from ffs_ros.picture import colour_depth, colour_disparity, side_by_side
from ffs_ros.ros.transport import environment

if TYPE_CHECKING:
    from ffs_ros.demo.receiver import Frame

CAMERA_RATE_HZ = 10
ENOUGH_FRAMES = 20
FEWEST_FRAMES = 3
LONG_ENOUGH_S = 10.0
"""A slow engine may stop after this time, with at least the fewest frames: a network on two cores needs 7 s for one."""
TIMEOUT_S = 120.0
"""For the first answer, and then for the others."""
PATIENCE_S = 5.0
"""Without an answer for this long the user wants to know what is going on."""


def main() -> None:
    """Exit 0 when everything came and was right, 1 when something was missing or wrong."""
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)  # ends the other processes too
    try:
        _demonstrate(_arguments())
    except FfsError as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ffs_ros.demo", description="A stereo pair through the real node.")
    parser.add_argument(
        "--engine", default=DEFAULT_ENGINE, help="a .onnx file, 'ffs-synthetic' or 'sgbm' (default: %(default)s)"
    )
    parser.add_argument(
        "--pair",
        type=Path,
        help="a folder with left.* and right.*, with or without calib.txt and disp_gt.*; default: a rendered scene",
    )
    parser.add_argument("--gt-scale", type=float, help="disparity * this = value in an 8-bit disp_gt.png")
    parser.add_argument("--max-disparity", type=int, help="range of sgbm in px; default: the ground truth's, else 128")
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder of the picture (default: demo_out)")
    return parser.parse_args()


def _demonstrate(args: argparse.Namespace) -> None:
    pair = pair_in_folder(args.pair, args.gt_scale) if args.pair else rendered_pair()
    max_disparity = args.max_disparity or _range_of(pair)
    height, width = pair.left_HW3.shape[:2]
    _say("pair", f"{pair.name}, {width}x{height}: {'; '.join(pair.remarks)}")

    run = _play(pair, args.engine, max_disparity)
    frames = run.frames
    _say("engine", run.engine)
    if args.engine == SGBM:
        _say("", f"searching 0 to {max_disparity} px")
    duration_s = frames[-1].arrival_s - frames[0].arrival_s
    _say("frames", f"{len(frames)} at {(len(frames) - 1) / duration_s:.2g} Hz (the camera plays {CAMERA_RATE_HZ} Hz)")
    p50_ms, p99_ms = np.percentile([frame.latency_ms for frame in frames], [50, 99])
    _say("latency", f"{p50_ms:.0f} ms p50, {p99_ms:.0f} ms p99, from the images' stamp to the last message's arrival")

    wrong = [sentence for frame in frames for sentence in verdict.faults(frame, pair, run.frame_id, run.stamps_ns)]
    if wrong:
        raise FfsError(f"{len(wrong)} faults in {len(frames)} frames, the first: {wrong[0]}")
    scores = verdict.score(frames[-1], pair)
    _say("density", f"{scores.density:.1%} of the pixels have a disparity")
    if scores.mean_error_px is not None:
        _say("error", f"{scores.mean_error_px:.2f} px mean, {scores.wrong_by_3_px:.1%} of the answers off by over 3 px")
    if scores.median_depth_error is not None:
        _say("depth error", f"{scores.median_depth_error:.1%} median")

    path = args.out / f"{pair.name}.png"
    args.out.mkdir(parents=True, exist_ok=True)
    write_png(path, _picture(frames[-1], pair))
    _say("picture", str(path))
    short = list(verdict.shortcomings(scores, rendered=args.pair is None))
    if short:
        raise FfsError("; ".join(short))


class Run(NamedTuple):
    """What came back, and what it has to agree with."""

    frames: list[Frame]
    frame_id: str
    stamps_ns: set[int]
    """Of every pair that the camera played."""
    engine: str
    """What the node says it runs."""


def _play(pair: DemoPair, engine: str, max_disparity: int) -> Run:
    """Start the node and the camera, and receive until there are enough frames.

    Raises FfsError when too few come, and when a process ends early or badly.
    """
    # Both a domain and names of its own: neither other robots nor other demos get in the way.
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.update(environment(os.environ))
    namespace = f"/ffs_demo_{os.getpid()}"
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from ffs_ros.demo.camera import FRAME_ID, PLAYED, save_pair
        from ffs_ros.demo.receiver import Receiver
    except ImportError as error:
        raise FfsError(
            f"ROS 2 is not complete here ({error}); source it (and apt install ros-$ROS_DISTRO-stereo-msgs, if that is "
            f"what is missing), or {ROS_PACKAGES} for the wheels"
        ) from error

    in_namespace = ["--ros-args", "-r", f"__ns:={namespace}"]
    parameters = ["-p", f"engine:={engine}", "-p", f"max_disparity:={max_disparity}"]
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C is for this process to handle
    try:
        receiver = Receiver(namespace)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            save_pair(folder / "pair.npz", pair.left_HW3, pair.right_HW3, pair.camera)
            camera_command = ["ffs_ros.demo.camera", str(folder / "pair.npz"), str(CAMERA_RATE_HZ), *in_namespace]
            node_command = ["ffs_ros.ros", *in_namespace, *parameters]
            with running("node", node_command, folder) as node, running("camera", camera_command, folder) as camera:

                def answering() -> bool:
                    node.check_alive()
                    camera.check_alive()
                    return bool(receiver.frames)

                def enough() -> bool:
                    if not answering():
                        return False
                    frames = receiver.frames
                    long_enough = time.monotonic() - frames[0].arrival_s > LONG_ENOUGH_S
                    return len(frames) >= (FEWEST_FRAMES if long_enough else ENOUGH_FRAMES)

                if not receiver.wait(answering, PATIENCE_S):
                    _say("", "waiting for the engine ...")
                if not (receiver.wait(answering, TIMEOUT_S) and receiver.wait(enough, TIMEOUT_S)):
                    raise FfsError(
                        f"{camera.said().count(PLAYED)} pairs were played in over {TIMEOUT_S:.0f} s, but only "
                        f"{len(receiver.frames)} complete answers came; the node said: {node.said()}"
                    )
            stamps_ns = {int(stamp) for stamp in re.findall(rf"^{PLAYED} (\d+)$", camera.said(), re.MULTILINE)}
            return Run(receiver.frames, FRAME_ID, stamps_ns, _engine_in(node.said()))
    finally:
        rclpy.try_shutdown()


def _engine_in(log: str) -> str:
    """What the node's log says about its engine. Raises FfsError when it says nothing."""
    found = re.search(r"\bengine (.+)", log)
    if found is None:
        raise FfsError(f"the node did not say which engine it uses; it said: {log}")
    return found[1]


def _range_of(pair: DemoPair) -> int:
    """The disparities to search: those of the ground truth and some more, or the node's default."""
    if pair.truth_HW is None:
        return NodeConfig().max_disparity
    return int(np.ceil((np.nanmax(pair.truth_HW) + 2.0) / 16.0)) * 16


def _picture(frame: Frame, pair: DemoPair) -> np.ndarray:
    disparity_HW = verdict.disparity_of(frame.disparity, pair)
    depth_label = "depth" if pair.calibrated else "depth (invented calibration)"
    return side_by_side(
        [
            ("left", pair.left_HW3),
            ("disparity", colour_disparity(disparity_HW)),
            (depth_label, colour_depth(verdict.depth_of(frame.depth))),
        ]
    )


def _say(name: str, text: str) -> None:
    print(f"{name:<12} {text}", flush=True)


if __name__ == "__main__":
    main()
