"""How tensors lie in memory: convolutions on tensor cores want the channels of a pixel side by side."""

from __future__ import annotations

import torch
from torch import nn


def channels_last(network: nn.Module) -> None:
    """Lay out the weights of all convolutions so; what they compute follows by itself. Values stay the same.

    On an H200 in bfloat16 this saves cuDNN's conversions, and batch norms of 28 channels leave their slow path.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d)):
            layer.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
