"""One iteration: look around the current disparity, update the hidden state, correct the disparity."""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder, Size
from ffs_ros.graph.context import Context
from ffs_ros.graph.layers import conv, conv_with, gelu
from ffs_ros.graph.lookup import Tables, looked_up

HIDDEN = 60
SEEN = 48


def iteration(
    b: Builder, disparity: str, hidden: str, context: Context, seen: str, tables: Tables, size: Size
) -> tuple[str, str]:
    """The next disparity [B,1,H/4,W/4] and hidden state [B,60,H/4,W/4]."""
    with b.scope("motion"):
        motion = motion_features(b, looked_up(b, tables, disparity, b.grid(size, 4)), disparity)
    with b.scope("gru"):
        hidden = gated_unit(b, hidden, motion, disparity, seen, context.attention)
    with b.scope("head"):
        return b.add(disparity, correction(b, hidden)), hidden


def motion_features(b: Builder, looked_up: str, disparity: str) -> str:
    """[B,48,H/4,W/4]; the network appends the disparity itself."""
    encoder = "update_block.encoder"
    cost = b.relu(conv(b, looked_up, f"{encoder}.convc2"))
    flow = b.relu(conv(b, b.relu(conv(b, disparity, f"{encoder}.convd1")), f"{encoder}.convd2"))
    return b.relu(conv(b, b.concat([cost, flow], axis=1), f"{encoder}.conv"))


def seen_part(b: Builder, seen: str) -> str:
    """What ``conv0`` makes of the context, with its bias: the same in all iterations."""
    weight, bias = (b.tensors[f"update_block.gru04.conv0.0.{part}"] for part in ("weight", "bias"))
    return conv_with(b, seen, "update_block.gru04.conv0.seen", weight[:, :SEEN], bias)


def gated_unit(b: Builder, hidden: str, motion: str, disparity: str, seen: str, attention: str) -> str:
    """Two GRUs, with kernels 1x1 and 3x3, blended by the attention: large + attention * (small - large)."""
    gru = "update_block.gru04"
    weight = b.tensors[f"{gru}.conv0.0.weight"]
    x = conv_with(b, motion, f"{gru}.conv0.motion", weight[:, SEEN:-1], None)
    x = b.add(b.add(x, seen), conv_with(b, disparity, f"{gru}.conv0.disparity", weight[:, -1:], None))
    x = b.relu(x)
    y = b.relu(conv(b, b.concat([x, hidden], axis=1), f"{gru}.conv1.0"))
    small = updated(b, hidden, x, y, f"{gru}.small_gru")
    large = updated(b, hidden, x, y, f"{gru}.large_gru")
    return b.add(large, b.mul(attention, b.sub(small, large)))


def updated(b: Builder, hidden: str, x: str, y: str, name: str) -> str:
    """(1 - z) h + z q, the gates z and r in one convolution."""
    weight, bias = (
        np.concatenate([b.tensors[f"{name}.conv{gate}.{part}"] for gate in "zr"]) for part in ("weight", "bias")
    )
    update, reset = b.split(b.sigmoid(conv_with(b, y, f"{name}.convzr", weight, bias)), [HIDDEN] * 2, axis=1)
    candidate = b.tanh(conv(b, b.concat([b.mul(reset, hidden), x], axis=1), f"{name}.convq"))
    return b.add(hidden, b.mul(update, b.sub(candidate, hidden)))


def correction(b: Builder, hidden: str) -> str:
    """What is added to the disparity: [B,1,H/4,W/4]."""
    head = "update_block.disp_head.conv"
    x = b.relu(conv(b, hidden, f"{head}.0"))
    for block in (2, 3):
        x = b.add(x, wide_block(b, x, f"{head}.{block}"))
    return conv(b, x, f"{head}.4")


def wide_block(b: Builder, x: str, name: str) -> str:
    """Depthwise 7x7 and two linear layers, as 1x1 convolutions; ``gamma`` is part of the second."""
    x = conv(b, x, f"{name}.dwconv", groups=len(b.tensors[f"{name}.gamma"]))
    first, first_bias, second, second_bias = (
        b.tensors[f"{name}.pwconv{layer}.{part}"] for layer in (1, 2) for part in ("weight", "bias")
    )
    gamma = b.tensors[f"{name}.gamma"]
    x = gelu(b, conv_with(b, x, f"{name}.pwconv1", first[:, :, None, None], first_bias))
    return conv_with(b, x, f"{name}.pwconv2", (gamma[:, None] * second)[:, :, None, None], gamma * second_bias)
