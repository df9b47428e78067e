"""Camera size to engine size and back, with answers known in advance."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.errors import EngineError
from ffs_ros.fit import InputFit


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_padding_replicates_edges_half_on_each_side() -> None:
    """75x150 becomes 96x160: 10 rows above, 11 below, 5 columns left, 5 right, as the reference pads."""
    image = random_image(75, 150)
    fit = InputFit.of((75, 150), None, size_multiple=32)
    padded = fit.to_engine(image)
    np.testing.assert_array_equal(padded, np.pad(image, ((10, 11), (5, 5), (0, 0)), mode="edge"))
    disparity = np.arange(96 * 160, dtype=np.float32).reshape(96, 160)
    np.testing.assert_array_equal(fit.to_camera(disparity), disparity[10:85, 5:155])
    assert fit.width_ratio == 1.0


def test_same_size_changes_nothing() -> None:
    """Where the sizes agree, both ways are the identity."""
    image = random_image(64, 96)
    fit = InputFit.of((64, 96), (64, 96), 32)
    assert fit.to_engine(image) is image
    disparity = np.ones((64, 96), np.float32)
    np.testing.assert_array_equal(fit.to_camera(disparity), disparity)


@pytest.mark.parametrize(
    ("camera_size", "engine_size", "content_size"),
    [
        ((480, 640), (480, 640), (480, 640)),
        ((450, 610), (480, 640), (450, 610)),
        ((449, 609), (480, 640), (449, 609)),  # 31 missing on each axis: padded
        ((448, 640), (480, 640), (448, 640)),  # 32 rows missing, but the width fills the engine: scale 1
        ((480, 608), (480, 640), (480, 608)),  # 32 columns missing, but the height fills it
        ((448, 608), (480, 640), (472, 640)),  # 32 missing on both: letterboxed up by 640/608
        ((240, 320), (480, 640), (480, 640)),
        ((481, 640), (480, 640), (480, 639)),  # larger than the engine: letterboxed down
        ((960, 1280), (480, 736), (480, 640)),
        ((100, 1000), (480, 640), (64, 640)),
        ((1000, 1), (480, 640), (480, 1)),
    ],
)
def test_auto_pads_up_to_31_pixels_and_letterboxes_otherwise(
    camera_size: tuple[int, int], engine_size: tuple[int, int], content_size: tuple[int, int]
) -> None:
    """A small shortfall keeps the camera's own pixels; anything else keeps the aspect ratio."""
    fit = InputFit.of(camera_size, engine_size, 32, "auto")
    assert fit.content_size == content_size
    assert fit.engine_size == engine_size


def test_open_axes_grow_to_the_next_multiple() -> None:
    """A graph of dynamic size takes any multiple of 32; SGBM any size; one axis may be fixed."""
    assert InputFit.of((481, 640), None, 32).engine_size == (512, 640)
    assert InputFit.of((481, 640), (None, None), 1).engine_size == (481, 640)
    assert InputFit.of((470, 700), (480, None), 32).engine_size == (480, 704)


@pytest.mark.parametrize("mode", ["pad", "letterbox", "resize"])
@pytest.mark.parametrize("engine_size", [(480, 736), (96, 160)])
@pytest.mark.parametrize("camera_size", [(81, 131), (75, 150)])
def test_a_plane_keeps_its_disparity_through_every_fit(
    camera_size: tuple[int, int], engine_size: tuple[int, int], mode: str
) -> None:
    """A shift of d camera pixels is d * content width / camera width in the engine, and comes back as d exactly."""
    fit = InputFit.of(camera_size, engine_size, 32, mode)
    seen_by_engine = np.full(engine_size, 7.25 * fit.content_size[1] / camera_size[1], np.float32)
    disparity = fit.to_camera(seen_by_engine)
    assert disparity.shape == camera_size
    assert disparity.dtype == np.float32
    np.testing.assert_allclose(disparity, 7.25, rtol=1e-6)


