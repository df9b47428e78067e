"""The cost volume, filtered by an hourglass of 3-D convolutions under the guidance of the left image's features.

Shapes: B pairs; C channels; h, w rows and columns at 1/4 resolution; D = 48 disparity planes. The hourglass works at
(D, h, w), at a half, a quarter and an eighth of it in all three axes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ConvNormAct, ResidualBlock, leaky_relu
from .decoder import Pyramid


def conv3d(c_in: int, c_out: int, stride: int = 1) -> ConvNormAct:
    """3x3x3 convolution, batch norm, LeakyReLU."""
    conv = nn.Conv3d(c_in, c_out, 3, stride, padding=1, bias=False)
    return ConvNormAct(conv, nn.BatchNorm3d(c_out), leaky_relu())


def upsample3d(c_in: int, c_out: int, kernel: int = 4, output_padding: int = 0) -> ConvNormAct:
    """Transposed 3-D convolution that doubles planes, rows and columns; batch norm, LeakyReLU."""
    conv = nn.ConvTranspose3d(c_in, c_out, kernel, 2, padding=1, output_padding=output_padding, bias=False)
    return ConvNormAct(conv, nn.BatchNorm3d(c_out), leaky_relu())


class SeparableConv3d(nn.Module):
    """A 3x3 convolution within each plane, then a long one across ``reach`` planes."""

    def __init__(self, c_in: int, c_out: int, reach: int) -> None:
        super().__init__()
        within = nn.Conv3d(c_in, c_out, (1, 3, 3), padding=(0, 1, 1))
        across = nn.Conv3d(c_out, c_out, (reach, 1, 1), padding=(reach // 2, 0, 0))
        self.conv1 = nn.Sequential(within, nn.BatchNorm3d(c_out), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(across, nn.BatchNorm3d(c_out), nn.ReLU(inplace=True))

    def forward(self, volume: Tensor) -> Tensor:
        return self.conv2(self.conv1(volume))


class FeatureGate(nn.Module):
    """Weighs the volume's channels at each pixel by what the image shows there; all planes get the same weights."""

    def __init__(self, volume_channels: int, feature_channels: int) -> None:
        super().__init__()
        half = feature_channels // 2
        reduce = nn.Conv2d(feature_channels, half, 1, bias=False)
        self.feat_att = nn.Sequential(
            ConvNormAct(reduce, nn.BatchNorm2d(half), leaky_relu()),
            nn.Conv2d(half, volume_channels, 1),
        )

    def forward(self, volume: Tensor, feature: Tensor) -> Tensor:
        return volume * self.feat_att(feature).sigmoid()[:, :, None]


class Guided(nn.Sequential):
    """Layers in a row; the gates among them see the image feature of the same scale."""

    def forward(self, volume: Tensor, feature: Tensor | None = None) -> Tensor:
        for layer in self:
            volume = layer(volume, feature) if isinstance(layer, FeatureGate) else layer(volume)
        return volume


