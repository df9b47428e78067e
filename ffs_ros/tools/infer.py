"""``ffs infer``: two rectified images -> disparity, and with a calibration depth and points."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ffs_ros.advice import export_size, few_answers
from ffs_ros.camera_file import FORMATS, read_camera
from ffs_ros.cloud_view import view_points
from ffs_ros.config import NodeConfig, parameter_facts
from ffs_ros.engine import open_engine
from ffs_ros.engine_size import size_in
from ffs_ros.errors import CalibrationError, EngineError, FileError
from ffs_ros.fit import MODES, InputFit
from ffs_ros.geometry import StereoCamera, depth_from_disparity, points_from_depth
from ffs_ros.image_file import read_rgb, write_png
from ffs_ros.matcher import StereoMatcher
from ffs_ros.message_fields import depth_fields
from ffs_ros.pfm import write_pfm
from ffs_ros.picture import colour_disparity
from ffs_ros.ply import write_ply
from ffs_ros.weights import SYNTHETIC
from ffs_ros.whole_file import whole_file

HELP = f"""\
ffs infer left.png right.png -o out --camera calib.txt
ffs infer model.onnx left.png right.png -o out --camera calib.txt

Disparity of two rectified images; with a calibration depth and points too. OUT receives
  disparity.pfm   float32, x_left - x_right in pixels, +inf for no answer; on verged rigs the node's topic differs: it
                  has the principal points' difference, cx_left - cx_right, subtracted
  disparity.png   the same in colours, near is warm
  depth.png       16 bit, millimetres, 0 for none or beyond 65.535 m (with --camera, as the three below)
  depth.npy       float32, metres, NaN for none
  cloud.ply       points of the left camera's optical frame, with colours
  cloud.png       the same seen from beside the camera

