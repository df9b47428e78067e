"""The method, with engines whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import EngineInfo, TensorSpec, open_engine
from ffs_ros.errors import EngineError, MessageError
from ffs_ros.matcher import StereoMatcher


class KnownEngine:
    """Answers with ``answer(left)``; remembers what it was fed."""

    def __init__(self, answer: Callable[[np.ndarray], np.ndarray], size: tuple[int | None, int | None] = (None, None)):
        self.answer = answer
        self.info = EngineInfo("known", "test", max_disparity=100.0, size_multiple=32)
        spec = TensorSpec((1, *size, 3), np.dtype(np.uint8))
        self.inputs = {"left": spec, "right": spec}
        self.outputs = {"disparity": TensorSpec((1, 1, *size), np.dtype(np.float32))}
        self.feeds: Mapping[str, np.ndarray] = {}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.feeds = feeds
        return {"disparity": self.answer(feeds["left"][0]).astype(np.float32)[None, None]}

    def close(self) -> None: ...

    def __enter__(self) -> KnownEngine:
        return self

    def __exit__(self, *error: Any) -> None: ...


def images(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.random.default_rng(2).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    return left, right


def test_camera_pixels_in_and_out_of_a_padded_engine() -> None:
    """An odd-sized image is padded for the engine, and every pixel's answer comes back to its pixel."""
    engine = KnownEngine(lambda left: left[..., 0] / 4)
    left, right = images(75, 150)
    disparity = StereoMatcher(engine).match(left, right)
    assert engine.feeds["left"].shape == engine.feeds["right"].shape == (1, 96, 160, 3)
    np.testing.assert_array_equal(engine.feeds["right"][0, 10:85, 5:155], right)
    assert disparity.dtype == np.float32
    assert disparity.flags.c_contiguous
    np.testing.assert_array_equal(disparity, np.float32(left[..., 0] / 4))


def test_engine_of_half_the_width_gives_twice_the_disparity() -> None:
    """Disparity and range are in camera pixels whatever the engine's size."""
    matcher = StereoMatcher(KnownEngine(lambda left: np.full(left.shape[:2], 10.0), (64, 96)))
    np.testing.assert_array_equal(matcher.match(*images(128, 192)), 20.0)
    assert matcher.max_disparity_px(128, 192) == 200.0
    assert matcher.max_disparity_px(64, 96) == 100.0


def test_an_engine_of_open_size_runs_at_the_size_that_is_wanted() -> None:
    """Images are fitted to it as to an engine's own; a size that the engine cannot have is refused at once."""
    engine = KnownEngine(lambda left: np.full(left.shape[:2], 10.0))
    matcher = StereoMatcher(engine, size=(64, 96))
    np.testing.assert_array_equal(matcher.match(*images(128, 192)), 20.0)
    assert engine.feeds["left"].shape == (1, 64, 96, 3)
    assert matcher.engine_size == (64, 96)
    with pytest.raises(
        EngineError, match="engine_size is 64x100 and 'known' takes multiples of 32; the next is 64x128"
    ):
        StereoMatcher(engine, size=(64, 100))
    with pytest.raises(EngineError, match="engine_size is 64x96 and 'known' takes 96x128"):
        StereoMatcher(KnownEngine(engine.answer, (96, 128)), size=(64, 96))


def test_no_answer_is_nan_and_nothing_else_is() -> None:
    """Non-finite output is NaN, negative disparity is clipped at 0, and 0 stays a disparity."""
    row = np.array([np.nan, np.inf, -np.inf, -3.0, 0.0, 5.0])
    engine = KnownEngine(lambda left: np.tile(np.pad(row, (0, 26), constant_values=7.0), (32, 1)))
    disparity = StereoMatcher(engine).match(*images(32, 32))
    np.testing.assert_array_equal(disparity[3, :7], np.float32([np.nan, np.nan, np.nan, 0.0, 0.0, 5.0, 7.0]))


@pytest.mark.parametrize(
    ("answered", "expected"), [(np.nan, np.nan), (np.inf, np.nan), (-np.inf, np.nan), (-3.0, 0.0), (-0.0, 0.0)]
)
def test_a_single_wrong_pixel_is_found(answered: float, expected: float) -> None:
    """One look at all pixels tells whether any needs a change."""
    values_HW = np.full((32, 32), 7.0)
    values_HW[5, 6] = answered
    disparity_HW = StereoMatcher(KnownEngine(lambda left: values_HW)).match(*images(32, 32))
    values_HW[5, 6] = expected
    np.testing.assert_array_equal(disparity_HW, values_HW)


