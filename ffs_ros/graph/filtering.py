"""Filters the cost volume: correlation attention, the 3-D hourglass, and the first disparity."""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder, Length, Size
from ffs_ros.graph.decoder import Features
from ffs_ros.graph.layers import conv, conv_with, folded_batch_norm, gelu, layer_norm, linear, transposed_conv
from ffs_ros.graph.volume import PLANES

HEADS = 4
NORM_EPS = 1e-5


def filtered_volume(b: Builder, volume: str, left: Features, size: Size) -> str:
    """The geometry volume [B,28,48,H/4,W/4]."""
    with b.scope("corr_feature_att"):
        x = basic(b, basic(b, volume, "corr_feature_att.0"), "corr_feature_att.1")
        x = gated(b, x, left.f4, "corr_feature_att.2")
    with b.scope("hourglass"):
        return hourglass(b, x, left, size)


def first_disparity(b: Builder, volume: str) -> str:
    """[B,1,H/4,W/4], in pixels at 1/4: the expectation over the 48 planes."""
    logits = b.node("Squeeze", conv(b, volume, "classifier.0"), np.array([1]))
    planes = np.arange(PLANES, dtype=np.float32)[:, None, None]
    return b.sum(b.mul(b.softmax(logits, axis=1), planes), axis=1)


def hourglass(b: Builder, x: str, left: Features, size: Size) -> str:
    """Down to 1/32 and back; ``x`` and the result are [B,28,48,H/4,W/4]."""
    down = "cost_agg.feature_att_8.layers"
    c1 = basic(b, x, f"{down}.0", stride=2)
    c1 = gated(b, reduced(b, c1, f"{down}.1"), left.f8, f"{down}.2")

    down = "cost_agg.feature_att_16.layers"
    c2 = reduced(b, reduced(b, basic(b, c1, f"{down}.0", stride=2), f"{down}.1"), f"{down}.2")

    c3 = reduced(b, basic(b, c2, "cost_agg.conv3.0", stride=2), "cost_agg.conv3.1")
    c3 = gated(b, c3, left.f32, "cost_agg.feature_att_32")

    up = "cost_agg.post32_to_16"
    m2 = gated(b, b.add(doubled(b, c3, f"{up}.upsample.0"), c2), left.f16, f"{up}.out.0")
    m2 = basic(b, reduced(b, basic(b, m2, f"{up}.out.1"), f"{up}.out.2"), f"{up}.out.3")

    up = "cost_agg.post16_to_8"
    m1 = basic(b, b.add(doubled(b, m2, f"{up}.upsample.0"), c1), f"{up}.out.0")
    m1 = reduced(b, gated(b, m1, left.f8, f"{up}.out.1"), f"{up}.out.2")

    up = "cost_agg.post8_to_4"
    coarse = doubled_and_quartered(b, m1, "cost_agg.conv1_up", f"{up}.upsample.0")
    attended = head_attention(b, coarse, f"{up}.upsample.1.sa.0")
    y = basic(b, b.add(enlarged(b, attended, size), x), f"{up}.out.0")
    z = b.relu(conv(b, y, f"{up}.out.1.conv1", norm=f"{up}.out.1.bn1"))
    return b.relu(b.add(conv(b, z, f"{up}.out.1.conv2", norm=f"{up}.out.1.bn2"), y))


def basic(b: Builder, x: str, name: str, stride: int = 1) -> str:
    return b.leaky_relu(conv(b, x, f"{name}.conv", norm=f"{name}.norm", stride=stride))


def doubled(b: Builder, x: str, name: str) -> str:
    return b.leaky_relu(transposed_conv(b, x, f"{name}.conv", norm=f"{name}.norm"))


def doubled_and_quartered(b: Builder, x: str, double: str, quarter: str) -> str:
    """The transposed convolution ``double`` and, on what it gives, the convolution ``quarter`` (kernel 4, stride 4).

    Doubling makes eight phases: even or odd planes, rows and columns. Nothing else reads the doubled volume, so the
    phases stay side by side as channels: each is a convolution of ``x`` with kernel 2, at i for even, i + 1 for odd
    samples 2i and 2i + 1. Four neighbours are then even at 2j and 2j + 1 and odd at 2j + 1 and 2j + 2: a convolution
    with kernel 3 and stride 2.
    """
    weight, bias = folded_batch_norm(b, b.tensors[f"{double}.conv.weight"], None, f"{double}.norm", output_axis=1)
    tap = np.zeros((2, 2, 4), np.float32)  # of the phase (even, odd), at the place in the kernel of 2
    tap[0, [0, 1], [3, 1]] = tap[1, [0, 1], [2, 0]] = 1
    weight = np.einsum("ioabc,pxa,qyb,rzc->pqroixyz", weight, tap, tap, tap).reshape(-1, weight.shape[0], 2, 2, 2)
    phases = b.leaky_relu(conv_with(b, x, double, weight, np.tile(bias, 8), padding=[1, 1, 1]))

    weight, bias = folded_batch_norm(b, b.tensors[f"{quarter}.conv.weight"], None, f"{quarter}.norm")
    tap = np.zeros((2, 3, 4), np.float32)
    tap[0, [0, 1], [0, 2]] = tap[1, [1, 2], [1, 3]] = 1
    weight = np.einsum("oiabc,pxa,qyb,rzc->opqrixyz", weight, tap, tap, tap).reshape(weight.shape[0], -1, 3, 3, 3)
    return conv_with(b, phases, quarter, weight, bias, stride=2, padding=[0, 0, 0])


