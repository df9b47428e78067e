"""From 1/4 to full resolution: every pixel is a weighted mean of nine disparities around it."""

from __future__ import annotations

from ffs_ros.graph.builder import Builder, Size
from ffs_ros.graph.layers import conv, conv_with, transposed_conv


def upsampled(b: Builder, disparity: str, hidden: str, stem: str, size: Size) -> str:
    """[B,1,H,W] in pixels, from the disparity [B,1,H/4,W/4] in pixels at 1/4."""
    return weighted_mean(b, nine_logits(b, hidden, stem), disparity, size)


def weighted_mean(b: Builder, logits: str, disparity: str, size: Size) -> str:
    """[B,1,H,W] from the logits of nine weights, [B,9,H,W]. Outside the image the disparity counts as 0.

    In fp32: between 128 and 192 px halves are 1/8 px apart.
    """
    rows, columns = b.grid(size, 4)
    weights = b.reshape(b.softmax(b.full(logits), axis=1), [0, 9, rows, 4, columns, 4])
    padded = b.pad(b.mul(disparity, 4.0), [0, 0, 1, 1], [0, 0, 1, 1])
    bands = [b.slice(padded, 2, row, b.length("Add", rows, row)) for row in range(3)]
    neighbours = [b.slice(band, 3, column, b.length("Add", columns, column)) for band in bands for column in range(3)]
    nine = b.reshape(b.concat(neighbours, axis=1), [0, 9, rows, 1, columns, 1])
    return b.reshape(b.sum(b.mul(weights, nine), axis=1), [0, 1, size.height, size.width])


def nine_logits(b: Builder, hidden: str, stem: str) -> str:
    """[B,9,H,W]"""
    mask = b.relu(conv(b, hidden, "update_block.mask.0"))
    # The network takes a quarter of this layer's ReLU, which is the ReLU of a quarter.
    weight, bias = (b.tensors[f"update_block.mask.2.{part}"] / 4 for part in ("weight", "bias"))
    mask = b.relu(conv_with(b, mask, "update_block.mask.2", weight, bias))
    x = b.concat([b.leaky_relu(transposed_conv(b, mask, "spx_2_gru.conv1.conv")), stem], axis=1)
    x = b.leaky_relu(conv(b, x, "spx_2_gru.conv2.conv"))
    return transposed_conv(b, x, "spx_gru.0")
