"""``ffs export``: what it writes, what it proves, and that nothing is left when something is wrong."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ffs_ros import __version__, cli
from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.errors import EngineError, ExportError
from ffs_ros.onnx_notes import notes_of
from ffs_ros.proof import Proof, load_proof, prove
from ffs_ros.tools import export, export_proof
from ffs_ros.tools.export_proof import shifted_pairs

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from ffs_ros.engine import open_engine  # noqa: E402
from ffs_ros.engine.onnxrt import OnnxEngine  # noqa: E402
from ffs_ros.graph import model as graph_model  # noqa: E402
from ffs_ros.matcher import StereoMatcher  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint(shared, tmp_path_factory) -> Path:
    """A checkpoint in the released file's layout."""
    path = tmp_path_factory.mktemp("weights") / "model_best_bp2_serialize.pth"
    subprocess.run([sys.executable, shared / "conformance" / "upstream_module" / "restore.py", path], check=True)
    return path


def ffs(*arguments) -> int:
    """The exit code of ``ffs export ARGUMENTS``."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", *(str(argument) for argument in arguments)])
    return ended.value.code


def test_exported_file_is_ready_to_infer(checkpoint, shared, tmp_path, capsys):
    """The file says what it is, runs as an engine, and gives the conformance kit's disparity clipped at 0."""
    out = tmp_path / "model.onnx"
    assert ffs(checkpoint, "-o", out, "--size", "96x160", "--iters", "8") == 0
    said = capsys.readouterr().out
    model = onnx.load(out)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "ffs_ros.version": __version__,
        "ffs_ros.checkpoint_sha256": open_checkpoint(checkpoint).sha256,
        "ffs_ros.checkpoint_is_released_file": "false",
        "ffs_ros.height": "96",
        "ffs_ros.width": "160",
        "ffs_ros.batch": "1",
        "ffs_ros.iterations": "8",
        "ffs_ros.max_disparity": "192",
        "ffs_ros.io": "image",
        "ffs_ros.precision": "fp32",
        "ffs_ros.proof_sha256": hashlib.sha256((tmp_path / "model.proof.npz").read_bytes()).hexdigest(),
    }
    assert f"{out}: {len(model.graph.node):,} nodes, fp32, " in said
    assert "they differ by " in said
    assert f"next: ffs infer {out} LEFT RIGHT -o OUT" in said
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "model.proof.npz"]

    with np.load(shared / "conformance" / "case_b_96x160.npz") as case, open_engine(out, threads=1) as engine:
        found = StereoMatcher(engine).match(case["left"], case["right"])
        np.testing.assert_allclose(found, np.maximum(case["disparity"], 0), rtol=0, atol=2e-3)

        proof_set = load_proof(out)
        assert [(one.size, one.shift_px) for one in proof_set.cases] == [((96, 160), s) for s in (None, 13, 53)]
        found = prove(engine, proof_set)
    assert (found.failures, found.gated) == ([], False)  # the kit's weights are not trained
    assert found.figures["mean_px"] < 1e-3


SPEC = """\
export: {{checkpoint: {checkpoint}, onnx_file: {out}, dynamic_hw: true, batch_size: -1, valid_iters: 1}}
gen_trt_engine:
  {{min_height: 32, min_width: 64, opt_height: 64, opt_width: 64, max_height: 64, max_width: 96}}
"""


def test_open_forms(checkpoint, tmp_path, capsys):
    """Open size and batch in the contract of TAO, from a spec of TAO's, proved at two sizes, with answers at three."""
    pytest.importorskip("yaml")
    out, spec = tmp_path / "out" / "model.onnx", tmp_path / "export.yaml"
    spec.write_text(SPEC.format(checkpoint=checkpoint, out=out), encoding="utf-8")
    assert ffs("-e", spec) == 0
    said = capsys.readouterr().out
    assert said.count("they differ by") == 2
    assert "run it at 96x160 in PyTorch" in said
    assert "run it at 128x64 in PyTorch" in said
    shape = [axis.dim_param or axis.dim_value for axis in onnx.load(out).graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 3, "height", "width"]
    assert "next: ffs infer" in said
    assert notes_of(out)["ffs_ros.sizes"] == "32x64 64x64 64x96"
    assert [one.size for one in load_proof(out).cases] == [(32, 64)] * 3 + [(64, 64)] * 3 + [(64, 96)] * 3


