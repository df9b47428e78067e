"""``ffs infer``: two rectified images -> disparity, and with a calibration depth and points."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from ffs_ros.advice import export_size, few_answers
from ffs_ros.camera_file import FORMATS, read_camera
from ffs_ros.cloud_view import view_points
from ffs_ros.config import NodeConfig
from ffs_ros.errors import CalibrationError, FileError
from ffs_ros.fit import InputFit
from ffs_ros.geometry import StereoCamera, depth_from_disparity, points_from_depth
from ffs_ros.image_file import read_rgb, write_png
from ffs_ros.message_fields import depth_fields
from ffs_ros.pfm import write_pfm
from ffs_ros.picture import colour_disparity
from ffs_ros.ply import write_ply
from ffs_ros.storage import Location, is_url, located, make_folder
from ffs_ros.tools.engine_choice import ENGINE_HELP, EngineChoice, add_engine_options, chosen
from ffs_ros.tools.infer_list import add_list_options, batch_of, infer_list, refuse_list_options
from ffs_ros.whole_file import whole_file

ACTION = "inference"
"""TAO's, whose specs -e takes."""
HELP = f"""\
ffs infer left.png right.png -o out --camera calib.txt
ffs infer model.onnx left.png right.png -o out --camera calib.txt
ffs infer model.onnx --list annotations.txt -o out --outputs pfm,png
ffs infer -e spec.yaml

Disparity of two rectified images; with a calibration depth and points too. OUT receives
  disparity.pfm   float32, x_left - x_right in pixels, +inf for no answer; on verged rigs the node's topic differs: it
                  has the principal points' difference, cx_left - cx_right, subtracted
  disparity.png   the same in colours, near is warm
  depth.png       16 bit, millimetres, 0 for none or beyond 65.535 m (with --camera, as the three below)
  depth.npy       float32, metres, NaN for none
  cloud.ply       points of the left camera's optical frame, with colours
  cloud.png       the same seen from beside the camera

With --list the same for all pairs of a list, each named after its left image; a run that was killed goes on where it
was. Lists, images and OUT may be URLs, and --ray works on a cluster: docs/batch.md.

Calibrations:
{FORMATS}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", metavar="[ENGINE] LEFT RIGHT", nargs="*",
        help=f"{ENGINE_HELP} (default: {NodeConfig().engine}); two rectified images of one size, or --list",
    )  # fmt: skip
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        type=located,
        required=True,
        help="folder, made where missing; with --list also a URL",
    )
    parser.add_argument("--camera", metavar="FILE", type=Path, help="calibration")
    parser.add_argument(
        "--mask-out-of-view", action="store_true", help="no answer where the match lies left of the right image"
    )
    add_engine_options(parser)
    add_list_options(parser)


def main(args: argparse.Namespace) -> None:
    """Write every file, or raise FfsError."""
    images = 0 if args.lists else 2
    if not images <= len(args.words) <= images + 1:
        expected = "[ENGINE] --list FILE" if args.lists else "[ENGINE] LEFT RIGHT, or [ENGINE] --list FILE"
        raise FileError(f"ffs infer got '{' '.join(args.words)}': expected ffs infer {expected} -o OUT")
    engine = chosen(args, args.words[0] if len(args.words) > images else NodeConfig().engine)
    engine = replace(engine, mask_out_of_view=args.mask_out_of_view)
    if args.lists:
        infer_list(batch_of(args, engine))
    else:
        refuse_list_options(args)
        if is_url(args.out):
            raise FileError(f"OUT is {args.out}: expected a folder on this machine; --list FILE writes to URLs")
        left, right = map(located, args.words[-2:])
        _infer_pair(engine, left, right, args.out, args.camera)


def _infer_pair(choice: EngineChoice, left: Location, right: Location, out: Path, camera_file: Path | None) -> None:
    left_HW3, right_HW3 = read_rgb(left), read_rgb(right)
    height, width = left_HW3.shape[:2]
    if left_HW3.shape != right_HW3.shape:
        raise FileError(
            f"{left} is {width}x{height} but {right} is {right_HW3.shape[1]}x{right_HW3.shape[0]}: expected "
            "the two rectified images of one pair"
        )
    camera = None
    if camera_file is not None:
        camera = read_camera(camera_file, image_size=(height, width))
        try:
            camera.check_image_size(height, width)
        except CalibrationError:
            raise CalibrationError(
                f"{camera_file} is for {camera.width}x{camera.height} images and {left} is {width}x{height}: "
                f"depth would be wrong; give --camera a file for {width}x{height}"
            ) from None

    with choice.open() as matcher:
        engine = matcher.engine
        make_folder(out)
        start_s = time.perf_counter()
        disparity_HW = matcher.match(left_HW3, right_HW3)
        latency_ms = 1e3 * (time.perf_counter() - start_s)
        print(f"{engine.info.name}, {engine.info.runtime}: {width}x{height} in {latency_ms:.0f} ms (first run)")
        for note in (engine.info.note, _scale_note(matcher.fit_of(height, width))):
            if note:
                print(note)

    write_pfm(out / "disparity.pfm", disparity_HW)
    write_png(out / "disparity.png", colour_disparity(disparity_HW))
    print(f"{out / 'disparity.pfm'}: {_summary(disparity_HW, 'an answer', 'px')}")
    hint = few_answers(float(np.isfinite(disparity_HW).mean()))
    if camera is not None:
        _write_depth(out, disparity_HW, camera, left_HW3)
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
