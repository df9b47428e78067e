"""``ffs train``: what a user does wrong is one sentence and exit code 2; two processes train together."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros import cli

pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

import torch
import yaml

from ffs_ros.pfm import write_pfm
from ffs_ros.training import memory, stereo_module

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[Change], Path]:
    """Writes a spec of one pair, after a change, and gives its path."""
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (48, 100, 3)).astype(np.uint8), (3, 3), 1.0)
    cv2.imwrite(str(tmp_path / "left.png"), wide[:, :96])
    cv2.imwrite(str(tmp_path / "right.png"), wide[:, 4:])
    write_pfm(tmp_path / "disparity.pfm", np.full((48, 96), 4.0, np.float32))
    (tmp_path / "list.txt").write_text("left.png right.png disparity.pfm\n" * 2, encoding="utf-8")

    def write(change: Change = lambda values: None) -> Path:
        split = {
            "data_sources": [{"dataset_name": "GenericDataset", "data_file": str(tmp_path / "list.txt")}],
            "workers": 0,
            "augmentation": {"crop_size": [32, 64]},
        }
        values: dict[str, Any] = {
            "results_dir": str(tmp_path / "results"),
            "model": {"train_iters": 1, "valid_iters": 1},
            "dataset": {"train_dataset": dict(split), "val_dataset": dict(split)},
            "train": {"num_steps": 1, "cudnn": {"deterministic": False}},
        }
        change(values)
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return write


def ffs_train(path: Path) -> int:
    """The exit code of ``ffs train -e PATH``."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "-e", str(path)])
    return int(ended.value.code or 0)


def change(*keys: str, value: Any) -> Change:
    """Sets the value below the keys."""

    def apply(values: dict[str, Any]) -> None:
        *above, last = keys
        for key in above:
            values = values.setdefault(key, {})
        values[last] = value

    return apply


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (change("model", "gru_hidden", value=128), "spec.yaml: model.gru_hidden is 128: the bp2 network has 60"),
        (change("train", "epochs", value=1), "'train.epochs' is unknown; the nearest known key is 'num_epochs'"),
        (change("train", "pretrained_model_path", value="none.pth"), "none.pth"),
        (change("train", "resume_training_checkpoint_path", value="none.pth"), "none.pth"),
        (change("train", "start_step", value=5), "the training ends at step 1 and train.start_step is 5"),
        (change("dataset", "train_dataset", "batch_size", value=3), "2 pairs and one step takes 3 (batch_size x GPUs)"),
        (change("dataset", "val_dataset", "data_sources", value=[{"dataset_name": "FSD", "data_file": "no.txt"}]),
         "no.txt"),
        (lambda values: values["dataset"]["val_dataset"]["data_sources"][0].update(dataset_name="Oxford"), "Oxford"),
        (change("results_dir", value="/dev/null/x"), "cannot make the folder /dev/null/x/train"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(spec, capsys, wrong, sentence):
    """On stderr, exit code 2, before a first step."""
    assert ffs_train(spec(wrong)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ffs: ")
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
    assert "step 1/" not in captured.out


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [("# nothing\n", "list.txt"), ("right.png left.png disparity.pfm\n" * 2, "the check of the data found")],
)
def test_lists_that_cannot_be_trained_with(spec, tmp_path, capsys, lines, sentence):
    """An empty one, and one with left and right exchanged, which the check finds; its report stays."""
    path = spec()
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8")
    assert ffs_train(path) == 2
    assert sentence in capsys.readouterr().err
    assert (tmp_path / "results" / "train" / "data_check.json").exists() == ("check" in sentence)


def test_weights_alone_cannot_be_resumed_from(spec, tmp_path, capsys):
    """They have no moments and no step: the sentence says which key they belong to."""
    from ffs_ros.training.saving import write_weights_fp16

    write_weights_fp16(stereo_module.FastFoundationStereo(1), tmp_path / "w.safetensors", step=3)
    path = spec(change("train", "resume_training_checkpoint_path", value=str(tmp_path / "w.safetensors")))
    assert ffs_train(path) == 2
    assert "give it as train.pretrained_model_path" in capsys.readouterr().err


def test_too_little_memory_names_a_size_that_fits(spec, capsys, monkeypatch):
    """A GPU of 1 GB, which the first step overflows."""

    def overflow(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    class Gpu:
        total_memory = 1_000_000_000

    monkeypatch.setattr(stereo_module, "sequence_loss", overflow)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Gpu)
    monkeypatch.setattr(memory, "activation_bytes", lambda *_: 400_000_000)
    assert ffs_train(spec(change("dataset", "train_dataset", "batch_size", value=2))) == 2
    assert (
        "the GPU's 1 GB are too few for batch_size 2 at crop_size [32, 64] with train_iters 1: by estimate batch_size "
        "1 at crop_size [32, 64] fits"
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("sequence_loss", "GB hold batch_size 2 at crop_size [32, 64] with train_iters 1: other programs take"),
        (
            "FastFoundationStereo.forward",
            "left.png at 96x48, its own size: leave such pairs out of dataset.val_dataset",
        ),
    ],
)
def test_too_little_memory_without_a_gpu(spec, capsys, monkeypatch, broken, sentence):
    """Torch has no class for it there: in training other programs are to blame, in validation a pair's own size."""

    def overflow(*_: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(f"{stereo_module.__name__}.{broken}", overflow)

    def change_(values: dict[str, Any]) -> None:
        values["dataset"]["train_dataset"]["batch_size"] = 2
        values["train"]["validation_interval_unit"] = "step"

    assert ffs_train(spec(change_)) == 2
    assert sentence in capsys.readouterr().err


def test_two_processes_train_together(spec, tmp_path):
    """On the CPU, with a training pair each and one validation pair; the first process alone writes."""

    def two(values: dict[str, Any]) -> None:
        values["train"].update(num_gpus=2, validation_interval_unit="step")
        source = {"dataset_name": "GenericDataset", "data_file": str(tmp_path / "val.txt")}
        values["dataset"]["val_dataset"]["data_sources"] = [source]

    path = spec(two)
    (tmp_path / "val.txt").write_text("left.png right.png disparity.pfm\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ffs_ros", "train", "-e", path], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 1/1: loss") == done.stdout.count("step 1: val_loss") == 1
    folder = tmp_path / "results" / "train"
    (row,) = csv.DictReader((folder / "curve.csv").read_text(encoding="utf-8").splitlines())
    assert 0 < float(row["loss"]) < 1e4
    assert (folder / "model_epoch_000_step_00001.pth").exists()
