"""Context of the left image: the first hidden state, what every iteration sees, and where to look closely."""

from __future__ import annotations

from typing import NamedTuple

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.layers import conv


class Context(NamedTuple):
    hidden: str
    """[B,60,H/4,W/4]"""
    seen: str
    """[B,48,H/4,W/4]"""
    attention: str
    """[B,1,H/4,W/4]: the weight of the small kernels."""


def context(b: Builder, f4: str) -> Context:
    """Everything that the iterations take from the left features and that stays the same through them."""
    hidden = b.tanh(b.leaky_relu(conv(b, f4, "cnet.conv04.0.conv", norm="cnet.conv04.0.norm")))
    # the network has a LeakyReLU before this ReLU: together they are the ReLU
    seen = b.relu(conv(b, f4, "cnet.conv04.1.conv", norm="cnet.conv04.1.norm"))

    pooled = b.concat([b.mean(seen, 2, 3), b.node("ReduceMax", seen, axes=[2, 3])], axis=2)
    pooled = conv(b, b.relu(conv(b, pooled, "cam.fc.0")), "cam.fc.2")
    seen = b.mul(seen, b.sigmoid(b.sum(pooled, axis=2)))

    pooled = b.concat([b.mean(seen, 1), b.node("ReduceMax", seen, axes=[1])], axis=1)
    return Context(hidden, seen, b.sigmoid(conv(b, pooled, "sam.samconv")))
