"""One step of training and one of validation, as Lightning asks for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from ffs_ros.errors import TrainingError
from ffs_ros.metrics import PairScores, counted, pooled_per_image, scores
from ffs_ros.network.model import SIZE_MULTIPLE, FastFoundationStereo
from ffs_ros.spec.dataset import Split
from ffs_ros.spec.keys import plain
from ffs_ros.spec.train import TrainSpec

from .loss import final_loss, sequence_loss
from .memory import is_out_of_memory
from .random_state import random_state, set_random_state
from .scenes import SceneBatches
from .schedule import learning_rate
from .watch import LossWatch, Step, gathered

LOGGED = ("epe", "bp1", "bp2", "bp3", "d1")


class StereoModule(pl.LightningModule):
    """The network and what is done with it. Its tensors' names begin with ``model.``, as in TAO's checkpoints."""

    def __init__(self, spec: TrainSpec, network: FastFoundationStereo, total_steps: int) -> None:
        super().__init__()
        self.model = network
        self.spec, self.total_steps = spec, total_steps
        self.watch = LossWatch()
        self.train_scenes = _scenes(spec, spec.dataset.train_dataset)
        self.val_scenes = _scenes(spec, spec.dataset.val_dataset)
        self.last_learning_rate = 0.0
        self.loss_sum, self.losses = torch.zeros(()), 0
        self.validates = True
        """Whether this process has validation batches that no other one has."""
        self.val_scores: list[PairScores] = []
        self.val_losses: list[float] = []
        self.loaded_step = 0
        self._stored_random_state: dict[str, Any] | None = None

    @property
    def step(self) -> int:
        """Steps done, those of earlier parts included."""
        if self.trainer.state.fn == "validate":  # which restores weights and no counters
            return self.loaded_step
        return self.spec.train.start_step + self.global_step

    # Batches

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> dict[str, Any]:
        """Renders a batch that is only a seed."""
        if not isinstance(batch, int):
            return batch
        scenes = self.train_scenes if self.trainer.training else self.val_scenes
        return scenes.batch(batch, self.device)

    # Training

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The sequence loss of a batch."""
        initial, maps = self.model.predictions(batch["left"], batch["right"])
        loss = sequence_loss(initial, maps, batch["disparity"], self.spec.dataset.max_disparity)
        self.last_learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.watch.remember(Step(self.step + 1, list(batch["name"]), self.last_learning_rate), loss)
        self.loss_sum = self.loss_sum.to(loss.device) + loss.detach()
        self.losses += 1
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch["left"]))
        return loss

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Looks at the last loss; random numbers go on where the checkpoint was written, now that all is set up."""
        self.watch.check()
        if self._stored_random_state is not None:
            set_random_state(self._stored_random_state)
            self._stored_random_state = None

    def mean_loss(self) -> float:
        """Since the last call, over all processes."""
        mean = self.trainer.strategy.reduce(self.loss_sum / max(self.losses, 1), reduce_op="mean")
        self.loss_sum, self.losses = torch.zeros_like(self.loss_sum), 0
        return float(mean)

    def configure_optimizers(self) -> Any:
        """AdamW or SGD over all parameters, and the schedule per step."""
        train, optim = self.spec.train, self.spec.train.optim
        parameters = list(self.model.parameters())
        optimizer: torch.optim.Optimizer
        if optim.optimizer == "AdamW":
            on_gpu = parameters[0].is_cuda
            optimizer = torch.optim.AdamW(parameters, optim.lr, weight_decay=optim.weight_decay, fused=on_gpu)
        else:
            optimizer = torch.optim.SGD(parameters, optim.lr, optim.momentum, weight_decay=optim.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(step, optim, self.total_steps, train.start_step) / optim.lr
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """The spec's own settings: a checkpoint has just brought those of the run that wrote it."""
        train, optim = self.spec.train, self.spec.train.optim
        (optimizer,), (schedule,) = self.trainer.optimizers, self.trainer.lr_scheduler_configs
        schedule.scheduler.base_lrs = [optim.lr]
        rate = learning_rate(self.global_step, optim, self.total_steps, train.start_step)
        optimizer.param_groups[0].update(lr=rate, initial_lr=optim.lr, weight_decay=optim.weight_decay)
        if optim.optimizer == "SGD":
            optimizer.param_groups[0]["momentum"] = optim.momentum
        if self.trainer.early_stopping_callback is not None:
            self.trainer.early_stopping_callback.patience = train.early_stop_patience

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """By value, then by norm."""
        train = self.spec.train
        if train.clip_grad_value:
            clip_grad_value_(self.model.parameters(), train.clip_grad_value)
        if train.clip_grad_norm:
            clip_grad_norm_(self.model.parameters(), train.clip_grad_norm)

    # Validation

    def on_validation_start(self) -> None:
        """Inference has its own number of iterations."""
        self.model.iterations = self.spec.model.valid_iters
        self.val_scores, self.val_losses = [], []

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The scores of each pair at its own size, in float32, as the network will run."""
        left, right, truth = batch["left"], batch["right"], batch["disparity"]
        height, width = left.shape[-2:]
        padding = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
        left, right = (functional.pad(image.float(), padding, mode="replicate") for image in (left, right))
        try:
            with torch.autocast(self.device.type, enabled=False):
                maps = self.model(left, right)[..., :height, :width]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                f"the memory is too small to validate with {', '.join(batch['name'])} at {width}x{height}, its own "
                f"size: leave such pairs out of dataset.val_dataset, or scale them and their disparities down"
            ) from None
        max_disparity_px = self.spec.dataset.max_disparity
        for map_, pair_truth in zip(maps, truth, strict=True) if self.validates else ():
            self.val_losses.append(float(final_loss(map_[None], pair_truth[None], max_disparity_px)))
            disparity_HW, truth_HW = map_[0].cpu().numpy(), pair_truth[0].cpu().numpy()
            self.val_scores.append(scores(disparity_HW, truth_HW, counted(truth_HW, max_disparity_px)))

    def on_validation_epoch_end(self) -> None:
        """Means over the pairs of all processes; each pair weighs the same."""
        pairs, losses = gathered(self.val_scores), gathered(self.val_losses)
        pooled = pooled_per_image(pairs)
        self.log("val_loss", sum(losses) / max(len(losses), 1), sync_dist=True)
        self.log_dict({f"val/{name}": getattr(pooled, name) for name in LOGGED}, sync_dist=True)

    def on_validation_end(self) -> None:
        """Back to training's number of iterations."""
        self.model.iterations = self.spec.model.train_iters
        self.val_scenes.seconds()  # nobody asks for them; they would pile up

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What a resumed run needs beside weights and moments, and the spec, for people and ``ffs export``."""
        checkpoint["hyper_parameters"] = plain(asdict(self.spec))
        checkpoint["random_state"] = random_state()
        loss_sum = self.trainer.strategy.reduce(self.loss_sum.clone(), reduce_op="mean")  # one file for all processes
        checkpoint["loss_since_last_row"] = [float(loss_sum), self.losses]
        checkpoint["step"] = self.step

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What ``on_save_checkpoint`` wrote."""
        self.loaded_step = checkpoint["step"]
        self._stored_random_state = checkpoint["random_state"]
        loss_sum, self.losses = checkpoint["loss_since_last_row"]
        self.loss_sum = torch.tensor(loss_sum, device=self.loss_sum.device)


def _scenes(spec: TrainSpec, split: Split) -> SceneBatches:
    return SceneBatches(
        split.batch_size, *split.augmentation.crop_size, spec.dataset.max_disparity, is_compiled=spec.train.compile
    )
