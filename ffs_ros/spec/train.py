"""The spec of a training: TAO's keys and defaults, each declared once. Keys of ours are marked so.

Where a default differs from TAO's, TAO's would not fit this network (max_disparity) or its name (clip_grad_norm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from ffs_ros.errors import SpecError

from .dataset import SCENES, Split, TrainingDataset
from .experiment import Experiment
from .keys import key
from .model import Model

SCHEDULES = (
    "MultiStepLR", "MultiStep", "StepLR", "LambdaLR", "PolynomialLR", "CosineAnnealingLR", "OneCycleLR", "Constant"
)  # fmt: skip
"""TAO's names, where the first two are one; the last is ours."""


@dataclass(frozen=True)
class Optim:
    """The optimiser and how its learning rate changes, per optimiser step."""

    optimizer: str = key("AdamW", choices=("AdamW", "SGD"))
    lr: float = key(1e-4, "at the end of the warm-up", above=0, most=1)
    momentum: float = key(0.9, "of SGD", least=0, most=1)
    weight_decay: float = key(1e-4, least=0, most=1)
    lr_scheduler: str = key("MultiStepLR", "per step, see [the schedules](#keys)", choices=SCHEDULES)
    lr_steps: tuple[int, ...] = key((1000,), "MultiStepLR: steps at which lr is multiplied by `lr_decay`", least=1)
    lr_step_size: int = key(1000, "StepLR: every so many steps", least=1)
    lr_decay: float = key(0.1, above=0, most=1)
    min_lr: float = key(1e-7, "CosineAnnealingLR: where it ends", least=0)
    warmup_steps: int = key(20, "steps over which lr rises in a line", least=0)
    monitor_name: str = key("val_loss", choices=("val_loss",))


@dataclass(frozen=True)
class Cudnn:
    """How cuDNN chooses its convolutions."""

    benchmark: bool = key(False, "let cuDNN try its convolutions: faster after a slow start, not reproducible")
    deterministic: bool = key(True, "the same numbers in every run; slower")


@dataclass(frozen=True)
class Train:
    """The run."""

    results_dir: str | None = key(None, "instead of `results_dir`/train")
    num_epochs: int = key(10, "passes over the pairs", least=1, most=10**9)
    num_steps: int | None = key(None, "optimiser steps, instead of `num_epochs`", least=1, most=10**9, ours=True)
    start_step: int = key(0, "steps that earlier parts made, see [parts](#in-parts)", least=0, ours=True)
    """Before their weights became pretrained_model_path. Steps, the schedule and the batches go on from there;
    num_steps counts from the first part's beginning."""
    max_time_minutes: float | None = key(None, "ends the run by itself, with its weights saved", above=0, ours=True)
    num_gpus: int = key(1, "processes on a machine without a GPU", least=1)
    gpu_ids: tuple[int, ...] = key((0,), "their numbers; left alone it means the first `num_gpus`", least=0)
    num_nodes: int = key(1, "machines", least=1)
    seed: int = key(1234, "of everything that is drawn", least=0, most=2**32 - 1)
    cudnn: Cudnn = field(default_factory=Cudnn)
    precision: str = key("fp32", "bf16: weights and moments stay fp32", choices=("fp32", "bf16"))
    clip_grad_norm: float = key(1.0, "of all gradients together; 0 is off", least=0)
    """TAO's key of this name cuts each value, at 0.1: here clip_grad_value."""
    clip_grad_value: float = key(0.0, "each gradient is cut to -+ this; 0 is off", least=0, ours=True)
    checkpoint_interval: int = key(1, "a checkpoint has 176 MB; all are kept", least=1)
    checkpoint_interval_unit: str = key("epoch", choices=("epoch", "step"))
    validation_interval: int = key(1, least=1)
    validation_interval_unit: str = key("epoch", choices=("epoch", "step"), ours=True)
    early_stop_patience: int = key(
        0, "validations without a lower `val_loss` after which the run ends; 0 is off", least=0, ours=True
    )
    log_every_n_steps: int = key(500, "a row in `curve.csv` and a line on the screen", least=1)
    pretrained_model_path: str | None = key(
        None, "weights to start from; without it the network starts from nothing",
        example="model_best_bp2_serialize.pth",
    )  # fmt: skip
    resume_training_checkpoint_path: str | None = key(
        None, "a checkpoint to go on from, instead of this folder's newest"
    )
    distributed_strategy: str = key("ddp", choices=("ddp",))
    activation_checkpoint: bool = key(False, "memory is saved by a smaller crop or batch", choices=(False,))
    compile: bool = key(False, "compile what takes long; the first steps then take minutes", ours=True)
    skip_data_check: bool = key(False, "train although the check of the data found errors", ours=True)
    optim: Optim = field(default_factory=Optim)


