"""The convolution blocks that several parts of the network share.

Attribute names (``conv``, ``norm``, ``conv1``, ``bn1``, ...) are those of the checkpoint, here and in the whole
package: loading is ``load_state_dict`` and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNormAct(nn.Sequential):
    """A convolution, a normalisation and an activation; ``None`` leaves a step out."""

    def __init__(self, conv: nn.Module, norm: nn.Module | None, activation: nn.Module | None) -> None:
        steps = OrderedDict(conv=conv)
        if norm is not None:
            steps["norm"] = norm
        if activation is not None:
            steps["activation"] = activation
        super().__init__(steps)


def leaky_relu() -> nn.LeakyReLU:
    """The usual activation of this network, slope 0.01; it overwrites its input, which no normalisation needs again."""
    return nn.LeakyReLU(0.01, inplace=True)


class ResidualBlock(nn.Module):
    """Two 3x3 (3x3x3) convolutions around a shortcut: ReLU(x + f(x))."""

    def __init__(self, channels: int, conv: type[nn.Module], norm: type[nn.Module]) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 3, padding=1, bias=False)
        self.bn1 = norm(channels)
        self.conv2 = conv(channels, channels, 3, padding=1, bias=False)
        self.bn2 = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(y)))


class MergeUp(nn.Module):
    """Doubles the resolution with ``conv1``, joins what the skip brings (upsampled first), mixes with ``conv2``."""

    def __init__(self, conv1: nn.Module, conv2: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv1
        self.conv2 = conv2

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return self.conv2(torch.cat((self.conv1(coarse), skip), dim=1))
