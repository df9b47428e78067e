"""Transformer layer on the coarse volume [B,28,12,H/16,W/16].

Its attention runs across the four heads of one plane of one pixel: planes and pixels do not see each other.
"""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.layers import gelu, layer_norm, linear
from ffs_ros.graph.resampling import VolumeShape

CHANNELS = 28
HEADS = 4
HEAD_CHANNELS = CHANNELS // HEADS
NORM_EPS = 1e-5


def head_attention(b: Builder, volume: str, name: str, shape: VolumeShape) -> str:
    """The volume, [B,28,*shape], after the layer."""
    x = b.add(b.transpose(volume, 0, 2, 3, 4, 1), plane_position(int(shape[0])))
    qkv = b.reshape(query_key_value(b, x, f"{name}.self_attn"), [-1, 3 * HEADS, HEAD_CHANNELS])
    query, key, value = b.split(qkv, [HEADS] * 3, axis=1)
    attention = b.softmax(b.matmul(query, b.transpose(key, 0, 2, 1)), axis=2)
    mixed = b.reshape(b.matmul(attention, value), [-1, *shape, CHANNELS])
    x = layer_norm(b, b.add(x, linear(b, mixed, f"{name}.self_attn.out_proj")), f"{name}.norm1", NORM_EPS)
    y = linear(b, gelu(b, linear(b, x, f"{name}.linear1")), f"{name}.linear2")
    return b.transpose(layer_norm(b, b.add(x, y), f"{name}.norm2", NORM_EPS), 0, 4, 1, 2, 3)


def plane_position(planes: int) -> np.ndarray:
    """[planes,1,1,28]: sine and cosine in turn of the plane's number."""
    wave = np.exp(-2.0 * np.arange(CHANNELS // 2) * np.log(10000.0) / CHANNELS)
    angle = np.arange(planes)[:, None] * wave
    position = np.stack([np.sin(angle), np.cos(angle)], axis=2)
    return position.reshape(planes, 1, 1, CHANNELS).astype(np.float32)


def query_key_value(b: Builder, x: str, name: str) -> str:
    """The three projections as one; the query is divided by the root of a head's length."""
    scales = {"q_proj": HEAD_CHANNELS**-0.5, "k_proj": 1.0, "v_proj": 1.0}
    weight = np.concatenate([b.tensors[f"{name}.{part}.weight"].T * scale for part, scale in scales.items()], axis=1)
    bias = np.concatenate([b.tensors[f"{name}.{part}.bias"] * scale for part, scale in scales.items()])
    product = b.matmul(x, b.weight(f"{name}.qkv_proj.weight", weight.astype(np.float32)))
    return b.add(product, b.weight(f"{name}.qkv_proj.bias", bias.astype(np.float32)))