@dataclass(frozen=True)
class TrainSpec(Experiment):
    """The spec of ``ffs train``."""

    ACTION: ClassVar[str] = "train"
    WITHOUT_EFFECT: ClassVar[dict[str, str]] = dict.fromkeys(
        (f"train.{name}" for name in ("vis_step_interval", "dataloader_visualize", "is_dry_run", "verbose",
         "inference_tile", "tile_wtype", "tile_min_overlap", "checkpoint_interval_steps")), "unused"
    )  # fmt: skip

    model: Model = field(default_factory=Model)
    dataset: TrainingDataset = field(default_factory=TrainingDataset)
    train: Train = field(default_factory=Train)

    def check(self) -> None:
        for check in CHECKS:
            check(self)


def _sources(spec: TrainSpec) -> None:
    for name in ("train_dataset", "val_dataset"):
        split: Split = getattr(spec.dataset, name)
        if not split.data_sources:
            raise SpecError(f"dataset.{name}.data_sources is empty: name a dataset_name and a data_file")
        scenes = [source for source in split.data_sources if source.dataset_name == SCENES]
        if scenes and len(split.data_sources) > 1:
            raise SpecError(f"dataset.{name}.data_sources mixes {SCENES} with other sources: expected {SCENES} alone")
        if scenes and not scenes[0].data_file.isdecimal():
            raise SpecError(
                f"dataset.{name}: the data_file of {SCENES} is '{scenes[0].data_file}': expected a seed, such as 0"
            )
        height, width = split.augmentation.crop_size
        if height % 32 or width % 32:
            near = [max(32, 32 * round(size / 32)) for size in (height, width)]
            raise SpecError(
                f"dataset.{name}.augmentation.crop_size is [{height}, {width}]: expected multiples of "
                f"32, such as {near}"
            )


def _endless(spec: TrainSpec) -> None:
    if spec.dataset.train_dataset.data_sources[0].dataset_name != SCENES:
        return
    if spec.train.num_steps is None:
        raise SpecError(f"{SCENES} never end: give train.num_steps")
    for name in ("checkpoint_interval_unit", "validation_interval_unit"):
        if getattr(spec.train, name) != "step":
            raise SpecError(f"{SCENES} have no epochs: give train.{name}: step")


def _devices(spec: TrainSpec) -> None:
    train = spec.train
    if len(set(train.gpu_ids)) != len(train.gpu_ids) or not train.gpu_ids:
        raise SpecError(f"train.gpu_ids is {list(train.gpu_ids)}: expected different numbers, one for each GPU")
    if train.gpu_ids != Train().gpu_ids and len(train.gpu_ids) != train.num_gpus:
        raise SpecError(f"train.gpu_ids names {len(train.gpu_ids)} GPUs and train.num_gpus is {train.num_gpus}")


def _batch_norm_has_something_to_average(spec: TrainSpec) -> None:
    split = spec.dataset.train_dataset
    height, width = split.augmentation.crop_size
    if split.batch_size * (height // 32) * (width // 32) < 2:
        raise SpecError(
            f"dataset.train_dataset has batch_size 1 and crop_size [{height}, {width}]: that leaves the batch norms at "
            f"1/32 one value to average; give a larger crop or batch"
        )


def _nothing_secret(spec: TrainSpec) -> None:
    if spec.encryption_key is not None:
        raise SpecError(
            "encryption_key is given, and checkpoints are not encrypted here: take the key out, or add "
            "encryption_key=null to the command, if plain files will do"
        )


def _folder(spec: TrainSpec) -> None:
    _ = spec.folder


CHECKS: tuple[Callable[[TrainSpec], None], ...] = (
    _sources, _endless, _devices, _batch_norm_has_something_to_average, _nothing_secret, _folder
)  # fmt: skip
