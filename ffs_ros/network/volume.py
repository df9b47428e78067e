"""How alike left and right are at every disparity.

Shapes: B pairs; C channels; h, w rows and columns at 1/4 resolution; D disparity planes; v = w columns of the right
view. Plane d compares the left pixel in column x with the right pixel in column x - d.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PLANES = 48  # disparities 0..47 at 1/4 resolution: 0..188 px of the image, below the maximum of 192
GROUPS = 8


def row_correlation(left: Tensor, right: Tensor) -> Tensor:
    """Inner product of every left pixel with every right pixel of its row: ...,C,h,w twice -> ...,h,w,v.

    In float32 also under autocast: matches are told apart by differences smaller than half precision's steps.
    """
    with torch.autocast(left.device.type, enabled=False):
        return torch.einsum("...chw,...chv->...hwv", left.float(), right.float())


def all_pairs_correlation(left: Tensor, right: Tensor) -> Tensor:
    """Cosine similarity of B,C,h,w features of every two pixels of a row: B,h,w,v in [-1, 1]."""
    return row_correlation(F.normalize(left, dim=1), F.normalize(right, dim=1))


def group_correlation(left: Tensor, right: Tensor) -> Tensor:
    """Cosine similarity of B,C,h,w features within each of 8 groups of channels: B,8,D,h,w, 0 where x - d < 0."""
    left, right = (F.normalize(f.unflatten(1, (GROUPS, -1)), dim=2) for f in (left, right))
    pairs = row_correlation(left, right)  # B,8,h,w,v
    # Take v = x - d. A margin of zeros stands in for the columns -(D-1)..-1 of the right view.
    margin = PLANES - 1
    column = torch.arange(pairs.shape[-1], device=pairs.device)
    plane = torch.arange(PLANES, device=pairs.device)
    index = column[:, None] - plane + margin  # w,D
    planes = F.pad(pairs, (margin, 0)).gather(-1, index.expand(*pairs.shape[:-1], -1))  # B,8,h,w,D
    return planes.permute(0, 1, 4, 2, 3)


def concatenation(left: Tensor, right: Tensor) -> Tensor:
    """B,C,h,w features side by side at every disparity: B,2C,D,h,w; the right half is 0 where x - d < 0."""
    shifted = F.pad(right, (PLANES - 1, 0)).unfold(3, right.shape[3], 1)  # B,C,h,D,w; the largest disparity first
    shifted = shifted.flip(3).transpose(2, 3)
    return torch.cat((left[:, :, None].expand_as(shifted), shifted), dim=1)
