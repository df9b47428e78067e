"""From 1/4 to full resolution: every pixel becomes a blend of nine coarse neighbours (Teed and Deng, 2020, RAFT).

Shapes: B pairs of H,W pixels; h = H/4, w = W/4.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ConvNormAct, MergeUp, leaky_relu

SCALE = 4


def half_resolution_merge() -> MergeUp:
    """Mask features B,16,h,w and stem B,16,H/2,W/2 -> B,24,H/2,W/2."""
    upsample = nn.ConvTranspose2d(16, 12, 4, stride=2, padding=1, bias=False)
    mix = nn.Conv2d(12 + 16, 24, 3, padding=1, bias=False)
    return MergeUp(ConvNormAct(upsample, None, leaky_relu()), ConvNormAct(mix, None, leaky_relu()))


def blend_scores() -> nn.Sequential:
    """B,24,H/2,W/2 -> B,9,H,W: a score for each coarse neighbour."""
    return nn.Sequential(nn.ConvTranspose2d(24, 9, 4, stride=2, padding=1))


def convex_upsample(disparity: Tensor, weights: Tensor) -> Tensor:
    """B,1,h,w disparity in 1/4-resolution pixels, B,9,H,W weights that sum to 1 -> B,1,H,W disparity in pixels.

    The neighbours are the 3x3 around the coarse pixel, row by row; those outside the image are 0.
    """
    height, width = disparity.shape[-2:]
    neighbours = F.unfold(SCALE * disparity, 3, padding=1)  # B,9,h*w
    neighbours = neighbours.unflatten(2, (height, 1, width, 1))
    weights = weights.unflatten(3, (width, SCALE)).unflatten(2, (height, SCALE))  # B,9,h,4,w,4
    return (neighbours * weights).sum(dim=1, keepdim=True).flatten(4, 5).flatten(2, 3)
