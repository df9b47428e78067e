"""The layers that the network's parts share; the weights of the checkpoint enter the graph here.

Batch norm is folded into the convolution before it, scales per channel into the linear layer before them. The
arithmetic on weights runs in float64 and is rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ffs_ros.graph.builder import Builder

BATCH_NORM_EPS = 1e-5
INSTANCE_NORM_EPS = 1e-5
UNIT_NORM_EPS = 1e-12


def folded_batch_norm(
    b: Builder, weight: np.ndarray, bias: np.ndarray | None, norm: str, output_axis: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the convolution that does ``norm(conv(x))``, for the batch norm called ``norm``."""
    mean, variance = (b.tensors[f"{norm}.running_{part}"].astype(np.float64) for part in ("mean", "var"))
    scale = b.tensors[f"{norm}.weight"] / np.sqrt(variance + BATCH_NORM_EPS)
    along_output = [1] * weight.ndim
    along_output[output_axis] = -1
    shift = (0.0 if bias is None else bias) - mean
    folded_bias = b.tensors[f"{norm}.bias"] + shift * scale
    return (weight * scale.reshape(along_output)).astype(np.float32), folded_bias.astype(np.float32)


def conv(
    b: Builder,
    x: str,
    name: str,
    *,
    norm: str | None = None,
    stride: int = 1,
    padding: Sequence[int] | None = None,
    groups: int = 1,
) -> str:
    """The checkpoint's convolution ``name`` with the batch norm ``norm`` after it. Padding: half the kernel."""
    weight, bias = b.tensors[f"{name}.weight"], b.tensors.get(f"{name}.bias")
    if norm is not None:
        weight, bias = folded_batch_norm(b, weight, bias, norm)
    return conv_with(b, x, name, weight, bias, stride=stride, padding=padding, groups=groups)


def conv_with(
    b: Builder,
    x: str,
    name: str,
    weight: np.ndarray,
    bias: np.ndarray | None,
    *,
    stride: int = 1,
    padding: Sequence[int] | None = None,
    groups: int = 1,
) -> str:
    """A convolution with these arrays, in as many dimensions as ``weight`` has kernel axes."""
    kernel = weight.shape[2:]
    pads = [size // 2 for size in kernel] if padding is None else list(padding)
    inputs = [x, b.weight(f"{name}.weight", weight)]
    if bias is not None:
        inputs.append(b.weight(f"{name}.bias", bias))
    return b.node("Conv", *inputs, kernel_shape=kernel, strides=[stride] * len(kernel), pads=pads * 2, group=groups)


def transposed_conv(b: Builder, x: str, name: str, *, norm: str | None = None) -> str:
    """The checkpoint's transposed convolution ``name``, kernel 4, stride 2, padding 1: twice the size.

    A kernel of 3 (with an output padding of 1) is a kernel of 4 whose last tap is zero.
    """
    weight, bias = b.tensors[f"{name}.weight"], b.tensors.get(f"{name}.bias")
    if norm is not None:
        weight, bias = folded_batch_norm(b, weight, bias, norm, output_axis=1)
    kernel = weight.shape[2:]
    weight = np.pad(weight, [(0, 0), (0, 0), *((0, 4 - size) for size in kernel)])
    inputs = [x, b.weight(f"{name}.weight", weight)]
    if bias is not None:
        inputs.append(b.weight(f"{name}.bias", bias))
    axes = len(kernel)
    return b.node("ConvTranspose", *inputs, kernel_shape=[4] * axes, strides=[2] * axes, pads=[1] * (2 * axes))


def linear(b: Builder, x: str, name: str, *, scale: np.ndarray | float = 1.0) -> str:
    """The checkpoint's linear layer ``name`` on the last axis, its outputs times ``scale``."""
    weight = b.tensors[f"{name}.weight"].astype(np.float64).T * scale
    bias = b.tensors[f"{name}.bias"].astype(np.float64) * scale
    product = b.matmul(x, b.weight(f"{name}.weight", weight.astype(np.float32)))
    return b.add(product, b.weight(f"{name}.bias", bias.astype(np.float32)))


def pointwise(b: Builder, x_NCHW: str, name: str, *, scale: np.ndarray | float = 1.0) -> str:
    """The checkpoint's linear layer ``name`` on the channels, its outputs times ``scale``, as a convolution 1x1."""
    weight = (b.tensors[f"{name}.weight"].astype(np.float64).T * scale).T
    bias = b.tensors[f"{name}.bias"].astype(np.float64) * scale
    return conv_with(b, x_NCHW, name, weight.astype(np.float32)[:, :, None, None], bias.astype(np.float32))


def layer_norm(b: Builder, x: str, name: str, eps: float) -> str:
    """Layer norm over the last axis. The operator's statistics are fp32 whatever it reads (``stash_type``)."""
    scale, shift = (b.weight(f"{name}.{part}", b.tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
    return b.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=eps)


def instance_norm(b: Builder, x: str) -> str:
    """Zero mean and unit variance over the last two axes of [B,C,H,W]; no parameters.

    Written out, because InstanceNormalization sends TensorRT to a plugin. In fp32: halves cannot hold sums of squares.
    """
    x = b.full(x)
    centred = b.sub(x, b.mean(x, 2, 3))
    variance = b.mean(b.mul(centred, centred), 2, 3)
    return b.lower(b.node("Div", centred, b.node("Sqrt", b.add(variance, INSTANCE_NORM_EPS))))


def unit_norm(b: Builder, x: str, axis: int) -> str:
    """Length 1 along ``axis``; a zero vector stays zero. In fp32, as halves hold neither the squares nor 1e-12."""
    x = b.full(x)
    length = b.node("ReduceL2", x, axes=[axis], keepdims=1)
    return b.lower(b.node("Div", x, b.node("Max", length, UNIT_NORM_EPS)))


def gelu(b: Builder, x: str) -> str:
    """The exact form, in the nodes that runtimes recognise."""
    erf = b.node("Erf", b.node("Div", x, float(np.sqrt(2.0))))
    return b.mul(b.mul(x, b.add(erf, 1.0)), 0.5)


def channels_last(b: Builder, x_NCHW: str) -> str:
    return b.transpose(x_NCHW, 0, 2, 3, 1)


def channels_first(b: Builder, x_NHWC: str) -> str:
    return b.transpose(x_NHWC, 0, 3, 1, 2)
