"""The files of a matched pair.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ffs_ros.batch.names import NAMINGS
from ffs_ros.camera_file import read_camera
from ffs_ros.errors import CalibrationError, FfsError
from ffs_ros.evaluation.samples import LoadedPair, Sample
from ffs_ros.geometry import StereoCamera, depth_from_disparity, points_from_depth
from ffs_ros.image_file import write_picture, write_png
from ffs_ros.message_fields import depth_fields
from ffs_ros.pfm import write_pfm
from ffs_ros.picture import colour_disparity
from ffs_ros.ply import write_ply
from ffs_ros.storage import Location, downloaded, exists, folder_of, is_url, joined, make_folder
from ffs_ros.whole_file import whole_file

FORMATS = {
    "pfm": "disparity, float32 px, +inf for no answer",
    "png": "disparity in colours, near is warm",
    "npy": "disparity, float32 px, NaN for no answer",
    "depth": "depth, 16-bit PNG, millimetres, 0 for none or beyond 65.535 m",
    "ply": "points in metres with colours",
}
NEED_A_CAMERA = ("depth", "ply")
_SUFFIXES = {"pfm": ".pfm", "npy": ".npy", "depth": "_depth.png", "ply": ".ply"}


@dataclass(frozen=True)
class Outputs:
    """Which files a batch writes, and where."""

    folder: Location
    formats: tuple[str, ...] = ("pfm",)
    """Of ``FORMATS``."""
    naming: str = "path"
    """One of ``names.NAMINGS``."""
    camera: Path | None = None
    """Calibration of all pairs."""
    camera_beside: str | None = None
    """Name of the calibration in the folder of each left image."""

    @property
    def shows_truth(self) -> bool:
        """Whether ground truth is drawn: in the pictures of TAO's PyTorch container."""
        return self.naming == "tao" and "png" in self.formats

    @property
    def needs_camera(self) -> bool:
        return bool(set(NEED_A_CAMERA) & set(self.formats))

    @property
    def picture_endings(self) -> tuple[str, ...]:
        """What follows the stem in the names of a pair's pictures."""
        return ("", "_depth") if {"png", "depth"} <= {*self.formats} else ("",)

    def paths(self, sample: Sample) -> dict[str, Location]:
        """The file of each format, in the order in which they are written."""
        name = NAMINGS[self.naming](sample)
        suffixes = {**_SUFFIXES, "png": name.picture_suffix}
        return {format: joined(self.folder, name.stem + suffixes[format]) for format in self.formats}

    def finished(self, sample: Sample) -> bool:
        """Whether all files of the pair are there. Raises FileError where a store cannot be asked."""
        return all(exists(path) for path in self.paths(sample).values())

    def camera_of(self, sample: Sample, size: tuple[int, int]) -> StereoCamera | None:
        """The calibration of a pair of (rows, columns) images; None where no file needs it.

        Raises FileError, or CalibrationError when it is for images of another size.
        """
        if not self.needs_camera:
            return None
        file = self.camera or joined(folder_of(sample.files.left), self.camera_beside or "")
        camera = _read_camera(file, size)
        try:
            camera.check_image_size(*size)
        except CalibrationError:
            raise CalibrationError(
                f"{file} is for {camera.width}x{camera.height} images and {sample.files.left} is {size[1]}x{size[0]}: "
                "depth would be wrong; expected calibrations of the images' size"
            ) from None
        return camera

    def write(self, sample: Sample, pair: LoadedPair, camera: StereoCamera | None, disparity_HW: np.ndarray) -> None:
        """All files of a pair, each whole. Raises FileError where one cannot be written."""
        paths = self.paths(sample)
        make_folder(folder_of(next(iter(paths.values()))))  # all are in one
        if "pfm" in paths:
            write_pfm(paths["pfm"], disparity_HW)
        if "png" in paths:
            write_picture(paths["png"], self._picture(pair, disparity_HW))
        if "npy" in paths:
            with whole_file(paths["npy"]) as temporary:
                np.save(temporary, disparity_HW)
        if camera is None:
            return
        depth_HW = depth_from_disparity(disparity_HW, camera)
        if "depth" in paths:
            write_png(paths["depth"], depth_fields(depth_HW, "16UC1").data)
        if "ply" in paths:
            write_ply(paths["ply"], points_from_depth(depth_HW, camera), pair.left_HW3)

    def _picture(self, pair: LoadedPair, disparity_HW: np.ndarray) -> np.ndarray:
        """The disparity in colours. As TAO's PyTorch container: left, truth, disparity and difference in a row, each in
        colours from 0 to its own maximum; as its TensorRT container: from minimum to maximum."""
        if self.naming == "path":
            return colour_disparity(disparity_HW)
        if self.naming == "tao-deploy":
            return colour_disparity(disparity_HW, _limit(np.nanmin, disparity_HW), _limit(np.nanmax, disparity_HW))
        maps_HW = [disparity_HW]
        if pair.truth_HW is not None:
            maps_HW = [pair.truth_HW, disparity_HW, np.abs(pair.truth_HW - disparity_HW)]
        coloured = [colour_disparity(map_HW, 0.0, _limit(np.nanmax, map_HW)) for map_HW in maps_HW]
        return np.concatenate([pair.left_HW3, *coloured], axis=1)


def _limit(reduced: Callable[[np.ndarray], float], map_HW: np.ndarray) -> float:
    return float(reduced(map_HW)) if np.isfinite(map_HW).any() else 0.0


@lru_cache(maxsize=64)
def _read_camera(file: Location, size: tuple[int, int]) -> StereoCamera:
    if not is_url(file):
        return read_camera(Path(file), image_size=size)
    with downloaded(file) as copy:
        try:
            return read_camera(copy.name, image_size=size)
        except FfsError as error:
            raise type(error)(str(error).replace(copy.name, str(file))) from error
