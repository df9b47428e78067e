"""The graph gives the disparities and the intermediate tensors of the original network."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.engine.contract import normalised_tensor
from ffs_ros.graph.backbone import backbone
from ffs_ros.graph.builder import Size
from ffs_ros.graph.context import context
from ffs_ros.graph.decoder import Features, decoder, half_resolution_stem
from ffs_ros.graph.filtering import first_disparity, hourglass, stem
from ffs_ros.graph.form import INPUTS
from ffs_ros.graph.layers import conv
from ffs_ros.graph.lookup import looked_up, tables
from ffs_ros.graph.model import build_model, normalised
from ffs_ros.graph.recurrent import iteration
from ffs_ros.graph.upsampling import nine_logits
from ffs_ros.graph.volume import all_pairs, cost_volume, left_and_right

LARGEST_px, MEAN_px = 1e-3, 1e-4
"""The kit's tolerances for the disparity."""


def feeds_of(io, left_HW3, right_HW3):
    """Both images as a graph of that io wants them."""
    images = [left_HW3[None], right_HW3[None]] if io == "image" else map(normalised_tensor, (left_HW3, right_HW3))
    return dict(zip(INPUTS[io], images, strict=True))


@pytest.mark.parametrize(
    ("letter", "io", "dynamic"),
    [
        *((letter, "image", False) for letter in "abcd"),
        *((letter, "tensor", True) for letter in "abcd"),
        ("a", "image", True),
        ("a", "tensor", False),
    ],
)
def test_disparity(letter, io, dynamic, tensors, case, run_model):
    """Every case, in both contracts, with fixed and open size: the stored disparity, within the kit's tolerances."""
    data = case(letter)
    meta = data["meta"]
    top, bottom, before, behind = (meta[f"pad_{side}"] for side in ("top", "bottom", "left", "right"))
    padding = [(top, bottom), (before, behind), (0, 0)]
    left, right = (np.pad(data[side], padding, mode="edge") for side in ("left", "right"))
    size = left.shape[:2]
    model = build_model(tensors, None if dynamic else size, meta["iters"], io, None if dynamic else 1)
    found = run_model(model, feeds_of(io, left, right))["disparity"]
    assert found.shape == (1, 1, *size)
    assert found.dtype == np.float32
    error = np.abs(found[0, 0, top : size[0] - bottom, before : size[1] - behind] - data["disparity"])
    assert error.max() <= LARGEST_px
    assert error.mean() <= MEAN_px


ACCEPTED = {
    "f4_left": 2e-5, "f8_left": 2e-5, "f16_left": 2e-5, "f32_left": 2e-5, "f4_right": 2e-5, "stem_2x": 2e-5,
    "proj_left": 2e-5, "proj_right": 2e-5, "gwc": 1e-5, "comb": 2e-5, "corr0": 1e-5, "corr_feature_att": 1e-4,
    "geo_volume": 1e-4, "logits": 1e-4, "init_disp": 3e-4, "hidden0": 1e-4, "att": 1e-4, "hidden_1": 1e-4,
    "hidden_2": 1e-4, "hidden_8": 1e-4, "spx": 1e-4, **{f"disp_{index + 1}": 3e-4 for index in range(8)},
}  # fmt: skip
"""The kit's tolerances for what lies between images and disparity."""


@pytest.fixture(scope="module", params=["a", "b"])
def intermediates(request, tensors, case, run_part):
    """(what the graph computes on the way, what the kit says)."""
    data = case(request.param)
    size = Size(1, *data["left"].shape[:2])

    def traced(b, *images):
        left_image, right_image = (normalised(b, name) for name in images)
        features = decoder(b, backbone(b, b.concat([left_image, right_image], axis=0), size))
        sides = [left_and_right(b, feature) for feature in features]
        left = Features(*(side[0] for side in sides))
        names = dict(zip(("f4_left", "f8_left", "f16_left", "f32_left"), left, strict=True))
        names["f4_right"] = sides[0][1]
        names["stem_2x"] = half_resolution_stem(b, left_image)
        names["proj_left"], names["proj_right"] = left_and_right(b, conv(b, features.f4, "proj_cmb"))
        names["comb"] = cost_volume(b, features.f4, size)
        names["gwc"] = b.slice(names["comb"], 1, 0, 8)
        names["corr_feature_att"] = stem(b, names["comb"], left)
        names["geo_volume"] = hourglass(b, names["corr_feature_att"], left, size)
        names["init_disp"] = disparity = first_disparity(b, names["geo_volume"])
        names["logits"] = conv(b, names["geo_volume"], "classifier.0")
        surroundings = context(b, left.f4)
        names["hidden0"], names["att"] = surroundings.hidden, surroundings.attention
        names["corr0"] = all_pairs(b, features.f4)
        to_read = tables(b, names["geo_volume"], names["corr0"], size)
        names["evidence_1"] = looked_up(b, to_read, disparity, b.grid(size, 4))
        hidden = surroundings.hidden
        for index in range(8):
            disparity, hidden = iteration(b, disparity, hidden, surroundings, to_read, size)
            names[f"disp_{index + 1}"], names[f"hidden_{index + 1}"] = disparity, hidden
        names["spx"] = b.softmax(nine_logits(b, hidden, names["stem_2x"]), axis=1)
        return names

    return run_part(tensors, traced, feeds_of("image", data["left"], data["right"])), data


@pytest.mark.parametrize("name", ACCEPTED)
def test_intermediate(name, intermediates):
    """Features, volumes, context and the state after the iterations are the original's, within the kit's tolerances."""
    found, data = intermediates
    value, expected = found[name], data[name]
    if name in ("comb", "corr_feature_att", "geo_volume"):
        value = value[:, :, data["slices"]]
    if name == "spx":
        value = value[:, :, ::2, ::2]
    np.testing.assert_allclose(value.reshape(expected.shape), expected, rtol=0, atol=ACCEPTED[name])


def test_looked_up(intermediates, tensors):
    """``convc1`` of the 522 stored values is what the blended look-up gives."""
    found, data = intermediates
    weight, bias = (tensors[f"update_block.encoder.convc1.{part}"] for part in ("weight", "bias"))
    values = data["geo_feat_1"][0]
    expected = np.maximum(np.einsum("oi,ihw->ohw", weight[:, :, 0, 0], values) + bias[:, None, None], 0)
    every = int(data["rows"][0])
    # the volume may be off by 1e-4 already
    np.testing.assert_allclose(found["evidence_1"][0, :, ::every], expected, rtol=0, atol=2e-4)