def reduced(b: Builder, x: str, name: str) -> str:
    """A 3-D convolution in two: 3x3 inside the planes, then along the planes."""
    x = b.relu(conv(b, x, f"{name}.conv1.0", norm=f"{name}.conv1.1"))
    return b.relu(conv(b, x, f"{name}.conv2.0", norm=f"{name}.conv2.1"))


def gated(b: Builder, volume: str, features: str, name: str) -> str:
    """The volume times a gate per channel and pixel, made from the left features; the same for all planes."""
    gate = b.leaky_relu(conv(b, features, f"{name}.feat_att.0.conv", norm=f"{name}.feat_att.0.norm"))
    gate = b.sigmoid(conv(b, gate, f"{name}.feat_att.1"))
    return b.mul(volume, b.unsqueeze(gate, 2))


def head_attention(b: Builder, x: str, name: str) -> str:
    """Transformer layer on [B,28,12,H/16,W/16] whose attention runs across the four heads of one plane of one pixel."""
    channels, planes = 28, 12
    wave = np.exp(-2.0 * np.arange(channels // 2) * np.log(10000.0) / channels)
    angle = np.arange(planes)[:, None] * wave
    position = np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(planes, 1, 1, channels)

    x = b.add(b.transpose(x, 0, 2, 3, 4, 1), position.astype(np.float32))
    qkv = b.reshape(query_key_value(b, x, f"{name}.self_attn"), [-1, 3 * HEADS, channels // HEADS])
    query, key, value = b.split(qkv, [HEADS] * 3, axis=1)
    attention = b.softmax(b.matmul(query, b.transpose(key, 0, 2, 1)), axis=2)
    mixed = b.node("Reshape", b.matmul(attention, value), b.node("Shape", x))
    x = layer_norm(b, b.add(x, linear(b, mixed, f"{name}.self_attn.out_proj")), f"{name}.norm1", NORM_EPS)
    y = linear(b, gelu(b, linear(b, x, f"{name}.linear1")), f"{name}.linear2")
    return b.transpose(layer_norm(b, b.add(x, y), f"{name}.norm2", NORM_EPS), 0, 4, 1, 2, 3)


def query_key_value(b: Builder, x: str, name: str) -> str:
    """The three projections in one; the query is divided by the root of the head's length."""
    parts = {"q_proj": 1 / np.sqrt(7.0), "k_proj": 1.0, "v_proj": 1.0}
    weight = np.concatenate([b.tensors[f"{name}.{part}.weight"].T * scale for part, scale in parts.items()], axis=1)
    bias = np.concatenate([b.tensors[f"{name}.{part}.bias"] * scale for part, scale in parts.items()])
    product = b.matmul(x, b.weight(f"{name}.qkv_proj.weight", weight.astype(np.float32)))
    return b.add(product, b.weight(f"{name}.qkv_proj.bias", bias.astype(np.float32)))


def enlarged(b: Builder, x: str, size: Size) -> str:
    """Trilinear x4 of [B,C,12,H/16,W/16], sample centres at half pixels: one matrix per axis, the smallest axis last."""
    rows, columns = b.grid(size, 16)
    x = b.matmul(x, b.node("Transpose", interpolation(b, columns), perm=[1, 0]))
    x = b.matmul(interpolation(b, rows), x)
    fine_rows, fine_columns = b.grid(size, 4)
    flat = b.reshape(x, [0, 0, PLANES // 4, -1])
    return b.reshape(b.matmul(interpolation(b, PLANES // 4), flat), [0, 0, PLANES, fine_rows, fine_columns])


def interpolation(b: Builder, length: Length) -> str:
    """[4 length, length]: weight of each coarse sample in each fine sample; edges clamped."""
    fine, coarse = (b.float32(b.count(n)) for n in (b.length("Mul", length, 4), length))
    last = b.sub(b.float32(b.scalar(length)), 1.0)
    centre = b.node("Min", b.node("Max", b.sub(b.mul(fine, 0.25), 0.375), 0.0), last)
    return b.relu(b.sub(1.0, b.node("Abs", b.sub(b.unsqueeze(centre, 1), coarse))))
