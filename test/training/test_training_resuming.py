"""A run that goes on under a changed spec: what follows the spec, and what is refused because it cannot."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

from ffs_ros.errors import FileError, TrainingError  # noqa: E402
from ffs_ros.training.run import train  # noqa: E402
from ffs_ros.training.spec import spec_from  # noqa: E402

FIRST = {"train__num_steps": 1, "train__optim__lr_scheduler": "LambdaLR", "train__optim__warmup_steps": 0}


@pytest.fixture
def begun(small_spec, tmp_path) -> Path:
    """The folder of a run of one step, which has come to the end of its schedule."""
    train(spec_from(small_spec(**FIRST)))
    return tmp_path / "results" / "train"


def test_a_resumed_run_has_the_specs_rates_and_not_those_of_the_checkpoint(small_spec, begun):
    """lower train.optim.lr and resume: from the first step on, as on a schedule that has always ended later."""
    changes = {**FIRST, "train__num_steps": 3, "train__optim__lr": 3e-5, "train__optim__weight_decay": 0.5}
    train(spec_from(small_spec(**changes)))
    rows = list(csv.DictReader((begun / "curve.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([1e-3, 2e-5, 1e-5])
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
        train(spec_from(small_spec(**{**FIRST, "train__num_steps": 4, **change})))
    assert (begun / "curve.csv").read_bytes() == before


def test_a_link_to_a_checkpoint_that_is_gone_does_not_begin_anew(small_spec, begun):
    """Whoever removed the checkpoint wants to know before the curve is written over."""
    for checkpoint in begun.glob("model_*.pth"):
        shutil.move(checkpoint, begun.parent)
    before = (begun / "curve.csv").read_bytes()
    with pytest.raises(FileError, match=r"points to model_epoch_000_step_00001.pth, which is not there"):
        train(spec_from(small_spec(**FIRST)))
    assert (begun / "curve.csv").read_bytes() == before
