"""The two input contracts, and the sentences for anything else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.engine.contract import check_feeds, stereo_inputs
from ffs_ros.errors import EngineError

U8, F32 = np.dtype(np.uint8), np.dtype(np.float32)
DISPARITY = {"disparity": TensorSpec((1, 1, None, None), F32)}


def engine(inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec] | None = None) -> Any:
    return SimpleNamespace(
        info=EngineInfo("x.onnx", "nothing", 192.0, 32),
        inputs=inputs,
        outputs=DISPARITY if outputs is None else outputs,
    )


def pair(names: str, shape: tuple[int | None, ...], dtype: np.dtype) -> dict[str, TensorSpec]:
    return {name: TensorSpec(shape, dtype) for name in names.split()}


def test_image_contract_feeds_the_picture_itself() -> None:
    """left, right: uint8 [1,H,W,3], unchanged."""
    inputs = stereo_inputs(engine(pair("left right", (1, 4, None, 3), U8)))
    left, right = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    feeds = inputs.feeds(left, right)
    assert inputs.size == (4, None)
    assert list(feeds) == ["left", "right"]
    np.testing.assert_array_equal(feeds["left"], left[None])
    np.testing.assert_array_equal(feeds["right"], right[None])


def test_tensor_contract_normalises_each_channel() -> None:
    """left_image, right_image: float32 [1,3,H,W], (x / 255 - mean) / deviation in RGB order."""
    inputs = stereo_inputs(engine(pair("left_image right_image", (None, 3, 4, 6), F32)))
    left, right = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    feeds = inputs.feeds(left, right)
    assert inputs.size == (4, 6)
    expected = (left / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert feeds["left_image"].dtype == np.float32
    np.testing.assert_allclose(feeds["left_image"], expected.transpose(2, 0, 1)[None], atol=1e-6)
    assert not np.array_equal(feeds["left_image"], feeds["right_image"])


@pytest.mark.parametrize(
    ("inputs", "outputs", "sentence"),
    [
        (pair("a b", (1, 4, 6, 3), U8), None, "takes 'a' uint8 .1,4,6,3., 'b' .*expected 'left' and 'right', uint8"),
        (pair("left right", (1, 3, None, 6), F32), None, r"takes 'left' float32 \[1,3,\?,6\].*expected"),
        (pair("left right", (2, 4, 6, 3), U8), None, r"(?=.* --batch 1$).*one pair at a time \(B = 1\)"),
        (pair("left right", (1, 4, 6, 4), U8), None, "takes 'left' uint8 .1,4,6,4."),
        (pair("left", (1, 4, 6, 3), U8), None, "takes 'left'"),
        ({}, None, "takes nothing"),
        (pair("left", (1, 4, 6, 3), U8) | pair("right", (1, 4, 8, 3), U8), None, ".*'right' uint8 .1,4,8,3."),
        (pair("left right", (1, 4, 6, 3), U8), {}, "gives nothing; expected 'disparity', float32 .B,1,H,W."),
        (pair("left right", (1, 4, 6, 3), U8), pair("disp", (1, 1, 4, 6), F32), "gives 'disp' float32 .1,1,4,6."),
        (pair("left right", (1, 4, 6, 3), U8), pair("disparity", (1, 4, 6), F32), "gives 'disparity' float32 .1,4,6."),
    ],
)
def test_other_engines_are_refused_by_name(
    inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec] | None, sentence: str
) -> None:
    """The sentence says what was found, what was expected and how to export."""
    with pytest.raises(EngineError, match=f"engine 'x.onnx' {sentence}.*ffs export"):
        stereo_inputs(engine(inputs, outputs))


INPUTS = pair("left right", (1, 4, None, 3), U8)
GOOD = {name: np.zeros((1, 4, 9, 3), np.uint8) for name in INPUTS}


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (np.zeros((1, 5, 6, 3), np.uint8), "given 'left' uint8 .1,5,6,3.; expected 'left' uint8 .1,4,.,3."),
        (np.zeros((1, 4, 6, 3), np.float32), "given 'left' float32 .1,4,6,3.; expected 'left' uint8 .1,4,.,3."),
        (np.zeros((4, 6, 3), np.uint8), "given 'left' uint8 .4,6,3.; expected 'left' uint8 .1,4,.,3."),
    ],
)
def test_feeds_are_checked_by_shape_and_dtype(left: np.ndarray, sentence: str) -> None:
    """What was given and what was expected, in one sentence."""
    check_feeds(INPUTS, GOOD)
    with pytest.raises(EngineError, match=sentence):
        check_feeds(INPUTS, GOOD | {"left": left})


def test_feeds_are_checked_by_name() -> None:
    """A missing, an additional or a misspelt tensor is named."""
    with pytest.raises(EngineError, match=r"was given 'left'; expected 'left' .*, 'right'"):
        check_feeds(INPUTS, {"left": GOOD["left"]})
    with pytest.raises(EngineError, match="was given 'left', 'right', 'more'"):
        check_feeds(INPUTS, GOOD | {"more": GOOD["left"]})
    with pytest.raises(EngineError, match="was given nothing"):
        check_feeds(INPUTS, {})
