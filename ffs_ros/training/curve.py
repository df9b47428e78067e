"""The loss curve as a CSV file, TensorBoard's speeds, and a line for people."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from ffs_ros.status_file import RUNNING, StatusFile, append
from ffs_ros.whole_file import whole_file

from .stereo_module import LOGGED, StereoModule

_MARK = ".validating"
COLUMNS = ("step", "loss", "learning_rate", "samples_per_s", "rendering_share")


class Curve(pl.Callback):
    """A row every ``every_n_steps`` steps: the mean loss since the last row, the rate, and the pace since then."""

    def __init__(self, folder: Path, every_n_steps: int, samples_per_step: int, status: StatusFile) -> None:
        self.path = folder / "curve.csv"
        self.validation_path = folder / "validation.csv"
        self.mark_path = folder / _MARK
        self.every_n_steps, self.samples_per_step, self.status = every_n_steps, samples_per_step, status
        self._begin_s, self._paused_s, self._pause_begin_s = 0.0, 0.0, 0.0
        self._step_of_last_row = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keeps the rows up to the step at which the run goes on; a killed run may have written more."""
        assert isinstance(module, StereoModule)
        self._step_of_last_row = module.step
        if trainer.is_global_zero:
            _start(self.path, COLUMNS, module.step)
            _start(self.validation_path, ("step", "val_loss", *LOGGED), module.step)
            self.mark_path.unlink(missing_ok=True)
        self._restart()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Waits for the GPU only at the steps of a row."""
        assert isinstance(module, StereoModule)
        if trainer.global_step % self.every_n_steps and trainer.global_step != trainer.max_steps:
            return
        module.watch.check()
        loss = module.mean_loss()
        seconds = time.perf_counter() - self._begin_s - self._paused_s
        samples_per_s = (module.step - self._step_of_last_row) * self.samples_per_step / seconds
        share = module.train_scenes.seconds() / seconds
        rate = module.last_learning_rate
        module.log_dict({"lr": rate, "samples_per_s": samples_per_s, "rendering_share": share})
        if trainer.is_global_zero:
            append(self.path, _line([module.step, loss, rate, f"{samples_per_s:.3f}", f"{share:.4f}"]))
            self.status.write(RUNNING, f"step {module.step} of {module.total_steps}", {"train_loss": loss})
            if not sys.stderr.isatty():
                print(
                    f"step {module.step}/{module.total_steps}: loss {loss:.4f}, learning rate {rate:.3g}, "
                    f"{samples_per_s:.2f} samples/s" + (f", {share:.1%} of it rendering" if share else ""),
                    flush=True,
                )
        self._step_of_last_row = module.step
        self._restart()

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """The pace is training's alone. What a kill interrupts now is known to the run that goes on."""
        assert isinstance(module, StereoModule)
        self._pause_begin_s = time.perf_counter()
        if trainer.is_global_zero:
            self.mark_path.write_text(str(module.step), encoding="utf-8")

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A row, and a line, with the validation's scores."""
        assert isinstance(module, StereoModule)
        self._paused_s += time.perf_counter() - self._pause_begin_s
        found = {name: float(trainer.callback_metrics[name]) for name in ("val_loss", *(f"val/{n}" for n in LOGGED))}
        if trainer.is_global_zero:
            append(self.validation_path, _line([module.step, *found.values()]))
            self.status.write(RUNNING, f"validation after step {module.step}", found)
            print(
                f"step {module.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()), flush=True
            )
            self.mark_path.unlink()

    def _restart(self) -> None:
        self._begin_s, self._paused_s = time.perf_counter(), 0.0


def lacks_validation(folder: Path, step: int) -> bool:
    """Whether the validation after this step was begun and not ended."""
    mark = folder / _MARK
    return mark.is_file() and mark.read_bytes() == str(step).encode()


def _start(path: Path, columns: tuple[str, ...], step: int) -> None:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    rows = list(csv.reader(text.splitlines()))[1:]
    kept = [row for row in rows if row and row[0].isdecimal() and int(row[0]) <= step and len(row) == len(columns)]
    with whole_file(path) as temporary:
        temporary.write_text("".join(map(_line, [columns, *kept])), encoding="utf-8")


def _line(row: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


class TimeLimit(pl.Callback):
    """Ends a run after some minutes; ``Saver``, which comes later, then saves."""

    def __init__(self, minutes: float, every_n_steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.every_n_steps = clock, every_n_steps
        self.end_s = clock() + 60 * minutes

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """All processes end at the same step, so they ask each other, which is why not at every step."""
        if trainer.global_step % self.every_n_steps == 0:
            is_over = self.clock() >= self.end_s
            if trainer.strategy.reduce_boolean_decision(is_over, all=False):
                trainer.should_stop = True
