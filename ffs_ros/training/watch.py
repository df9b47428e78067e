"""Stops a run whose loss is no number, without making the GPU wait at each step."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.distributed
from torch import Tensor

from ffs_ros.errors import DivergenceError


class Step(NamedTuple):
    """What the message says about a step."""

    number: int
    names: list[str]
    learning_rate: float


def gathered(own: list[Any]) -> list[Any]:
    """The lists of all processes, one after the other. All have to come here."""
    if not torch.distributed.is_initialized():
        return own
    lists: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(lists, own)
    return [entry for each in lists for entry in each]


class LossWatch:
    """Looks at each step's loss when the next one begins: by then it has reached the CPU by itself.

    Of several processes all stop together and say the same, so each also looks at the sum of all losses.
    """

    def __init__(self) -> None:
        self._pending: tuple[Step, Tensor, torch.cuda.Event | None] | None = None

    def remember(self, step: Step, loss: Tensor) -> None:
        """The loss of a step, a tensor of one number."""
        own_and_sum = loss.detach().float().repeat(2)
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(own_and_sum[1])
        if loss.device.type == "cuda":
            on_host = torch.empty_like(own_and_sum, device="cpu", pin_memory=True)
            on_host.copy_(own_and_sum, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = step, on_host, event
        else:
            self._pending = step, own_and_sum, None

    def check(self) -> None:
        """Raises DivergenceError when the remembered loss is NaN or infinite."""
        if self._pending is None:
            return
        (step, losses, event), self._pending = self._pending, None
        if event is not None:
            event.synchronize()
        own, total = losses.tolist()
        if math.isfinite(total):
            return
        sentence = None
        if not math.isfinite(own):
            sentence = (
                f"the loss of step {step.number} is {own} at learning rate {step.learning_rate:.3g}, on "
                f"{', '.join(step.names)}; the checkpoints before it are intact: look at these samples, or lower "
                f"train.optim.lr and resume"
            )
        raise DivergenceError(next(filter(None, gathered([sentence]))))
