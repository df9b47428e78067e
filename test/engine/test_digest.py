"""An engine is known by the content of its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ffs_ros.engine.digest import sha256_of_engine
from ffs_ros.errors import EngineError
from ffs_ros.weights import GRAPH, SYNTHETIC


def test_what_changes_answers_changes_the_digest(tmp_path: Path) -> None:
    """The graph, the weights beside it, an engine in a folder; a picture does not."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"graph")
    seen = [sha256_of_engine(model)]
    (tmp_path / "model.png").write_bytes(b"picture")
    assert sha256_of_engine(model) == seen[0]
    for name, content in (("model.onnx.data", b"a"), ("model.onnx.data", b"b"), ("model.onnx", b"other")):
        (tmp_path / name).write_bytes(content)
        seen.append(sha256_of_engine(model))
    for name in ("a.engine", "b.engine"):
        (tmp_path / name).write_bytes(b"plan")
        seen.append(sha256_of_engine(tmp_path))
    assert len(set(seen)) == len(seen) == 6


def test_engines_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ship, and those that are kept in the engines' folder."""
    assert sha256_of_engine(SYNTHETIC) == sha256_of_engine(GRAPH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path / "kept"))
    with pytest.raises(EngineError, match=r"cannot read a.engine: No such file"):
        sha256_of_engine("a.engine")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.engine").write_bytes(b"plan")
    assert sha256_of_engine("a.engine") == sha256_of_engine(tmp_path / "kept" / "a.engine")