class Down(nn.Module):
    """One level of the hourglass on the way down."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = Guided(*layers)

    def forward(self, volume: Tensor, feature: Tensor | None = None) -> Tensor:
        return self.layers(volume, feature)


class Up(nn.Module):
    """One level of the hourglass on the way up: the skip is added to the upsampled volume."""

    def __init__(self, upsample: nn.Module, out: Guided) -> None:
        super().__init__()
        self.upsample = upsample
        self.out = out

    def forward(self, volume: Tensor, skip: Tensor, feature: Tensor | None = None) -> Tensor:
        return self.out(self.upsample(volume) + skip, feature)


class HeadAttention(nn.Module):
    """Attention among the four heads of one token.

    The tokens (the planes of a pixel) do not see each other: the weights were trained with the heads on the axis
    that attention usually gives to the sequence.
    """

    HEADS = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            projection(tokens).unflatten(-1, (self.HEADS, -1))  # ...,4,C/4
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attention = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(dim=-1)  # ...,4,4
        return self.out_proj((attention @ value).flatten(-2))


class TransformerLayer(nn.Module):
    """Attention and a perceptron, each followed by a layer norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.self_attn = HeadAttention(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, 4 * channels)
        self.linear2 = nn.Linear(4 * channels, channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.norm1(tokens + self.self_attn(tokens))
        return self.norm2(tokens + self.linear2(F.gelu(self.linear1(tokens))))


class DisparityAttention(nn.Module):
    """A transformer layer on every cell of a B,C,D,h,w volume, told which plane the cell is in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sa = nn.Sequential(TransformerLayer(channels))

    def forward(self, volume: Tensor) -> Tensor:
        tokens = volume.permute(0, 3, 4, 2, 1)  # B,h,w,D,C
        planes, channels = tokens.shape[-2:]
        tokens = tokens + plane_position(planes, channels, tokens.device)
        return self.sa(tokens).permute(0, 4, 3, 1, 2)


def plane_position(planes: int, channels: int, device: torch.device | None = None) -> Tensor:
    """``planes``,``channels``: sine and cosine in turn of the plane's number (Vaswani et al., 2017, section 3.5)."""
    frequency = torch.exp(torch.arange(0, channels, 2, device=device) * (-math.log(10000) / channels))
    angle = torch.arange(planes, device=device)[:, None] * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


class Hourglass(nn.Module):
    """B,28,D,h,w volume, left ``Pyramid`` -> B,28,D,h,w geometry volume."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_att_8 = Down(conv3d(28, 28, stride=2), SeparableConv3d(28, 56, 17), FeatureGate(56, 192))
        self.feature_att_16 = Down(conv3d(56, 112, stride=2), SeparableConv3d(112, 56, 13), SeparableConv3d(56, 112, 3))
        self.conv3 = nn.Sequential(conv3d(112, 168, stride=2), SeparableConv3d(168, 168, 17))
        self.feature_att_32 = FeatureGate(168, 304)
        self.post32_to_16 = Up(
            nn.Sequential(upsample3d(168, 112, kernel=3, output_padding=1)),
            Guided(FeatureGate(112, 320), conv3d(112, 112), SeparableConv3d(112, 112, 9), conv3d(112, 112)),
        )
        self.post16_to_8 = Up(
            nn.Sequential(upsample3d(112, 56)),
            Guided(conv3d(56, 56), FeatureGate(56, 192), SeparableConv3d(56, 56, 9)),
        )
        self.conv1_up = upsample3d(56, 28)
        # The last level first shrinks its input to a quarter, where attention is affordable, and adds the volume
        # that entered the hourglass. The shrinking convolution has no activation.
        shrink = nn.Conv3d(28, 28, 4, stride=4, bias=False)
        self.post8_to_4 = Up(
            nn.Sequential(
                ConvNormAct(shrink, nn.BatchNorm3d(28), None),
                DisparityAttention(28),
                nn.Upsample(scale_factor=4, mode="trilinear", align_corners=False),
            ),
            Guided(conv3d(28, 28), ResidualBlock(28, nn.Conv3d, nn.BatchNorm3d)),
        )

    def forward(self, volume: Tensor, left: Pyramid) -> Tensor:
        down8 = self.feature_att_8(volume, left.f8)
        down16 = self.feature_att_16(down8)
        down32 = self.feature_att_32(self.conv3(down16), left.f32)
        up16 = self.post32_to_16(down32, down16, left.f16)
        up8 = self.post16_to_8(up16, down8, left.f8)
        return self.post8_to_4(self.conv1_up(up8), volume)


def volume_stem() -> Guided:
    """B,32,D,h,w raw volume, left f4 -> B,28,D,h,w, the hourglass's input."""
    return Guided(conv3d(32, 28), conv3d(28, 28), FeatureGate(28, 224))


def expected_plane(logits: Tensor) -> Tensor:
    """B,D,h,w scores of the planes -> B,1,h,w: the mean plane number under their softmax, in 1/4-resolution pixels."""
    plane = torch.arange(logits.shape[1], device=logits.device)[:, None, None]
    # A product and a sum, not a matrix product: autocast would compute that in half precision.
    return (logits.float().softmax(dim=1) * plane).sum(dim=1, keepdim=True)
