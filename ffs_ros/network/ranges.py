"""How large the network's numbers get, stage by stage: what half precision has to hold (it ends at 65504)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .model import FastFoundationStereo

COST_VOLUME, LOOK_UP, DISPARITY = "cost_volume", "look_up", "disparity"
"""Stages that are no modules. The disparity is the network's answer, in pixels."""
_MOST_SAMPLES = 4096
_BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


class Range(NamedTuple):
    """The numbers of one stage over all pairs and iterations."""

    least: float
    largest: float
    usual: float
    """99.9 % of a sample are at most this far from 0."""
    where: str
    """The part of the network whose result is the farthest from 0."""


def activation_ranges(
    network: FastFoundationStereo, pairs: Iterable[tuple[np.ndarray, np.ndarray]]
) -> dict[str, Range]:
    """The range of every stage, by its name in ``FastFoundationStereo``, while the network matches ``pairs``.

    A stage has its own result and those of all the modules in it; convolutions with a batch norm behind them count with
    that norm, as exported graphs compute them. Pairs are uint8 [H,W,3] RGB, H and W multiples of 32.
    """
    observer = _Observer()
    with observer.watching(network), torch.inference_mode():
        for left_HW3, right_HW3 in pairs:
            images = (torch.from_numpy(image)[None].permute(0, 3, 1, 2) for image in (left_HW3, right_HW3))
            observer.see(DISPARITY, network(*images))
    return observer.ranges()


class _Observer:
    """Takes in results as they come."""

    def __init__(self) -> None:
        self._extremes: dict[str, dict[str, tuple[float, float]]] = {}  # stage -> part -> least and largest
        self._samples: dict[str, list[np.ndarray]] = {}
        self._newest = ""

    def see(self, part: str, values: Any) -> None:
        """Take in a result: a tensor, or several."""
        if isinstance(values, tuple):
            for value in values:
                self.see(part, value)
        elif isinstance(values, Tensor):
            stage = _stage(part)
            least, largest = (float(value) for value in values.aminmax())
            extremes = self._extremes.setdefault(stage, {})
            before = extremes.get(part, (least, largest))
            extremes[part] = min(least, before[0]), max(largest, before[1])
            step = -(-values.numel() // _MOST_SAMPLES)
            self._samples.setdefault(stage, []).append(values.flatten()[::step].abs().float().numpy())
            self._newest = part

    @contextmanager
    def watching(self, network: FastFoundationStereo) -> Iterator[None]:
        """See the results of all modules as long as the block lasts."""
        with ExitStack() as hooks:
            for name, module in network.named_modules():
                if isinstance(module, _BATCH_NORMS):
                    hooks.callback(module.register_forward_pre_hook(self._norm_follows).remove)
                if name:
                    hooks.callback(module.register_forward_hook(partial(self._after, name)).remove)
            for name, module in ((COST_VOLUME, network.corr_feature_att), (LOOK_UP, network.update_block.encoder)):
                hooks.callback(module.register_forward_pre_hook(partial(self._before, name)).remove)
            yield

    def _after(self, part: str, module: nn.Module, inputs: Any, values: Any) -> None:
        self.see(part, values)

    def _before(self, stage: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.see(stage, inputs[0])

    def _norm_follows(self, module: nn.Module, inputs: Any) -> None:
        """What a convolution gives to its batch norm does not exist where the two are one."""
        self._extremes[_stage(self._newest)].pop(self._newest)
        self._samples[_stage(self._newest)].pop()

    def ranges(self) -> dict[str, Range]:
        """By stage, in the order in which they first gave something."""
        found = {}
        for stage, extremes in self._extremes.items():
            least, largest = min(low for low, _ in extremes.values()), max(high for _, high in extremes.values())
            where = max(extremes, key=lambda part: max(map(abs, extremes[part])))
            usual = float(np.quantile(np.concatenate(self._samples[stage]), 0.999))
            found[stage] = Range(least, largest, usual, where)
        return found


def _stage(part: str) -> str:
    return part.partition(".")[0]
