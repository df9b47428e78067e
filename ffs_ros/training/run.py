"""A training from its spec to its last checkpoint."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.utils.data import DataLoader

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.errors import FileError, TrainingError
from ffs_ros.network.model import FastFoundationStereo
from ffs_ros.whole_file import whole_file

from .batches import Batches, Place, drawn_batch
from .curve import Curve, TimeLimit
from .dataset import PairsInFiles, dataset_of
from .saving import LATEST, Saver, WholeCheckpointIO
from .scenes import training_seed, validation_seeds
from .spec import SCENES, Spec, Split
from .stereo_module import StereoModule

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
TIME_CHECK_STEPS = 10


def train(spec: Spec) -> None:
    """Train as the spec says. Everything is written into ``spec.train_dir``. Raises FfsError with what to put right."""
    folder = spec.train_dir
    _make_folder(folder)
    _quiet()
    pl.seed_everything(spec.train.seed, workers=True, verbose=False)
    resumed = _checkpoint_to_resume(spec, folder)
    network = _network(spec, resumed)
    samples = None if _is_scenes(spec.dataset.train_dataset) else _dataset(spec, spec.dataset.train_dataset, True)
    steps_per_epoch = _steps_per_epoch(spec, samples)
    total_steps = spec.train.num_steps or spec.train.num_epochs * (steps_per_epoch or 0)
    if total_steps <= spec.train.start_step:
        raise TrainingError(
            f"the training ends at step {total_steps} and train.start_step is {spec.train.start_step}: give a "
            f"train.num_steps beyond it"
        )
    module = StereoModule(spec, network, total_steps)
    trainer = _trainer(spec, folder, total_steps, steps_per_epoch)
    if trainer.is_global_zero:
        _write_spec(spec, folder)
    trainer.fit(
        module,
        train_dataloaders=_training_batches(spec, samples, module, trainer),
        val_dataloaders=_validation_batches(spec, trainer),
        ckpt_path=resumed,
    )


def _training_batches(spec: Spec, samples: Any, module: StereoModule, trainer: pl.Trainer) -> Batches:
    split, seed = spec.dataset.train_dataset, spec.train.seed

    def scenes(steps: range) -> Iterable[int]:
        data_seed = int(split.data_sources[0].data_file)
        return (training_seed(data_seed, step, _place(trainer)) for step in steps)

    def lists(steps: range) -> Iterable[Any]:
        batches = (drawn_batch(step, len(samples), split.batch_size, seed, _place(trainer)) for step in steps)
        return _loader(samples, split, batch_sampler=batches)

    steps = range(spec.train.start_step, module.total_steps)
    return Batches(steps, lambda: module.step, lists if samples is not None else scenes)


def _validation_batches(spec: Spec, trainer: pl.Trainer) -> Any:
    split = spec.dataset.val_dataset
    if _is_scenes(split):
        return validation_seeds(int(split.data_sources[0].data_file), split.num_scenes, _place(trainer))
    samples, place = _dataset(spec, split, False), _place(trainer)
    return _loader(samples, split, batch_size=1, sampler=range(place.rank, len(samples), place.count))


def _loader(samples: Any, split: Split, **sampling: Any) -> DataLoader[Any]:
    return DataLoader(
        samples, num_workers=split.workers, pin_memory=split.pin_memory and torch.cuda.is_available(),
        generator=torch.Generator(), **sampling,  # its own, so that making a loader leaves the run's random state alone
    )  # fmt: skip


def _place(trainer: pl.Trainer) -> Place:
    return Place(trainer.global_rank, trainer.world_size)


def _is_scenes(split: Split) -> bool:
    return split.data_sources[0].dataset_name == SCENES


def _dataset(spec: Spec, split: Split, is_training: bool) -> PairsInFiles:
    return dataset_of(split, spec.dataset.max_disparity, is_training)


def _steps_per_epoch(spec: Spec, samples: Any) -> int | None:
    if samples is None:
        return None
    per_step = spec.dataset.train_dataset.batch_size * spec.train.num_gpus * spec.train.num_nodes
    if len(samples) < per_step:
        raise TrainingError(
            f"dataset.train_dataset has {len(samples)} samples and a step takes {per_step} (batch_size x GPUs): lower "
            f"batch_size or add samples"
        )
    return len(samples) // per_step


def _network(spec: Spec, resumed: Path | None) -> FastFoundationStereo:
    network = FastFoundationStereo(spec.model.train_iters)
    path = spec.train.pretrained_model_path
    if resumed is not None:
        return network  # Lightning loads its weights
    if path is None:
        _say("no train.pretrained_model_path: the network starts from nothing")
        return network
    checkpoint = open_checkpoint(path)
    network.load_state_dict({name: torch.tensor(array) for name, array in checkpoint.tensors.items()})
    _say(f"weights from {path} ({checkpoint.layout}, {', '.join(checkpoint.stored_dtypes)})")
    return network


def _checkpoint_to_resume(spec: Spec, folder: Path) -> Path | None:
    given = spec.train.resume_training_checkpoint_path
    path = Path(given) if given else folder / LATEST
    if not given and not path.exists():
        return None
    opened = open_checkpoint(path)
    if not opened.layout.startswith("Lightning") or "step" not in opened.settings:
        raise TrainingError(
            f"{path} holds weights but not the state of a training that could be resumed: give it as "
            f"train.pretrained_model_path"
        )
    where = path.resolve().name
    _say(f"resuming from {path} ({where}), after step {opened.settings['step']}")
    return path


def _trainer(spec: Spec, folder: Path, total_steps: int, steps_per_epoch: int | None) -> pl.Trainer:
    train = spec.train
    per_epoch = steps_per_epoch or 1
    interval_of = {"epoch": per_epoch, "step": 1}
    samples_per_step = spec.dataset.train_dataset.batch_size * train.num_gpus * train.num_nodes
    every_n_steps = min(train.log_every_n_steps, total_steps)
    callbacks: list[pl.Callback] = [Curve(folder, every_n_steps, samples_per_step)]
    if train.max_time_minutes:
        callbacks.append(TimeLimit(train.max_time_minutes, TIME_CHECK_STEPS))
    if train.early_stop_patience:
        callbacks.append(EarlyStopping("val_loss", patience=train.early_stop_patience, check_finite=True))
    save_steps = train.checkpoint_interval * interval_of[train.checkpoint_interval_unit]
    callbacks.append(Saver(folder, save_steps, steps_per_epoch))
    show_bar = sys.stderr.isatty()
    if show_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=every_n_steps))
    torch.set_float32_matmul_precision("high")
    return pl.Trainer(
        **_devices(spec),
        num_nodes=train.num_nodes,
        precision=PRECISIONS[train.precision],  # type: ignore[arg-type]
        max_epochs=-1,
        max_steps=total_steps - train.start_step,
        val_check_interval=train.validation_interval * interval_of[train.validation_interval_unit],
        check_val_every_n_epoch=None,
        log_every_n_steps=every_n_steps,
        num_sanity_val_steps=0,
        logger=TensorBoardLogger(folder, name="lightning_logs", version=""),
        callbacks=callbacks,
        plugins=[WholeCheckpointIO()],
        deterministic="warn" if train.cudnn.deterministic else None,
        benchmark=train.cudnn.benchmark,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=show_bar,
    )


def _devices(spec: Spec) -> dict[str, Any]:
    train = spec.train
    strategy = "ddp" if train.num_gpus * train.num_nodes > 1 else "auto"
    gpus = torch.cuda.device_count()
    if not gpus:
        _say(f"no GPU that torch can use: training on the CPU, in {train.num_gpus} process(es)")
        return {"accelerator": "cpu", "devices": train.num_gpus, "strategy": strategy}
    if train.num_gpus > gpus or max(train.gpu_ids) >= gpus:
        raise TrainingError(
            f"train.num_gpus is {train.num_gpus} and train.gpu_ids {list(train.gpu_ids)}, but this machine has {gpus} "
            f"GPUs that torch can use; lower them"
        )
    devices = list(train.gpu_ids) if len(train.gpu_ids) == train.num_gpus else train.num_gpus
    return {"accelerator": "gpu", "devices": devices, "strategy": strategy}


def _write_spec(spec: Spec, folder: Path) -> None:
    with whole_file(folder / "experiment.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(_listed(asdict(spec)), sort_keys=False), encoding="utf-8")


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(entry) for name, entry in value.items()}
    return [_listed(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"cannot make the folder {folder}: {error.strerror or error}; name another results_dir"
        ) from error


@rank_zero_only
def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _quiet() -> None:
    """Lightning's remarks on what is meant to be so."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for remark in (".*does not have many workers.*", ".*not have a `persistent_workers`.*", ".*is_resumable.*",
                   ".*The number of training batches.*", ".*Checkpoint directory.*"):  # fmt: skip
        warnings.filterwarnings("ignore", remark)
    with suppress(AttributeError):
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
