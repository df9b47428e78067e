"""The image features: the backbone's four maps, merged from coarse to fine.

Shapes: B images of H,W pixels, both multiples of 32.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from .backbone import WIDTHS, EdgeNeXtSmall
from .blocks import ConvNormAct, MergeUp, ResidualBlock, leaky_relu


class Pyramid(NamedTuple):
    """Features of B images at 1/4, 1/8, 1/16 and 1/32 of their size."""

    f4: Tensor  # B,224,H/4,W/4
    f8: Tensor  # B,192,H/8,W/8
    f16: Tensor  # B,320,H/16,W/16
    f32: Tensor  # B,304,H/32,W/32


class FeatureDecoder(EdgeNeXtSmall):
    """B,3,H,W normalised images -> ``Pyramid``.

    It extends the backbone, instead of holding one, because the checkpoint keeps both under one prefix.
    """

    def __init__(self) -> None:
        super().__init__()
        c4, c8, c16, c32 = WIDTHS
        self.deconv32_16 = _merge_up(c32, c16)
        self.deconv16_8 = _merge_up(2 * c16, c8)
        self.deconv8_4 = _merge_up(2 * c8, c4)
        self.conv4 = nn.Conv2d(2 * c4, 224, 1)

    def forward(self, images: Tensor) -> Pyramid:
        x4, x8, x16, f32 = super().forward(images)
        f16 = self.deconv32_16(f32, x16)
        f8 = self.deconv16_8(f16, x8)
        f4 = self.conv4(self.deconv8_4(f8, x4))
        return Pyramid(f4, f8, f16, f32)


def _merge_up(coarse: int, skip: int) -> MergeUp:
    """``coarse`` channels upsampled to as many as the skip has, joined with it: 2 * ``skip`` channels come out."""
    upsample = nn.ConvTranspose2d(coarse, skip, 4, stride=2, padding=1, bias=False)
    return MergeUp(
        ConvNormAct(upsample, nn.InstanceNorm2d(skip), leaky_relu()),
        ResidualBlock(2 * skip, nn.Conv2d, nn.InstanceNorm2d),
    )


def half_resolution_stem() -> nn.Sequential:
    """B,3,H,W normalised images -> B,16,H/2,W/2: the detail that the upsampling at the end follows."""
    first = nn.Conv2d(3, 12, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(
        ConvNormAct(first, nn.InstanceNorm2d(12), leaky_relu()),
        nn.Conv2d(12, 16, 3, padding=1, bias=False),
        nn.InstanceNorm2d(16),
        nn.ReLU(inplace=True),
    )