def test_halves(checkpoint, tmp_path, capsys):
    """The fp16 graph has fp32's answers beside it, says how far it is from them, and runs like the other."""
    out = tmp_path / "model.onnx"
    assert ffs(checkpoint, "-o", out, "--size", "64x96", "--iters", 2, "--precision", "fp16") == 0
    said = capsys.readouterr().out
    assert "against fp32: cosine " in said
    assert "they are not trained, so there is no verdict" in said
    assert notes_of(out)["ffs_ros.precision"] == "fp16"
    assert 29e6 < out.stat().st_size < 33e6
    with open_engine(out, threads=1) as engine:
        assert {spec.dtype for spec in engine.inputs.values()} == {np.dtype(np.uint8)}
        assert {spec.dtype for spec in engine.outputs.values()} == {np.dtype(np.float32)}
        assert 0 < prove(engine, load_proof(out)).figures["mean_px"] < 0.1


def test_trained_weights_that_halves_do_not_hold_are_not_written(checkpoint, tmp_path, monkeypatch, capsys):
    """A failed comparison with fp32 ends the export when the weights are trained; the sentence has the figures."""
    failed = Proof({"finite": False}, ["64x96 in relief: it answers NaN or infinity"], gated=True)
    monkeypatch.setattr(export_proof.proof, "prove", lambda *_: failed)
    assert ffs(checkpoint, "-o", tmp_path / "model.onnx", "--size", "64x96", "--iters", 1, "--precision", "fp16") == 2
    said = capsys.readouterr().err
    assert "lose too much (64x96 in relief: it answers NaN or infinity): nothing was written; export with" in said
    assert list(tmp_path.iterdir()) == []


def test_two_pairs_at_once_are_not_for_infer(checkpoint, tmp_path, capsys):
    """Engines take one pair, so nobody is sent to ``ffs infer`` with a graph for two; it would refuse it."""
    out = tmp_path / "model.onnx"
    assert ffs(checkpoint, "-o", out, "--size", "64x64", "--batch", 2, "--iters", 1) == 0
    said = capsys.readouterr().out
    assert "next:" not in said
    assert "it takes 2 pairs at once" in said
    assert "--batch 1" in said
    with open_engine(out, threads=1) as engine, pytest.raises(EngineError, match="with --batch 1"):
        StereoMatcher(engine)


def test_a_wrong_graph_is_not_written(checkpoint, tmp_path, monkeypatch, capsys):
    """One weight off by 1 % fails the proof: exit 2, a sentence, and the file that was there stays."""
    out = tmp_path / "model.onnx"
    out.write_bytes(b"yesterday's")
    really_build = graph_model.build_model

    def wrong(tensors, *rest):
        name = "update_block.disp_head.conv.0.weight"
        return really_build({**tensors, name: 1.01 * tensors[name]}, *rest)

    monkeypatch.setattr(graph_model, "build_model", wrong)
    assert ffs(checkpoint, "-o", out, "--size", "64x64", "--iters", 1) == 2
    assert "ffs: at 64x64 ONNX Runtime and PyTorch differ by " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_bytes() == b"yesterday's"


