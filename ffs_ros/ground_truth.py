"""Ground truth in files: the disparity of the left image in each data set's own encoding.

    Kitti                       .png: 16-bit grey, / 256 px; 0 is unknown
    Crestereo                   .png: 16-bit grey, / 32 px; 0 is unknown
    FSD, IsaacRealDataset,      .png: 8-bit colour, (R * 255 * 255 + G * 255 + B) / 1000 px, base 255 indeed; 0 is
    GenericDataset,             unknown
    Middlebury, Eth3d

``.pfm``, and ``.npy`` or ``.npz`` with one array of floats, hold pixels in every data set; what is negative or not
finite is unknown there, and 0 is a disparity. A 16-bit grey PNG in one of the last five is refused, since nothing in it
says its scale: TAO's training cannot read it, its TensorRT evaluation takes thousandths of a pixel, and KITTI's own
files hold 1/256. Who knows the scale of grey pictures (Middlebury's of 2001 to 2006 have 8 bits and 1 to 16 steps a
pixel) says it with ``gt_scale``.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import io

import numpy as np

from ffs_ros.errors import FileError
from ffs_ros.image_file import read_pixels
from ffs_ros.pfm import read_pfm
from ffs_ros.storage import Location, read_bytes, suffix_of

_STEPS_PER_PIXEL: dict[str, float | None] = {
    "FSD": None,
    "IsaacRealDataset": None,
    "GenericDataset": None,
    "Middlebury": None,
    "Eth3d": None,
    "Kitti": 256.0,
    "Crestereo": 32.0,
}
"""Of the 16-bit PNG files of each data set; None where they are packed into three channels."""

DATASET_NAMES = tuple(_STEPS_PER_PIXEL)
"""As specs name them; case does not matter."""

_PACKED_BASE, _PACKED_STEPS_PER_PIXEL = 255, 1000.0


def read_disparity(path: Location, dataset_name: str, gt_scale: float | None = None) -> np.ndarray:
    """The disparity in ``path``: float32 (H,W) in pixels, x_right = x_left - d, at least 0, NaN where unknown.

    ``dataset_name`` is one of ``DATASET_NAMES``; ``gt_scale``, where it is given, is how many steps a pixel has in a
    grey picture, whatever the data set. Raises FileError when the file is missing, damaged, or not in the encoding of
    its data set.
    """
    disparity_HW = read_stored_disparity(path, dataset_name, gt_scale)
    disparity_HW[disparity_HW < 0.0] = np.nan
    return disparity_HW


def read_stored_disparity(path: Location, dataset_name: str, gt_scale: float | None = None) -> np.ndarray:
    """As ``read_disparity``, but with negative values as they are stored, for who wants to report them."""
    steps_per_pixel, suffix = gt_scale or _STEPS_PER_PIXEL[dataset_of(dataset_name)], suffix_of(path)
    if suffix == ".pfm":
        return read_pfm(path)
    if suffix in (".npy", ".npz"):
        return _read_array(path)
    _refuse(wrong_suffix(path, gt_scale))
    pixels = read_pixels(path)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    _refuse(wrong_encoding(path, channels, pixels.dtype, dataset_name, gt_scale))
    if channels == 1:
        return _known(pixels, steps_per_pixel or 1.0)
    blue, green, red = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    is_grey = np.array_equal(red, green) and np.array_equal(green, blue)
    if gt_scale:
        _refuse(None if is_grey else f"{path} has colours: expected a grey picture, {gt_scale:g} steps a pixel")
        return _known(red, gt_scale)
    _refuse(_grey_sentence(path, pixels.dtype) if is_grey and red.any() else None)
    return _known((red * _PACKED_BASE + green) * _PACKED_BASE + blue, _PACKED_STEPS_PER_PIXEL)


def wrong_suffix(path: Location, gt_scale: float | None = None) -> str | None:
    """What is wrong with a file's ending, in a sentence; None when nothing is."""
    if gt_scale or suffix_of(path) in (".pfm", ".npy", ".npz", ".png"):
        return None
    return f"{path} cannot hold ground truth: expected a .png, .pfm, .npy or .npz file"


