"""Stops a run whose loss is no number, without making the GPU wait at each step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ffs_ros.errors import TrainingError


class Step(NamedTuple):
    """What the message says about a step."""

    number: int
    names: list[str]
    learning_rate: float


class LossWatch:
    """Looks at each step's loss when the next one begins: by then it has reached the CPU by itself."""

    def __init__(self) -> None:
        self._pending: tuple[Step, Tensor, torch.cuda.Event | None] | None = None

    def remember(self, step: Step, loss: Tensor) -> None:
        """The loss of a step, a tensor of one number."""
        if loss.device.type == "cuda":
            on_host = torch.empty_like(loss, device="cpu", pin_memory=True)
            on_host.copy_(loss.detach(), non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = step, on_host, event
        else:
            self._pending = step, loss.detach(), None

    def check(self) -> None:
        """Raises TrainingError when the remembered loss is NaN or infinite."""
        if self._pending is None:
            return
        (step, loss, event), self._pending = self._pending, None
        if event is not None:
            event.synchronize()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss of step {step.number} is {loss.item()} at learning rate {step.learning_rate:.3g}, on "
                f"{', '.join(step.names)}; the checkpoints before it are intact: look at these samples, or lower "
                f"train.optim.lr and resume"
            )
