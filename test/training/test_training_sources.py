"""What is said about lists before a training: pairs on both sides of it, and one list read in two ways."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

from torch.utils.data import DataLoader

from ffs_ros.errors import TrainingError
from ffs_ros.spec.train import TrainSpec
from ffs_ros.training.run import _quiet
from ffs_ros.training.sources import check_data

SIDES = (("left", ".png"), ("right", ".png"), ("disparity", ".pfm"))


def said(values: dict, folder: Path) -> list[str]:
    """The lines of a check that finds no error."""
    lines: list[str] = []
    check_data(TrainSpec.of(values), folder, lines.append)
    return lines


def test_pairs_that_are_held_out_are_passed_over_in_silence(small_spec, tmp_path):
    """A line for each list, and no more."""
    assert len(said(small_spec(), tmp_path)) == 2


def test_a_validation_on_what_is_learned_is_not_a_secret(small_spec, pairs, tmp_path):
    """Also when the second list lies elsewhere and names the same files another way."""
    elsewhere = pairs / "elsewhere"
    elsewhere.mkdir()
    lines = [" ".join(f"../{side}{seed}{end}" for side, end in SIDES) for seed in (4, 2)]
    (elsewhere / "val.txt").write_text("\n".join(lines), encoding="utf-8")
    sources = [{"dataset_name": "GenericDataset", "data_file": str(elsewhere / "val.txt")}]
    (line,) = (
        line
        for line in said(small_spec(dataset__val_dataset__data_sources=sources), tmp_path)
        if line.startswith("warning")
    )
    assert line.startswith(f"warning: 1 of the 2 pairs of val_dataset are also in train_dataset, the first: {pairs}")
    assert "left2.png" in line


def test_errors_end_it_unless_the_user_knows_better(small_spec, pairs, tmp_path):
    """Images of two walls: refused, and with ``skip_data_check`` said and passed."""
    (pairs / "mixed.txt").write_text("left0.png right1.png disparity0.pfm\n", encoding="utf-8")
    sources = [{"dataset_name": "GenericDataset", "data_file": str(pairs / "mixed.txt")}]
    change = {"dataset__val_dataset__data_sources": sources}
    with pytest.raises(TrainingError, match=r"found 1 error\(s\), the first: .*left0.png.* set train.skip_data_check"):
        said(small_spec(**change), tmp_path)
    lines = said(small_spec(**change, train__skip_data_check=True), tmp_path)
    assert lines[-1] == "training in spite of 1 error(s): train.skip_data_check is true"


def test_more_readers_than_cores_are_no_news():
    """Torch warns of them; the default is TAO's, and a batch is the same whoever reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="will create 4096 worker processes"):
            DataLoader([0], num_workers=4096)
        _quiet()
        DataLoader([0], num_workers=4096)


def test_a_list_has_one_encoding(small_spec, pairs, tmp_path):
    """The second name would decide how it is read, and would not have been looked at."""
    sources = [{"dataset_name": "Kitti", "data_file": str(pairs / "train.txt")}]
    with pytest.raises(TrainingError, match=r"train.txt is read as GenericDataset and as Kitti: expected one"):
        said(small_spec(dataset__val_dataset__data_sources=sources), tmp_path)
