"""TAO's inference: weights or an engine over the pairs of several lists, with TAO's names of files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("yaml")

from tao_specs import FOUNDATION_STEREO, changed, written

from ffs_ros import cli
from ffs_ros.errors import SpecError
from ffs_ros.image_file import write_png
from ffs_ros.pfm import read_pfm
from ffs_ros.spec.inference import InferenceSpec
from ffs_ros.tools import infer

ENGINE = {"inference__trt_engine": "/data/m.engine", "inference__checkpoint": ...}


def understood(**changes: Any) -> tuple[argparse.Namespace, list[str]]:
    """What ``ffs infer`` makes of the spec, and the notes."""
    command = InferenceSpec.of(changed(**changes)).command()
    parser = argparse.ArgumentParser()
    infer.add_arguments(parser)
    return parser.parse_intermixed_args(command.words), command.notes


def test_weights() -> None:
    """As TAO's PyTorch container: a picture of each pair, and its disparity as PFM where that is asked for."""
    args, notes = understood(model__valid_iters=6)
    assert (args.words, args.lists, args.datasets) == (["/data/bp2.pth"], [Path("/data/infer.txt")], ["GenericDataset"])
    assert (args.out, set(args.outputs), args.names) == (Path("results/inference"), {"png", "pfm"}, "tao")
    assert (args.iterations, args.fit, notes) == (6, "auto", [])
    assert set(understood(inference__save_raw_pfm=False)[0].outputs) == {"png"}


def test_an_engine() -> None:
    """As TAO's TensorRT container: stretched to the engine's size, and nothing is said about the block model."""
    args, _ = understood(**ENGINE, inference__save_raw_npy=True, model=FOUNDATION_STEREO)
    found = (args.words, set(args.outputs), args.names, args.fit)
    assert found == (["/data/m.engine"], {"png", "pfm", "npy"}, "tao-deploy", "resize")


def test_results_may_go_to_a_store() -> None:
    """A URL stays one."""
    assert understood(results_dir="s3://bucket/out")[0].out == "s3://bucket/out/inference"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"inference__checkpoint": ...}, "neither inference.checkpoint nor inference.trt_engine is given"),
        ({"dataset__infer_dataset": ...}, "dataset.infer_dataset.data_sources is empty: name a dataset_name"),
        ({"inference__save_raw_png": True}, "the nearest known key is 'save_raw_pfm'"),
        ({"model__volume_dim": 32}, "model.volume_dim is 32: the bp2 network has 28"),
        ({"results_dir": ...}, "neither results_dir nor inference.results_dir is given"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], sentence: str) -> None:
    """The key, what was found and what is right."""
    with pytest.raises(SpecError) as raised:
        InferenceSpec.of(changed(**change)).command()
    assert sentence in str(raised.value)


def test_files_have_taos_names(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> None:
    """Two lists, an engine that answers a quarter of the left image's red; a second run keeps the files."""
    for scene, red in (("a", 80), ("b", 40)):
        left = np.zeros((32, 64, 3), np.uint8)
        left[..., 0] = red
        (tmp_path / scene).mkdir()
        write_png(tmp_path / scene / "im0.png", left)
        write_png(tmp_path / scene / "im1.png", left + 1)
        (tmp_path / f"{scene}.txt").write_text(f"{scene}/im0.png {scene}/im1.png\n", encoding="utf-8")
    names = {"a": "GenericDataset", "b": "Middlebury"}
    values = changed(
        results_dir=str(tmp_path / "results"),
        inference={"trt_engine": str(tiny_onnx()), "save_raw_pfm": True, "save_raw_npy": True},
        dataset__infer_dataset__data_sources=[
            {"dataset_name": name, "data_file": str(tmp_path / f"{scene}.txt")} for scene, name in names.items()
        ],
    )
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            cli.main(["infer", "-e", str(written(values, tmp_path / "inference.yaml"))])
        assert ended.value.code == 0
        folder = tmp_path / "results" / "inference"
        for scene, expected_px in (("a", 20.0), ("b", 10.0)):
            for array in (read_pfm(folder / f"predicted_depth/{scene}_im0.pfm"),
                          np.load(folder / f"predicted_depth/{scene}_im0.npy")):  # fmt: skip
                np.testing.assert_array_equal(array, np.full((32, 64), expected_px, np.float32))
            assert (folder / f"predicted_depth/{scene}_im0.png").is_file()
        assert InferenceSpec.read(folder / "experiment.yaml") == InferenceSpec.of(values)
