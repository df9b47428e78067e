"""``ffs bag``: a recorded stereo bag -> a bag with the node's outputs, and what they are like."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ffs_ros.advice import BAG_PACKAGES
from ffs_ros.config import NodeConfig
from ffs_ros.errors import FfsError
from ffs_ros.tools.bag_summary import summary
from ffs_ros.tools.node_options import add_node_options, node_config
from ffs_ros.tools.progress_bar import counted
from ffs_ros.topics import OUTPUTS

HELP = """\
ffs bag rec -o rec_depth
ffs bag model.onnx rec.mcap -o rec_depth --with-inputs
ffs bag sgbm old.bag -o depth --rectify --left /cam/left --right /cam/right

Plays a recorded bag into what stereo_node does, without ROS and without losing a pair: bags of ROS 1 and ROS 2 (.bag,
.mcap, .db3 or a folder), raw and compressed images. OUT becomes a bag of ROS 2 with
  disparity, depth/image_rect, depth/camera_info    the node's messages, with the images' stamps and times
  metadata.yaml and the storage file                as ros2 bag has them
  report.json, report.html                          density, flicker, consistency, latency, what did not pair and why
  pairs.jsonl                                       the same for each pair
Exit code 3: the bag is damaged, and what could be read of it is done."""

DAMAGED = 3
"""Exit code."""
_ALWAYS = ("disparity", "depth", "camera_info")
_PARAMETERS = (
    "rectify", "image_transport", "approximate_sync", "approximate_sync_tolerance_seconds", "queue_size", "engine_size",
    "fallback_engine", "max_non_finite_share", "gpu_index", "max_disparity", "fit", "mask_out_of_view", "bit_depth",
    "depth_encoding", "min_depth", "max_depth", "roi_x_offset", "roi_y_offset", "roi_width", "roi_height",
    "confidence_rate",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs bag``."""
    engine = NodeConfig().engine
    parser.add_argument(
        "engine", metavar="ENGINE", nargs="?", default=engine,
        help=f"an .onnx or .engine file, a folder of them, '{engine}' or 'sgbm' (default: {engine})",
    )  # fmt: skip
    parser.add_argument("bag", metavar="IN", type=Path, help="a bag: .bag, .mcap, .db3, or the folder of a ROS 2 bag")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, required=True, help="folder of the new bag")
    for side in ("left", "right"):
        parser.add_argument(
            f"--{side}", metavar="TOPIC", default="",
            help=f"the {side} image, or the namespace where it lies (default: found by its name)",
        )  # fmt: skip
        parser.add_argument(
            f"--{side}-info", metavar="TOPIC", default="", help="its CameraInfo (default: camera_info beside the image)"
        )
    parser.add_argument(
        "--camera", metavar="FILE", type=Path, help="a calibration instead of the bag's CameraInfo (as ffs infer)"
    )
    parser.add_argument(
        "--also", metavar="TOPIC", nargs="+", action="extend", default=[],
        choices=[topic for name, topic in OUTPUTS.items() if name not in _ALWAYS],
        help="more outputs: %(choices)s",
    )  # fmt: skip
    parser.add_argument("--with-inputs", action="store_true", help="copy all topics of the bag as well")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="default: %(default)s")
    parser.add_argument("--namespace", metavar="NAME", default="", help="before the outputs' names (default: none)")
    parser.add_argument(
        "--depth-topic", metavar="TOPIC", default="", help="compare with this depth image, aligned to the left camera"
    )
    parser.add_argument("--against", metavar="ENGINE", default="", help="compare with another engine's answers")
    add_node_options(parser, _PARAMETERS)


def main(args: argparse.Namespace) -> None:
    """Write the bag, or raise FfsError; exit code 3 where part of the old one could not be read."""
    config = node_config(args, _PARAMETERS, engine=args.engine)
    try:
        from ffs_ros.bag.camera_topics import Asked
        from ffs_ros.bag.job import Job, run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ffs_ros"):
            raise
        package = error.name.partition(".")[0]
        raise FfsError(f"bags need the Python package '{package}', which is not installed; {BAG_PACKAGES}") from None
    also = {name for name, topic in OUTPUTS.items() if topic in args.also}
    job = Job(
        bag=args.bag,
        out=args.out,
        config=config,
        asked=Asked(
            args.left, args.right, args.left_info, args.right_info,
            packed=None if args.image_transport is None else args.image_transport == "compressed",
            rectify=config.rectify,
        ),
        outputs=tuple(name for name in OUTPUTS if name in _ALWAYS or name in also),
        with_inputs=args.with_inputs,
        storage=args.storage,
        namespace=args.namespace,
        camera=args.camera,
        depth_topic=args.depth_topic and f"/{args.depth_topic.strip('/')}",
        against=args.against,
    )  # fmt: skip
    record = run(job, _Log(), counted)
    print(summary(record))
    for sentence in record["damage"]:
        print(f"ffs: {sentence}", file=sys.stderr)
    if record["damage"]:
        sys.exit(DAMAGED)


class _Log:
    """Where the engine says what it is and what becomes of it."""

    def info(self, sentence: str) -> None:
        """What to know."""
        print(f"\r{sentence}", file=sys.stderr)

    def warning(self, sentence: str) -> None:
        """What is wrong, or may be."""
        self.info(sentence)

    def error(self, sentence: str) -> None:
        """What is wrong."""
        self.info(sentence)
