"""Every tensor that the network reads, by TAO name, with its shape; and the names that a file may carry besides.

The shapes are derived from the widths of the architecture, in the order of the forward pass. Shapes are PyTorch's:
convolution (out, in, *kernel), transposed convolution (in, out, *kernel), linear layer (out, in).
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

STAGE_WIDTHS = (48, 96, 160, 304)
STAGE_DEPTHS = (3, 3, 9, 3)
STAGE_KERNELS = (3, 5, 7, 9)
SPLITS = (0, 2, 3, 4)
"""Pieces that the last block of a stage cuts its channels into; 0 where the stage has no such block."""

F4, F8, F16, F32 = 224, 192, 320, 304
"""Channels of the decoded features at 1/4, 1/8, 1/16 and 1/32."""
VOLUME, HIDDEN, CONTEXT = 28, 60, 48
LOOKED_UP = 2 * 9 * (VOLUME + 1)
"""Values per pixel and iteration: two levels, nine taps, the volume's channels and one correlation."""

DEAD_PREFIXES = (
    "context_zqr_convs.",
    *(
        f"cost_agg.{name}."
        for name in (
            "conv3_up", "conv2_up", "agg_0", "agg_1", "conv_out", "conv_patch",
            "feature_att_up_16", "feature_att_up_8", "atts",
        )
    ),
)  # fmt: skip
"""Weights that the released file carries and its forward pass never reads."""


