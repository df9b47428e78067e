"""Feature decoder: brings the backbone's features together from 1/32 up to 1/4; and the stem at 1/2."""

from __future__ import annotations

from typing import NamedTuple

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.layers import conv, instance_norm, transposed_conv


class Features(NamedTuple):
    """224, 192, 320 and 304 channels at 1/4, 1/8, 1/16 and 1/32."""

    f4: str
    f8: str
    f16: str
    f32: str


def decoder(b: Builder, stages: list[str]) -> Features:
    """Features of both images, [2B,C,h,w], from the four stages of the backbone."""
    x4, x8, x16, f32 = stages
    with b.scope("to_16"):
        f16 = merge(b, f32, x16, "feature.deconv32_16")
    with b.scope("to_8"):
        f8 = merge(b, f16, x8, "feature.deconv16_8")
    f4 = conv(b, merge(b, f8, x4, "feature.deconv8_4"), "feature.conv4")
    return Features(f4, f8, f16, f32)


def merge(b: Builder, coarse: str, fine: str, name: str) -> str:
    """Doubles ``coarse``, joins it with ``fine`` behind it and mixes both in a residual block."""
    up = b.leaky_relu(instance_norm(b, transposed_conv(b, coarse, f"{name}.conv1.conv")))
    x = b.concat([up, fine], axis=1)
    y = b.relu(instance_norm(b, conv(b, x, f"{name}.conv2.conv1")))
    y = instance_norm(b, conv(b, y, f"{name}.conv2.conv2"))
    return b.relu(b.add(y, x))


def half_resolution_stem(b: Builder, left: str) -> str:
    """[B,16,H/2,W/2] of the normalised left image, for the upsampling."""
    x = b.leaky_relu(instance_norm(b, conv(b, left, "stem_2.0.conv", stride=2)))
    return b.relu(instance_norm(b, conv(b, x, "stem_2.1")))
