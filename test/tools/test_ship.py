"""The tool that writes the weights that ship; and, where they are in the tree, these weights themselves."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.engine import open_engine
from ffs_ros.errors import ExportError
from ffs_ros.image_file import write_png
from ffs_ros.onnx_notes import notes_of
from ffs_ros.tools import ship
from ffs_ros.tools.model_card import FIGURES
from ffs_ros.weights import FOLDER, GRAPH, SYNTHETIC, SYNTHETIC_NOTE, WEIGHTS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """An untrained network's state dict, as a training saves it."""
    from ffs_ros.network import FastFoundationStereo

    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("run") / "dn_model_latest.pth"
    weights = {f"model.{name}": value for name, value in FastFoundationStereo().state_dict().items()}
    torch.save({"state_dict": weights, "global_step": 7}, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the card alone."""
    shutil.copy(FOLDER / "README.md", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[str]:
    """The paths of two images, 40x70."""
    folder = tmp_path_factory.mktemp("pairs") / "noise"
    folder.mkdir()
    for seed, side in enumerate(("left", "right")):
        write_png(folder / f"{side}.png", np.random.default_rng(seed).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    return [str(folder / "left.png"), str(folder / "right.png")]


def refused(*arguments: object) -> None:
    """The tool ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        ship.main([str(argument) for argument in arguments])
    assert ended.value.code == 2


def test_both_files_and_the_card(checkpoint, folder, images):
    """From a checkpoint to an engine that runs, and a card whose figures replace those before."""
    with (folder / "README.md").open("a", encoding="utf-8") as card:
        card.write("figures of earlier weights")
    ship.main([str(checkpoint), "--out", str(folder), "--pair", *images])
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", GRAPH.name, WEIGHTS.name]
    assert (folder / WEIGHTS.name).stat().st_size < ship.MOST_BYTES
    assert open_checkpoint(folder / WEIGHTS.name).settings["name"] == SYNTHETIC
    with open_engine(folder / GRAPH.name, gpu_index=None) as engine:
        assert engine.info.note == SYNTHETIC_NOTE
        assert engine.inputs["left"].shape == (1, None, None, 3)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith((FOLDER / "README.md").read_text(encoding="utf-8").partition(FIGURES)[0])
    figures = card.partition(FIGURES)[2]
    assert f"SHA-256 `{open_checkpoint(checkpoint).sha256}`" in figures
    assert "earlier weights" not in figures
    assert "| noise | 64x96 | " in figures
    assert re.search(r"\| disparity \| -?[\d.]+ \| [\d.]+ \| [\d.]+ \| `disparity` \|\n", figures)


def test_nothing_is_written_when_something_is_wrong(checkpoint, folder, images, monkeypatch, capsys):
    """A failed proof, a missing card, weights beyond half precision: one sentence, exit code 2, the card untouched."""
    before = (folder / "README.md").read_bytes()
    run = [checkpoint, "--out", folder, "--pair", *images]
    with monkeypatch.context() as strict:
        strict.setattr(ship, "LARGEST_DIFFERENCE_px", 1e-9)
        refused(*run)
    assert "on noise ONNX Runtime and PyTorch differ by" in capsys.readouterr().err
    weights = torch.load(checkpoint)
    weights["state_dict"]["model.spx_gru.0.bias"][3] = 1e5
    large = checkpoint.with_name("large.pth")
    torch.save(weights, large)
    refused(large, "--out", folder, "--pair", *images)
    assert "tensor spx_gru.0.bias reaches 1e+05, and half precision ends at 65504" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    assert (folder / "README.md").read_bytes() == before
    (folder / "README.md").write_text("no figures", encoding="utf-8")
    refused(*run)
    assert "has no line that begins with" in capsys.readouterr().err
    (folder / "README.md").unlink()
    refused(*run)
    assert capsys.readouterr().err.startswith("ship: cannot read the model card")
    assert not list(folder.iterdir())


def test_too_many_bytes_are_refused(checkpoint, folder, monkeypatch):
    """What ships has a limit, because every version stays in the history."""
    monkeypatch.setattr(ship, "MOST_BYTES", 1000)
    with pytest.raises(ExportError, match=r"the weights have 29\d{6} bytes, 1000 are allowed"):
        ship.ship(str(checkpoint), [], folder)


@pytest.mark.skipif(not GRAPH.is_file(), reason="no weights ship yet")
def test_what_ships_is_one_piece():
    """Weights, graph and card belong together, are as small as promised, and agree with PyTorch on a textured pair."""
    data = WEIGHTS.read_bytes()
    assert len(data) <= ship.MOST_BYTES
    assert GRAPH.stat().st_size < 1_000_000
    notes = notes_of(GRAPH)
    assert notes["ffs_ros.weights_sha256"] == hashlib.sha256(data).hexdigest()
    figures = (FOLDER / "README.md").read_text(encoding="utf-8").partition(FIGURES)[2]
    assert f"SHA-256 `{notes['ffs_ros.checkpoint_sha256']}`" in figures
    assert f"`{WEIGHTS.name}`: {len(data):,} bytes" in figures
    tensors = open_checkpoint(WEIGHTS).tensors
    proofs, _ = ship._proofs(GRAPH, tensors, tensors, ship._textured()[:1])
    assert proofs[0].rounding_px == 0.0
