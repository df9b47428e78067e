"""The metadata of an ONNX file, read without the package onnx."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ffs_ros.onnx_notes import notes_of

onnx = pytest.importorskip("onnx")


def test_notes_are_the_files_metadata(tiny_onnx: Callable[..., Path], tmp_path: Path) -> None:
    """What the package onnx finds, also behind a graph that is large; nothing in files that are something else."""
    model = onnx.load(tiny_onnx())
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(100_000, np.float32), "large"))
    onnx.helper.set_model_props(model, {"ä": "ö", "empty": "", "long": "x" * 1000})
    path = tmp_path / "large.onnx"
    content = model.SerializeToString()
    path.write_bytes(content)
    assert notes_of(path) == {"ä": "ö", "empty": "", "long": "x" * 1000}
    for other in (b"", b"<html>", b"PK\x03\x04" + bytes(50), bytes(range(256)), b"\xff" * 50, content[-300:]):
        path.write_bytes(other)
        assert notes_of(path) == {}
    os.mkfifo(tmp_path / "pipe.onnx")
    assert notes_of(tmp_path / "pipe.onnx") == notes_of(Path("/dev/zero")) == {}
    assert notes_of(tmp_path / "none.onnx") == {}
