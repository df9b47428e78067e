"""The ``model`` block: bp2's architecture, which is fixed, so its keys are compared with their one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .keys import key

MAX_DISPARITY_px = 192
MOST_ITERATIONS = 64
"""Both are the graph's, too (``graph/form.py``, which a test holds them against)."""


def _bp2(value: Any, meaning: str = "") -> Any:
    return key(value, meaning, fixed="the bp2 network")


@dataclass(frozen=True)
class Model:
    """TAO's own defaults are another network's, FoundationStereo's; here what is left out has bp2's value."""

    train_iters: int = key(22, "iterations in training; fewer need less memory", least=1, most=MOST_ITERATIONS)
    valid_iters: int = key(8, "iterations in validation; export the same number", least=1, most=MOST_ITERATIONS)
    model_type: str = key("FastFoundationStereo", "the one network here", choices=("FastFoundationStereo",))
    max_disparity: int = _bp2(MAX_DISPARITY_px, "px; another range runs and gives wrong depths")
    hidden_dims: tuple[int, ...] = _bp2((128,))
    n_gru_layers: int = _bp2(1)
    corr_radius: int = _bp2(4)
    corr_levels: int = _bp2(2)
    n_downsample: int = _bp2(2)
    cv_group: int = _bp2(8)
    concat_channel: int = _bp2(24)
    volume_dim: int = _bp2(28)
    mixed_precision: bool = _bp2(False, "the precision is the engine's, or train.precision")
    gwc_feature_normalize: bool = _bp2(True, "a correlation of cosines; false gives negative disparities")
    motion_encoder_widths: tuple[int, ...] = _bp2((56, 96, 16, 12), "from here on the 15 widths")
    motion_encoder_final: int = _bp2(48)
    gru_hidden: int = _bp2(60)
    gru_gating_conv_widths: tuple[int, ...] = _bp2((100, 168))
    disp_head_input_dim: int = _bp2(60)
    disp_head_intermediate: int = _bp2(36)
    disp_head_pwconv1_widths: tuple[int, ...] = _bp2((212, 244))
    mask_widths: tuple[int, ...] = _bp2((32, 16))
    stem_2_widths: tuple[int, ...] = _bp2((12, 16))
    spx_2_gru_widths: tuple[int, ...] = _bp2((16, 12, 16, 24))
    spx_gru_out: int = _bp2(9)
    classifier_mid: int = _bp2(14)
    cnet_conv04_widths: tuple[int, ...] = _bp2((60, 48))
    cam_mid_channels: int = _bp2(8)
    cost_agg_conv_patch_padding: tuple[int, ...] = _bp2((0, 0, 0))


WITHOUT_EFFECT = dict.fromkeys(
    ("model.encoder", "model.low_memory", "model.stereo_backbone", "model.mono_backbone"), "another network's"
)
