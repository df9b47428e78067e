"""Whole runs at tiny sizes: what they write, that they go on where they were killed, and how they end."""

from __future__ import annotations

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

import yaml  # noqa: E402

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.errors import FileError, TrainingError  # noqa: E402
from ffs_ros.network import network_from  # noqa: E402
from ffs_ros.spec.train import TrainSpec  # noqa: E402
from ffs_ros.training import stereo_module  # noqa: E402
from ffs_ros.training.run import train  # noqa: E402
from ffs_ros.training.saving import write_weights_fp16  # noqa: E402


def rows(folder: Path, name: str = "curve.csv") -> list[dict[str, str]]:
    """Of a CSV file in the folder."""
    return list(csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines()))


def curve(folder: Path) -> list[tuple[str, str, str]]:
    """Step, loss and learning rate of each row, as written, which is exact."""
    return [(row["step"], row["loss"], row["learning_rate"]) for row in rows(folder)]


def latest(folder: Path) -> str:
    """The checkpoint that the link names."""
    return (folder / "dn_model_latest.pth").readlink().name


def lowest_loss(folder: Path) -> float:
    """What early stop remembers in the newest checkpoint; infinite when it has seen no validation."""
    callbacks = torch.load(folder / "dn_model_latest.pth", weights_only=True)["callbacks"]
    (state,) = (state for name, state in callbacks.items() if name.startswith("EarlyStopping"))
    return float(state["best_score"])


def weights(path: Path) -> dict[str, np.ndarray]:
    """TAO name -> array."""
    return open_checkpoint(path).tensors


def assert_same_weights(one: Path, other: Path) -> None:
    """Bit for bit."""
    first, second = weights(one), weights(other)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_a_run_on_scenes_writes_what_it_promises(small_spec, wall_scenes, tmp_path, capsys):
    """Checkpoints and the link, weights, curve, validation, status and spec; the loss on the first batch is finite."""
    train(TrainSpec.of(small_spec(train__checkpoint_interval=1, **wall_scenes())))
    folder = tmp_path / "results" / "train"
    assert {path.name for path in folder.iterdir()} == {
        "model_epoch_000_step_00001.pth", "model_epoch_000_step_00002.pth", "dn_model_latest.pth",
        "weights_fp16.safetensors", "curve.csv", "validation.csv", "status.json", "experiment.yaml", "lightning_logs",
    }  # fmt: skip
    assert latest(folder) == "model_epoch_000_step_00002.pth"
    assert any(path.name.startswith("events.out") for path in (folder / "lightning_logs").iterdir())
    assert TrainSpec.read(folder / "experiment.yaml").train.num_steps == 2

    assert [row["step"] for row in rows(folder)] == ["1", "2"]
    assert [float(row["learning_rate"]) for row in rows(folder)] == [5e-4, 1e-3]
    assert all(0 < float(row["loss"]) < 1e4 for row in rows(folder))
    assert all(float(row["samples_per_s"]) > 0 for row in rows(folder))
    assert 0 < float(rows(folder)[0]["rendering_share"]) < 1
    (scores,) = [row for row in rows(folder, "validation.csv") if row["step"] == "2"]
    assert 0 < float(scores["epe"]) < 200
    assert 0 <= float(scores["bp3"]) <= float(scores["bp2"]) <= float(scores["bp1"]) <= 1

    lines = [json.loads(line) for line in (folder / "status.json").read_text(encoding="utf-8").splitlines()]
    assert [line["status"] for line in lines] == ["STARTED", *["RUNNING"] * 4, "SUCCESS"]
    assert {"train_loss", "val_loss", "val/epe", "val/d1"} <= set(lines[-1]["kpi"])

    opened = open_checkpoint(folder / "dn_model_latest.pth")
    assert (opened.layout, opened.naming) == (
        "Lightning, in its entry 'state_dict'", "TAO, every name with 'model.' before it"
    )  # fmt: skip
    assert opened.settings["hyper_parameters"]["model"]["max_disparity"] == 192, "ffs export looks at it"
    halves = open_checkpoint(folder / "weights_fp16.safetensors")
    assert (halves.stored_dtypes, halves.settings) == (("float16",), {"step": "2"})
    for name, array in opened.tensors.items():
        np.testing.assert_array_equal(array.astype(np.float16), halves.tensors[name].astype(np.float16), err_msg=name)
    said = capsys.readouterr().out
    assert "the network starts from nothing" in said
    assert "step 2: val_loss" in said


