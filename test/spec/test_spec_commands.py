"""What the specs of TAO's actions become: words that our verbs' own parsers take, and what is said about them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("yaml")

from tao_specs import FOUNDATION_STEREO, changed, written

from ffs_ros import cli
from ffs_ros.errors import ExportError, SpecError
from ffs_ros.graph.builder import OPSET
from ffs_ros.spec import export as export_spec
from ffs_ros.spec.engine import EngineSpec
from ffs_ros.spec.experiment import VerbSpec
from ffs_ros.spec.export import ExportSpec
from ffs_ros.tools import build_engine, export

TOOLS: dict[type[VerbSpec], ModuleType] = {ExportSpec: export, EngineSpec: build_engine}


def understood(kind: type[VerbSpec], **changes: Any) -> tuple[argparse.Namespace, list[str]]:
    """What the verb's parser makes of the spec above, and the notes."""
    command = kind.of(changed(**changes)).command()
    parser = argparse.ArgumentParser()
    TOOLS[kind].add_arguments(parser)
    return parser.parse_intermixed_args(command.words), command.notes


def test_export() -> None:
    """TAO's graph: normalised tensors in, the size, the batch and the iterations of the block."""
    args, notes = understood(ExportSpec)
    found = (args.checkpoint, args.out, args.size, args.iters, args.io, args.batch, args.precision, args.dynamic_size)
    assert found == ("/data/bp2.pth", Path("out/model.onnx"), "480x736", 8, "tensor", "1", "fp32", False)
    assert notes == []


def test_export_as_its_schema_has_it() -> None:
    """Without most keys: 544x960, an open batch, a name beside the weights."""
    left_out = ("onnx_file", "input_height", "input_width", "batch_size", "opset_version", "gpu_id")
    args, _ = understood(ExportSpec, **{f"export__{name}": ... for name in left_out})
    assert (args.out, args.size, args.batch) == (Path("/data/bp2.onnx"), "544x960", "dynamic")


def test_iterations_of_an_export() -> None:
    """22 given is 22, with a warning; left out it is the model's 8, and the note says what TAO would do."""
    args, notes = understood(ExportSpec, export__valid_iters=22)
    assert args.iters == 22
    assert "export.valid_iters is 22" in notes[0]
    assert "about twice as long as with 8" in notes[0]
    args, notes = understood(ExportSpec, export__valid_iters=...)
    assert args.iters == 8
    assert "the graph makes the 8 iterations of model.valid_iters; TAO would make 22" in notes[0]
    args, notes = understood(ExportSpec, export__valid_iters=4)
    assert (args.iters, notes) == (4, [])


def test_export_of_open_size() -> None:
    """Its proof set is answered at the bounds that the same file gives to the engine, where it gives some."""
    args, _ = understood(ExportSpec, export__dynamic_hw=True)
    assert (args.dynamic_size, args.size, args.min) == (True, None, None)
    args, _ = understood(ExportSpec, export__dynamic_hw=True, **BOUNDS)
    assert (args.min, args.opt, args.max) == ("320x320", "480x736", "1024x1536")


BOUNDS = {
    f"gen_trt_engine__{bound}_{axis}": length
    for bound, size in {"min": (320, 320), "opt": (480, 736), "max": (1024, 1536)}.items()
    for axis, length in zip(("height", "width"), size, strict=True)
}


def test_the_graph_has_one_opset() -> None:
    """Another one is not an error: what reads the graph knows 17, too."""
    assert export_spec.OPSET == OPSET
    assert "export.opset_version is 16: the graph has opset 17" in understood(ExportSpec, export__opset_version=16)[1]


def test_gen_trt_engine() -> None:
    """Precision in any case, GiB as they are, the GPU; no range for a graph of one size."""
    args, notes = understood(EngineSpec, gen_trt_engine__gpu_id=1)
    found = (args.source, args.out, args.precision, args.workspace, args.gpu_index, args.min, args.iters)
    assert found == (Path("out/model.onnx"), Path("out/model.engine"), "fp16", 4.0, 1, None, "")
    assert notes == []


@pytest.mark.parametrize(
    ("size", "used", "noted"),
    [(..., 4.0, False), (1, 1.0, False), (16, 16.0, False), (256, 256.0, False), (1024, 4.0, True), (4096, 4.0, True),
     (8192, 8.0, True)],
)  # fmt: skip
def test_workspace(size: Any, used: float, noted: bool) -> None:
    """TAO multiplies by 2^30 whatever its templates say: what no GPU has was meant in MB."""
    args, notes = understood(EngineSpec, gen_trt_engine__tensorrt__workspace_size=size)
    assert args.workspace == used
    assert any(f"workspace_size is {size}" in note and f"{used:g} GiB are used" in note for note in notes) is noted


def test_range_of_an_engine() -> None:
    """Bounds with the batch's own, or with the one batch of the block."""
    args, _ = understood(
        EngineSpec, **BOUNDS, gen_trt_engine__batch_size=-1, gen_trt_engine__tensorrt__max_batch_size=4
    )
    assert (args.min, args.opt, args.max) == ("1x320x320", "1x480x736", "4x1024x1536")
    args, _ = understood(EngineSpec, **BOUNDS, gen_trt_engine__tensorrt__max_batch_size=4)
    assert (args.min, args.max) == ("1x320x320", "1x1024x1536")


