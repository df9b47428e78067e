"""The learning rate of each optimiser step, as a pure function of the step, so that a resumed run needs no state."""

from __future__ import annotations

import math

from ffs_ros.spec.train import Optim

_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4 / 25
"""Of the peak, as in torch.optim.lr_scheduler.OneCycleLR."""


def learning_rate(step: int, optim: Optim, total_steps: int, start_step: int = 0) -> float:
    """The learning rate of optimiser step ``step`` = 0, 1, ... of this part, which begins at ``start_step`` of all.

    ``total_steps`` are those of all parts. Over a part's first ``warmup_steps`` the rate rises in a line: 1/n, 2/n, ...
    of what the schedule says there. OneCycleLR's own rise, from 1/25 of the peak, has that many steps, too.
    """
    warm_up = min(1.0, (step + 1) / optim.warmup_steps) if optim.warmup_steps else 1.0
    if optim.lr_scheduler == "OneCycleLR" and not start_step:
        warm_up = 1.0
    return warm_up * _scheduled(start_step + step, optim, total_steps)


def _scheduled(step: int, optim: Optim, total_steps: int) -> float:
    done = min(step / total_steps, 1.0)
    match optim.lr_scheduler:
        case "MultiStepLR" | "MultiStep":
            return optim.lr * optim.lr_decay ** sum(step >= milestone for milestone in optim.lr_steps)
        case "StepLR":
            return optim.lr * optim.lr_decay ** (step // optim.lr_step_size)
        case "LambdaLR" | "PolynomialLR":  # TAO's polynomial has the power 1
            return optim.lr * (1.0 - done)
        case "CosineAnnealingLR":
            return optim.min_lr + (optim.lr - optim.min_lr) * (1.0 + math.cos(math.pi * done)) / 2
        case "OneCycleLR":
            return optim.lr * _one_cycle(step, optim.warmup_steps, total_steps)
        case _:
            return optim.lr


def _one_cycle(step: int, rise_steps: int, total_steps: int) -> float:
    if step < rise_steps:
        return _ONE_CYCLE_START + (1.0 - _ONE_CYCLE_START) * step / rise_steps
    done = min((step - rise_steps) / max(total_steps - rise_steps, 1), 1.0)
    return 1.0 + (_ONE_CYCLE_END - 1.0) * done
