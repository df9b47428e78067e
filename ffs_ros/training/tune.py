"""``ffs train --tune N``: searches the learning rate and its decay, which is what TAO calls AutoML.

Every trial is a training of its own in RESULTS_DIR/train/tune/trial_NNN, with the same seed, data and steps as the
spec's; the first one has the spec's own values. A trial that is worse at a validation than the median of the finished
ones at the same step is stopped there. All of it is on the disk, so a search that was killed goes on where it was.
"""

from __future__ import annotations

import csv
import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import optuna
from optuna.trial import FrozenTrial, TrialState

from ffs_ros.errors import DivergenceError, FileError, TrainingError
from ffs_ros.only_run import only_run
from ffs_ros.spec.keys import plain
from ffs_ros.spec.train import Optim, TrainSpec

from .batches import mixed
from .run import make_folder, train
from .schedule import learning_rate
from .sources import Sources, check_data
from .stereo_module import StereoModule
from .tune_report import DEFAULT, Row, Validation, table, verdict

METRIC = "val/epe"
DATABASE = "trials.db"
_LEARNING_RATES = (0.1, 10.0)
"""Times the spec's."""
_DECAYS = (0.01, 1.0)
_RANDOM_TRIALS = 4
"""Before the sampler has seen enough to suggest anything."""
_FINISHED_BEFORE_PRUNING = 2

IsEnough = Callable[[Validation], bool]
"""Takes what a validation found; whether the training is to stop there."""
TrainTrial = Callable[[TrainSpec, IsEnough], Validation]
"""Trains with a spec, tells each validation, and returns the last one."""


def tune(spec: TrainSpec, trials: int, train_trial: TrainTrial | None = None) -> None:
    """Search until ``trials`` trials are finished; print them and what is best. Raises FfsError.

    ``train_trial`` is what a trial does, the training itself unless a test puts something in its place.
    """
    if trials < 1:
        raise TrainingError(f"--tune is {trials}: expected a number of trials, at least 1")
    total_steps = _total_steps(spec)
    folder = spec.folder / "tune"
    make_folder(folder)
    with only_run(folder, "training", "results_dir"), _sentences(folder / DATABASE):
        study = _study(spec, folder, total_steps)
        _queue_interrupted(study)
        if train_trial is None and len(_finished(study)) < trials:
            check_data(spec, folder, print)
        while len(_finished(study)) < trials:
            _run_trial(study, spec, folder, total_steps, train_trial or _trained)
    rows = sorted(_row(trial, spec.train.optim) for trial in _finished(study))
    print(f"\n{table(rows)}\n{verdict(rows, folder)}", flush=True)


def _total_steps(spec: TrainSpec) -> int:
    """Raises TrainingError when the spec's training cannot be a trial."""
    train = spec.train
    if train.resume_training_checkpoint_path:
        raise TrainingError(
            "train.resume_training_checkpoint_path is given: a trial starts anew; give train.pretrained_model_path"
        )
    if train.num_gpus * train.num_nodes > 1:
        raise TrainingError(
            f"train.num_gpus is {train.num_gpus} and train.num_nodes {train.num_nodes}: a search runs its trials one "
            "after the other on one GPU; set both to 1"
        )
    sources = Sources(spec)
    steps_of = {"epoch": sources.steps_per_epoch or 1, "step": 1}
    first_validation = train.validation_interval * steps_of[train.validation_interval_unit]
    if first_validation > sources.total_steps - train.start_step:
        raise TrainingError(
            f"the first validation is after step {first_validation} and the training ends at step "
            f"{sources.total_steps}: trials are compared by their validations; lower train.validation_interval"
        )
    return sources.total_steps


def _study(spec: TrainSpec, folder: Path, total_steps: int) -> optuna.Study:
    """The search in the folder, or a new one whose first trial will have the spec's own values."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = folder / DATABASE
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_FINISHED_BEFORE_PRUNING)
    study = optuna.create_study(storage=_storage(file), study_name=METRIC, pruner=pruner, load_if_exists=True)
    values = json.dumps(plain(asdict(spec)))
    if not study.trials:
        study.set_user_attr("spec", values)
        own = {name: getattr(spec.train.optim, name) for name in _ranges(spec, total_steps)}
        study.enqueue_trial(own, user_attrs={"folder": DEFAULT})
    elif study.user_attrs.get("spec") != values:
        raise TrainingError(f"{file} holds the trials of another spec: remove {folder}, or name another results_dir")
    return study


def _storage(file: Path) -> optuna.storages.BaseStorage:
    """SQLite, because what it has written survives a kill in the middle of the next line; a journal file does not."""
    # Opened by its path: in a URL a ? in the path would end it.
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": partial(sqlite3.connect, file)})


@contextmanager
def _sentences(file: Path) -> Iterator[None]:
    """A database that is damaged, or that the file system no longer lets grow, as a FileError."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", None)  # in SQLAlchemy's errors, which Optuna passes on in part
        if not isinstance(cause, sqlite3.Error) and not isinstance(error, optuna.exceptions.StorageInternalError):
            raise
        sentence = str(cause or error)
        raise FileError(
            f"cannot use {file}: {' '.join(sentence.split())}; if the disk is not full remove it, or name another "
            "results_dir"
        ) from error


