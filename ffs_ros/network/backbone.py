"""EdgeNeXt small (Maaz et al., 2022, arXiv:2206.10589), the part in front of its classifier.

Shapes: B images; C channels; H, W rows and columns of the feature map at hand; N = H * W tokens.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (48, 96, 160, 304)  # channels at 1/4, 1/8, 1/16 and 1/32 of the image
DEPTHS = (3, 3, 9, 3)  # blocks of each stage; the last one of stages 1, 2, 3 is a SplitBlock
KERNELS = (3, 5, 7, 9)  # of the depthwise convolutions in the ConvBlocks
PIECES = (None, 2, 3, 4)  # that the SplitBlock of a stage cuts its channels into
HEADS = 8
EPS = 1e-6  # of every layer norm here


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of a B,C,H,W map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """Depthwise convolution, then a perceptron at each pixel, added to the input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, EPS)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).permute(0, 2, 3, 1)  # B,H,W,C
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


class CrossCovarianceAttention(nn.Module):
    """Attention among the channels of a head; its cost is linear in the number of tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(tokens).unflatten(-1, (3, HEADS, -1))  # B,N,3,8,C/8
        query, key, value = qkv.permute(2, 0, 3, 4, 1)  # each B,8,C/8,N
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        attention = (query @ key.mT * self.temperature).softmax(dim=-1)  # B,8,C/8,C/8
        return self.proj((attention @ value).flatten(1, 2).mT)


class FourierPosition(nn.Module):
    """A learned projection of sines and cosines of a pixel's row and column."""

    WAVES = 32  # sines and cosines per axis

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(2 * self.WAVES, channels, 1)

    def forward(self, height: int, width: int) -> Tensor:
        """1,C,H,W."""
        rows = self._waves(height)[:, None, :].expand(-1, width, -1)
        columns = self._waves(width)[None, :, :].expand(height, -1, -1)
        return self.token_projection(torch.cat((rows, columns), dim=-1).permute(2, 0, 1)[None])

    def _waves(self, length: int) -> Tensor:
        """``length``,32: the sine and the cosine of the position, in turn, at sixteen falling frequencies."""
        weight = self.token_projection.weight
        position = torch.arange(1, length + 1, dtype=weight.dtype, device=weight.device)
        angle = position / (length + EPS) * (2 * math.pi)
        exponent = torch.arange(0, self.WAVES, 2, dtype=weight.dtype, device=weight.device) / self.WAVES
        angle = angle[:, None] / 10000**exponent
        return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


class SplitBlock(nn.Module):
    """Channels cut in pieces and filtered in a cascade, attention among channels, a perceptron.

    The perceptron's result is added to the *block's* input: the attention reaches the output through it alone.
    """

    def __init__(self, channels: int, pieces: int, position: bool) -> None:
        super().__init__()
        self.piece_channels = math.ceil(channels / pieces)
        self.convs = nn.ModuleList(
            nn.Conv2d(self.piece_channels, self.piece_channels, 3, padding=1, groups=self.piece_channels)
            for _ in range(pieces - 1)
        )
        self.pos_embd = FourierPosition(channels) if position else None
        self.norm_xca = nn.LayerNorm(channels, EPS)
        self.gamma_xca = nn.Parameter(torch.ones(channels))
        self.xca = CrossCovarianceAttention(channels)
        self.norm = nn.LayerNorm(channels, EPS)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self._cascade(x)
        if self.pos_embd is not None:
            y = y + self.pos_embd(*y.shape[-2:])
        tokens = y.flatten(2).mT  # B,N,C
        tokens = tokens + self.gamma_xca * self.xca(self.norm_xca(tokens))
        tokens = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(tokens))))
        return x + tokens.mT.unflatten(2, x.shape[-2:])

    def _cascade(self, x: Tensor) -> Tensor:
        """Each piece is filtered together with the result of the piece before it; the last one passes untouched."""
        first, *middle, last = x.split(self.piece_channels, dim=1)
        filtered = [self.convs[0](first)]
        for conv, piece in zip(self.convs[1:], middle, strict=True):
            filtered.append(conv(filtered[-1] + piece))
        return torch.cat((*filtered, last), dim=1)


class EdgeNeXtSmall(nn.Module):
    """B,3,H,W normalised images -> four maps: 48 channels at 1/4, 96 at 1/8, 160 at 1/16, 304 at 1/32."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList(_downsampling(stage) for stage in range(4))
        self.stages = nn.ModuleList(_stage(stage) for stage in range(4))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = []
        x = images
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
            maps.append(x)
        return tuple(maps)


def _downsampling(stage: int) -> nn.Sequential:
    if stage == 0:
        return nn.Sequential(nn.Conv2d(3, WIDTHS[0], 4, stride=4), ChannelNorm(WIDTHS[0], EPS))
    before, after = WIDTHS[stage - 1 : stage + 1]
    return nn.Sequential(ChannelNorm(before, EPS), nn.Conv2d(before, after, 2, stride=2))


def _stage(stage: int) -> nn.Sequential:
    channels, pieces = WIDTHS[stage], PIECES[stage]
    blocks: list[nn.Module] = [ConvBlock(channels, KERNELS[stage]) for _ in range(DEPTHS[stage])]
    if pieces is not None:
        blocks[-1] = SplitBlock(channels, pieces, position=stage == 1)
    return nn.Sequential(*blocks)
