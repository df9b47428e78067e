"""The spec of a training: TAO's keys and defaults, each declared once. Keys of ours are marked so.

Where a default differs from TAO's, TAO's would not fit this network (max_disparity) or its name (clip_grad_norm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ffs_ros.errors import SpecError

from .augmentation import AugmentationConfig
from .keys import key, read

SCENES = "Scenes"
"""The dataset_name of rendered scenes: endless, no files, its data_file is a seed."""

SCHEDULES = (
    "MultiStepLR", "MultiStep", "StepLR", "LambdaLR", "PolynomialLR", "CosineAnnealingLR", "OneCycleLR", "Constant"
)  # fmt: skip
"""TAO's names, where the first two are one; the last is ours."""


@dataclass(frozen=True)
class Model:
    """The architecture, which is fixed: every key is checked against the one value that the bp2 network has."""

    train_iters: int = key(22, least=1, most=64)
    valid_iters: int = key(8, least=1, most=64)
    max_disparity: int = key(192, choices=(192,))
    model_type: str = key("FastFoundationStereo", choices=("FastFoundationStereo",))
    hidden_dims: tuple[int, ...] = key((128,))
    n_gru_layers: int = key(1)
    corr_radius: int = key(4)
    corr_levels: int = key(2)
    n_downsample: int = key(2)
    cv_group: int = key(8)
    concat_channel: int = key(24)
    volume_dim: int = key(28)
    mixed_precision: bool = key(False)
    gwc_feature_normalize: bool = key(True)
    motion_encoder_widths: tuple[int, ...] = key((56, 96, 16, 12))
    motion_encoder_final: int = key(48)
    gru_hidden: int = key(60)
    gru_gating_conv_widths: tuple[int, ...] = key((100, 168))
    disp_head_input_dim: int = key(60)
    disp_head_intermediate: int = key(36)
    disp_head_pwconv1_widths: tuple[int, ...] = key((212, 244))
    mask_widths: tuple[int, ...] = key((32, 16))
    stem_2_widths: tuple[int, ...] = key((12, 16))
    spx_2_gru_widths: tuple[int, ...] = key((16, 12, 16, 24))
    spx_gru_out: int = key(9)
    classifier_mid: int = key(14)
    cnet_conv04_widths: tuple[int, ...] = key((60, 48))
    cam_mid_channels: int = key(8)
    cost_agg_conv_patch_padding: tuple[int, ...] = key((0, 0, 0))


MAY_DIFFER = ("train_iters", "valid_iters")


@dataclass(frozen=True)
class Source:
    """One entry of data_sources."""

    dataset_name: str
    data_file: str
    """An annotation list; for Scenes a seed."""


@dataclass(frozen=True)
class Split:
    """dataset.train_dataset or dataset.val_dataset."""

    data_sources: tuple[Source, ...] = ()
    batch_size: int = key(1, least=1)
    """Pairs for each GPU and step."""
    workers: int = key(8, least=0)
    pin_memory: bool = key(True)
    num_scenes: int = key(32, least=1)
    """Ours: batches of Scenes in one validation."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


@dataclass(frozen=True)
class Dataset:
    """Where the pairs come from."""

    dataset_name: str = key("StereoDataset", choices=("StereoDataset",))
    max_disparity: int = key(192, least=1, most=192)
    """Truth at or beyond it counts neither in the loss nor in the metrics, px."""
    train_dataset: Split = field(default_factory=Split)
    val_dataset: Split = field(default_factory=Split)


@dataclass(frozen=True)
class Optim:
    """The optimiser and how its learning rate changes, per optimiser step."""

    optimizer: str = key("AdamW", choices=("AdamW", "SGD"))
    lr: float = key(1e-4, above=0, most=1)
    momentum: float = key(0.9, least=0, most=1)
    weight_decay: float = key(1e-4, least=0, most=1)
    lr_scheduler: str = key("MultiStepLR", choices=SCHEDULES)
    lr_steps: tuple[int, ...] = key((1000,), least=1)
    lr_step_size: int = key(1000, least=1)
    lr_decay: float = key(0.1, above=0, most=1)
    min_lr: float = key(1e-7, least=0)
    warmup_steps: int = key(20, least=0)
    monitor_name: str = key("val_loss", choices=("val_loss",))


@dataclass(frozen=True)
class Cudnn:
    """How cuDNN chooses its convolutions."""

    benchmark: bool = key(False)
    deterministic: bool = key(True)


@dataclass(frozen=True)
class Train:
    """The run."""

    results_dir: str | None = None
    num_epochs: int = key(10, least=1, most=10**9)
    num_steps: int | None = key(None, least=1, most=10**9)
    """Ours: optimiser steps; counts instead of num_epochs."""
    start_step: int = key(0, least=0)
    """Ours: steps that earlier parts made before their weights became pretrained_model_path. Steps, the schedule and
    the batches go on from there; num_steps counts from the first part's beginning."""
    max_time_minutes: float | None = key(None, above=0)
    """Ours: ends the run by itself, with its weights saved."""
    num_gpus: int = key(1, least=1)
    gpu_ids: tuple[int, ...] = key((0,), least=0)
    num_nodes: int = key(1, least=1)
    seed: int = key(1234, least=0, most=2**32 - 1)
    cudnn: Cudnn = field(default_factory=Cudnn)
    precision: str = key("fp32", choices=("fp32", "bf16"))
    clip_grad_norm: float = key(1.0, least=0)
    """Of all gradients together; 0 is off. TAO's key of this name cuts each value, at 0.1: here clip_grad_value."""
    clip_grad_value: float = key(0.0, least=0)
    """Ours: each gradient's value is cut to +-this; 0 is off."""
    checkpoint_interval: int = key(1, least=1)
    checkpoint_interval_unit: str = key("epoch", choices=("epoch", "step"))
    validation_interval: int = key(1, least=1)
    validation_interval_unit: str = key("epoch", choices=("epoch", "step"))
    """Ours."""
    early_stop_patience: int = key(0, least=0)
    """Ours: validations without a lower val_loss after which the run ends; 0 is off."""
    log_every_n_steps: int = key(500, least=1)
    pretrained_model_path: str | None = None
    resume_training_checkpoint_path: str | None = None
    distributed_strategy: str = key("ddp", choices=("ddp",))
    activation_checkpoint: bool = key(False, choices=(False,))
    compile: bool = key(False)
    """Ours: compile what takes long with torch.compile; the first steps then take minutes."""
    skip_data_check: bool = key(False)
    """Ours: train although the check of the data found errors."""
    optim: Optim = field(default_factory=Optim)


