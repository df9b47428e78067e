"""The search of the learning rate, with a stand-in for the trainings whose error is known for every value."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
optuna = pytest.importorskip("optuna")

from ffs_ros.errors import DivergenceError, FileError, TrainingError  # noqa: E402
from ffs_ros.spec.train import TrainSpec  # noqa: E402
from ffs_ros.training import tune as search  # noqa: E402
from ffs_ros.training.tune import IsEnough, tune  # noqa: E402
from ffs_ros.training.tune_report import Validation  # noqa: E402

STEPS, INTERVAL = 40, 10
BEST_LR = 4e-4


def spec_for(folder: Path, **train: object) -> TrainSpec:
    scenes = {"data_sources": [{"dataset_name": "Scenes", "data_file": "0"}]}
    optim = {"lr": 1e-4, "lr_decay": 0.1, "lr_steps": [20], **train.pop("optim", {})}  # type: ignore[dict-item]
    values = {
        "num_steps": STEPS, "validation_interval": INTERVAL, "validation_interval_unit": "step",
        "checkpoint_interval_unit": "step", "optim": optim, **train,
    }  # fmt: skip
    return TrainSpec.of(
        {"results_dir": str(folder), "dataset": {"train_dataset": scenes, "val_dataset": scenes}, "train": values}
    )


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """For searches that are never resumed: a database takes its time."""
    monkeypatch.setattr(search, "_storage", lambda _: optuna.storages.InMemoryStorage())


class Trainings:
    """Ends at an error of 1 px for the best learning rate and more with each power of ten beside it."""

    def __init__(self, kill_at: int | None = None, diverge_above: float = math.inf) -> None:
        self.specs: list[TrainSpec] = []
        self.last_steps: list[int] = []
        self.kill_at, self.diverge_above = kill_at, diverge_above

    def __call__(self, spec: TrainSpec, is_enough: IsEnough) -> Validation:
        self.specs.append(spec)
        if len(self.specs) == self.kill_at:
            raise KeyboardInterrupt
        if spec.train.optim.lr > self.diverge_above:
            raise DivergenceError("the loss of step 3 is nan")
        distance = abs(math.log10(spec.train.optim.lr / BEST_LR))
        for step in range(INTERVAL, STEPS + 1, INTERVAL):
            validation = Validation(step, 1 + distance + 5 / step)
            if is_enough(validation):
                break
        self.last_steps.append(validation.step)
        return validation

    @property
    def rates(self) -> list[float]:
        return [spec.train.optim.lr for spec in self.specs]


@pytest.mark.usefixtures("in_memory")
def test_the_specs_own_values_come_first(tmp_path: Path) -> None:
    """Trial 0 is the spec itself but for its folder; the others stay within a factor of ten."""
    spec, trainings = spec_for(tmp_path), Trainings()
    tune(spec, 6, trainings)
    assert len(trainings.specs) == 6
    assert trainings.specs[0].train.optim == spec.train.optim
    assert [each.folder for each in trainings.specs] == [
        tmp_path / "train" / "tune" / f"trial_{number:03d}" for number in range(6)
    ]
    assert len(set(trainings.rates)) == 6
    assert all(1e-5 <= rate <= 1e-3 for rate in trainings.rates)
    assert all(0.01 <= each.train.optim.lr_decay <= 1.0 for each in trainings.specs)
    assert len({each.train.optim.lr_decay for each in trainings.specs}) == 6


@pytest.mark.usefixtures("in_memory")
def test_the_best_values_and_their_gain_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a table with a line for each trial, and in the last sentence."""
    trainings = Trainings()
    tune(spec_for(tmp_path), 8, trainings)
    *_, gap, header, first, second, third, fourth, fifth, sixth, seventh, eighth, last = (
        capsys.readouterr().out.splitlines()
    )
    assert gap == ""
    assert header.split() == ["trial", "lr", "lr_decay", "step", "epe", "(px)", "outcome"]
    assert first.split()[:5] == ["trial_000", "0.0001", "0.1", "40", "1.7271"]
    assert first.endswith("complete, the spec's own values")
    names = [line.split()[0] for line in (first, second, third, fourth, fifth, sixth, seventh, eighth)]
    assert names == [f"trial_{number:03d}" for number in range(8)]
    errors = [1 + abs(math.log10(rate / BEST_LR)) + 5 / STEPS for rate in trainings.rates]
    best = min(errors)
    assert best < errors[0]
    assert f"Best of 8 trials: train.optim.lr {trainings.rates[errors.index(best)]:.4g} and lr_decay" in last
    assert f"give {best:.4f} px, {1 - best / errors[0]:.1%} less than with the spec's own values (1.7271 px)" in last


@pytest.mark.usefixtures("in_memory")
def test_a_hopeless_trial_is_stopped_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody before two are complete; later whoever is worse than their median at the same step, at the first one."""
    trainings = Trainings()
    tune(spec_for(tmp_path), 8, trainings)
    assert trainings.last_steps[:2] == [STEPS, STEPS]
    assert INTERVAL in trainings.last_steps
    assert set(trainings.last_steps) == {INTERVAL, STEPS}  # the order of the stand-in's errors never changes
    assert capsys.readouterr().out.count("  stopped") == trainings.last_steps.count(INTERVAL)


def test_a_killed_search_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """The trial that was running is repeated with its values in its folder; the rest is as without interruption."""
    whole, killed_first, killed_third, resumed = Trainings(), Trainings(kill_at=1), Trainings(kill_at=3), Trainings()
    tune(spec_for(tmp_path / "whole"), 5, whole)
    spec = spec_for(tmp_path / "killed")
    for trainings in (killed_first, killed_third):
        with pytest.raises(KeyboardInterrupt):
            tune(spec, 5, trainings)
    tune(spec, 5, resumed)
    assert killed_first.specs[0] == killed_third.specs[0]
    assert killed_third.rates[:-1] + resumed.rates == whole.rates
    assert killed_third.specs[-1] == resumed.specs[0]
    assert [each.folder.name for each in resumed.specs] == ["trial_002", "trial_003", "trial_004"]


def test_a_finished_search_only_tells_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command trains nothing and ends with the same words; more trials are added to those that are there."""
    spec = spec_for(tmp_path)
    tune(spec, 3, Trainings())
    words = capsys.readouterr().out.splitlines()[-5:]
    again, more = Trainings(), Trainings()
    tune(spec, 3, again)
    assert capsys.readouterr().out.splitlines()[-5:] == words
    assert again.specs == []
    tune(spec, 4, more)
    assert [each.folder.name for each in more.specs] == ["trial_003"]


