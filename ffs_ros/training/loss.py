"""What training minimises: the initial disparity's error and, growing in weight, each iteration's (RAFT-Stereo's).

Truth counts where it is finite and 0 < truth < max_disparity: a padding's zero or an unknown pixel's NaN never does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_DECAY, _DECAY_ITERATIONS = 0.9, 15


def sequence_loss(initial: Tensor, maps: list[Tensor], truth: Tensor, max_disparity_px: float) -> Tensor:
    """A number: smooth-L1 of the initial disparity + sum over iterations of weight x mean absolute error, px.

    ``initial`` B,1,h,w in 1/4-resolution pixels, ``maps`` each B,1,H,W in pixels, ``truth`` B,1,H,W in pixels, NaN
    where unknown. Means are over the pixels that count; 0 where none does.
    """
    known, counts = counting(truth, max_disparity_px)
    coarse, coarse_counts = (functional.interpolate(map_, initial.shape[-2:]) for map_ in (known / 4, counts))
    loss = _mean(functional.smooth_l1_loss(initial.float(), coarse, reduction="none"), coarse_counts)
    for weight, map_ in zip(iteration_weights(len(maps)), maps, strict=True):
        loss = loss + weight * _mean((map_.float() - known).abs(), counts)
    return loss


def final_loss(map_: Tensor, truth: Tensor, max_disparity_px: float) -> Tensor:
    """Smooth-L1 of one B,1,H,W map: what TAO calls val_loss."""
    known, counts = counting(truth, max_disparity_px)
    return _mean(functional.smooth_l1_loss(map_.float(), known, reduction="none"), counts)


def counting(truth: Tensor, max_disparity_px: float) -> tuple[Tensor, Tensor]:
    """Truth with 0 where it does not count, and 1 where it does: both float32, of its shape."""
    counts = (truth > 0) & (truth < max_disparity_px)
    return torch.where(counts, truth, 0).float(), counts.float()


def iteration_weights(iterations: int) -> list[float]:
    """The last weighs 1, each one before it less; over any number of iterations the first weighs 0.9^15."""
    each = _DECAY ** (_DECAY_ITERATIONS / max(iterations - 1, 1))
    return [each ** (iterations - 1 - index) for index in range(iterations)]


def _mean(errors: Tensor, counts: Tensor) -> Tensor:
    return (errors * counts).sum() / counts.sum().clamp(min=1)
