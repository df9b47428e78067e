"""TAO's evaluate: weights or an engine over several lists, each with its own encoding of ground truth."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

yaml = pytest.importorskip("yaml")

from command_line import ffs  # noqa: E402
from fake_tensorrt import fake_manifest  # noqa: E402
from tao_specs import FOUNDATION_STEREO, changed, written  # noqa: E402

from ffs_ros.engine.manifest import install  # noqa: E402
from ffs_ros.errors import SpecError  # noqa: E402
from ffs_ros.image_file import write_png  # noqa: E402
from ffs_ros.spec.evaluate import EvaluateSpec  # noqa: E402
from ffs_ros.status_file import read_kpi  # noqa: E402
from ffs_ros.tools import evaluate  # noqa: E402

ENGINE = {"evaluate__trt_engine": "/data/m.engine", "evaluate__checkpoint": ...}


def understood(**changes: Any) -> tuple[argparse.Namespace, list[str]]:
    """What ``ffs eval`` makes of the spec, and the notes."""
    command = EvaluateSpec.of(changed(**changes)).command()
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_intermixed_args(command.words), command.notes


def test_weights() -> None:
    """As TAO's PyTorch container: at the pairs' own size, with the model's iterations."""
    args, notes = understood(dataset__max_disparity=160, model__valid_iters=6, evaluate__gpu_ids=[1])
    found = (args.engine, args.lists, args.datasets, args.out, args.protocol, args.count_below)
    assert found == ("/data/bp2.pth", [Path("/data/test.txt")], ["Middlebury"], Path("results/evaluate"), "tao", 160.0)
    assert (args.iterations, args.gpu_index, args.fit, args.engine_size, notes) == (6, 1, "auto", "auto", [])


def test_an_engine() -> None:
    """As TAO's TensorRT container: at the engine's size. The block model says nothing about it, but for the limit of
    truth, which counts before the dataset's, as there."""
    args, notes = understood(**ENGINE, model={**FOUNDATION_STEREO, "model_type": "MetricDepthAnything"})
    assert (args.engine, args.protocol, args.count_below, notes) == ("/data/m.engine", "tao-deploy", 416.0, [])
    assert understood(**ENGINE, model={}, dataset__max_disparity=100)[0].count_below == 100.0
    args, _ = understood(**ENGINE, evaluate__native_padded=True)
    assert (args.protocol, args.engine_size) == ("tao", "auto")


def test_an_engine_before_weights() -> None:
    """Where both are named, it is said; null takes one away."""
    args, notes = understood(evaluate__trt_engine="/data/m.engine")
    assert args.engine == "/data/m.engine"
    assert "the engine is taken; add evaluate.trt_engine=null for the other" in notes[0]
    assert understood(evaluate__trt_engine="")[0].engine == "/data/bp2.pth"


@pytest.mark.parametrize(("least", "size"), [((480, 736), "auto"), ((320, 320), "480x736")])
def test_crop_size_is_for_engines_of_open_size(tmp_path: Path, least: tuple[int, int], size: str) -> None:
    """TAO reads it for them alone."""
    path = tmp_path / "m.engine"
    sizes = {"min": [1, *least], "opt": [1, 480, 736], "max": [1, 480, 736]}
    install(path, b"plan", fake_manifest(b"plan", sizes=sizes))
    changes = {**ENGINE, "evaluate__trt_engine": str(path)}
    assert understood(**changes)[0].engine_size == size
    assert understood(**changes, evaluate__native_padded=True)[0].engine_size == "auto"
    assert understood(**changes, dataset__test_dataset__augmentation=...)[0].engine_size == "auto"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"evaluate__checkpoint": ...},
            "neither evaluate.checkpoint nor evaluate.trt_engine is given: name what to run",
        ),
        ({"dataset__test_dataset__data_sources": None}, "dataset.test_dataset.data_sources is None: expected a list"),
        (
            {"dataset__test_dataset": ...},
            "dataset.test_dataset.data_sources is empty: name a dataset_name and a data_file",
        ),
        ({"dataset__test_dataset__augmentation__crop": 1}, "nearest known key is 'crop_size'"),
        ({"dataset__test_dataset__augmentation__yjiter_prob": 1}, "nearest known key is 'yjitter_prob'"),
        ({"dataset__dataset_name": "MonoDataset"}, "dataset.dataset_name is 'MonoDataset': expected 'StereoDataset'"),
        ({"model": FOUNDATION_STEREO}, "model.hidden_dims is [128, 128, 128]: the bp2 network has [128]; "),
        ({"results_dir": None}, "neither results_dir nor evaluate.results_dir is given"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], sentence: str) -> None:
    """The key, what was found and what is right."""
    with pytest.raises(SpecError) as raised:
        EvaluateSpec.of(changed(**change)).command()
    assert sentence in str(raised.value)


