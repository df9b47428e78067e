"""One step of the iteration: what was looked up changes the hidden state, which yields a change of the disparity.

Shapes: B pairs; h, w rows and columns at 1/4 resolution. Disparities are in 1/4-resolution pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .lookup import LEVELS, TAPS

HIDDEN = 60
CONTEXT = 48
MOTION = 49  # 48 features and the disparity itself
LOOKED_UP = LEVELS * TAPS * (28 + 1)  # 522


class MotionEncoder(nn.Module):
    """B,522,h,w looked-up values, B,1,h,w disparity -> B,49,h,w; the last channel is the disparity."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LOOKED_UP, 56, 1)
        self.convc2 = nn.Conv2d(56, 96, 3, padding=1)
        self.convd1 = nn.Conv2d(1, 16, 7, padding=3)
        self.convd2 = nn.Conv2d(16, 12, 3, padding=1)
        self.conv = nn.Conv2d(96 + 12, MOTION - 1, 3, padding=1)

    def forward(self, looked_up: Tensor, disparity: Tensor) -> Tensor:
        cost = F.relu(self.convc2(F.relu(self.convc1(looked_up))))
        position = F.relu(self.convd2(F.relu(self.convd1(disparity))))
        motion = F.relu(self.conv(torch.cat((cost, position), dim=1)))
        return torch.cat((motion, disparity), dim=1)


class ConvGRU(nn.Module):
    """A gated recurrent unit with convolutions; its two gates read ``gates``, its candidate reads ``x``."""

    def __init__(self, gate_channels: int, input_channels: int, kernel: int) -> None:
        super().__init__()
        padding = kernel // 2
        self.convz = nn.Conv2d(gate_channels, HIDDEN, kernel, padding=padding)
        self.convr = nn.Conv2d(gate_channels, HIDDEN, kernel, padding=padding)
        self.convq = nn.Conv2d(HIDDEN + input_channels, HIDDEN, kernel, padding=padding)

    def forward(self, hidden: Tensor, x: Tensor, gates: Tensor) -> Tensor:
        update = self.convz(gates).sigmoid()
        reset = self.convr(gates).sigmoid()
        candidate = self.convq(torch.cat((reset * hidden, x), dim=1)).tanh()
        return (1 - update) * hidden + update * candidate


class SelectiveGRU(nn.Module):
    """Two units, one that looks at a pixel and one that looks around it, blended by the spatial attention."""

    def __init__(self) -> None:
        super().__init__()
        x_channels, gate_channels = 100, 168
        self.conv0 = nn.Sequential(nn.Conv2d(CONTEXT + MOTION, x_channels, 3, padding=1), nn.ReLU(inplace=True))
        self.conv1 = nn.Sequential(nn.Conv2d(x_channels + HIDDEN, gate_channels, 3, padding=1), nn.ReLU(inplace=True))
        self.small_gru = ConvGRU(gate_channels, x_channels, kernel=1)
        self.large_gru = ConvGRU(gate_channels, x_channels, kernel=3)

    def forward(self, hidden: Tensor, context: Tensor, motion: Tensor, attention: Tensor) -> Tensor:
        x = self.conv0(torch.cat((context, motion), dim=1))
        gates = self.conv1(torch.cat((x, hidden), dim=1))
        small, large = self.small_gru(hidden, x, gates), self.large_gru(hidden, x, gates)
        return small * attention + large * (1 - attention)


class HeadBlock(nn.Module):
    """A ConvNeXt block without its norm: depthwise convolution, then a perceptron at each pixel, added."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.pwconv1 = nn.Linear(channels, width)
        self.pwconv2 = nn.Linear(width, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).permute(0, 2, 3, 1)  # B,h,w,C
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class DisparityHead(nn.Module):
    """B,60,h,w hidden state -> B,1,h,w change of the disparity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(HIDDEN, 36, 3, padding=1),
            nn.ReLU(inplace=True),
            HeadBlock(36, 212),
            HeadBlock(36, 244),
            nn.Conv2d(36, 1, 3, padding=1),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv(hidden)


class UpdateBlock(nn.Module):
    """The weights of the iteration, and (``mask``) the hidden state's contribution to the upsampling after it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru04 = SelectiveGRU()
        self.disp_head = DisparityHead()
        self.mask = nn.Sequential(
            nn.Conv2d(HIDDEN, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 16, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(
        self, disparity: Tensor, hidden: Tensor, looked_up: Tensor, context: Tensor, attention: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The next disparity B,1,h,w and hidden state B,60,h,w."""
        motion = self.encoder(looked_up, disparity)
        hidden = self.gru04(hidden, context, motion, attention)
        return disparity + self.disp_head(hidden), hidden