def wrong_encoding(
    path: Location, channels: int, dtype: np.dtype, dataset_name: str, gt_scale: float | None = None
) -> str | None:
    """What is wrong with a picture of this layout as ground truth of the data set; None when nothing is."""
    steps_per_pixel = _STEPS_PER_PIXEL[dataset_of(dataset_name)]
    if gt_scale:
        if channels in (1, 3) and dtype in (np.uint8, np.uint16):
            return None
        return f"{path} has {channels} channels of {dtype}: expected a grey picture, {gt_scale:g} steps a pixel"
    if steps_per_pixel is not None:
        if channels == 1 and dtype == np.uint16:
            return None
        return (
            f"{path} has {channels} channels of {dtype}: expected one of 16 bits, {steps_per_pixel:g} steps a pixel; "
            "check dataset_name"
        )
    if channels == 1:
        return _grey_sentence(path, dtype)
    if channels == 3 and dtype == np.uint8:
        return None
    return (
        f"{path} has {channels} channels of {dtype}: expected three of uint8, a packed disparity; or write it as a "
        ".pfm in pixels"
    )


def _refuse(sentence: str | None) -> None:
    if sentence is not None:
        raise FileError(sentence)


def read_mask(path: Location) -> np.ndarray:
    """Where the ground truth counts: bool (H,W), True where the first channel of the picture is 255.

    Masks of non-occluded pixels hold 255 for what both cameras see, and another value elsewhere. KITTI has a second map
    of disparities instead (disp_noc): in a picture of 16 bits True is what is not 0. Raises FileError when the file is
    missing or no picture of 8 or 16 bits, or when it has marks of 8 bits but none of 255.
    """
    pixels = read_pixels(path)
    if pixels.dtype == np.uint16 and pixels.ndim == 2:
        return pixels > 0
    if pixels.dtype != np.uint8:
        raise FileError(f"{path} holds {pixels.dtype} pixels: expected an 8-bit mask, 255 where the truth counts")
    # The decoder puts blue first; the file's first channel is red.
    marks_HW = pixels if pixels.ndim == 2 else pixels[..., 2 if pixels.shape[2] >= 3 else 0]
    keep_HW = marks_HW == 255
    if marks_HW.any() and not keep_HW.any():
        raise FileError(f"{path} has marks up to {marks_HW.max()}: expected 255 where the truth counts")
    return keep_HW


def dataset_of(name: str) -> str:
    """The data set's name as ``DATASET_NAMES`` spells it. Raises FileError when there is none."""
    for known in DATASET_NAMES:
        if known.lower() == name.lower():
            return known
    raise FileError(f"dataset_name '{name}' does not exist: expected one of {', '.join(DATASET_NAMES)}")


def _grey_sentence(path: Location, dtype: np.dtype) -> str:
    bits = 8 * dtype.itemsize
    other_names = "; or set dataset_name to Kitti (1/256 px) or Crestereo (1/32 px)" if bits == 16 else ""
    return (
        f"{path} is a grey picture of {bits} bits, which does not say how many steps a pixel has: expected a disparity "
        f"packed into 8-bit colours; write it as a .pfm in pixels (ffs eval and ffs compare also take --gt-scale)"
        f"{other_names}"
    )


def _known(steps_HW: np.ndarray, steps_per_pixel: float) -> np.ndarray:
    disparity_HW = (steps_HW / steps_per_pixel).astype(np.float32)
    disparity_HW[steps_HW == 0] = np.nan
    return disparity_HW


def _read_array(path: Location) -> np.ndarray:
    content = read_bytes(path)
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        arrays = [loaded] if isinstance(loaded, np.ndarray) else [loaded[name] for name in loaded.files]
    except Exception as error:  # NumPy and zipfile raise a dozen kinds for damaged content, MemoryError among them
        raise FileError(f"{path} is damaged or not a NumPy file of numbers: {error}; write it again") from error
    if len(arrays) != 1:
        raise FileError(f"{path} holds {len(arrays)} arrays: expected one, the disparity")
    if arrays[0].ndim != 2 or not np.issubdtype(arrays[0].dtype, np.floating):
        raise FileError(
            f"{path} holds {arrays[0].dtype} {arrays[0].shape}: expected floats (height, width), disparities in pixels"
        )
    with np.errstate(over="ignore"):
        disparity_HW = arrays[0].astype(np.float32)
    disparity_HW[~np.isfinite(disparity_HW)] = np.nan
    return disparity_HW
