"""Ground truth in every data set's encoding, and what is refused because it would be read wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.errors import FileError
from ffs_ros.ground_truth import DATASET_NAMES, dataset_of, read_disparity, read_mask, read_stored_disparity
from ffs_ros.pfm import write_pfm

NAN = np.nan
PACKED = ("FSD", "IsaacRealDataset", "GenericDataset", "Middlebury", "Eth3d")


def png(folder: Path, pixels: np.ndarray) -> Path:
    path = folder / "d.png"
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


@pytest.mark.parametrize("name", PACKED)
def test_packed_colours(tmp_path: Path, name: str) -> None:
    """Thousandths in three digits of base 255, red first; all 0 is unknown."""
    rgb = np.array([[[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0], [2, 254, 254], [0, 196, 20]]], np.uint8)
    disparity = read_disparity(png(tmp_path, rgb), name)
    assert disparity.dtype == np.float32
    np.testing.assert_array_equal(disparity, np.array([[0.001, 0.255, 65.025, NAN, 195.074, 50.0]], np.float32))


def test_packed_colours_are_exact_thousandths(tmp_path: Path) -> None:
    """Every step from 0.001 to 400 px comes back as the nearest float32."""
    steps = np.arange(1, 400_001, 7)[None]
    rgb = np.stack([steps // 255**2, steps // 255 % 255, steps % 255], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(read_disparity(png(tmp_path, rgb), "FSD"), (steps / 1000).astype(np.float32))


@pytest.mark.parametrize(("name", "steps"), [("Kitti", 256), ("Crestereo", 32), ("kitti", 256), ("CREStereo", 32)])
def test_16_bit_grey(tmp_path: Path, name: str, steps: int) -> None:
    """Both bytes count, 0 is unknown."""
    grey = np.array([[0, 1, 256, 12345, 65535]], np.uint16)
    expected = np.array([[NAN, 1, 256, 12345, 65535]]) / steps
    disparity = read_disparity(png(tmp_path, grey), name)
    assert disparity.dtype == np.float32
    np.testing.assert_array_equal(disparity, expected.astype(np.float32))


@pytest.mark.parametrize("name", PACKED)
def test_16_bit_grey_does_not_say_its_scale(tmp_path: Path, name: str) -> None:
    """KITTI's files under a packed name would be read 3.9 times too small by who guesses thousandths."""
    with pytest.raises(FileError, match=r"16 bits, which does not say .*write it as a \.pfm .*Kitti \(1/256 px\)"):
        read_disparity(png(tmp_path, np.full((4, 5), 2560, np.uint16)), name)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("channels", [1, 3])
def test_8_bit_grey_is_refused(tmp_path: Path, name: str, channels: int) -> None:
    """Whether stored as one channel or as three equal ones, which would unpack to thousands of pixels."""
    grey = np.array([[0, 40, 80]], np.uint8)
    path = png(tmp_path, grey if channels == 1 else np.dstack([grey] * 3))
    with pytest.raises(FileError, match=r"a grey picture of 8 bits, which does not say how many steps a pixel has"):
        read_disparity(path, name)