def test_each_list_is_read_in_its_own_encoding(tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """KITTI's 1/256 px, CREStereo's 1/32 px and packed thousandths, one answer of 20 px: errors of 0.5, 0.25 and 1 px.
    TAO's TensorRT container takes the first two for thousandths."""
    left = np.zeros((32, 64, 3), np.uint8)
    left[..., 0] = 80  # a quarter of it is the engine's answer
    write_png(tmp_path / "left.png", left)
    write_png(tmp_path / "right.png", left + 1)
    packed_bgr = (21_000 % 255, 21_000 // 255 % 255, 21_000 // 255**2)
    truths = {
        "Kitti": np.full((32, 64), 20.5 * 256, np.uint16),
        "Crestereo": np.full((32, 64), 20.25 * 32, np.uint16),
        "FSD": np.full((32, 64, 3), packed_bgr, np.uint8),
    }
    sources = []
    for name, truth in truths.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), truth)
        (tmp_path / f"{name}.txt").write_text(f"left.png right.png {name}.png\n", encoding="utf-8")
        sources.append({"dataset_name": name, "data_file": str(tmp_path / f"{name}.txt")})
    values = changed(
        results_dir=str(tmp_path / "results"), evaluate={"trt_engine": str(tiny_onnx())},
        dataset__test_dataset__data_sources=sources,
    )  # fmt: skip
    assert ffs("eval", "-e", written(values, tmp_path / "evaluate.yaml")) == 0
    folder = tmp_path / "results" / "evaluate"
    rows = json.loads((folder / "per_sample_results.json").read_text(encoding="utf-8"))
    assert [row["epe"] for row in rows] == [0.5, 0.25, 1.0]
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert found["epe"] == pytest.approx(1.75 / 3, abs=1e-12)
    assert found["val/rmse"] == pytest.approx((1.75 / 3) ** 0.5, abs=1e-12), "TAO's second root"
    assert read_kpi(folder / "status.json")["epe"] == found["epe"]
    assert "Kitti.txt as Kitti, " in (folder / "report.html").read_text(encoding="utf-8")
    assert "--protocol tao-deploy --count-below 192" in capsys.readouterr().out
    states = [json.loads(line)["status"] for line in (folder / "status.json").read_text(encoding="utf-8").splitlines()]
    assert states == ["STARTED", "RUNNING", "SUCCESS"]
    again = EvaluateSpec.read(folder / "experiment.yaml")
    assert again == EvaluateSpec.of(values), "experiment.yaml is a spec"

    elsewhere = tmp_path / "elsewhere"
    assert ffs("eval", "-e", folder / "experiment.yaml", "results_dir=/nowhere", "-o", elsewhere) == 0
    assert EvaluateSpec.read(elsewhere / "experiment.yaml").results_dir == "/nowhere"
    assert json.loads((elsewhere / "results.json").read_text(encoding="utf-8"))["epe"] == found["epe"]


def test_as_many_encodings_as_lists(tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """Neither one nor as many is refused."""
    lists = ["--list", "a", "--list", "b", "--list", "c"]
    assert ffs("eval", tiny_onnx(), *lists, "--dataset", "FSD", "--dataset", "Kitti", "-o", tmp_path / "out") == 2
    assert "--dataset is given 2 times and --list 3 times: expected one for all lists" in capsys.readouterr().err


def test_what_is_wrong_with_a_list_leaves_nothing(tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """Neither results nor an empty folder, and all lists are spoken of."""
    sources = [{"dataset_name": "FSD", "data_file": str(tmp_path / name)} for name in ("none.txt", "empty.txt")]
    (tmp_path / "empty.txt").touch()
    values = changed(
        results_dir=str(tmp_path / "results"), evaluate={"trt_engine": str(tiny_onnx())},
        dataset__test_dataset__data_sources=sources,
    )  # fmt: skip
    assert ffs("eval", "-e", written(values, tmp_path / "evaluate.yaml")) == 2
    said = capsys.readouterr().err.splitlines()
    assert "cannot read" in said[0]
    assert "empty.txt lists no pair" in said[1]
    assert not (tmp_path / "results").exists()
