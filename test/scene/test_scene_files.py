"""``python -m ffs_ros.scene``: pairs in files are what was rendered, and a folder is whole or not there."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

xp = pytest.importorskip("array_api_compat.numpy")

from ffs_ros.annotation import read_annotations  # noqa: E402
from ffs_ros.data_check import check_samples  # noqa: E402
from ffs_ros.ground_truth import read_disparity  # noqa: E402
from ffs_ros.image_file import read_rgb  # noqa: E402
from ffs_ros.scene import Style, __main__  # noqa: E402

SMALL = ["--size", "64x96", "--max-disparity", "24"]


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Puts noise that costs nothing in place of rendered pairs; the seeds that were asked for."""
    asked: list[int] = []

    def render(_: Any, seed: int, pairs: int, height: int, width: int, **__: Any) -> SimpleNamespace:
        asked.append(seed)
        image = np.random.default_rng(seed).integers(0, 256, (pairs, height, width, 3)).astype(np.float32)
        return SimpleNamespace(left_BHW3=image, right_BHW3=image, disparity_BHW=image[..., 0])

    monkeypatch.setattr(__main__, "render_batch", render)
    return asked


def test_a_folder_holds_pairs_that_a_training_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list names every file, images and truth have the size, are of one scene, and the check has no objection."""
    out = tmp_path / "pairs"
    __main__.main([str(out), "--pairs", "1", "--seed", "5", *SMALL, "--grey", "1", "--rectification-px", "0"])
    samples = read_annotations(out / "annotations.txt")
    assert capsys.readouterr().out == f"{out / 'annotations.txt'} lists the pairs, 1\n"
    assert len(samples) == 1
    assert len(list(out.iterdir())) == 4
    for sample in samples:
        assert read_rgb(sample.left).shape == read_rgb(sample.right).shape == (64, 96, 3)
        disparity_HW = read_disparity(sample.disparity, "GenericDataset")
        assert disparity_HW.shape == (64, 96)
        assert np.ptp(read_rgb(sample.left), axis=2).max() == 0, "--grey 1"
        assert 0 < np.nanmedian(disparity_HW) < 24
    assert check_samples(samples, "GenericDataset", 192.0).errors == []
    assert (out / "annotations.txt").read_text(encoding="utf-8").startswith("# rendered: seed 5, 64x96, ")


def test_a_pair_is_decided_by_the_seed_and_its_number(tmp_path: Path, seeds: list[int]) -> None:
    """Not by how many there are: each is rendered alone, from a seed of its own, in the style that was asked for."""
    for name, options in {"one": ["--pairs", "1"], "two": ["--pairs", "2"], "other": ["--seed", "1"]}.items():
        __main__.main([str(tmp_path / name), *options, *SMALL])
    assert len(seeds) == 1 + 2 + 8
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 10


def test_a_negative_has_the_other_contrast(tmp_path: Path, seeds: list[int]) -> None:
    """Of the right image alone: black is white there, and the list says so."""
    for name, options in {"plain": [], "negative": ["--right-negative"]}.items():
        __main__.main([str(tmp_path / name), "--pairs", "1", *SMALL, *options])
    (plain,), (negative,) = (read_annotations(tmp_path / name / "annotations.txt") for name in ("plain", "negative"))
    np.testing.assert_array_equal(read_rgb(negative.left), read_rgb(plain.left))
    np.testing.assert_array_equal(read_rgb(negative.right), 255 - read_rgb(plain.right))
    assert "negatives" in (tmp_path / "negative" / "annotations.txt").read_text(encoding="utf-8")


def test_every_field_of_the_style_is_an_option() -> None:
    """With the default that ``Style`` declares, which lies within the option's limits."""
    assert list(__main__.STYLE_OPTIONS) == [field.name for field in fields(Style)]
    defaults = vars(__main__._parser().parse_args(["out"]))
    for field in fields(Style):
        assert defaults[field.name] == field.default
        assert 0 <= field.default <= __main__.STYLE_OPTIONS[field.name][0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--size", "64"], "--size is '64': expected rows x columns, each 32 to 4096, such as 320x736"),
        (["--size", "16x96"], "--size is '16x96': expected rows x columns"),
        (["--pairs", "0"], "--pairs is 0: expected at least 1"),
        (["--seed", "-1"], "--seed is -1: expected at least 0"),
        (["--max-disparity", "nan"], "--max-disparity is nan: expected at least 8"),
        (["--max-disparity", "1e308"], "--max-disparity is 1e+308: expected at least 8 and at most 4096"),
        (["--grey", "2"], "--grey is 2: expected 0 to 1"),
        (["--blur-px", "nan"], "--blur-px is nan: expected 0 to 0.8"),
    ],
)
def test_a_wrong_value_is_one_sentence(tmp_path, capsys, options, sentence):
    """Exit code 2, and no folder."""
    with pytest.raises(SystemExit) as exit_:
        __main__.main([str(tmp_path / "pairs"), *options])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith(f"scene: {sentence}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, capsys):
    """It exists, or its folder is a file."""
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("")
    for name, sentence in {"there": "there exists already", "file/b": "cannot make"}.items():
        with pytest.raises(SystemExit) as exit_:
            __main__.main([str(tmp_path / name), *SMALL])
        assert exit_.value.code == 2
        assert sentence in capsys.readouterr().err


def test_folders_above_are_made(tmp_path):
    """As ``pairs`` for pairs/train and pairs/val."""
    with suppress(SystemExit):
        __main__.main([str(tmp_path / "pairs" / "train"), *SMALL])
    assert (tmp_path / "pairs" / "train" / "annotations.txt").is_file()


def test_a_full_disk_leaves_nothing(tmp_path, capsys, seeds):
    """No file can grow beyond 4 kB, as on a full disk: the sentence names the file where it would have been."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        with pytest.raises(SystemExit) as exit_:
            __main__.main([str(tmp_path / "pairs"), "--pairs", "1", *SMALL])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert exit_.value.code == 2
    assert f"cannot write {tmp_path / 'pairs'}/left_0000.png: File too large" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