def test_out_of_view_is_masked_only_on_request() -> None:
    """x - d < 0 looks left of the right image; x - d = 0 is still inside."""
    engine = KnownEngine(lambda left: np.full(left.shape[:2], 5.0))
    plain = StereoMatcher(engine).match(*images(32, 32))
    masked = StereoMatcher(engine, mask_out_of_view=True).match(*images(32, 32))
    np.testing.assert_array_equal(plain, 5.0)
    assert np.isnan(masked[:, :5]).all()
    np.testing.assert_array_equal(masked[:, 5:], 5.0)


def test_the_mask_may_change_while_running() -> None:
    """The node's parameter is live."""
    matcher = StereoMatcher(KnownEngine(lambda left: np.full(left.shape[:2], 5.0)))
    matcher.mask_out_of_view = True
    assert np.isnan(matcher.match(*images(32, 32))).sum() == 32 * 5


@pytest.mark.parametrize("io", ["image", "tensor"])
@pytest.mark.parametrize("size", [None, (96, 160)])
def test_onnx_graphs_of_both_contracts(tiny_onnx: Callable[..., Path], io: str, size: tuple[int, int] | None) -> None:
    """Real input names, static and dynamic size: a quarter of the left image's red comes back."""
    left, right = images(75, 150)
    with open_engine(tiny_onnx(size=size, io=io), threads=1) as engine:
        disparity = StereoMatcher(engine).match(left, right)
    np.testing.assert_allclose(disparity, left[..., 0] / 4, atol=1e-4)


@pytest.mark.parametrize("shift", [3, 11])
def test_sgbm_finds_a_known_shift(shift: int) -> None:
    """Texture shifted by d to the left in the right image is found at d, to SGBM's sixteenth of a pixel."""
    wide = np.random.default_rng(3).integers(0, 256, (60, 120, 3), dtype=np.uint8)
    left, right = (np.ascontiguousarray(wide[:, start : start + 100]) for start in (0, shift))
    with open_engine("sgbm", max_disparity=16) as engine:
        disparity = StereoMatcher(engine).match(left, right)
    inside = disparity[:, 2 * shift :]
    assert np.isfinite(inside).mean() > 0.98
    assert np.nanmedian(np.abs(inside - shift)) <= 1 / 16


def test_warm_up_runs_the_engine_at_the_camera_s_size() -> None:
    """The first real pair does not pay for the runtime's first run."""
    engine = KnownEngine(lambda left: np.zeros(left.shape[:2]))
    StereoMatcher(engine).warm_up(480, 620)
    assert engine.feeds["left"].shape == (1, 480, 640, 3)


LEFT, RIGHT = images(32, 64)


@pytest.mark.parametrize(
    ("left", "right", "sentence"),
    [
        (LEFT, RIGHT[:, :60], "left image is 64x32 and the right one 60x32: expected equal sizes"),
        (LEFT[..., 0], RIGHT, r"left image is uint8 \(32, 64\): expected uint8"),
        (LEFT, RIGHT.astype(np.float32), r"right image is float32"),
        (LEFT[:0], RIGHT[:0], r"left image is uint8 \(0, 64, 3\)"),
    ],
)
def test_images_that_do_not_fit_each_other(left: np.ndarray, right: np.ndarray, sentence: str) -> None:
    """One sentence, and the next pair may be fine."""
    matcher = StereoMatcher(KnownEngine(lambda image: np.zeros(image.shape[:2])))
    with pytest.raises(MessageError, match=sentence):
        matcher.match(left, right)
    matcher.match(LEFT, RIGHT)


def test_an_answer_of_another_size_is_refused() -> None:
    """A quarter-size disparity stretched over the image would be silently wrong."""
    matcher = StereoMatcher(KnownEngine(lambda left: left[::4, ::4, 0]))
    with pytest.raises(EngineError, match=r"'disparity' of shape \(1, 1, 8, 16\): expected \(1, 1, 32, 64\)"):
        matcher.match(LEFT, RIGHT)


def test_unknown_fit_is_refused_at_once() -> None:
    """Not only when the first image comes."""
    with pytest.raises(EngineError, match="fit 'crop' does not exist"):
        StereoMatcher(KnownEngine(lambda left: left), fit="crop")