def test_killed_and_resumed_is_as_if_nothing_had_happened(small_spec, tmp_path, capsys):
    """kill -9 in the middle of an epoch: the resumed run's curve and weights are those of the run that went through."""
    settings = {
        "train__num_steps": 5,
        "train__checkpoint_interval_unit": "step",
        "train__checkpoint_interval": 3,
        "train__validation_interval_unit": "step",
        "train__validation_interval": 3,
        "train__early_stop_patience": 9,
        "train__log_every_n_steps": 2,
    }
    whole = small_spec(results_dir=str(tmp_path / "whole"), **settings)
    train(TrainSpec.of(whole))

    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(small_spec(**settings)), encoding="utf-8")
    folder = tmp_path / "results" / "train"
    run = subprocess.Popen(
        [sys.executable, "-c", f"import torch; torch.set_num_threads({torch.get_num_threads()}); "
         f"from ffs_ros.cli import main; main(['train', '-e', {str(spec)!r}])"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end_s = time.monotonic() + 120
        while len(curve(folder) if (folder / "curve.csv").exists() else []) < 2 and run.poll() is None:
            assert time.monotonic() < end_s, "the run never reached step 4"
            time.sleep(0.01)
    finally:
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL, "the run ended before it was killed"
    assert latest(folder) == "model_epoch_001_step_00003.pth"

    capsys.readouterr()
    train(TrainSpec.read(spec))
    assert "resuming from" in (said := capsys.readouterr().out)
    assert "after step 3" in said
    assert curve(folder) == curve(tmp_path / "whole" / "train")
    assert [row["step"] for row in rows(folder)] == ["2", "4", "5"]
    assert rows(folder, "validation.csv") == rows(tmp_path / "whole" / "train", "validation.csv")
    assert lowest_loss(folder) == float(rows(folder, "validation.csv")[0]["val_loss"])
    assert_same_weights(folder / "dn_model_latest.pth", tmp_path / "whole" / "train" / "dn_model_latest.pth")


def test_a_run_that_ended_goes_on_when_it_is_given_more_steps(small_spec, tmp_path, capsys):
    """2 steps, then 3: as 3 at once; and a part that starts from the weights alone counts on from its start_step."""
    train(
        TrainSpec.of(
            small_spec(train__num_steps=3, train__optim__lr_scheduler="Constant", results_dir=str(tmp_path / "b"))
        )
    )
    for steps in (2, 3):
        train(TrainSpec.of(small_spec(train__num_steps=steps, train__optim__lr_scheduler="Constant")))
    folder = tmp_path / "results" / "train"
    assert curve(folder) == curve(tmp_path / "b" / "train")

    part = small_spec(
        results_dir=str(tmp_path / "c"), train__num_steps=4, train__start_step=3,
        train__pretrained_model_path=str(folder / "weights_fp16.safetensors"),
    )  # fmt: skip
    capsys.readouterr()
    train(TrainSpec.of(part))
    assert "steps have made them" not in capsys.readouterr().out
    assert [row["step"] for row in rows(tmp_path / "c" / "train")] == ["4"]
    assert (tmp_path / "c" / "train" / "model_epoch_001_step_00004.pth").exists()
    train(TrainSpec.of(part))
    assert "train.pretrained_model_path is not read again" in capsys.readouterr().out
    part["results_dir"], part["train"]["start_step"] = str(tmp_path / "d"), 2
    part["train"]["num_steps"] = 3
    train(TrainSpec.of(part))
    assert "  3 steps have made them and train.start_step is 2; as a further part" in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_the_run(small_spec, tmp_path, monkeypatch):
    """The sentence has the step, the batch's files and the learning rate; the checkpoint before it stays."""
    true_loss, steps = stereo_module.sequence_loss, iter(range(1, 9))

    def broken(*arguments):
        return true_loss(*arguments) * (torch.nan if next(steps) == 3 else 1.0)

    monkeypatch.setattr(stereo_module, "sequence_loss", broken)
    spec = small_spec(train__num_steps=6, train__checkpoint_interval_unit="step", train__log_every_n_steps=6)
    with pytest.raises(
        TrainingError, match=r"the loss of step 3 is nan at learning rate 0.001, on .*left\d.png"
    ) as raised:
        train(TrainSpec.of(spec))
    assert "lower train.optim.lr" in str(raised.value)
    folder = tmp_path / "results" / "train"
    assert latest(folder) == "model_epoch_000_step_00002.pth"
    last = json.loads((folder / "status.json").read_text(encoding="utf-8").splitlines()[-1])
    assert (last["status"], "the loss of step 3" in last["message"]) == ("FAILURE", True)


def test_a_full_disk_leaves_the_last_checkpoint(small_spec, tmp_path):
    """A file cannot grow beyond a limit, as on a full disk: the sentence says so, and what was there can be opened."""
    spec = small_spec(train__num_steps=1)
    train(TrainSpec.of(spec))
    folder = tmp_path / "results" / "train"
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.pth")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000_000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"cannot write .*model_epoch_000_step_00002.pth: File too large"):
            train(TrainSpec.of(small_spec(train__num_steps=2)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.pth")} == before
    assert len(weights(folder / "dn_model_latest.pth")) == 490
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_early_stop_and_time_limit_end_a_run_with_its_weights_saved(small_spec, tmp_path, monkeypatch):
    """A val_loss that never falls ends the run at the second validation; no time at all ends it at the first look."""
    monkeypatch.setattr(stereo_module, "final_loss", lambda *_: torch.tensor(1.0))
    spec = small_spec(
        train__num_steps=9, train__validation_interval_unit="step", train__early_stop_patience=1,
        train__checkpoint_interval=9,
    )  # fmt: skip
    train(TrainSpec.of(spec))
    assert [row["step"] for row in rows(tmp_path / "results" / "train")] == ["1", "2"]
    assert latest(tmp_path / "results" / "train") == "model_epoch_000_step_00002.pth"

    monkeypatch.setattr(stereo_module, "final_loss", lambda *_: torch.tensor(torch.nan))
    spec["results_dir"], spec["train"]["early_stop_patience"] = str(tmp_path / "nan"), 2
    train(TrainSpec.of(spec))
    assert [row["step"] for row in rows(tmp_path / "nan" / "train")] == ["1", "2"], "as if it had not fallen"

    from ffs_ros.training import run

    monkeypatch.setattr(run, "TIME_CHECK_STEPS", 1)
    train(TrainSpec.of(small_spec(results_dir=str(tmp_path / "b"), train__num_steps=9, train__max_time_minutes=1e-9)))
    assert [row["step"] for row in rows(tmp_path / "b" / "train")] == ["1"]
    assert (tmp_path / "b" / "train" / "model_epoch_000_step_00001.pth").exists()


def test_weights_too_large_for_half_precision_stay_whole(tmp_path):
    """Nothing becomes infinite: that tensor is stored in float32."""
    network = stereo_module.FastFoundationStereo(1)
    with torch.no_grad():
        network.cnet.conv04[0].norm.running_var.fill_(1e6)
    write_weights_fp16(network, tmp_path / "w.safetensors", step=7)
    opened = open_checkpoint(tmp_path / "w.safetensors")
    assert opened.stored_dtypes == ("float16", "float32")
    assert opened.tensors["cnet.conv04.0.norm.running_var"].max() == 1e6
    network_from(opened.tensors)
