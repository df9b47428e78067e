"""Context of the left image: what the iterations take from it once and keep."""

from __future__ import annotations

from typing import NamedTuple

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.layers import conv, conv_with

SEEN = 48
"""Channels of the context that every iteration sees."""


class Context(NamedTuple):
    hidden: str
    """[B,60,H/4,W/4]: the hidden state before the first iteration."""
    drive: str
    """[B,100,H/4,W/4]: what the GRU's first layer makes of the context, bias included."""
    attention: str
    """[B,1,H/4,W/4]: the weight of the GRU with small kernels."""


def context(b: Builder, f4: str) -> Context:
    """From the left features [B,224,H/4,W/4]."""
    hidden = b.tanh(b.leaky_relu(conv(b, f4, "cnet.conv04.0.conv", norm="cnet.conv04.0.norm")))
    # The network has a LeakyReLU before this ReLU; the two together are the ReLU.
    seen = b.relu(conv(b, f4, "cnet.conv04.1.conv", norm="cnet.conv04.1.norm"))

    pooled = b.concat([b.lower(b.mean(b.full(seen), 2, 3)), b.max(seen, 2, 3)], axis=2)
    gates = b.sum(conv(b, b.relu(conv(b, pooled, "cam.fc.0")), "cam.fc.2"), axis=2)
    seen = b.mul(seen, b.sigmoid(gates))

    pooled = b.concat([b.mean(seen, 1), b.max(seen, 1)], axis=1)
    attention = b.sigmoid(conv(b, pooled, "sam.samconv"))

    weight, bias = (b.tensors[f"update_block.gru04.conv0.0.{part}"] for part in ("weight", "bias"))
    drive = conv_with(b, seen, "update_block.gru04.conv0.context", weight[:, :SEEN], bias)
    return Context(hidden, drive, attention)
