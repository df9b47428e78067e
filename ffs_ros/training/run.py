"""A training from its spec to its last checkpoint."""

from __future__ import annotations

import errno
import logging
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.errors import FfsError, FileError, TrainingError
from ffs_ros.network.layout import channels_last
from ffs_ros.network.model import FastFoundationStereo
from ffs_ros.only_run import only_run
from ffs_ros.spec.train import TrainSpec
from ffs_ros.status_file import FAILURE, STARTED, SUCCESS, StatusFile

from .batches import Place
from .curve import Curve, TimeLimit, lacks_validation
from .memory import is_out_of_memory, memory_of, shortage
from .resuming import Resumed, checkpoint_to_resume
from .saving import Saver, WholeCheckpointIO
from .sources import Sources, check_data
from .stereo_module import StereoModule

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
TIME_CHECK_STEPS = 10
LAST_WORDS_s = 5.0
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def train(spec: TrainSpec, callbacks: Sequence[pl.Callback] = (), data_is_checked: bool = False) -> None:
    """Train as the spec says; everything is written into ``spec.folder``. Raises FfsError."""
    folder = spec.folder
    make_folder(folder)
    _quiet()
    status = StatusFile(folder)
    is_first = getattr(rank_zero_only, "rank", 0) == 0  # the others run this same program from its beginning
    with only_run(folder, "training", "results_dir") if is_first else nullcontext():
        try:
            if is_first and not data_is_checked:
                check_data(spec, folder, _say)
            _run(spec, folder, status, callbacks)
        except FfsError as error:
            if is_first:
                status.write(FAILURE, str(error))
            raise
        if is_first:
            status.write(SUCCESS, "Training finished successfully.")


def _run(spec: TrainSpec, folder: Path, status: StatusFile, callbacks: Sequence[pl.Callback]) -> None:
    pl.seed_everything(spec.train.seed, workers=True, verbose=False)
    resumed = checkpoint_to_resume(spec, folder, _say)
    network = _network(spec, resumed)
    if torch.cuda.is_available():
        channels_last(network)
    sources = Sources(spec)
    total_steps = sources.total_steps
    if total_steps <= spec.train.start_step:
        raise TrainingError(
            f"the training ends at step {total_steps} and train.start_step is {spec.train.start_step}: give a "
            f"train.num_steps beyond it"
        )
    module = StereoModule(spec, network, total_steps)
    trainer = _trainer(spec, folder, status, total_steps, sources.steps_per_epoch, callbacks)
    if trainer.is_global_zero:
        spec.write(folder)
        status.write(STARTED, "Starting training.")
    place = Place(trainer.global_rank, trainer.world_size)
    module.validates = place.rank < sources.validations
    steps = range(spec.train.start_step, total_steps)
    with _sentences(spec, folder), _no_orphans(trainer):
        if resumed is not None and lacks_validation(folder, resumed.step):
            trainer.validate(module, sources.validation_batches(place), ckpt_path=resumed.path, verbose=False)
        trainer.fit(
            module,
            train_dataloaders=sources.training_batches(steps, lambda: module.step, place),
            val_dataloaders=sources.validation_batches(place),
            ckpt_path=None if resumed is None else resumed.path,
        )
    _say(f"done after step {module.step} of {total_steps}; the weights are in {folder}{_peak_memory()}")


def _network(spec: TrainSpec, resumed: Resumed | None) -> FastFoundationStereo:
    network = FastFoundationStereo(spec.model.train_iters)
    path = spec.train.pretrained_model_path
    if resumed is not None:  # Lightning loads its weights
        if path is not None:
            _say("  train.pretrained_model_path is not read again; to begin anew from it name another results_dir")
        return network
    if path is None:
        _say("no train.pretrained_model_path: the network starts from nothing")
        return network
    checkpoint = open_checkpoint(path)
    network.load_state_dict({name: torch.tensor(array) for name, array in checkpoint.tensors.items()})
    _say(f"weights from {path} ({checkpoint.layout}, {', '.join(checkpoint.stored_dtypes)})")
    made_by = checkpoint.settings.get("step")
    if made_by is not None and str(made_by) != str(spec.train.start_step):
        _say(
            f"  {made_by} steps have made them and train.start_step is {spec.train.start_step}; as a further part of "
            f"that training set train.start_step: {made_by}"
        )
    return network