def test_nan_is_no_agreement(checkpoint, tmp_path, monkeypatch, capsys):
    """A graph that gives NaN does not pass for equal."""
    really_infer = OnnxEngine.infer
    monkeypatch.setattr(OnnxEngine, "infer", lambda *a: {k: v * np.nan for k, v in really_infer(*a).items()})
    assert ffs(checkpoint, "-o", tmp_path / "model.onnx", "--size", "64x64", "--iters", 1) == 2
    assert "differ by nan px" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_the_checker_refuses_is_not_written(checkpoint, tmp_path, monkeypatch, capsys):
    """A node without an input it needs stops the export before anything runs."""
    really_build = graph_model.build_model

    def broken(*arguments):
        model = really_build(*arguments)
        del model.graph.node[-2].input[0]
        return model

    monkeypatch.setattr(graph_model, "build_model", broken)
    assert ffs(checkpoint, "-o", tmp_path / "model.onnx", "--size", "64x64", "--iters", 1) == 2
    assert "the ONNX checker refuses the graph" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-o", "model.onnx", "--size", "480x737"), "the nearest is 480x736"),
        (("-o", "model.onnx", "--size", "480x99999"), "from 32 to 2048; the nearest is 480x2048"),
        (("-o", "model.onnx", "--size", "big"), "--size is 'big': expected rows x columns, such as --size 480x736"),
        (
            ("-o", "model.onnx", "--min", "64x64"),
            "--min, --opt and --max are for graphs of open size; add --dynamic-si",
        ),
        (("-o", "model.onnx", "--dynamic-size", "--opt", "big"), "--opt is 'big': expected rows x columns"),
        (("-o", "model.onnx", "--dynamic-size", "--max", "96x99"), "the nearest is 96x96"),
        (
            ("-o", "model.onnx", "--dynamic-size", "--min", "640x64"),
            "the sizes are 640x64, 480x736, 768x1024: expected --min, --opt and --max in rising order",
        ),
        (("-o", "model.onnx", "--iters", 0), "0 iterations asked for; expected 1 to 64"),
        (("-o", "model.onnx", "--batch", "many"), "--batch is 'many': expected a number of pairs, or 'dynamic'"),
        (("-o", "model.onnx", "--batch", "0"), "a batch of 0 asked for"),
        (("-o", "model.engine"), "the output is 'model.engine': expected a name that ends in .onnx"),
        (("-o", "nowhere/model.onnx"), "the folder nowhere of the output does not exist; make it first"),
        (("-o", "model.onnx"), "none.pth"),
    ],
)
def test_wishes_that_cannot_be(arguments, sentence, tmp_path, monkeypatch, capsys):
    """Each is refused before any work, in one line, with exit code 2 and no file."""
    monkeypatch.chdir(tmp_path)
    assert ffs("none.pth", *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_size_and_open_size_exclude_each_other(capsys):
    """Both at once is a mistake in the command."""
    assert ffs("none.pth", "-o", "model.onnx", "--size", "480x736", "--dynamic-size") == 2
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["torch", "onnx", "onnxruntime"])
def test_missing_packages(missing, tmp_path, monkeypatch, capsys):
    """Without one of its packages, the sentence names them all."""
    monkeypatch.setitem(sys.modules, missing, None)
    assert ffs("none.pth", "-o", tmp_path / "model.onnx") == 2
    assert "pip install torch onnx onnxruntime safetensors" in capsys.readouterr().err


def test_range_of_the_checkpoint(capsys):
    """TAO weights trained for another range are refused; a whole module's setting is noted; silence is consent."""
    with pytest.raises(ExportError, match=r"trained with model\.max_disparity 416"):
        export.check_range({"hyper_parameters": {"model": {"max_disparity": 416}}})
    export.check_range({"hyper_parameters": {"model": {"max_disparity": 192}}, "max_disp": 192})
    export.check_range({"hyper_parameters": "lost"})
    assert capsys.readouterr().out == ""
    export.check_range({"max_disp": 416})
    assert capsys.readouterr().out == "note: the checkpoint's settings say max_disp 416; the graph has 192\n"


def test_pairs_of_the_proof():
    """Textured images, the right one the left one moved by the stated disparity, each pair by its own."""
    pairs = shifted_pairs(2, (64, 96))
    assert (pairs.left_BHW3.shape, pairs.left_BHW3.dtype) == ((2, 64, 96, 3), np.uint8)
    for left, right, shift in zip(*pairs, strict=True):
        np.testing.assert_array_equal(right[:, : 96 - shift], left[:, shift:])
        assert left.std() > 30
    assert len(set(pairs.shift_B)) == 2