Calibrations:
{FORMATS}
"""

_FACTS = parameter_facts()["max_disparity"][2]
_LEAST_RANGE_PX, _LARGEST_RANGE_PX = int(_FACTS.minimum or 0), int(_FACTS.maximum or 0)

_MOST_THREADS = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = NodeConfig()
    parser.add_argument(
        "engine", metavar="ENGINE", nargs="?", default=defaults.engine,
        help=f"a .onnx file, '{SYNTHETIC}' (the weights that ship) or 'sgbm' (default: {defaults.engine})",
    )  # fmt: skip
    parser.add_argument("left", metavar="LEFT", type=Path, help="left image, rectified")
    parser.add_argument("right", metavar="RIGHT", type=Path, help="right image, rectified, of the same size")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, required=True, help="folder, made where missing")
    parser.add_argument("--camera", metavar="FILE", type=Path, help="calibration of the pair")
    parser.add_argument(
        "--fit", choices=MODES, default=defaults.fit, help="how images reach the engine's size (default: %(default)s)"
    )
    parser.add_argument(
        "--engine-size", metavar="HxW", default=defaults.engine_size,
        help="rows x columns that an engine of open size runs at (default: %(default)s, the images' size rounded up)",
    )  # fmt: skip
    parser.add_argument(
        "--max-disparity", metavar="N", type=int, default=defaults.max_disparity,
        help=f"search range of sgbm, {_LEAST_RANGE_PX} to {_LARGEST_RANGE_PX} pixels (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--mask-out-of-view", action="store_true", help="no answer where the match lies left of the right image"
    )
    parser.add_argument(
        "--threads", metavar="N", type=_thread_count, default=0, help="CPU threads (default: the runtime's)"
    )


def _thread_count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MOST_THREADS):
        raise argparse.ArgumentTypeError(f"'{text}': expected 1 to {_MOST_THREADS} threads")
    return int(text)


def main(args: argparse.Namespace) -> None:
    """Write every file, or raise FfsError."""
    if not _LEAST_RANGE_PX <= args.max_disparity <= _LARGEST_RANGE_PX:
        raise EngineError(
            f"--max-disparity is {args.max_disparity}: expected {_LEAST_RANGE_PX} to {_LARGEST_RANGE_PX} pixels"
        )
    left_HW3, right_HW3 = read_rgb(args.left), read_rgb(args.right)
    height, width = left_HW3.shape[:2]
    if left_HW3.shape != right_HW3.shape:
        raise FileError(
            f"{args.left} is {width}x{height} but {args.right} is {right_HW3.shape[1]}x{right_HW3.shape[0]}: expected "
            "the two rectified images of one pair"
        )
    camera = None
    if args.camera is not None:
        camera = read_camera(args.camera, image_size=(height, width))
        try:
            camera.check_image_size(height, width)
        except CalibrationError:
            raise CalibrationError(
                f"{args.camera} is for {camera.width}x{camera.height} images and {args.left} is {width}x{height}: "
                f"depth would be wrong; give --camera a file for {width}x{height}"
            ) from None

    size = size_in(args.engine_size)
    with open_engine(args.engine, max_disparity=args.max_disparity, threads=args.threads, size=size) as engine:
        matcher = StereoMatcher(engine, args.fit, args.mask_out_of_view, size)
        _make_folder(args.out)
        start_s = time.perf_counter()
        disparity_HW = matcher.match(left_HW3, right_HW3)
        latency_ms = 1e3 * (time.perf_counter() - start_s)
        print(f"{engine.info.name}, {engine.info.runtime}: {width}x{height} in {latency_ms:.0f} ms (first run)")
        for note in (engine.info.note, _scale_note(matcher.fit_of(height, width))):
            if note:
                print(note)

    write_pfm(args.out / "disparity.pfm", disparity_HW)
    write_png(args.out / "disparity.png", colour_disparity(disparity_HW))
    print(f"{args.out / 'disparity.pfm'}: {_summary(disparity_HW, 'an answer', 'px')}")
    hint = few_answers(float(np.isfinite(disparity_HW).mean()))
    if camera is not None:
        _write_depth(args.out, disparity_HW, camera, left_HW3)
    if hint:
        print(f"hint: {hint}")


def _write_depth(out: Path, disparity_HW: np.ndarray, camera: StereoCamera, left_HW3: np.ndarray) -> None:
    depth_HW = depth_from_disparity(disparity_HW, camera)
    write_png(out / "depth.png", depth_fields(depth_HW, "16UC1").data)
    with whole_file(out / "depth.npy") as temporary:
        np.save(temporary, depth_HW)
    points_HW3 = points_from_depth(depth_HW, camera)
    points = write_ply(out / "cloud.ply", points_HW3, left_HW3)
    write_png(out / "cloud.png", view_points(points_HW3, left_HW3))
    print(f"{out / 'depth.npy'}: {_summary(depth_HW, 'a depth', 'm')}")
    print(f"{out / 'cloud.ply'}: {points} points")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {out}: {error.strerror or error}; name another with -o") from error


def _scale_note(fit: InputFit) -> str | None:
    """How the images were scaled, in words; None when the engine saw them pixel by pixel."""
    if fit.content_size == fit.camera_size:
        return None
    (content_rows, content_columns), (rows, columns) = fit.content_size, fit.engine_size
    if fit.content_size == fit.engine_size:
        note = f"resized to the engine's {columns}x{rows}"
    else:
        note = f"letterboxed to {content_columns}x{content_rows} inside the engine's {columns}x{rows}"
    size = export_size(fit.camera_size)
    if size and (content_rows < fit.camera_size[0] or content_columns < fit.camera_size[1]):
        note += f"; for full detail export an engine with {size} (rows x columns)"
    return note


def _summary(map_HW: np.ndarray, what: str, unit: str) -> str:
    answered = map_HW[np.isfinite(map_HW)]
    if not answered.size:
        return f"no pixel has {what}"
    share = answered.size / map_HW.size
    return f"{share:.1%} of the pixels have {what}, {answered.min():.2f} to {answered.max():.2f} {unit}"