@pytest.mark.parametrize("name", ["Kitti", "Crestereo"])
@pytest.mark.parametrize(
    "pixels", [np.ones((2, 2), np.uint8), np.ones((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint16)]
)
def test_kitti_and_crestereo_are_16_bit_grey(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    """A packed or an 8-bit file under their names is a wrong dataset_name."""
    with pytest.raises(FileError, match=r"expected one of 16 bits, \d+ steps a pixel; check dataset_name"):
        read_disparity(png(tmp_path, pixels), name)


@pytest.mark.parametrize("shape", [(2, 2, 4), (2, 2, 3)])
def test_packed_files_have_three_channels_of_8_bits(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Alpha or 16 bits: another encoding."""
    dtype = np.uint8 if shape[2] == 4 else np.uint16
    path = tmp_path / "d.png"
    cv2.imwrite(str(path), np.arange(np.prod(shape)).reshape(shape).astype(dtype))
    with pytest.raises(FileError, match=r"expected three of uint8, a packed disparity; or write it as a \.pfm"):
        read_disparity(path, "GenericDataset")


@pytest.mark.parametrize("name", DATASET_NAMES)
@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".npz"])
def test_maps_of_pixels(tmp_path: Path, name: str, suffix: str) -> None:
    """Top row first; 0 is a disparity, negative or not finite is unknown."""
    stored = np.array([[1.5, 0, -1], [NAN, np.inf, -np.inf]], np.float32)
    path = tmp_path / f"d{suffix}"
    if suffix == ".pfm":
        write_pfm(path, stored)
    elif suffix == ".npy":
        np.save(path, stored.astype(np.float64))
    else:
        np.savez_compressed(path, disparity=stored)
    disparity = read_disparity(path, name)
    assert disparity.dtype == np.float32
    np.testing.assert_array_equal(disparity, np.array([[1.5, 0, NAN], [NAN, NAN, NAN]], np.float32))
    np.testing.assert_array_equal(read_stored_disparity(path, name)[0], [1.5, 0, -1])


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": np.ones((2, 3)), "b": np.ones((2, 3))}, "holds 2 arrays: expected one"),
        ({"a": np.ones((2, 3, 2))}, r"holds float64 \(2, 3, 2\): expected floats \(height, width\)"),
        ({"a": np.ones((2, 3), np.uint16)}, r"holds uint16 \(2, 3\): expected floats"),
        ({"a": np.array([[{}]])}, "is damaged or not a NumPy file of numbers"),
    ],
)
def test_other_arrays(tmp_path: Path, arrays: dict[str, Any], sentence: str) -> None:
    """Integers have no known scale, and a pickle inside is never opened."""
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(FileError, match=sentence):
        read_disparity(tmp_path / "d.npz", "GenericDataset")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".pfm"])
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    """Empty, something else, or cut short: one sentence."""
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(whole), np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    elif suffix == ".pfm":
        write_pfm(whole, np.ones((40, 40), np.float32))
    else:
        (np.save if suffix == ".npy" else np.savez_compressed)(whole, np.ones((40, 40), np.float32))
    content = whole.read_bytes()
    path = tmp_path / f"d{suffix}"
    for part in (b"", b"no map at all", content[: len(content) // 2], content[:20]):
        path.write_bytes(part)
        with pytest.raises(FileError, match=rf"d\{suffix} (is|holds|announces)"):
            read_disparity(path, "GenericDataset")


@pytest.mark.parametrize("suffix", [".pfm", ".png", ".npy"])
def test_missing_file(tmp_path: Path, suffix: str) -> None:
    """The path and the reason."""
    with pytest.raises(FileError, match=rf"cannot read .*none\{suffix}: No such file"):
        read_disparity(tmp_path / f"none{suffix}", "FSD")


@pytest.mark.parametrize("file", ["d.jpg", "d.exr", "d.tiff", "d"])
def test_other_kinds_of_file(tmp_path: Path, file: str) -> None:
    """Above all no JPEG, whose loss would be read as disparity."""
    with pytest.raises(FileError, match=r"cannot hold ground truth: expected a \.png, \.pfm, \.npy or \.npz file"):
        read_disparity(tmp_path / file, "FSD")


def test_names_of_data_sets() -> None:
    """Any case; another name lists those that exist."""
    assert dataset_of("genericdataset") == "GenericDataset"
    assert dataset_of("ETH3D") == "Eth3d"
    with pytest.raises(FileError, match=r"dataset_name 'SceneFlow' does not exist: expected one of FSD, .*, Crestereo"):
        dataset_of("SceneFlow")


@pytest.mark.parametrize("channels", [1, 3])
def test_masks_keep_255_of_the_first_channel(tmp_path: Path, channels: int) -> None:
    """128 marks occluded pixels in Middlebury's masks."""
    marks = np.array([[0, 128, 254, 255]], np.uint8)
    other = np.array([[255, 255, 255, 0]], np.uint8)
    path = png(tmp_path, marks if channels == 1 else np.dstack([marks, other, other]))
    keep = read_mask(path)
    assert keep.dtype == bool
    np.testing.assert_array_equal(keep, [[False, False, False, True]])


def test_masks_of_one_bit(tmp_path: Path) -> None:
    """A bilevel PNG's white is 255."""
    path = tmp_path / "m.png"
    cv2.imwrite(str(path), np.array([[0, 255] * 8], np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1])
    np.testing.assert_array_equal(read_mask(path), [[False, True] * 8])


def test_masks_that_keep_nothing(tmp_path: Path) -> None:
    """Black is a mask without a pixel to keep; marks without 255, as 0 and 1, or of floats are another kind of file."""
    assert not read_mask(png(tmp_path, np.zeros((2, 2), np.uint8))).any()
    with pytest.raises(FileError, match=r"d\.png has marks up to 1: expected 255 where the truth counts"):
        read_mask(png(tmp_path, np.eye(3, dtype=np.uint8)))
    cv2.imwrite(str(tmp_path / "m.tiff"), np.full((2, 2), 255, np.float32))
    with pytest.raises(FileError, match=r"m\.tiff holds float32 pixels: expected an 8-bit mask"):
        read_mask(tmp_path / "m.tiff")


def test_a_second_map_of_disparities_is_a_mask(tmp_path: Path) -> None:
    """KITTI's disp_noc knows the pixels that both cameras see."""
    np.testing.assert_array_equal(
        read_mask(png(tmp_path, np.array([[0, 1, 255, 6000]], np.uint16))), [[False, True, True, True]]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["Middlebury", "Kitti"])
def test_grey_of_a_given_scale(tmp_path: Path, name: str, channels: int, dtype: type) -> None:
    """Middlebury's older files, one channel or three equal ones; 0 is unknown, and the data set does not matter."""
    grey = np.array([[0, 1, 22, 255]], dtype)
    path = png(tmp_path, np.dstack([grey] * channels) if channels > 1 else grey)
    np.testing.assert_array_equal(read_disparity(path, name, gt_scale=4), [[NAN, 0.25, 5.5, 63.75]])


def test_a_given_scale_is_for_grey_alone(tmp_path: Path) -> None:
    """Colours under a scale are refused; a .pfm holds pixels all the same."""
    with pytest.raises(FileError, match=r"d\.png has colours: expected a grey picture, 4 steps a pixel"):
        read_disparity(png(tmp_path, np.arange(6, dtype=np.uint8).reshape(1, 2, 3)), "Middlebury", gt_scale=4)
    write_pfm(tmp_path / "d.pfm", np.full((1, 2), 7, np.float32))
    np.testing.assert_array_equal(read_disparity(tmp_path / "d.pfm", "Middlebury", gt_scale=4), [[7, 7]])


def test_real_files(shared: Path) -> None:
    """KITTI's, ETH3D's and FlyingThings3D's own files have the published share of known pixels and range."""
    stereo = shared / "data" / "stereo"
    for file, name, known, least, most in (
        ("kitti2015_000000/disp_gt.png", "Kitti", 0.191, 4.62, 64.09),
        ("eth3d_playground_1l/disp_gt.pfm", "Eth3d", 0.496, 2.13, 20.0),
        ("ft3d_TEST_A0000_0006/disp_gt.pfm", "GenericDataset", 1.0, 1.17, 99.39),
    ):
        disparity = read_disparity(stereo / file, name)
        assert np.isfinite(disparity).mean() == pytest.approx(known, abs=5e-4)
        assert (np.nanmin(disparity), np.nanmax(disparity)) == pytest.approx((least, most), abs=0.005)