def _trainer(
    spec: TrainSpec,
    folder: Path,
    status: StatusFile,
    total_steps: int,
    steps_per_epoch: int | None,
    more_callbacks: Sequence[pl.Callback],
) -> pl.Trainer:
    train = spec.train
    steps_of = {"epoch": steps_per_epoch or 1, "step": 1}
    samples_per_step = spec.dataset.train_dataset.batch_size * train.num_gpus * train.num_nodes
    every_n_steps = min(train.log_every_n_steps, total_steps - train.start_step)
    callbacks: list[pl.Callback] = [Curve(folder, every_n_steps, samples_per_step, status), *more_callbacks]
    if train.max_time_minutes:
        callbacks.append(TimeLimit(train.max_time_minutes, TIME_CHECK_STEPS))
    if train.early_stop_patience:
        callbacks.append(EarlyStopping("val_loss", patience=train.early_stop_patience, check_finite=False))
    save_steps = train.checkpoint_interval * steps_of[train.checkpoint_interval_unit]
    callbacks.append(Saver(folder, save_steps, steps_per_epoch))  # the last one: it saves what the others have decided
    has_bar = sys.stderr.isatty()
    if has_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=every_n_steps))
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # as cuDNN's convolutions do by default
    return pl.Trainer(
        **_devices(spec),
        num_nodes=train.num_nodes,
        precision=PRECISIONS[train.precision],  # type: ignore[arg-type]
        max_epochs=-1,
        max_steps=total_steps - train.start_step,
        val_check_interval=train.validation_interval * steps_of[train.validation_interval_unit],
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
        enable_progress_bar=has_bar,
    )


def _devices(spec: TrainSpec) -> dict[str, Any]:
    train = spec.train
    strategy = "ddp" if train.num_gpus * train.num_nodes > 1 else "auto"
    gpus = torch.cuda.device_count()
    if not gpus:
        _say(f"no GPU that torch can use: training on the CPU, processes: {train.num_gpus}")
        return {"accelerator": "cpu", "devices": train.num_gpus, "strategy": strategy}
    devices = list(train.gpu_ids) if len(train.gpu_ids) == train.num_gpus else list(range(train.num_gpus))
    if max(devices) >= gpus:
        raise TrainingError(
            f"train.num_gpus is {train.num_gpus} and the GPUs are {devices}, but torch can use {gpus} here, numbered "
            f"from 0: correct train.num_gpus and train.gpu_ids"
        )
    return {"accelerator": "gpu", "devices": devices, "strategy": strategy}


@contextmanager
def _sentences(spec: TrainSpec, folder: Path) -> Iterator[None]:
    """What the user can put right, of what happens while training, as an FfsError."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(shortage(spec, *memory_of(error))) from None
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise FileError(
            f"cannot write into {folder}: {error.strerror}; free some space and run the same again"
        ) from None
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from None


@contextmanager
def _no_orphans(trainer: pl.Trainer) -> Iterator[None]:
    """When this process fails, those that it has started would wait for it in vain; and when one of those has failed
    for a reason that it could say, there is no more to say here."""
    try:
        yield
    except BaseException as error:
        processes = getattr(trainer.strategy.launcher, "procs", ())
        is_broken_connection = isinstance(error, RuntimeError) and not isinstance(error, torch.cuda.OutOfMemoryError)
        has_said = False
        for process in processes if is_broken_connection else ():
            with suppress(subprocess.TimeoutExpired):
                has_said |= process.wait(LAST_WORDS_s) == 2
        for process in processes:
            process.kill()
        if has_said:
            raise TrainingError("another process of this training has ended; why stands above") from None
        raise


def make_folder(folder: Path) -> None:
    """With all above it. Raises FileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"cannot make the folder {folder}: {error.strerror or error}; name another results_dir"
        ) from error


def _peak_memory() -> str:
    return f"; peak GPU memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if torch.cuda.is_available() else ""


@rank_zero_only
def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _quiet() -> None:
    """Lightning's remarks on what is meant to be so."""
    for part in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(part).setLevel(logging.WARNING)
    for remark in ("does not have many workers", "DataLoader will create", "LeafSpec", "Grad strides do not match"):
        warnings.filterwarnings("ignore", f".*{remark}.*")
