"""Changes of the volume's resolution that are cheaper written otherwise than as the network defines them."""

from __future__ import annotations

import numpy as np

from ffs_ros.graph.builder import Builder, Length
from ffs_ros.graph.layers import conv_with, folded_batch_norm

VolumeShape = tuple[Length, Length, Length]
"""Planes, rows, columns."""


def doubled_and_quartered(b: Builder, x: str, double: str, quarter: str) -> str:
    """The transposed convolution ``double`` and, on what it gives, the convolution ``quarter`` (kernel 4, stride 4).

    Doubling makes eight phases: even or odd planes, rows and columns. Nothing else reads the doubled volume, so its
    phases stay side by side as channels, each a convolution of ``x`` with kernel 2; sample 2i is found at i of the even
    phase, sample 2i + 1 at i + 1 of the odd one. Of four neighbours the even ones are at 2j and 2j + 1, the odd ones at
    2j + 1 and 2j + 2: a convolution with kernel 3 and stride 2.
    """
    weight, bias = folded_batch_norm(b, b.tensors[f"{double}.conv.weight"], None, f"{double}.norm", output_axis=1)
    tap = np.zeros((2, 2, 4), np.float32)  # even or odd phase, place in the kernel of 2, tap of the transposed kernel
    tap[0, [0, 1], [3, 1]] = 1
    tap[1, [0, 1], [2, 0]] = 1
    weight = np.einsum("ioabc,pxa,qyb,rzc->pqroixyz", weight, tap, tap, tap).reshape(-1, weight.shape[0], 2, 2, 2)
    phases = b.leaky_relu(conv_with(b, x, double, weight, np.tile(bias, 8), padding=[1, 1, 1]))

    weight, bias = folded_batch_norm(b, b.tensors[f"{quarter}.conv.weight"], None, f"{quarter}.norm")
    tap = np.zeros((2, 3, 4), np.float32)  # even or odd phase, place in the kernel of 3, one of four neighbours
    tap[0, [0, 1], [0, 2]] = 1
    tap[1, [1, 2], [1, 3]] = 1
    weight = np.einsum("oiabc,pxa,qyb,rzc->opqrixyz", weight, tap, tap, tap).reshape(weight.shape[0], -1, 3, 3, 3)
    return conv_with(b, phases, quarter, weight, bias, stride=2, padding=[0, 0, 0])


def four_times_finer(b: Builder, x: str, coarse: VolumeShape, fine: VolumeShape) -> str:
    """Trilinear interpolation of [B,C,*coarse] to [B,C,*fine], samples at pixel centres: a matrix for each axis.

    Columns first and planes last, so that the largest result is written once.
    """
    planes, rows, columns = coarse
    x = b.matmul(x, b.transpose(interpolation(b, columns), 1, 0))
    x = b.matmul(interpolation(b, rows), x)
    x = b.matmul(interpolation(b, planes), b.reshape(x, [0, 0, planes, -1]))
    return b.reshape(x, [0, 0, *fine])


def interpolation(b: Builder, length: Length) -> str:
    """[4 length, length]: weight of each coarse sample in each fine sample; edges clamped."""
    fine, coarse = (b.float32(b.count(n)) for n in (b.length("Mul", length, 4), length))
    last = b.sub(b.float32(b.scalar(length)), 1.0)
    centre = b.node("Min", b.node("Max", b.sub(b.mul(fine, 0.25), 0.375), 0.0), last)
    return b.lower(b.relu(b.sub(1.0, b.node("Abs", b.sub(b.unsqueeze(centre, 1), coarse)))))
