"""``ffs inspect`` says what a file is: a checkpoint, our ONNX graph, somebody else's, or nothing of the kind."""

from __future__ import annotations

import argparse
import builtins
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ffs_ros.cli import main as ffs
from ffs_ros.errors import FileError
from ffs_ros.tools.inspect import _flat, main

Onnx = Callable[..., Path]
Inspected = Callable[[Path], list[str]]


@pytest.fixture
def inspected(capsys: pytest.CaptureFixture[str]) -> Inspected:
    """The lines that the command prints about a file, each without surplus blanks, in order."""

    def lines(path: Path) -> list[str]:
        with pytest.raises(SystemExit) as end:
            ffs(["inspect", str(path)])
        captured = capsys.readouterr()
        assert (end.value.code, captured.err) == (0, "")
        return [" ".join(line.split()) for line in captured.out.splitlines()]

    return lines


def test_checkpoint_in_the_released_layout(shared: Path, tmp_path: Path, inspected: Inspected) -> None:
    """Layout, naming, hash, parameters and the stored settings of a whole-module pickle."""
    path = tmp_path / "model_best_bp2_serialize.pth"
    subprocess.run([sys.executable, shared / "conformance" / "upstream_module" / "restore.py", path], check=True)
    lines = inspected(path)
    assert lines[:10] == [
        f"file {path}",
        "kind checkpoint of the bp2 network",
        f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}",
        "released file no: finetuned, or written again",
        "container torch zip",
        "layout whole module",
        "naming upstream",
        "weights 490 tensors, float32, all finite",
        "parameters 14,600,541 that the network reads, 17,654,857 in the file",
        "settings",
    ]
    assert {"max_disp 192", "corr_levels 2", "hidden_dims [128]", "mixed_precision False"} <= set(lines[10:])


def test_our_own_onnx(tiny_onnx: Onnx, inspected: Inspected) -> None:
    """Inputs, outputs, opset, node count and everything that our export noted."""
    path = tiny_onnx((480, 736), version="0.1.0", iterations="8", checkpoint_sha256="7aee")
    assert inspected(path) == [
        f"file {path}",
        "kind ONNX graph exported by ffs_ros, ready as ENGINE",
        f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}",
        "input",
        "left uint8 [1, 480, 736, 3]",
        "right uint8 [1, 480, 736, 3]",
        "output",
        "disparity float32 [1, 1, 480, 736]",
        "opset ai.onnx 17",
        "nodes 5",
        "written by not said",
        "metadata",
        "ffs_ros.checkpoint_sha256 7aee",
        "ffs_ros.iterations 8",
        "ffs_ros.version 0.1.0",
    ]


def test_fp32_nodes_of_an_fp16_graph_are_counted(tiny_onnx: Onnx, inspected: Inspected) -> None:
    """Their names are for builders."""
    lines = inspected(tiny_onnx((32, 64), precision="fp16", full_nodes="/ Mul_2 a/ Add_3"))
    assert "nodes 5, 2 of them fp32" in lines
    assert not any("full_nodes" in line for line in lines)


def test_values_stand_in_one_column(tiny_onnx: Onnx, capsys: pytest.CaptureFixture[str]) -> None:
    """The text is aligned."""
    with pytest.raises(SystemExit):
        ffs(["inspect", str(tiny_onnx(version="0.1.0"))])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(("kind", "  left", "  ffs_ros.version"))] == [
        "kind               ONNX graph exported by ffs_ros, ready as ENGINE",
        "  left             uint8 [1, H, W, 3]",
        "  ffs_ros.version  0.1.0",
    ]


def _graph(path: Path, inputs: list[str], outputs: list[str]) -> Path:
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    value = make.make_tensor_value_info
    nodes = [make.make_node("Identity", [inputs[0]], [name]) for name in outputs]
    shape, dtype = [1, None, 4], onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes, "g", [value(n, dtype, shape) for n in inputs], [value(n, dtype, shape) for n in outputs]
    )
    onnx.save(make.make_model(graph, producer_name="pytorch", producer_version="2.6"), path)
    return path


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind"),
    [
        (["left_image", "right_image"], ["disparity"], "kind ONNX graph with NVIDIA TAO's names, not ours"),
        (["left", "right"], ["features_left_04", "stem_2x"], "kind the first of upstream's two ONNX parts"),
        (["features_left_04", "gwc_volume"], ["disp"], "kind the second of upstream's two ONNX parts"),
        (["left", "right"], ["disp"], "kind ONNX graph of a stereo network, not ours"),
        (["image"], ["depth"], "kind ONNX graph of something else"),
    ],
)
def test_foreign_onnx_is_named(
    inputs: list[str], outputs: list[str], kind: str, tmp_path: Path, inspected: Inspected
) -> None:
    """A graph that is not ours is called by its origin, whatever its file is called."""
    lines = inspected(_graph(tmp_path / "model.bin", inputs, outputs))
    assert lines[1].startswith(kind)
    assert f"{inputs[0]} float32 [1, ?, 4]" in lines
    assert "written by pytorch 2.6" in lines


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.onnx", b"\x08\x08garbage", r"is no ONNX graph, or a damaged one"),
        ("model.onnx", b"", r"is no ONNX graph, or a damaged one"),
        ("notes.txt", b"hello", r"is no checkpoint: neither a torch file"),
        ("left.png", b"\x89PNG\r\n\x1a\n", r"is a picture; expected .*finetuned from it, an .onnx or an .engine"),
    ],
)
def test_unknown_files(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    """Anything else is refused in a sentence."""
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=sentence):
        main(_arguments(tmp_path / name))


@pytest.mark.timeout(60)
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    """Whatever their names promise."""
    for name in ("m.pth", "m.onnx"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(FileError, match="is a folder or a device"):
            main(_arguments(tmp_path / name))


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is called missing, whatever its name promises."""
    for name in ("none.pth", "none.onnx"):
        with pytest.raises(FileError, match="there is no such file"):
            main(_arguments(tmp_path / name))


def test_onnx_without_its_package(tiny_onnx: Onnx, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package onnx the sentence says what to install."""
    path = tiny_onnx()
    really_import = builtins.__import__

    def without_onnx(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ImportError(name)
        return really_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(FileError, match=r"type: pip install onnx$"):
        main(_arguments(path))


def test_nested_settings_become_dotted_names() -> None:
    """Settings of any depth are printed one per line."""
    settings = {"a": {"b": {"c": 1}, "d": [1, 2]}, "e": {}}
    assert list(_flat(settings)) == [("a.b.c", "1"), ("a.d", "[1, 2]"), ("e", "{}")]


def _arguments(path: Path) -> Any:
    return argparse.Namespace(file=str(path))