def test_only_the_width_scales_disparity() -> None:
    """Stretching the rows does not move a match."""
    stretched_rows = InputFit.of((50, 100), (100, 100), 1, "resize")
    np.testing.assert_array_equal(stretched_rows.to_camera(np.full((100, 100), 8.0, np.float32)), 8.0)
    stretched_columns = InputFit.of((100, 50), (100, 100), 1, "resize")
    np.testing.assert_array_equal(stretched_columns.to_camera(np.full((100, 100), 8.0, np.float32)), 4.0)


def test_resizing_and_its_inverse_put_every_pixel_back() -> None:
    """Half-pixel centres on both ways: a ramp that goes there and back stays where it was."""
    columns = np.arange(100, dtype=np.float32)
    for engine_size in ((60, 200), (30, 50), (30, 200)):
        fit = InputFit.of((60, 100), engine_size, 1, "resize")
        ramp = np.repeat(np.uint8(2 * columns)[None, :, None], 60, axis=0).repeat(3, axis=2)
        seen = fit.to_engine(ramp)[..., 0].astype(np.float32)
        back = fit.to_camera(seen) / fit.width_ratio
        np.testing.assert_allclose(back[:, 3:-3], np.broadcast_to(2 * columns[3:-3], (60, 94)), atol=0.6)


def test_shrinking_averages_areas() -> None:
    """Fine texture is averaged, not sampled, on the axis that shrinks, also while the other one grows."""
    image = random_image(64, 64)
    block_means = image.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    shrunk = InputFit.of((64, 64), (16, 16), 1, "resize").to_engine(image)
    np.testing.assert_allclose(shrunk, block_means, atol=0.51)
    stripes = np.repeat(random_image(64, 1), 64, axis=1)
    mixed = InputFit.of((64, 64), (16, 128), 1, "resize").to_engine(stripes)
    row_means = stripes.reshape(16, 4, 64, 3).mean(axis=(1, 2))
    np.testing.assert_allclose(mixed, np.broadcast_to(row_means[:, None], (16, 128, 3)), atol=0.51)


@pytest.mark.parametrize("camera_size", [(61, 83), (20, 31), (40, 80)])
def test_holes_do_not_bleed(camera_size: tuple[int, int]) -> None:
    """A pixel is NaN or made of valid neighbours only: no value between the plane and a hole appears."""
    fit = InputFit.of(camera_size, (40, 60), 1, "resize")
    disparity = np.full((40, 60), 6.0, np.float32)
    disparity[10:20, 30:40] = np.nan
    back = fit.to_camera(disparity)
    holes = np.isnan(back)
    assert 0.8 * 100 / 2400 < holes.mean() < 2.2 * 100 / 2400
    np.testing.assert_allclose(back[~holes], 6.0 * camera_size[1] / 60, rtol=1e-6)
    rows, columns = (np.arange(n) for n in camera_size)
    inside = np.ix_(
        (rows + 0.5) * 40 / camera_size[0] // 1 // 10 == 1, (columns + 0.5) * 60 / camera_size[1] // 1 // 10 == 3
    )
    assert holes[inside].all()


@pytest.mark.parametrize(
    ("camera_size", "mode", "sentence"),
    [
        ((0, 640), "auto", "the image is empty"),
        ((481, 640), "pad", "640x481 and the engine takes 640x480: padding .*FILE.onnx --size 512x640$"),
        ((481, 2049), "pad", "use fit 'auto', 'letterbox' or 'resize'$"),
        ((480, 640), "stretch", "fit 'stretch' does not exist: expected one of auto, pad, letterbox, resize"),
    ],
)
def test_what_cannot_fit_is_one_sentence(camera_size: tuple[int, int], mode: str, sentence: str) -> None:
    """An empty image, a larger image with 'pad', an unknown mode."""
    with pytest.raises(EngineError, match=sentence):
        InputFit.of(camera_size, (480, 640), 32, mode)
