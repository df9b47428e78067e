"""The network against the stored outputs of the original, number by number. Tolerances are those of the kit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ffs_ros.network import network_from  # noqa: E402
from ffs_ros.network.decoder import Pyramid  # noqa: E402
from ffs_ros.network.filtering import expected_plane  # noqa: E402
from ffs_ros.network.lookup import LookUp  # noqa: E402
from ffs_ros.network.model import Estimate, Evidence  # noqa: E402
from ffs_ros.network.volume import all_pairs_correlation, group_correlation  # noqa: E402

# Largest accepted difference of each stored quantity. The kit's table names most of them; the others take the value of
# the quantity they are computed into (context: attention; stem: features; looked-up values: the geometry volume).
TOLERANCES = {
    "norm_left": 1e-6,
    "f4_left": 2e-5, "f8_left": 2e-5, "f16_left": 2e-5, "f32_left": 2e-5, "f4_right": 2e-5,
    "stem_2x": 2e-5,
    "proj_left": 2e-5, "proj_right": 2e-5,
    "gwc": 1e-5, "corr0": 1e-5,
    "comb": 2e-5,
    "corr_feature_att": 1e-4, "geo_volume": 1e-4, "logits": 1e-4,
    "init_disp": 3e-4,
    "hidden0": 1e-4, "inp": 1e-4, "att": 1e-4,
    "geo_feat_1": 1e-4,
    **{f"disp_{k}": 3e-4 for k in range(1, 9)},
    "hidden_1": 1e-4, "hidden_2": 1e-4, "hidden_8": 1e-4,
    "mask": 1e-4, "spx": 1e-4,
}  # fmt: skip


def images(case: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Left and right as 1,3,H,W uint8, padded by replication as the case says."""
    meta = case["meta"]
    margins = ((meta["pad_top"], meta["pad_bottom"]), (meta["pad_left"], meta["pad_right"]), (0, 0))
    return tuple(
        torch.from_numpy(np.pad(case[side], margins, mode="edge")).permute(2, 0, 1)[None] for side in ("left", "right")
    )


@torch.inference_mode()
def every_step(network, case: dict) -> dict[str, torch.Tensor]:
    """The stored quantities, computed by the network's own steps one after another."""
    left, right = map(network.normalised, images(case))
    stem = network.stem_2(left)
    pyramid, right_f4 = network.features(left, right)
    volume = network.cost_volume(pyramid.f4, right_f4)
    gated = network.corr_feature_att(volume, pyramid.f4)
    geometry = network.cost_agg(gated, pyramid)
    logits = network.logits(geometry)
    correlation = all_pairs_correlation(pyramid.f4, right_f4)
    hidden, context, attention = network.contexts(pyramid.f4)
    evidence = Evidence(LookUp(geometry, correlation), context, attention, stem)
    estimates = [Estimate(expected_plane(logits), hidden)]
    for _ in range(8):
        estimates.append(network.refine(evidence, estimates[-1]))

    planes, (row_step,) = case["slices"], case["rows"]
    return {
        "norm_left": left,
        **{f"{level}_left": value for level, value in zip(Pyramid._fields, pyramid, strict=True)},
        "f4_right": right_f4,
        "stem_2x": stem,
        "proj_left": network.proj_cmb(pyramid.f4),
        "proj_right": network.proj_cmb(right_f4),
        "gwc": group_correlation(pyramid.f4, right_f4),
        "corr0": correlation[0],
        "comb": volume[:, :, planes],
        "corr_feature_att": gated[:, :, planes],
        "geo_volume": geometry[:, :, planes],
        "logits": logits,
        "init_disp": estimates[0].disparity,
        "hidden0": hidden,
        "inp": context,
        "att": attention,
        # Looked up where the original looked, so that the error of the position stays out of it.
        "geo_feat_1": evidence.look_up(torch.from_numpy(case["init_disp"]))[:, :, ::row_step],
        **{f"disp_{k}": estimates[k].disparity for k in range(1, 9)},
        **{f"hidden_{k}": estimates[k].hidden for k in (1, 2, 8)},
        "mask": network.mask_features(estimates[8].hidden),
        "spx": network.blend_weights(stem, estimates[8].hidden)[:, :, ::2, ::2],
    }


@pytest.fixture(scope="module", params=["a", "b"])
def stored_and_computed(request, case, network) -> tuple[dict, dict]:
    stored = case(request.param)
    return stored, every_step(network, stored)


@pytest.mark.parametrize("quantity", TOLERANCES)
def test_intermediate_equals_the_original(stored_and_computed, quantity):
    """Each quantity along the way is the original's: the features, the volumes, every iteration, the weights."""
    stored, computed = stored_and_computed
    assert computed[quantity].shape == stored[quantity].shape
    difference = np.abs(computed[quantity].numpy() - stored[quantity])
    assert difference.max() <= TOLERANCES[quantity]


def test_every_stored_quantity_is_compared(case):
    """No array of the kit is forgotten."""
    inputs = {"left", "right", "layout_disparity", "meta", "slices", "rows"}
    results = {"disparity", "disparity_raw_padded"}
    for letter in "ab":
        assert set(case(letter)) - inputs - results == set(TOLERANCES)


@pytest.mark.parametrize("letter", "abcd")
def test_disparity_equals_the_original(case, tensors, letter):
    """The disparity is the original's on whole and on padded images, small and of a robot's size."""
    stored = case(letter)
    meta = stored["meta"]
    left, right = images(stored)
    network = network_from(tensors, iterations=meta["iters"])
    initials = []
    network.classifier.register_forward_hook(lambda _, __, logits: initials.append(expected_plane(logits[:, 0])))
    with torch.inference_mode():
        disparity = network(left, right)

    top, first = meta["pad_top"], meta["pad_left"]
    cropped = disparity[0, 0, top : top + meta["height"], first : first + meta["width"]].numpy()
    assert disparity.dtype == torch.float32
    assert disparity.shape == (1, 1, *left.shape[-2:])
    difference = np.abs(cropped - stored["disparity"])
    assert difference.max() <= 1e-3
    assert difference.mean() <= 1e-4
    assert np.abs(initials[0].numpy() - stored["init_disp"]).max() <= TOLERANCES["init_disp"]
