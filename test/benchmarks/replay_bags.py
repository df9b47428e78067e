"""What ``ffs bag`` takes for recordings of different lengths: peak memory and pairs/s, in every format.

    python test/benchmarks/replay_bags.py [--pairs 500 5000] [--size 48x96]

Small pairs and SGBM, so that what grows with the length would show; beside them 20 small messages a pair, as an IMU's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recordings import FORMATS, ROS2, Sent, header, stereo_stream, write_bag

from ffs_ros.geometry import StereoCamera

IMU_PER_PAIR = 20


def main() -> None:
    """Print a row for each format and length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--size", default="48x96", help="rows x columns (default: %(default)s)")
    args = parser.parse_args()
    height, width = map(int, args.size.split("x"))
    camera = StereoCamera(width, height, 100.0, 100.0, width / 2, width / 2, height / 2, 0.1)
    texture = np.random.default_rng(0).integers(0, 255, (height, width + 5, 3), np.uint8)
    pair = texture[:, :width], texture[:, 5:]
    print("format, pairs, IMU messages, bag MB, peak MB, pairs/s")
    for kind in FORMATS:
        for pairs in args.pairs:
            with tempfile.TemporaryDirectory() as folder:
                bag = write_bag(Path(folder) / "rec", kind, stream(pair, pairs, camera))
                size_MB = sum(path.stat().st_size for path in [bag, *bag.rglob("*")] if path.is_file()) / 1e6
                begin_s = time.monotonic()
                peak_MB = run(bag, Path(folder) / "out")
                print(
                    f"{kind}, {pairs}, {pairs * IMU_PER_PAIR}, {size_MB:.0f}, {peak_MB:.0f}, "
                    f"{pairs / (time.monotonic() - begin_s):.0f}",
                    flush=True,
                )


def stream(pair: tuple[np.ndarray, np.ndarray], pairs: int, camera: StereoCamera) -> list[Sent]:
    """Pairs with a distance of 33 ms, and poses between them."""
    sent = []
    point = ROS2.types["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=9.8)
    for message in stereo_stream([pair] * pairs, camera):
        sent.append(message)
        if message.topic == "/left/camera_info":
            sent += [
                Sent(
                    "/imu", message.log_ns + k,
                    ROS2.types["geometry_msgs/msg/Vector3Stamped"](header=header(message.log_ns + k), vector=point),
                )
                for k in range(IMU_PER_PAIR)
            ]  # fmt: skip
    return sent


_PEAK = "import atexit; atexit.register(lambda: print(open('/proc/self/status').read(), file=open({!r}, 'w')))"


def run(bag: Path, out: Path) -> float:
    """Peak resident memory of a replay, MB. Linux counts it anew in each program, other than what wait4 tells."""
    status = out.with_suffix(".status")
    code = f"{_PEAK.format(str(status))}; from ffs_ros.cli import main; main()"
    arguments = ["bag", "sgbm", bag, "-o", out, "--max-disparity", "16"]
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True, capture_output=True)
    return float(status.read_text().split("VmHWM:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
