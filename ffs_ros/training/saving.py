"""Checkpoints in TAO's layout and the weights in half precision, each complete or not there at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from ffs_ros.checkpoint.table import live_shapes
from ffs_ros.errors import DivergenceError, FileError
from ffs_ros.whole_file import whole_file

from .stereo_module import StereoModule

LATEST = "dn_model_latest.pth"
WEIGHTS = "weights_fp16.safetensors"


class WholeCheckpointIO(CheckpointIO):
    """Writes a checkpoint under its name only when all of it is on the disk; reads plain data and tensors alone."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Raises FileError when the disk is full; what was at ``path`` is then still there."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with whole_file(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Onto the CPU; nothing in the file is run."""
        return torch.load(path, map_location="cpu", weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Part of Lightning's interface; ``Saver`` keeps every checkpoint."""
        Path(path).unlink(missing_ok=True)


def write_weights_fp16(network: torch.nn.Module, path: Path, step: int) -> None:
    """All 490 tensors that the network reads as float16, in a safetensors file that says how many steps made them.

    A tensor with a number too large for float16 stays float32. Raises FileError when the disk is full.
    """
    from safetensors.numpy import save

    with whole_file(path) as temporary:
        temporary.write_bytes(save(_halved(network.state_dict()), metadata={"step": str(step)}))


def _halved(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    halved = {}
    for name in live_shapes():
        # safetensors writes an array's memory as it lies, and a GPU's convolutions lie channels last.
        whole = np.ascontiguousarray(tensors[name].detach().cpu().numpy(), np.float32)
        with np.errstate(over="ignore"):
            half = whole.astype(np.float16)
        halved[name] = half if np.isfinite(half).all() else whole
    return halved


class Saver(pl.Callback):
    """Saves every ``interval_steps`` steps and at the end of the run, however it ends but by an error."""

    def __init__(self, folder: Path, interval_steps: int, steps_per_epoch: int | None) -> None:
        self.folder, self.interval_steps, self.steps_per_epoch = folder, interval_steps, steps_per_epoch
        self._saved_step: int | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """After the step whose number is a multiple of the interval, and after the last one."""
        assert isinstance(module, StereoModule)
        is_last = trainer.should_stop or trainer.global_step == trainer.max_steps
        if is_last or module.step % self.interval_steps == 0:
            self.save(trainer, module)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Once more, with what this validation was for early stop: a resumed run does not repeat it."""
        assert isinstance(module, StereoModule)
        if trainer.early_stopping_callback is not None and self._saved_step == module.step:
            self.save(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """When a validation ended the run."""
        assert isinstance(module, StereoModule)
        if self._saved_step != module.step:
            self.save(trainer, module)

    def save(self, trainer: pl.Trainer, module: StereoModule) -> None:
        """Checkpoint, link and weights, on all processes together. Refuses weights that are no numbers."""
        module.watch.check()
        if not all(bool(torch.isfinite(parameter).all()) for parameter in module.model.parameters()):
            raise DivergenceError(
                f"the weights after step {module.step} hold NaN or infinity and were not saved; the checkpoints before "
                f"it are intact: lower train.optim.lr and resume"
            )
        epoch = (module.step - 1) // self.steps_per_epoch if self.steps_per_epoch else 0
        path = self.folder / f"model_epoch_{epoch:03d}_step_{module.step:05d}.pth"
        trainer.save_checkpoint(path)
        self._saved_step = module.step
        if trainer.is_global_zero:
            point_to(path, self.folder / LATEST)
            write_weights_fp16(module.model, self.folder / WEIGHTS, module.step)


def point_to(target: Path, link: Path) -> None:
    """Make ``link`` a relative symbolic link to ``target`` beside it, in one step."""
    temporary = link.with_name(f".{link.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target.name)
        temporary.replace(link)
    except OSError as error:
        raise FileError(f"cannot write {link}: {error.strerror or error}") from error