def _conv(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _batch_norm(name: str, channels: int) -> Shapes:
    return {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}


def _layer_norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _block(name: str, norm_channels: int, *shape: int) -> Shapes:
    """A convolution without bias, then a batch norm."""
    return {f"{name}.conv.weight": shape, **_batch_norm(f"{name}.norm", norm_channels)}


def _reduced(name: str, inputs: int, outputs: int, depth: int) -> Shapes:
    """The 3-D convolution split into a spatial one and one along the disparity axis."""
    return {
        **_conv(f"{name}.conv1.0", outputs, inputs, 1, 3, 3),
        **_batch_norm(f"{name}.conv1.1", outputs),
        **_conv(f"{name}.conv2.0", outputs, outputs, depth, 1, 1),
        **_batch_norm(f"{name}.conv2.1", outputs),
    }


def _feature_gate(name: str, volume: int, feature: int) -> Shapes:
    half = feature // 2
    return {
        **_block(f"{name}.feat_att.0", half, half, feature, 1, 1),
        **_conv(f"{name}.feat_att.1", volume, half, 1, 1),
    }


def _mlp(name: str, width: int, hidden: int) -> Shapes:
    return {
        **_conv(f"{name}.pwconv1", hidden, width),
        **_conv(f"{name}.pwconv2", width, hidden),
        f"{name}.gamma": (width,),
    }


def _backbone() -> Shapes:
    shapes = {
        **_conv("feature.downsample_layers.0.0", STAGE_WIDTHS[0], 3, 4, 4),
        **_layer_norm("feature.downsample_layers.0.1", STAGE_WIDTHS[0]),
    }
    for stage, (width, depth, kernel, pieces) in enumerate(
        zip(STAGE_WIDTHS, STAGE_DEPTHS, STAGE_KERNELS, SPLITS, strict=True)
    ):
        if stage > 0:
            before = STAGE_WIDTHS[stage - 1]
            shapes |= _layer_norm(f"feature.downsample_layers.{stage}.0", before)
            shapes |= _conv(f"feature.downsample_layers.{stage}.1", width, before, 2, 2)
        for block in range(depth):
            name = f"feature.stages.{stage}.{block}"
            shapes |= {**_layer_norm(f"{name}.norm", width), **_mlp(name, width, 4 * width)}
            if pieces and block == depth - 1:
                shapes |= _split_block(name, width, pieces)
            else:
                shapes |= _conv(f"{name}.dwconv", width, 1, kernel, kernel)
    return shapes | _conv("feature.stages.1.2.pos_embd.token_projection", STAGE_WIDTHS[1], 64, 1, 1)


def _split_block(name: str, width: int, pieces: int) -> Shapes:
    piece = -(-width // pieces)
    shapes: Shapes = {f"{name}.gamma_xca": (width,), f"{name}.xca.temperature": (8, 1, 1)}
    for index in range(pieces - 1):
        shapes |= _conv(f"{name}.convs.{index}", piece, 1, 3, 3)
    shapes |= _layer_norm(f"{name}.norm_xca", width)
    return shapes | _conv(f"{name}.xca.qkv", 3 * width, width) | _conv(f"{name}.xca.proj", width, width)


def _decoder() -> Shapes:
    shapes: Shapes = {}
    for name, inputs, outputs, joined in (("32_16", F32, 160, F16), ("16_8", F16, 96, F8), ("8_4", F8, 48, 96)):
        shapes[f"feature.deconv{name}.conv1.conv.weight"] = (inputs, outputs, 4, 4)
        for layer in ("conv1", "conv2"):
            shapes[f"feature.deconv{name}.conv2.{layer}.weight"] = (joined, joined, 3, 3)
    shapes |= _conv("feature.conv4", F4, 96, 1, 1)
    return shapes | {"stem_2.0.conv.weight": (12, 3, 3, 3), "stem_2.1.weight": (16, 12, 3, 3)}


def _volume() -> Shapes:
    attention = "cost_agg.post8_to_4.upsample.1.sa.0"
    shapes = {
        **_conv("proj_cmb", 12, F4, 1, 1),
        **_block("corr_feature_att.0", VOLUME, VOLUME, 32, 3, 3, 3),
        **_block("corr_feature_att.1", VOLUME, VOLUME, VOLUME, 3, 3, 3),
        **_feature_gate("corr_feature_att.2", VOLUME, F4),
        **_block("cost_agg.feature_att_8.layers.0", 28, 28, 28, 3, 3, 3),
        **_reduced("cost_agg.feature_att_8.layers.1", 28, 56, 17),
        **_feature_gate("cost_agg.feature_att_8.layers.2", 56, F8),
        **_block("cost_agg.feature_att_16.layers.0", 112, 112, 56, 3, 3, 3),
        **_reduced("cost_agg.feature_att_16.layers.1", 112, 56, 13),
        **_reduced("cost_agg.feature_att_16.layers.2", 56, 112, 3),
        **_block("cost_agg.conv3.0", 168, 168, 112, 3, 3, 3),
        **_reduced("cost_agg.conv3.1", 168, 168, 17),
        **_feature_gate("cost_agg.feature_att_32", 168, F32),
        **_block("cost_agg.post32_to_16.upsample.0", 112, 168, 112, 3, 3, 3),
        **_feature_gate("cost_agg.post32_to_16.out.0", 112, F16),
        **_block("cost_agg.post32_to_16.out.1", 112, 112, 112, 3, 3, 3),
        **_reduced("cost_agg.post32_to_16.out.2", 112, 112, 9),
        **_block("cost_agg.post32_to_16.out.3", 112, 112, 112, 3, 3, 3),
        **_block("cost_agg.post16_to_8.upsample.0", 56, 112, 56, 4, 4, 4),
        **_block("cost_agg.post16_to_8.out.0", 56, 56, 56, 3, 3, 3),
        **_feature_gate("cost_agg.post16_to_8.out.1", 56, F8),
        **_reduced("cost_agg.post16_to_8.out.2", 56, 56, 9),
        **_block("cost_agg.conv1_up", 28, 56, 28, 4, 4, 4),
        **_block("cost_agg.post8_to_4.upsample.0", 28, 28, 28, 4, 4, 4),
        **_conv(f"{attention}.linear1", 4 * VOLUME, VOLUME),
        **_conv(f"{attention}.linear2", VOLUME, 4 * VOLUME),
        **_layer_norm(f"{attention}.norm1", VOLUME),
        **_layer_norm(f"{attention}.norm2", VOLUME),
        **_block("cost_agg.post8_to_4.out.0", 28, 28, 28, 3, 3, 3),
        **_conv("classifier.0", 1, VOLUME, 3, 3, 3),
    }
    for layer in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= _conv(f"{attention}.self_attn.{layer}", VOLUME, VOLUME)
    for layer in ("1", "2"):
        shapes[f"cost_agg.post8_to_4.out.1.conv{layer}.weight"] = (28, 28, 3, 3, 3)
        shapes |= _batch_norm(f"cost_agg.post8_to_4.out.1.bn{layer}", 28)
    return shapes


def _context() -> Shapes:
    return {
        **_block("cnet.conv04.0", HIDDEN, HIDDEN, F4, 3, 3),
        **_block("cnet.conv04.1", CONTEXT, CONTEXT, F4, 3, 3),
        "cam.fc.0.weight": (8, CONTEXT, 1, 1),
        "cam.fc.2.weight": (CONTEXT, 8, 1, 1),
        "sam.samconv.weight": (1, 2, 7, 7),
    }


def _update() -> Shapes:
    head = "update_block.disp_head.conv"
    shapes = {
        **_conv("update_block.encoder.convc1", 56, LOOKED_UP, 1, 1),
        **_conv("update_block.encoder.convc2", 96, 56, 3, 3),
        **_conv("update_block.encoder.convd1", 16, 1, 7, 7),
        **_conv("update_block.encoder.convd2", 12, 16, 3, 3),
        **_conv("update_block.encoder.conv", 48, 96 + 12, 3, 3),
        **_conv("update_block.gru04.conv0.0", 100, CONTEXT + 49, 3, 3),
        **_conv("update_block.gru04.conv1.0", 168, 100 + HIDDEN, 3, 3),
        **_conv(f"{head}.0", 36, HIDDEN, 3, 3),
        **_conv(f"{head}.4", 1, 36, 3, 3),
        **_conv("update_block.mask.0", 32, HIDDEN, 3, 3),
        **_conv("update_block.mask.2", 16, 32, 3, 3),
    }
    for size, kernel in (("small", 1), ("large", 3)):
        for gate, inputs in (("z", 168), ("r", 168), ("q", 100 + HIDDEN)):
            shapes |= _conv(f"update_block.gru04.{size}_gru.conv{gate}", HIDDEN, inputs, kernel, kernel)
    for layer, hidden in ((2, 212), (3, 244)):
        shapes |= _conv(f"{head}.{layer}.dwconv", 36, 1, 7, 7) | _mlp(f"{head}.{layer}", 36, hidden)
    return shapes


def _upsampling() -> Shapes:
    return {
        "spx_2_gru.conv1.conv.weight": (16, 12, 4, 4),
        "spx_2_gru.conv2.conv.weight": (24, 28, 3, 3),
        "spx_gru.0.weight": (24, 9, 4, 4),
        "spx_gru.0.bias": (9,),
    }


@lru_cache(maxsize=1)
def live_shapes() -> MappingProxyType[str, Shape]:
    """TAO name -> shape of the 490 floating-point tensors without which the network cannot run."""
    return MappingProxyType(_backbone() | _decoder() | _volume() | _context() | _update() | _upsampling())


def is_dead(name: str) -> bool:
    """Whether a file may carry the tensor of this TAO name although the network never reads it."""
    if name == "dx" or name.startswith(DEAD_PREFIXES):
        return True
    owner, _, part = name.rpartition(".")
    return part == "num_batches_tracked" and f"{owner}.running_mean" in live_shapes()


def is_parameter(name: str) -> bool:
    """Whether the name is that of a trained parameter, not of a batch norm's statistics or of a constant."""
    return name != "dx" and not name.endswith((".running_mean", ".running_var", ".num_batches_tracked"))
