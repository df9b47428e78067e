"""Which checkpoint a run goes on from, and whether the spec still fits it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ffs_ros.checkpoint import Checkpoint, open_checkpoint
from ffs_ros.errors import FileError, TrainingError
from ffs_ros.spec.train import TrainSpec

from .saving import LATEST


class Resumed(NamedTuple):
    """Where a run goes on."""

    path: Path
    step: int


def checkpoint_to_resume(spec: TrainSpec, folder: Path, say: Callable[[str], None]) -> Resumed | None:
    """The one that the spec names, else the newest in ``folder``; None when the run begins anew.

    Raises FileError and CheckpointError when it cannot be read, TrainingError when the spec cannot go on from it.
    """
    given = spec.train.resume_training_checkpoint_path
    path = Path(given) if given else folder / LATEST
    if path.is_symlink() and not path.exists():
        raise FileError(
            f"{path} points to {path.readlink()}, which is not there: put it back, name a checkpoint as "
            f"train.resume_training_checkpoint_path, or remove {path} to begin anew"
        )
    if not given and not path.exists():
        return None
    opened = open_checkpoint(path)
    if not opened.layout.startswith("Lightning") or not {"step", "hyper_parameters"} <= opened.settings.keys():
        raise TrainingError(
            f"{path} holds weights but not the state of a training that could be resumed: give it as "
            f"train.pretrained_model_path"
        )
    _check_same(path, opened, spec)
    say(f"resuming from {path.resolve()}, after step {opened.settings['step']}")
    return Resumed(path, opened.settings["step"])


def _check_same(path: Path, opened: Checkpoint, spec: TrainSpec) -> None:
    """What cannot change on the way: the moments are one optimiser's, and the step is counted from start_step."""
    stored: dict[str, Any] = opened.settings["hyper_parameters"]["train"]
    for name, found, expected in (
        ("start_step", spec.train.start_step, stored["start_step"]),
        ("optim.optimizer", spec.train.optim.optimizer, stored["optim"]["optimizer"]),
    ):
        if found != expected:
            raise TrainingError(
                f"train.{name} is {found} and {path}, from which the run would go on, was made with {expected}: give "
                f"that to resume it; for a new part name another results_dir and train.pretrained_model_path: {path}"
            )
