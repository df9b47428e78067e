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
        hidden = updated(b, hidden, motion, context)
    with b.scope("head"):
        return b.add(disparity, b.full(correction(b, hidden))), hidden


def motion_features(b: Builder, evidence: str, disparity: str) -> str:
    """[B,50,H/4,W/4]: 48 of what was looked up, [B,56,H/4,W/4], and of the disparity; and the disparity.

    That comes in two channels, above and below 0, which all these layers and their ReLUs hand on: joining it to the 48
    would be another pass over them.
    """
    encoder = "update_block.encoder"
    cost = b.relu(conv(b, evidence, f"{encoder}.convc2"))
    flow = b.relu(handing_on(b, disparity_features(b, disparity), f"{encoder}.convd2"))
    return b.relu(handing_on(b, b.concat([cost, flow], axis=1), f"{encoder}.conv"))


def disparity_features(b: Builder, disparity: str) -> str:
    """[B,18,H/4,W/4]: 16 features of the disparity, and the disparity above and below 0."""
    name = "update_block.encoder.convd1"
    weight, bias = (b.tensors[f"{name}.{part}"] for part in ("weight", "bias"))
    above_and_below = np.zeros((2, *weight.shape[1:]), np.float32)
    above_and_below[:, 0, 3, 3] = 1, -1
    return b.relu(conv_with(b, disparity, name, np.concatenate([weight, above_and_below]), np.pad(bias, [(0, 2)])))


def handing_on(b: Builder, x: str, name: str) -> str:
    """The convolution ``name``, 3x3, and behind its channels the last two of ``x``."""
    weight, bias = (b.tensors[f"{name}.{part}"] for part in ("weight", "bias"))
    inputs = weight.shape[1]
    handed = np.zeros((2, inputs + 2, 3, 3), np.float32)
    handed[[0, 1], [inputs, inputs + 1], 1, 1] = 1
    weight = np.concatenate([np.pad(weight, [(0, 0), (0, 2), (0, 0), (0, 0)]), handed])
    return conv_with(b, x, name, weight, np.pad(bias, [(0, 2)]))


def updated(b: Builder, hidden: str, motion: str, context: Context) -> str:
    """The next hidden state: two GRUs, with kernels 1x1 and 3x3, blended by the attention.

    The first layer takes context, motion and disparity side by side. It is linear before its ReLU, so the context has a
    convolution of its own, whose result is the same in all iterations.
    """
    gru = "update_block.gru04"
    weight = b.tensors[f"{gru}.conv0.0.weight"][:, SEEN:]
    weight = np.concatenate([weight, weight[:, -1:] * -1.0], 1)  # of the disparity below 0
    x = conv_with(b, motion, f"{gru}.conv0.motion", weight, None)
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
