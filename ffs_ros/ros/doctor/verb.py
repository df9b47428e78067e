"""``ffs doctor``: why is there no depth? Looks at a running graph, without the node.

Imports ROS only when it runs, so that ``ffs doctor --help`` and the other verbs do without.
"""

from __future__ import annotations

import argparse
import math
import sys

from ffs_ros.advice import ROS_PACKAGES
from ffs_ros.errors import FfsError
from ffs_ros.ros import raise_interrupt

HELP = """\
ffs doctor
ffs doctor /robot/front
ffs doctor --left /camera/infra1/image_rect_raw --right /camera/infra2/image_rect_raw

Listens to a stereo camera on the running ROS graph for some seconds and says what keeps a stereo node from giving
depth: stamps, calibrations, QoS, transport, and what the pictures themselves show. Without names it takes
left/image_rect and right/image_rect, or the stereo camera that it finds. Exit code 1 when something is found that
keeps depth from coming or makes it wrong.
"""
_LONGEST_S = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", metavar="NAMESPACE", nargs="?", default="", help="where left/ and right/ lie")
    for side in ("left", "right"):
        parser.add_argument(
            f"--{side}", metavar="TOPIC", default="", help=f"the {side} image (Image, or CompressedImage)"
        )  # fmt: skip
        parser.add_argument(
            f"--{side}-info", metavar="TOPIC", default="", help="its CameraInfo (default: camera_info beside the image)"
        )
    parser.add_argument("--rectify", action="store_true", help="the images are raw, for a node that rectifies them")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to listen (default: %(default)g)")
    parser.add_argument(
        "--tolerance", metavar="SECONDS", type=float, default=0.0,
        help="pair stamps that are less than this apart, as the node does with approximate_sync",
    )  # fmt: skip


def main(args: argparse.Namespace) -> None:
    """Print what was found; exit code 1 for findings of level ERROR. Raises FfsError where ROS is not installed."""
    if not 0.0 < args.seconds <= _LONGEST_S:
        raise FfsError(f"--seconds is {args.seconds:g}: expected more than 0 and at most {_LONGEST_S:g}")
    if not (math.isfinite(args.tolerance) and args.tolerance >= 0.0):
        raise FfsError(f"--tolerance is {args.tolerance:g}: expected seconds, 0 for equal stamps only")
    if args.left and args.left.strip("/") == args.right.strip("/"):
        raise FfsError(f"--left and --right are both {args.left}: expected the topics of two cameras")
    try:
        from ffs_ros.ros.doctor.visit import visit
    except ImportError as error:
        raise_interrupt(error)
        if (error.name or "").startswith("ffs_ros"):
            raise
        raise FfsError(
            f"ROS 2 is not complete here ({error}); source it (. /opt/ros/$ROS_DISTRO/setup.sh), or {ROS_PACKAGES}"
        ) from error
    if not visit(args):
        sys.exit(1)
