"""EdgeNeXt-small: features of both images at 1/4, 1/8, 1/16 and 1/32."""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder, Length, Size
from ffs_ros.graph.layers import channels_first, channels_last, conv, gelu, layer_norm, pointwise, unit_norm

CONV_BLOCKS = (3, 2, 8, 2)
"""Convolution blocks per stage; all stages but the first end in one split block."""
SPLIT_PIECES = ((), (48, 48), (54, 54, 52), (76, 76, 76, 76))
HEADS = 8
NORM_EPS = 1e-6

POSITION_STAGE = 1
POSITION_WAVES = 32
POSITION_TEMPERATURE = 10000.0


def backbone(b: Builder, images: str, size: Size) -> list[str]:
    """Features [2B,48,H/4,W/4], [2B,96,H/8,W/8], [2B,160,H/16,W/16], [2B,304,H/32,W/32] of normalised images."""
    features = []
    x = conv(b, images, "feature.downsample_layers.0.0", stride=4, padding=[0, 0])
    x = channel_norm(b, x, "feature.downsample_layers.0.1")
    for stage, blocks in enumerate(CONV_BLOCKS):
        name = f"feature.stages.{stage}"
        with b.scope(f"stage_{stage}"):
            if stage > 0:
                x = channel_norm(b, x, f"feature.downsample_layers.{stage}.0")
                x = conv(b, x, f"feature.downsample_layers.{stage}.1", stride=2, padding=[0, 0])
            for block in range(blocks):
                x = conv_block(b, x, f"{name}.{block}")
            if stage > 0:
                x = split_block(b, x, f"{name}.{blocks}", stage, b.grid(size, 4 << stage))
            features.append(x)
    return features


def channel_norm(b: Builder, x_NCHW: str, name: str) -> str:
    return channels_first(b, layer_norm(b, channels_last(b, x_NCHW), name, NORM_EPS))


def conv_block(b: Builder, x: str, name: str) -> str:
    channels = len(b.tensors[f"{name}.gamma"])
    return b.add(x, mlp(b, conv(b, x, f"{name}.dwconv", groups=channels), name))


def split_block(b: Builder, x: str, name: str, stage: int, grid: tuple[Length, Length]) -> str:
    """Depthwise convolutions in a cascade over pieces of the channels, then attention between channels."""
    sizes = SPLIT_PIECES[stage]
    pieces = b.split(x, sizes, axis=1)
    mixed: list[str] = []
    for index, piece in enumerate(pieces[:-1]):
        mixed.append(conv(b, b.add(mixed[-1], piece) if mixed else piece, f"{name}.convs.{index}", groups=sizes[index]))
    y = b.concat([*mixed, pieces[-1]], axis=1)
    if stage == POSITION_STAGE:
        y = fourier_position(b, y, f"{name}.pos_embd.token_projection", grid)
    y = b.add(y, channel_attention(b, channel_norm(b, y, f"{name}.norm_xca"), name, grid))
    return b.add(x, mlp(b, y, name))


def mlp(b: Builder, x: str, name: str) -> str:
    """Norm and two linear layers; ``gamma`` is part of the second."""
    y = pointwise(b, channel_norm(b, x, f"{name}.norm"), f"{name}.pwconv1")
    return pointwise(b, gelu(b, y), f"{name}.pwconv2", scale=b.tensors[f"{name}.gamma"])


def channel_attention(b: Builder, x: str, name: str, grid: tuple[Length, Length]) -> str:
    """XCA: the channels of a head attend to each other by their agreement over all pixels; times ``gamma_xca``."""
    channels = len(b.tensors[f"{name}.gamma"])
    temperature = b.weight(f"{name}.xca.temperature", b.tensors[f"{name}.xca.temperature"])
    qkv = b.reshape(pointwise(b, x, f"{name}.xca.qkv"), [0, 3 * HEADS, channels // HEADS, -1])
    qk, value = b.split(qkv, [2 * HEADS, HEADS], axis=1)
    query, key = b.split(unit_norm(b, qk, axis=3), [HEADS, HEADS], axis=1)
    agreement = b.matmul(query, b.transpose(key, 0, 1, 3, 2))
    mixed = b.matmul(b.softmax(b.mul(agreement, temperature), axis=3), value)
    mixed = b.reshape(mixed, [0, channels, grid[0], -1])
    return pointwise(b, mixed, f"{name}.xca.proj", scale=b.tensors[f"{name}.gamma_xca"])


def fourier_position(b: Builder, x: str, name: str, grid: tuple[Length, Length]) -> str:
    """Adds the position: sines and cosines of row and column, projected.

    The projection is linear, so rows and columns are projected by themselves and [C,H,1] and [C,1,W] are added.
    """
    row_weight, column_weight = np.split(b.tensors[f"{name}.weight"][:, :, 0, 0].T, 2)
    bias = b.tensors[f"{name}.bias"]
    rows = axis_position(b, grid[0], row_weight, bias)
    columns = axis_position(b, grid[1], column_weight, np.zeros_like(bias))
    rows, columns = (b.lower(b.transpose(axis, 1, 0)) for axis in (rows, columns))
    return b.add(b.add(x, b.unsqueeze(rows, 2)), b.unsqueeze(columns, 1))


def axis_position(b: Builder, length: Length, weight: np.ndarray, bias: np.ndarray) -> str:
    """[length, C]: wave n of position p in 1..length is sin for even n and cos for odd n of 2 pi p / length / t_n."""
    wave = np.arange(POSITION_WAVES)
    frequency = 2.0 * np.pi / POSITION_TEMPERATURE ** (2 * (wave // 2) / POSITION_WAVES)
    quarter_turn = np.pi / 2 * (wave % 2)
    position = b.node("Div", b.add(b.float32(b.count(length)), 1.0), b.add(b.float32(b.scalar(length)), 1e-6))
    angle = b.mul(b.unsqueeze(position, 1), frequency.astype(np.float32))
    return b.add(b.matmul(b.node("Sin", b.add(angle, quarter_turn.astype(np.float32))), weight), bias)