def _ranges(spec: TrainSpec, total_steps: int) -> dict[str, tuple[float, float]]:
    """What is searched, on a logarithmic scale; the decay only where the schedule comes to it before the end."""
    optim = spec.train.optim
    ranges = {"lr": (optim.lr * _LEARNING_RATES[0], min(optim.lr * _LEARNING_RATES[1], 1.0))}
    start_step = spec.train.start_step
    last_rates = {
        learning_rate(total_steps - start_step - 1, replace(optim, lr_decay=decay), total_steps, start_step)
        for decay in _DECAYS
    }
    if len(last_rates) > 1:
        ranges["lr_decay"] = (min(_DECAYS[0], optim.lr_decay), _DECAYS[1])
    return ranges


def _queue_interrupted(study: optuna.Study) -> None:
    """A trial that was running when the search was killed goes on, first of all, from its own last checkpoint."""
    for interrupted in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(interrupted.number, state=TrialState.FAIL)
        study.enqueue_trial(interrupted.params, user_attrs=interrupted.user_attrs)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _run_trial(study: optuna.Study, spec: TrainSpec, folder: Path, total_steps: int, train_trial: TrainTrial) -> None:
    """Ask for values, train with them, and keep how it ended."""
    number = len(_finished(study))
    seed = mixed(spec.train.seed, number) % 2**32  # so that an interrupted search asks for the same values
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
    trial = study.ask()
    name = trial.user_attrs.get("folder", f"trial_{number:03d}")
    trial.set_user_attr("folder", name)
    values = {key: trial.suggest_float(key, *span, log=True) for key, span in _ranges(spec, total_steps).items()}
    optim = replace(spec.train.optim, lr=values["lr"], lr_decay=values.get("lr_decay", spec.train.optim.lr_decay))
    train = replace(spec.train, results_dir=str(folder / name), optim=optim)
    print(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()), flush=True)
    is_stopped = False

    def is_enough(validation: Validation) -> bool:
        nonlocal is_stopped
        trial.report(validation.end_point_error_px, validation.step)
        is_stopped = validation.step < total_steps and trial.should_prune()
        return is_stopped

    try:
        last = train_trial(replace(spec, train=train), is_enough)
        trial.set_user_attr("last", last)
        outcome = "stopped" if is_stopped else "complete" if math.isfinite(last.end_point_error_px) else "diverged"
    except DivergenceError as error:
        print(f"{name}: {error}", flush=True)
        outcome = "diverged"
    trial.set_user_attr("outcome", outcome)
    if outcome == "complete":
        study.tell(trial, last.end_point_error_px)
    else:
        study.tell(trial, state=TrialState.PRUNED)


def _row(trial: FrozenTrial, optim: Optim) -> Row:
    values = {"lr": optim.lr, "lr_decay": optim.lr_decay, **trial.params}
    last = Validation(*trial.user_attrs["last"]) if "last" in trial.user_attrs else None
    return Row(trial.user_attrs["folder"], values["lr"], values["lr_decay"], last, trial.user_attrs["outcome"])


def _trained(spec: TrainSpec, is_enough: IsEnough) -> Validation:
    train(spec, callbacks=[_Reporter(is_enough)], data_is_checked=True)
    # The file and not the callback: a trial that was killed after its last step has nothing left to report.
    with (spec.folder / "validation.csv").open(encoding="utf-8", newline="") as file:
        last = [*csv.DictReader(file)][-1]
    return Validation(int(last["step"]), float(last["epe"]))


class _Reporter(pl.Callback):
    """Tells each validation, and ends the training when that was enough."""

    def __init__(self, is_enough: IsEnough) -> None:
        self.is_enough = is_enough

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, StereoModule)
        if self.is_enough(Validation(module.step, float(trainer.callback_metrics[METRIC]))):
            trainer.should_stop = True
