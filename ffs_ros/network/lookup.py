"""The look-up: what the volumes say around the current disparity.

Shapes: B pairs; C channels; h, w rows and columns at 1/4 resolution; D disparity planes; v = w columns of the right
view; n the length of any axis that is sampled.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 2
RADIUS = 4
TAPS = 2 * RADIUS + 1


class LookUp:
    """Nine values around the current disparity from the geometry volume and from the all-pairs correlation, at two
    levels; the second level averages pairs along the axis that is sampled."""

    def __init__(self, geometry: Tensor, correlation: Tensor) -> None:
        """``geometry``: B,C,D,h,w; ``correlation``: B,h,w,v."""
        self.geometry = _pyramid(geometry.permute(0, 3, 4, 1, 2).contiguous())  # B,h,w,C,D and B,h,w,C,D/2
        self.correlation = _pyramid(correlation[:, :, :, None])  # B,h,w,1,v and B,h,w,1,v/2

    def __call__(self, disparity: Tensor) -> Tensor:
        """B,1,h,w disparity in 1/4-resolution pixels -> B,(C+1)*9*2,h,w, as level, (geometry, correlation), tap."""
        plane = disparity[:, 0]  # B,h,w
        column = torch.arange(plane.shape[-1], dtype=plane.dtype, device=plane.device) - plane
        values = []
        for level in range(LEVELS):
            values.append(sample_around(self.geometry[level], plane / 2**level))
            values.append(sample_around(self.correlation[level], column / 2**level))
        return torch.cat([value.flatten(3) for value in values], dim=-1).permute(0, 3, 1, 2)


def sample_around(values: Tensor, centre: Tensor) -> Tensor:
    """B,h,w,C,n values at ``centre`` - 4 ... ``centre`` + 4 of their last axis -> B,h,w,C,9.

    ``centre`` is B,h,w in entries of that axis. Between entries the interpolation is linear; outside all are 0.
    """
    below = centre.floor()
    fraction = (centre - below)[..., None, None]
    # The nine taps share one fraction, so ten neighbouring entries hold all they need.
    index = below.long()[..., None] + torch.arange(-RADIUS, RADIUS + 2, device=values.device)  # B,h,w,10
    length = values.shape[-1]
    inside = (index >= 0) & (index < length)
    index = index.clamp(0, length - 1)[..., None, :].expand(*values.shape[:-1], -1)
    entries = values.gather(-1, index) * inside[..., None, :]  # B,h,w,C,10
    return torch.lerp(entries[..., :-1], entries[..., 1:], fraction.to(entries.dtype))


def _pyramid(values: Tensor) -> list[Tensor]:
    """The values, then ever shorter averages of pairs along their last axis."""
    levels = [values]
    while len(levels) < LEVELS:
        levels.append(levels[-1].unflatten(-1, (-1, 2)).mean(dim=-1))
    return levels
