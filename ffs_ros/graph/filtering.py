"""Filters the cost volume: two convolutions, then an hourglass down to 1/32 and back; and the first disparity."""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder, Size
from ffs_ros.graph.decoder import Features
from ffs_ros.graph.head_attention import head_attention
from ffs_ros.graph.layers import conv, conv_with, folded_batch_norm, transposed_conv
from ffs_ros.graph.resampling import VolumeShape, doubled_and_quartered, four_times_finer
from ffs_ros.graph.volume import PLANES


def filtered_volume(b: Builder, volume: str, left: Features, size: Size) -> str:
    """The geometry volume [B,28,48,H/4,W/4] from the cost volume [B,32,48,H/4,W/4]."""
    with b.scope("stem"):
        x = stem(b, volume, left)
    with b.scope("hourglass"):
        return hourglass(b, x, left, size)


def stem(b: Builder, volume: str, left: Features) -> str:
    """What enters the hourglass: [B,28,48,H/4,W/4]."""
    x = basic(b, basic(b, volume, "corr_feature_att.0"), "corr_feature_att.1")
    return gated(b, x, left.f4, "corr_feature_att.2")


def first_disparity(b: Builder, volume: str) -> str:
    """[B,1,H/4,W/4], pixels at 1/4."""
    return mean_plane(b, conv(b, volume, "classifier.0"))


def mean_plane(b: Builder, logits: str) -> str:
    """[B,1,H,W] of [B,1,48,H,W], weighted by the softmax over the planes. In fp32."""
    logits = b.full(b.node("Squeeze", logits, np.array([1])))
    plane = np.arange(PLANES, dtype=np.float32)[:, None, None]
    return b.sum(b.mul(b.softmax(logits, axis=1), plane), axis=1)


def hourglass(b: Builder, x: str, left: Features, size: Size) -> str:
    """[B,28,48,H/4,W/4] from the same; planes shrink with rows and columns."""
    s4, s8, s16, s32 = (volume_shape(b, size, scale) for scale in (4, 8, 16, 32))
    with b.scope("down"):
        down = "cost_agg.feature_att_8.layers"
        c1 = reduced(b, basic(b, x, f"{down}.0", stride=2), f"{down}.1", s8)
        c1 = gated(b, c1, left.f8, f"{down}.2")

        down = "cost_agg.feature_att_16.layers"
        c2 = reduced(b, basic(b, c1, f"{down}.0", stride=2), f"{down}.1", s16)
        c2 = reduced(b, c2, f"{down}.2", s16)

        c3 = reduced(b, basic(b, c2, "cost_agg.conv3.0", stride=2), "cost_agg.conv3.1", s32)
        c3 = gated(b, c3, left.f32, "cost_agg.feature_att_32")

        up = "cost_agg.post32_to_16"
        m2 = b.add(doubled(b, c3, f"{up}.upsample.0"), c2)
        m2 = basic(b, gated(b, m2, left.f16, f"{up}.out.0"), f"{up}.out.1")
        m2 = basic(b, reduced(b, m2, f"{up}.out.2", s16), f"{up}.out.3")

    with b.scope("up"):
        up = "cost_agg.post16_to_8"
        m1 = b.add(doubled(b, m2, f"{up}.upsample.0"), c1)
        m1 = gated(b, basic(b, m1, f"{up}.out.0"), left.f8, f"{up}.out.1")
        m1 = reduced(b, m1, f"{up}.out.2", s8)

        up = "cost_agg.post8_to_4"
        coarse = doubled_and_quartered(b, m1, "cost_agg.conv1_up", f"{up}.upsample.0")
        coarse = head_attention(b, coarse, f"{up}.upsample.1.sa.0", s16)

    with b.scope("end"):
        y = basic(b, b.add(four_times_finer(b, coarse, s16, s4), x), f"{up}.out.0")
        z = b.relu(conv(b, y, f"{up}.out.1.conv1", norm=f"{up}.out.1.bn1"))
        return b.relu(b.add(conv(b, z, f"{up}.out.1.conv2", norm=f"{up}.out.1.bn2"), y))


def volume_shape(b: Builder, size: Size, scale: int) -> VolumeShape:
    """Planes, rows and columns of the volume at 1/``scale``."""
    return (4 * PLANES // scale, *b.grid(size, scale))


def basic(b: Builder, x: str, name: str, stride: int = 1) -> str:
    """3x3x3 convolution, batch norm, LeakyReLU."""
    return b.leaky_relu(conv(b, x, f"{name}.conv", norm=f"{name}.norm", stride=stride))


def doubled(b: Builder, x: str, name: str) -> str:
    """Transposed convolution to twice the planes, rows and columns, batch norm, LeakyReLU."""
    return b.leaky_relu(transposed_conv(b, x, f"{name}.conv", norm=f"{name}.norm"))


def reduced(b: Builder, x: str, name: str, shape: VolumeShape) -> str:
    """A 3-D convolution in two, 3x3 within the planes, then a long one across them; each with batch norm and ReLU.

    Across the planes rows and columns are alike, so there the volume is [B,C,planes,rows * columns] and the convolution
    two-dimensional: runtimes have faster ones.
    """
    x = b.relu(conv(b, x, f"{name}.conv1.0", norm=f"{name}.conv1.1"))
    weight, bias = (b.tensors[f"{name}.conv2.0.{part}"] for part in ("weight", "bias"))
    weight, bias = folded_batch_norm(b, weight, bias, f"{name}.conv2.1")
    x = conv_with(b, b.reshape(x, [0, 0, shape[0], -1]), f"{name}.conv2.0", weight[..., 0], bias)
    return b.reshape(b.relu(x), [0, 0, *shape])


def gated(b: Builder, volume: str, features: str, name: str) -> str:
    """The volume times a gate per channel and pixel, made from the left features; the same for all planes."""
    gate = b.leaky_relu(conv(b, features, f"{name}.feat_att.0.conv", norm=f"{name}.feat_att.0.norm"))
    gate = b.sigmoid(conv(b, gate, f"{name}.feat_att.1"))
    return b.mul(volume, b.unsqueeze(gate, 2))
