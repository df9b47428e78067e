"""A run that goes on under a changed spec: what follows the spec, and what is refused because it cannot."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

from ffs_ros.errors import FileError, TrainingError  # noqa: E402
from ffs_ros.only_run import only_run  # noqa: E402
from ffs_ros.spec.train import TrainSpec  # noqa: E402
from ffs_ros.training.run import train  # noqa: E402
from ffs_ros.training.stereo_module import StereoModule  # noqa: E402

FIRST = {"train__num_steps": 1, "train__optim__lr_scheduler": "LambdaLR", "train__optim__warmup_steps": 0}


def rows(folder: Path) -> list[dict[str, str]]:
    """Of the loss curve."""
    return list(csv.DictReader((folder / "curve.csv").read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def begun(small_spec, tmp_path) -> Path:
    """The folder of a run of one step, which has come to the end of its schedule."""
    train(TrainSpec.of(small_spec(**FIRST)))
    return tmp_path / "results" / "train"


def test_a_resumed_run_has_the_specs_rates_and_not_those_of_the_checkpoint(small_spec, begun):
    """lower train.optim.lr and resume: from the first step on, as on a schedule that has always ended later."""
    changes = {**FIRST, "train__num_steps": 3, "train__optim__lr": 3e-5, "train__optim__weight_decay": 0.5}
    train(TrainSpec.of(small_spec(**changes)))
    assert [float(row["learning_rate"]) for row in rows(begun)] == pytest.approx([1e-3, 2e-5, 1e-5])
    saved = torch.load(begun / "dn_model_latest.pth", weights_only=True)
    assert saved["optimizer_states"][0]["param_groups"][0]["weight_decay"] == 0.5
    assert saved["optimizer_states"][0]["state"][0]["step"] == 3, "the moments are still the checkpoint's"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"train__start_step": 1}, "train.start_step is 1 and .*, from which the run would go on, was made with 0"),
        ({"train__optim__optimizer": "SGD"}, "train.optim.optimizer is SGD and .* was made with AdamW"),
    ],
)
def test_what_cannot_change_on_the_way_is_refused(small_spec, begun, change, sentence):
    """A step counted twice, or moments of another optimiser; nothing is written over."""
    before = (begun / "curve.csv").read_bytes()
    with pytest.raises(TrainingError, match=sentence):
        train(TrainSpec.of(small_spec(**{**FIRST, "train__num_steps": 4, **change})))
    assert (begun / "curve.csv").read_bytes() == before


def test_a_link_to_a_checkpoint_that_is_gone_does_not_begin_anew(small_spec, begun):
    """Whoever removed the checkpoint wants to know before the curve is written over."""
    for checkpoint in begun.glob("model_*.pth"):
        shutil.move(checkpoint, begun.parent)
    before = (begun / "curve.csv").read_bytes()
    with pytest.raises(FileError, match=r"points to model_epoch_000_step_00001.pth, which is not there"):
        train(TrainSpec.of(small_spec(**FIRST)))
    assert (begun / "curve.csv").read_bytes() == before


def test_a_run_that_is_given_more_patience_has_it(small_spec, tmp_path):
    """Early stop remembers the lowest loss and how long ago it was, and not the patience of then."""
    settings = {"train__validation_interval_unit": "step", "train__optim__lr": 1e-12}
    train(TrainSpec.of(small_spec(**settings, train__num_steps=1, train__early_stop_patience=1)))
    train(TrainSpec.of(small_spec(**settings, train__num_steps=2, train__early_stop_patience=7)))
    saved = torch.load(tmp_path / "results" / "train" / "dn_model_latest.pth", weights_only=True)["callbacks"]
    (state,) = (state for name, state in saved.items() if name.startswith("EarlyStopping"))
    assert state["patience"] == 7


def test_an_interrupted_validation_is_made_up_for(small_spec, tmp_path, monkeypatch):
    """Killed in the one after step 1, again when that is made up for, and in the last one: no row is missing."""
    steps = {"train__validation_interval_unit": "step", "train__checkpoint_interval_unit": "step"}
    whole = tmp_path / "whole" / "train"
    train(TrainSpec.of(small_spec(**steps, results_dir=str(whole.parent))))
    validate, spec = StereoModule.validation_step, TrainSpec.of(small_spec(**steps))
    for last_step in (1, 1, 2):

        def killed(module: StereoModule, *batch: object, last_step: int = last_step) -> None:
            if module.step == last_step:
                raise KeyboardInterrupt
            validate(module, *batch)

        monkeypatch.setattr(StereoModule, "validation_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(spec)
    monkeypatch.setattr(StereoModule, "validation_step", validate)
    train(spec)
    folder = tmp_path / "results" / "train"
    assert [path.name for path in folder.glob(".*")] == []
    assert (folder / "validation.csv").read_bytes() == (whole / "validation.csv").read_bytes()
    assert [row["loss"] for row in rows(folder)] == [row["loss"] for row in rows(whole)]


def test_the_loss_since_the_last_row_is_saved_for_all_processes(small_spec):
    """One file serves them all, so it has their mean; the process that saves keeps its own."""
    module = StereoModule(TrainSpec.of(small_spec()), torch.nn.Linear(1, 1), 2)
    module._trainer = SimpleNamespace(
        global_step=1,
        state=SimpleNamespace(fn="fit"),
        strategy=SimpleNamespace(reduce=lambda loss_sum, reduce_op: loss_sum.add_(4.0).div_(2.0)),
    )
    module.loss_sum, module.losses = torch.tensor(2.0), 1
    checkpoint: dict[str, object] = {}
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["loss_since_last_row"] == [3.0, 1]
    assert float(module.loss_sum) == 2.0


HOLDS_THE_FOLDER = """
import os, sys, time
from pathlib import Path
from ffs_ros.only_run import only_run
with only_run(Path(sys.argv[1]), "training", "results_dir"):
    child = os.fork()  # as a data loader's process, which may live on
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


def test_two_runs_in_one_folder_are_refused_until_the_first_ends(small_spec, tmp_path):
    """Even when that one is killed and what it has forked lives on. What is refused leaves no trace."""
    folder = tmp_path / "results" / "train"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", HOLDS_THE_FOLDER, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        child = int(other.stdout.readline())
        try:
            with pytest.raises(FileError, match=r"another training is writing into .*train: wait for its end"):
                train(TrainSpec.of(small_spec()))
            assert [path.name for path in folder.iterdir()] == [".lock"]
        finally:
            other.kill()
            other.wait()
            (folder / ".0123456789abcdef.pth").write_bytes(b"half of a checkpoint")
            try:
                with only_run(folder, "training", "results_dir"):
                    pass
            finally:
                os.kill(child, signal.SIGKILL)
    assert not list(folder.iterdir())


def test_a_curve_that_another_program_has_saved_is_begun_anew(small_spec, begun):
    """In an encoding of its own, say. The run is worth more than its old rows."""
    (begun / "curve.csv").write_bytes((begun / "curve.csv").read_text(encoding="utf-8").encode("utf-16"))
    train(TrainSpec.of(small_spec(**{**FIRST, "train__num_steps": 2})))
    assert [row["step"] for row in rows(begun)] == ["2"]
