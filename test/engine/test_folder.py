"""A name alone finds what lies in the folder of engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from ffs_ros.engine import folder
from ffs_ros.engine.folder import engine_folder, engine_path


def test_variable_goes_first_then_the_source_tree_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$FFS_ENGINES, engines/ of a checkout, the XDG cache, ~/.cache, in this order."""
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "mine"))
    assert engine_folder() == tmp_path / "mine"
    monkeypatch.delenv("FFS_ENGINES")
    tree = Path(folder.__file__).resolve().parents[2]
    assert engine_folder() == tree / "engines"
    monkeypatch.setattr(folder, "__file__", str(tmp_path / "site-packages" / "ffs_ros" / "engine" / "folder.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert engine_folder() == tmp_path / "cache" / "ffs_ros" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert engine_folder() == tmp_path / ".cache" / "ffs_ros" / "engines"


def test_a_name_finds_the_kept_engine_unless_a_file_here_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory goes first, a path with a folder is never looked up."""
    kept, here = tmp_path / "engines", tmp_path / "here"
    kept.mkdir()
    here.mkdir()
    (kept / "model.onnx").touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("FFS_ENGINES", str(kept))
    assert engine_path("model.onnx") == kept / "model.onnx"
    assert engine_path("other.onnx") == Path("other.onnx")
    assert engine_path("sub/model.onnx") == Path("sub/model.onnx")
    (here / "model.onnx").touch()
    assert engine_path("model.onnx") == Path("model.onnx")
