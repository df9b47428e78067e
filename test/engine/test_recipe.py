"""What a missing engine is built from: one clear rule, and an error that names all the places."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

import pytest
from fake_tensorrt import fake_manifest

from ffs_ros.engine.manifest import install, manifest_path
from ffs_ros.engine.recipe import recipe_for
from ffs_ros.errors import BuildError
from ffs_ros.weights import WEIGHTS


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for engines, empty, and another one to work in."""
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "kept"))
    for name in ("kept", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "kept"


def test_the_graph_of_the_same_name_beside_it(tmp_path: Path, kept: Path) -> None:
    """Before one in the folder for engines; the words name everything by its whole path, and the node's GPU."""
    for folder in (tmp_path, kept):
        (folder / "bp2.onnx").touch()
    recipe = recipe_for(Path("../bp2.engine"), 1)
    words = [str(tmp_path / "here" / "../bp2.onnx"), "--gpu-index", "1", "-o", str(tmp_path / "here" / "../bp2.engine")]
    assert (recipe.words, recipe.took_s) == (words, None)
    assert recipe_for(tmp_path / "here" / "bp2.engine", 0).source == kept / "bp2.onnx"


def test_a_name_alone_is_for_the_folder_of_engines(kept: Path) -> None:
    """Where it is looked up afterwards, not wherever the node happens to run."""
    (kept / "bp2.onnx").touch()
    recipe = recipe_for(Path("bp2.engine"), 0)
    assert (recipe.engine, recipe.source) == (kept / "bp2.engine", kept / "bp2.onnx")


def test_a_manifest_names_source_and_options(tmp_path: Path) -> None:
    """As it was built before, though on this GPU; NAME.onnx is not asked."""
    (tmp_path / "bp2.onnx").touch()
    source = tmp_path / "my model.onnx"
    source.touch()
    command = shlex.split(f"ffs build-engine '{source}' --workspace 2.5 --gpu-index 3 -o old.engine")
    install(tmp_path / "bp2.engine", b"plan", fake_manifest(b"plan", command=command, build_s=77.0))
    recipe = recipe_for(tmp_path / "bp2.engine", 0)
    options = ["--workspace", "2.5", "--gpu-index", "3", "--gpu-index", "0"]
    assert recipe.words == [str(source), *options, "-o", str(tmp_path / "bp2.engine")]
    assert recipe.took_s == 77.0


def test_a_source_that_changed_since(tmp_path: Path) -> None:
    """The engine will be of another network under the old name: that is said. An unchanged one is not worth a word."""
    source = tmp_path / "bp2.onnx"
    source.write_bytes(b"one export")
    before = hashlib.sha256(b"one export").hexdigest()
    command = ["ffs", "build-engine", str(source), "-o", "old.engine"]
    manifest = fake_manifest(b"plan", command=command, source="bp2.onnx", source_sha256=before)
    install(tmp_path / "bp2.engine", b"plan", manifest)
    assert recipe_for(tmp_path / "bp2.engine", 0).warning == ""
    source.write_bytes(b"another export")
    warning = recipe_for(tmp_path / "bp2.engine", 0).warning
    assert f"{source} is not the file that bp2.engine was built from before (SHA-256)" in warning


def test_a_manifest_that_came_with_its_source(tmp_path: Path) -> None:
    """From another machine: the path in it does not exist here, the file beside the engine does."""
    (tmp_path / "model.onnx").touch()
    install(tmp_path / "bp2.engine", b"plan", fake_manifest(b"plan"))
    recipe = recipe_for(tmp_path / "bp2.engine", 0)
    assert recipe.words[:3] == [str(tmp_path / "model.onnx"), "--precision", "fp16"]


def test_options_belong_to_the_source_that_they_were_for(tmp_path: Path) -> None:
    """A checkpoint's --size fits no graph, so the graph that is here instead is built as it is."""
    command = ["ffs", "build-engine", "/nowhere/w.pth", "--size", "480x640", "-o", "old.engine"]
    install(tmp_path / "bp2.engine", b"plan", fake_manifest(b"plan", command=command, source="w.pth"))
    (tmp_path / "bp2.onnx").touch()
    assert recipe_for(tmp_path / "bp2.engine", 0).words[:2] == [str(tmp_path / "bp2.onnx"), "--gpu-index"]


def test_the_weights_that_ship(tmp_path: Path) -> None:
    """The manifest has their name, which is no file of the user's."""
    command = ["ffs", "build-engine", "ffs-synthetic", "--size", "96x160", "-o", "old.engine"]
    install(tmp_path / "s.engine", b"plan", fake_manifest(b"plan", command=command))
    assert recipe_for(tmp_path / "s.engine", 0).words[:3] == [str(WEIGHTS), "--size", "96x160"]


def test_nothing_to_build_from(tmp_path: Path, kept: Path) -> None:
    """A damaged manifest is no help; the sentence has every place that was looked at, and what to do."""
    install(tmp_path / "bp2.engine", b"plan", fake_manifest(b"plan"))
    manifest_path(tmp_path / "bp2.engine").write_text("{")
    with pytest.raises(BuildError) as error:
        recipe_for(tmp_path / "bp2.engine", 0)
    assert f"expected {tmp_path / 'bp2.onnx'} or {kept / 'bp2.onnx'}; export it" in str(error.value)
    assert "ffs export CHECKPOINT -o bp2.onnx --precision fp16" in str(error.value)