def test_an_open_batch_needs_the_graphs_size(tmp_path: Path) -> None:
    """Which the notes of a graph of ours say; TAO's says nothing."""
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    changes = {
        "gen_trt_engine__batch_size": -1, "gen_trt_engine__onnx_file": str(path),
        "gen_trt_engine__tensorrt__max_batch_size": 4,
    }  # fmt: skip
    with pytest.raises(
        SpecError, match=r"up to 4 pairs at once and .*model.onnx does not say its size: give min_height"
    ):
        understood(EngineSpec, **changes)
    for batch, expected in (("dynamic", "4x320x736"), ("4", None)):
        model = onnx.ModelProto()
        for key, value in {"height": "320", "width": "736", "batch": batch}.items():
            model.metadata_props.add(key=f"ffs_ros.{key}", value=value)
        path.write_bytes(model.SerializeToString())
        assert understood(EngineSpec, **changes)[0].max == expected


def test_an_engine_is_built_whatever_the_model_block_says() -> None:
    """TAO's TensorRT container does not look at it, so its resolved specs have another network's defaults."""
    args, _ = understood(EngineSpec, model={**FOUNDATION_STEREO, "model_type": "MetricDepthAnything"})
    assert args.source == Path("out/model.onnx")


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        (ExportSpec, {"model": FOUNDATION_STEREO}, "model.motion_encoder_widths is [256, 256, 64, 64]: the bp2 network "
                                                   "has [56, 96, 16, 12]; model.motion_encoder_final is None: "),
        (ExportSpec, {"model__model_type": "FoundationStereo"}, "model.model_type is 'FoundationStereo': expected "
                                                                "'FastFoundationStereo'"),
        (ExportSpec, {"export__checkpoint": ...}, "export.checkpoint is not given: name the weights, in the spec or as "
                                                  "export.checkpoint=FILE"),
        (ExportSpec, {"export__checkpoint": "???"}, "export.checkpoint is '???', which nothing fills in here"),
        (ExportSpec, {"export__valid_iter": 8}, "the key 'export.valid_iter' is unknown; the nearest known key is "
                                                "'valid_iters'"),
        (ExportSpec, {"exprt": {}}, "the key 'exprt' is unknown; the nearest known key is 'export'"),
        (ExportSpec, {"export__format": "xdl"}, "export.format is 'xdl': expected 'onnx'"),
        (ExportSpec, {"export__input_channel": 1}, "export.input_channel is 1: expected 3"),
        (ExportSpec, {"export__dynamic_hw": True, **BOUNDS, "gen_trt_engine__max_width": ...},
         "gen_trt_engine gives some bounds of a size and not max_width: give all six, or none"),
        (EngineSpec, {"gen_trt_engine__onnx_file": ...}, "gen_trt_engine.onnx_file is not given: name the graph"),
        (EngineSpec, {"gen_trt_engine__trt_engine": None}, "gen_trt_engine.trt_engine is not given: name the engine to "
                                                           "write"),
        (EngineSpec, {"gen_trt_engine__tensorrt__data_type": "BF16"}, "gen_trt_engine.tensorrt.data_type is 'BF16': "
                                                                      "expected 'FP32' or 'FP16'"),
        (EngineSpec, {"gen_trt_engine__tensorrt__workspace": 4}, "the nearest known key is 'workspace_size'"),
        (EngineSpec, {"gen_trt_engine__gpu_id": "0"}, "gen_trt_engine.gpu_id is '0': expected a whole number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(kind: type[VerbSpec], change: dict[str, Any], sentence: str) -> None:
    """The key, what was found and what is right."""
    with pytest.raises(SpecError) as raised:
        kind.of(changed(**change)).command()
    assert sentence in str(raised.value)


@pytest.mark.parametrize("kind", [ExportSpec, EngineSpec])
def test_a_key_for_encryption_is_spoken_of(kind: type[VerbSpec]) -> None:
    """Nothing is decrypted; empty, as TAO's templates have it, it is no key."""
    assert "encryption_key has no effect" in kind.of(changed(encryption_key="secret")).command().notes[0]
    assert kind.of(changed(encryption_key="")).command().notes == []


def run(*words: str) -> int:
    """The exit code of ``ffs WORDS``."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return int(ended.value.code or 0)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[argparse.Namespace]:
    """What ``ffs export`` was called with, which then does nothing, in a folder that is empty."""
    calls: list[argparse.Namespace] = []
    monkeypatch.setattr(export, "main", calls.append)
    monkeypatch.chdir(tmp_path)
    return calls


def test_the_command(tmp_path: Path, exported, capsys) -> None:
    """The spec's words are said and run, overrides are the spec's, options that are typed count before it, and the
    graph's folder is made, as TAO does."""
    path = written(changed(export__valid_iters=...), tmp_path / "export.yaml")
    words = ("--precision", "fp16", "export.checkpoint=/x.pth", "-e", str(path), "--io", "image")
    assert run("export", *words) == 0
    (args,) = exported
    assert (args.checkpoint, args.io, args.precision, args.iters) == ("/x.pth", "image", "fp16", 8)
    captured = capsys.readouterr()
    assert f"{path}: ffs export /x.pth -o out/model.onnx --io tensor --iters 8 --batch 1 --size 480x736" in captured.out
    assert captured.err.startswith("note: export.valid_iters is left out")
    assert (tmp_path / "out").is_dir()


def statuses(folder: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in (folder / "status.json").read_text(encoding="utf-8").splitlines()]
    return [(line["status"], line["message"]) for line in lines]


def test_what_taos_launcher_leaves(tmp_path: Path, exported, monkeypatch) -> None:
    """status.json from the beginning, experiment.yaml, which is a spec again, when it is done; nothing without a
    folder."""
    path = written(changed(results_dir=str(tmp_path / "results"), export__onnx_file=str(tmp_path / "m.onnx")),
                   tmp_path / "s.yaml")  # fmt: skip
    assert run("export", "-e", str(path), "export.valid_iters=4") == 0
    folder = tmp_path / "results" / "export"
    assert statuses(folder) == [("STARTED", "Starting export."), ("SUCCESS", "Export finished successfully.")]
    assert ExportSpec.read(folder / "experiment.yaml") == ExportSpec.read(path, ["export.valid_iters=4"])

    (folder / "experiment.yaml").unlink()

    def refuse(args: argparse.Namespace) -> None:
        raise ExportError("it does not fit")

    monkeypatch.setattr(export, "main", refuse)
    assert run("export", "-e", str(path)) == 2
    assert statuses(folder)[2:] == [("STARTED", "Starting export."), ("FAILURE", "it does not fit")]
    assert not (folder / "experiment.yaml").exists()
    before = sorted(tmp_path.rglob("*"))
    assert run("export", "-e", str(path), "results_dir=null") == 2
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("option", ["-e", "--spec", "--experiment_spec_file"])
def test_the_spec_has_taos_option_too(tmp_path: Path, exported, option: str) -> None:
    """And without it a verb takes its own words alone."""
    assert (
        run("export", option, str(written(changed(), tmp_path / "s.yaml")), f"export.onnx_file={tmp_path}/m.onnx") == 0
    )
    assert run("export", "x.pth", "-o", "m.onnx") == 0
    assert [args.checkpoint for args in exported] == ["/data/bp2.pth", "x.pth"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["export", "-e", "none.yaml"], "check the name, or write one: ffs spec -o none.yaml"),
        (["export", "-e", "SPEC", "export.valid_iters=x"], "SPEC: export.valid_iters is 'x': expected a whole number"),
        (["export", "-e", "SPEC", "train.lr=1", "exporter.x=1"], "SPEC: the key 'exporter' is unknown; the nearest "
                                                                 "known key is 'export'"),
        (["evaluate", "-e", "SPEC"], "ffs: TAO's evaluate is here: ffs eval -e SPEC.yaml"),
        (["inference", "-e", "SPEC"], "ffs: TAO's inference is here: ffs infer -e SPEC.yaml"),
        (["gen_trt_engine", "-e", "SPEC"], "ffs: TAO's gen_trt_engine is here: ffs build-engine -e SPEC.yaml"),
        (["quantize"], "ffs: there is no quantize here"),
        (["convert"], "ffs: there is no convert here: write 'left right [disparity [mask]]'"),
    ],
)  # fmt: skip
def test_what_is_typed_wrong(tmp_path: Path, exported, capsys, words: list[str], sentence: str) -> None:
    """One sentence and exit code 2, also for TAO's names of actions."""
    path = str(written(changed(), tmp_path / "spec.yaml"))
    assert run(*(path if word == "SPEC" else word for word in words)) == 2
    assert sentence.replace("SPEC:", f"{path}:") in capsys.readouterr().err
    assert exported == []


def test_the_folder_of_an_action() -> None:
    """The block's own as it is, else the action's name in results_dir."""
    assert ExportSpec.of(changed()).folder == Path("results/export")
    assert EngineSpec.of(changed()).folder == Path("results/gen_trt_engine")
    assert ExportSpec.of(changed(export__results_dir="/here")).folder == Path("/here")
    with pytest.raises(SpecError, match=r"neither results_dir nor export\.results_dir is given"):
        _ = ExportSpec.of(changed(results_dir="")).folder


def test_without_pyyaml(tmp_path: Path, exported, capsys, monkeypatch) -> None:
    """A spec needs it, words do not."""
    monkeypatch.delitem(sys.modules, "ffs_ros.spec.yaml_file", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert run("export", "x.pth", "-o", "m.onnx") == 0
    assert run("export", "-e", str(tmp_path / "s.yaml")) == 2
    assert "reading a spec needs the Python package 'yaml': pip install pyyaml" in capsys.readouterr().err
