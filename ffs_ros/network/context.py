"""What the left image alone tells the iterations: their first hidden state, a context, and how far to look.

Shapes: B pairs; h, w rows and columns at 1/4 resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import ConvNormAct, leaky_relu


class ContextHeads(nn.Module):
    """B,224,h,w left features -> hidden state B,60,h,w in (-1, 1) and context B,48,h,w, not negative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv04 = nn.ModuleList(
            ConvNormAct(nn.Conv2d(224, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), leaky_relu())
            for channels in (60, 48)
        )

    def forward(self, f4: Tensor) -> tuple[Tensor, Tensor]:
        hidden, context = (head(f4) for head in self.conv04)
        return hidden.tanh(), context.relu()


class ChannelAttention(nn.Module):
    """B,48,h,w context, each channel weighed by its mean and its maximum over the image."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Conv2d(48, 8, 1, bias=False), nn.ReLU(), nn.Conv2d(8, 48, 1, bias=False))

    def forward(self, context: Tensor) -> Tensor:
        mean = context.mean(dim=(2, 3), keepdim=True)
        maximum = context.amax(dim=(2, 3), keepdim=True)
        return context * (self.fc(mean) + self.fc(maximum)).sigmoid()


class SpatialAttention(nn.Module):
    """B,48,h,w context -> B,1,h,w in (0, 1): the share of the small-kernel GRU at each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.samconv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, context: Tensor) -> Tensor:
        mean = context.mean(dim=1, keepdim=True)
        maximum = context.amax(dim=1, keepdim=True)
        return self.samconv(torch.cat((mean, maximum), dim=1)).sigmoid()
