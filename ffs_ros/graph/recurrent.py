"""One iteration: look around the current disparity, update the hidden state, correct the disparity."""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder, Size
from ffs_ros.graph.context import SEEN, Context
from ffs_ros.graph.layers import conv, conv_with, gelu
from ffs_ros.graph.lookup import Tables, looked_up

HIDDEN = 60


def iteration(b: Builder, disparity: str, hidden: str, context: Context, tables: Tables, size: Size) -> tuple[str, str]:
    """The next disparity [B,1,H/4,W/4], in pixels at 1/4, always fp32, and hidden state [B,60,H/4,W/4]."""
    seen = b.lower(disparity)
    with b.scope("motion"):
        motion = motion_features(b, looked_up(b, tables, disparity, b.grid(size, 4)), seen)
    with b.scope("gru"):
        hidden = updated(b, hidden, motion, seen, context)
    with b.scope("head"):
        return b.add(disparity, b.full(correction(b, hidden))), hidden


def motion_features(b: Builder, evidence: str, disparity: str) -> str:
    """[B,48,H/4,W/4] of what was looked up, [B,56,H/4,W/4], and of the disparity."""
    encoder = "update_block.encoder"
    cost = b.relu(conv(b, evidence, f"{encoder}.convc2"))
    flow = b.relu(conv(b, b.relu(conv(b, disparity, f"{encoder}.convd1")), f"{encoder}.convd2"))
    return b.relu(conv(b, b.concat([cost, flow], axis=1), f"{encoder}.conv"))


def updated(b: Builder, hidden: str, motion: str, disparity: str, context: Context) -> str:
    """The next hidden state: two GRUs, with kernels 1x1 and 3x3, blended by the attention.

    The first layer takes context, motion and disparity side by side. It is linear before its ReLU, so the context has a
    convolution of its own, whose result is the same in all iterations.
    """
    gru = "update_block.gru04"
    weight = b.tensors[f"{gru}.conv0.0.weight"][:, SEEN:]
    x = conv_with(b, b.concat([motion, disparity], axis=1), f"{gru}.conv0.motion", weight, None)
    x = b.relu(b.add(x, context.drive))
    y = b.relu(conv(b, b.concat([x, hidden], axis=1), f"{gru}.conv1.0"))
    small, large = (gated_unit(b, hidden, x, y, f"{gru}.{size}_gru") for size in ("small", "large"))
    return b.add(large, b.mul(context.attention, b.sub(small, large)))


def gated_unit(b: Builder, hidden: str, x: str, y: str, name: str) -> str:
    """(1 - z) h + z q, with the gates z and r in one convolution."""
    weight, bias = (
        np.concatenate([b.tensors[f"{name}.conv{gate}.{part}"] for gate in "zr"]) for part in ("weight", "bias")
    )
    update, reset = b.split(b.sigmoid(conv_with(b, y, f"{name}.convzr", weight, bias)), [HIDDEN, HIDDEN], axis=1)
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
    """Depthwise 7x7 and two linear layers, here convolutions 1x1; ``gamma`` is part of the second."""
    gamma = b.tensors[f"{name}.gamma"]
    widen, widen_bias, narrow, narrow_bias = (
        b.tensors[f"{name}.pwconv{layer}.{part}"] for layer in (1, 2) for part in ("weight", "bias")
    )
    x = conv(b, x, f"{name}.dwconv", groups=len(gamma))
    x = gelu(b, conv_with(b, x, f"{name}.pwconv1", widen[:, :, None, None], widen_bias))
    narrow = gamma[:, None, None, None] * narrow[:, :, None, None]
    return conv_with(b, x, f"{name}.pwconv2", narrow, gamma * narrow_bias)