@pytest.mark.usefixtures("in_memory")
def test_a_diverged_trial_does_not_end_the_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, and never the best."""
    trainings = Trainings(diverge_above=2e-4)
    tune(spec_for(tmp_path), 8, trainings)
    diverged = sum(rate > 2e-4 for rate in trainings.rates)
    assert diverged > 0
    assert capsys.readouterr().out.count("  diverged") == diverged
    tune(spec_for(tmp_path / "none"), 2, Trainings(diverge_above=0.0))
    assert "No trial came to its end" in capsys.readouterr().out


@pytest.mark.usefixtures("in_memory")
def test_a_decay_that_never_comes_is_not_searched(tmp_path: Path) -> None:
    """Milestones beyond the last step, or a schedule without any: only the learning rate varies."""
    for number, optim in enumerate(({"lr_steps": [STEPS]}, {"lr_scheduler": "CosineAnnealingLR"})):
        trainings = Trainings()
        tune(spec_for(tmp_path / str(number), optim=optim), 4, trainings)
        assert {each.train.optim.lr_decay for each in trainings.specs} == {0.1}
        assert len(set(trainings.rates)) == 4


def test_another_specs_trials_are_refused(tmp_path: Path) -> None:
    """They would be compared with trainings of another length or on other data."""
    tune(spec_for(tmp_path), 1, Trainings())
    with pytest.raises(TrainingError, match=r"holds the trials of another spec: remove .*tune, or name another"):
        tune(spec_for(tmp_path, seed=7), 1, Trainings())


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """What a URL would take for its end, or for something else, is part of the path."""
    folder = tmp_path / "runs?lr=1#2 %20 {SCHEMA_VERSION} ü"
    tune(spec_for(folder), 1, Trainings())
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert [path.name for path in (folder / "train" / "tune").iterdir()] == ["trials.db"]


@pytest.mark.parametrize("damage", [b"no database" * 999, None], ids=["overwritten", "cut"])
def test_a_damaged_database_is_one_sentence(tmp_path: Path, damage: bytes | None) -> None:
    """Overwritten, or only half copied."""
    tune(spec_for(tmp_path), 1, Trainings())
    file = tmp_path / "train" / "tune" / "trials.db"
    file.write_bytes(damage or file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(FileError, match=r"cannot use .*trials.db: .*database.*remove it, or name another results_dir"):
        tune(spec_for(tmp_path), 2, Trainings())


@pytest.mark.parametrize(
    ("train", "trials", "sentence"),
    [
        ({}, 0, "--tune is 0: expected a number of trials"),
        ({"num_gpus": 2}, 3, "one GPU; set both to 1"),
        ({"validation_interval": STEPS + 1}, 3, "lower train.validation_interval"),
        ({"resume_training_checkpoint_path": "x.pth"}, 3, "give train.pretrained_model_path"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(
    tmp_path: Path, train: dict[str, object], trials: int, sentence: str
) -> None:
    """Before anything is trained."""
    trainings = Trainings()
    with pytest.raises(TrainingError, match=sentence):
        tune(spec_for(tmp_path, **train), trials, trainings)
    assert trainings.specs == []


def test_a_trial_is_a_training(small_spec: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """Told each validation and ended by the answer, with its checkpoint; begun again at its end, it has nothing to do
    but to tell its last validation."""
    spec, told = TrainSpec.of(small_spec(train__num_steps=4, train__validation_interval_unit="step")), []

    def is_enough(validation: Validation) -> bool:
        told.append(validation)
        return validation.step == 2

    last = search._trained(spec, is_enough)
    assert [validation.step for validation in told] == [1, 2]
    assert last == pytest.approx(told[-1])
    assert 0 < last.end_point_error_px < 200
    assert (spec.folder / "dn_model_latest.pth").resolve().name.endswith("step_00002.pth")
    spec = TrainSpec.of(small_spec(train__num_steps=2, train__validation_interval_unit="step"))
    assert search._trained(spec, is_enough) == last
    assert len(told) == 2


def test_the_command_searches(small_spec: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """``ffs train --tune 1``, with the network itself: the data is looked through once, and the table is the end."""
    from argparse import Namespace

    import yaml

    from ffs_ros.tools.train import main

    values = small_spec(train__num_steps=1, train__validation_interval_unit="step")
    spec_file = Path(values["results_dir"]).with_name("spec.yaml")
    spec_file.write_text(yaml.safe_dump(values), encoding="utf-8")
    main(Namespace(spec=spec_file, overrides=[], tune=1))
    words = capsys.readouterr().out
    assert words.count("train.txt: ") == 1
    assert words.splitlines()[-1].startswith(
        "The spec's own values, train.optim.lr 0.001 and lr_decay 0.1, are the best"
    )