@dataclass(frozen=True)
class Spec:
    """The whole file."""

    results_dir: str | None = None
    model: Model = field(default_factory=Model)
    dataset: Dataset = field(default_factory=Dataset)
    train: Train = field(default_factory=Train)

    @property
    def train_dir(self) -> Path:
        """TAO's rule: train.results_dir as it is, else 'train' in results_dir."""
        if self.train.results_dir:
            return Path(self.train.results_dir)
        if self.results_dir:
            return Path(self.results_dir) / "train"
        raise SpecError("neither results_dir nor train.results_dir is given: name the folder for what the run writes")


WITHOUT_EFFECT = {
    **dict.fromkeys(("evaluate", "inference", "export", "gen_trt_engine", "quantize"), "another action's"),
    **dict.fromkeys(("model_name", "task", "wandb", "tensorboard"), "TAO's launcher's"),
    **dict.fromkeys(("dataset.test_dataset", "dataset.infer_dataset"), "another action's"),
    **dict.fromkeys(("model.encoder", "model.low_memory", "model.stereo_backbone", "model.mono_backbone"), "unused"),
    **dict.fromkeys(("dataset.min_depth", "dataset.max_depth", "dataset.normalize_depth"), "unused for stereo"),
    **dict.fromkeys(("dataset.baseline", "dataset.focal_x"), "unused: truth is disparity"),
    **dict.fromkeys((f"train.{name}" for name in ("vis_step_interval", "dataloader_visualize", "is_dry_run", "verbose",
                     "inference_tile", "tile_wtype", "tile_min_overlap")), "unused"),
    **dict.fromkeys((f"dataset.{split}.data_root" for split in ("train_dataset", "val_dataset")), "unused"),
}  # fmt: skip
"""Keys that TAO's specs may have and that change nothing here."""


def read_spec(path: str | Path) -> Spec:
    """The spec in a YAML file. Raises FileError when there is none, SpecError when it is wrong."""
    from .spec_file import loaded

    path = Path(path)
    return spec_from(loaded(path), f"{path}: ")


def spec_from(values: Any, before: str = "") -> Spec:
    """The spec in nested mappings; ``before`` begins each SpecError's sentence."""
    try:
        spec = read(Spec, values, without_effect=WITHOUT_EFFECT)
        for check in CHECKS:
            check(spec)
    except SpecError as error:
        raise SpecError(f"{before}{error}") from None
    return spec


def plain(value: Any) -> Any:
    """With lists for tuples, as YAML and readers of checkpoints want them."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _model_is_bp2(spec: Spec) -> None:
    fixed = Model()
    for name, value in vars(fixed).items():
        found = getattr(spec.model, name)
        if name not in MAY_DIFFER and found != value:
            found, value = (list(v) if isinstance(v, tuple) else v for v in (found, value))
            raise SpecError(f"model.{name} is {found}: the bp2 network has {value}; correct or leave out the key")


def _sources(spec: Spec) -> None:
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


def _endless(spec: Spec) -> None:
    if spec.dataset.train_dataset.data_sources[0].dataset_name != SCENES:
        return
    if spec.train.num_steps is None:
        raise SpecError(f"{SCENES} never end: give train.num_steps")
    for name in ("checkpoint_interval_unit", "validation_interval_unit"):
        if getattr(spec.train, name) != "step":
            raise SpecError(f"{SCENES} have no epochs: give train.{name}: step")


def _devices(spec: Spec) -> None:
    train = spec.train
    if len(set(train.gpu_ids)) != len(train.gpu_ids) or not train.gpu_ids:
        raise SpecError(f"train.gpu_ids is {list(train.gpu_ids)}: expected different numbers, one for each GPU")
    if train.gpu_ids != Train().gpu_ids and len(train.gpu_ids) != train.num_gpus:
        raise SpecError(f"train.gpu_ids names {len(train.gpu_ids)} GPUs and train.num_gpus is {train.num_gpus}")


def _batch_norm_has_something_to_average(spec: Spec) -> None:
    split = spec.dataset.train_dataset
    height, width = split.augmentation.crop_size
    if split.batch_size * (height // 32) * (width // 32) < 2:
        raise SpecError(
            f"dataset.train_dataset has batch_size 1 and crop_size [{height}, {width}]: that leaves the batch norms at "
            f"1/32 one value to average; give a larger crop or batch"
        )


def _folder(spec: Spec) -> None:
    _ = spec.train_dir


CHECKS: tuple[Callable[[Spec], None], ...] = (
    _model_is_bp2, _sources, _endless, _devices, _batch_norm_has_something_to_average, _folder
)  # fmt: skip
