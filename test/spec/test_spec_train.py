"""The spec: TAO's keys, their defaults, and a sentence for everything that does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from ffs_ros.errors import FileError, SpecError
from ffs_ros.graph.form import LARGEST_ITERATIONS, MAX_DISPARITY_px
from ffs_ros.spec import model
from ffs_ros.spec.keys import plain
from ffs_ros.spec.train import TrainSpec

yaml = pytest.importorskip("yaml")

TAO_FINETUNE = """\
results_dir: results
model:
  model_type: FastFoundationStereo
  encoder: vitl
  hidden_dims: [128]
  n_gru_layers: 1
  volume_dim: 28
  train_iters: 22
  valid_iters: 8
  max_disparity: 192
  gwc_feature_normalize: true
  motion_encoder_widths: [56, 96, 16, 12]
  cost_agg_conv_patch_padding: [0, 0, 0]
dataset:
  dataset_name: StereoDataset
  max_disparity: 192
  min_depth: 0.0
  train_dataset:
    data_sources: [{dataset_name: FSD, data_file: train.txt}, {dataset_name: Kitti, data_file: kitti.txt}]
    batch_size: 2
    augmentation: {crop_size: [320, 736], min_scale: -0.2}
  val_dataset:
    data_sources: [{dataset_name: Middlebury, data_file: val.txt}]
  test_dataset:
    data_sources: [{dataset_name: Middlebury, data_file: test.txt}]
train:
  num_gpus: 2
  gpu_ids: [0, 1]
  clip_grad_norm: 0.1
  precision: fp32
  optim: {optimizer: AdamW, lr: 1e-5, lr_scheduler: MultiStepLR, lr_steps: [1000], lr_decay: 0.1}
export: {checkpoint: model.pth}
"""


def test_a_finetune_spec_of_taos_is_read(tmp_path):
    """Other actions' keys are passed over, defaults are TAO's, and 1e-5, which YAML takes for a text, is a number."""
    path = tmp_path / "train.yaml"
    path.write_text(TAO_FINETUNE, encoding="utf-8")
    spec = TrainSpec.read(path)
    assert spec.train.optim.lr == 1e-5
    assert [source.data_file for source in spec.dataset.train_dataset.data_sources] == ["train.txt", "kitti.txt"]
    assert (spec.train.seed, spec.train.num_epochs, spec.train.optim.weight_decay) == (1234, 10, 1e-4)
    assert str(spec.folder) == "results/train"
    assert TrainSpec.of(yaml.safe_load(yaml.safe_dump(plain(_as_dict(spec))))) == spec, "experiment.yaml is a spec"


def test_what_stands_in_a_file_that_tao_resolved() -> None:
    """experiment.yaml has every key of TAO's schema at its default, other actions' and those without an effect too."""
    values = changed(
        encryption_key=None, model_name="depth_net", wandb={"enable": True}, inference={"checkpoint": "???"},
        evaluate={"checkpoint": "???"}, quantize={"results_dir": "${nothing}"},
        model__stereo_backbone={"use_bn": False}, model__low_memory=0, model__mono_backbone=None,
        dataset__quant_calibration_dataset={"images_dir": ""}, dataset__baseline=0.193001, dataset__max_depth=None,
        dataset__infer_dataset={"data_sources": None}, train__checkpoint_interval_steps=None,
        train__tile_min_overlap=[16, 16], train__is_dry_run=False,
    )  # fmt: skip
    assert TrainSpec.of(values) == TrainSpec.of(changed())


def test_texts_are_found_in_any_case() -> None:
    """As TAO compares them; the value is the one that is declared."""
    spec = TrainSpec.of(changed(train__precision="BF16", model__model_type="fastfoundationstereo"))
    assert (spec.train.precision, spec.model.model_type) == ("bf16", "FastFoundationStereo")


def test_the_model_is_the_graphs() -> None:
    """The range and the most iterations, which are stated on both sides of an arrow."""
    assert (model.MAX_DISPARITY_px, model.MOST_ITERATIONS) == (MAX_DISPARITY_px, LARGEST_ITERATIONS)


def _as_dict(spec: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(spec)


def changed(**paths: Any) -> dict[str, Any]:
    """TAO_FINETUNE with dotted keys (``__`` for a dot) set to other values, or removed (...)."""
    values: dict[str, Any] = yaml.safe_load(TAO_FINETUNE)
    for dotted, value in paths.items():
        *above, name = dotted.split("__")
        place = values
        for key in above:
            place = place[key]
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return values


SCENES = {"data_sources": [{"dataset_name": "Scenes", "data_file": 3}]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"train__optim__weight_deca": 1}, "the key 'train.optim.weight_deca' is unknown; the nearest known key is "
                                         "'weight_decay'"),
        ({"train__num_epoch": 1}, "'train.num_epoch' is unknown; the nearest known key is 'num_epochs'"),
        ({"model__motion_encoder_widths": [256, 256, 64, 64]}, "model.motion_encoder_widths is [256, 256, 64, 64]: the "
                                                               "bp2 network has [56, 96, 16, 12]"),
        ({"model__max_disparity": 416}, "model.max_disparity is 416: the bp2 network has 192; correct or leave out the "
                                        "key"),
        ({"model__volume_dim": 32, "model__hidden_dims": [128] * 3, "model__gru_hidden": None},
         "model.hidden_dims is [128, 128, 128]: the bp2 network has [128]; model.volume_dim is 32: the bp2 network has "
         "28; model.gru_hidden is None: the bp2 network has 60; correct or leave out these keys"),
        ({"model__model_type": "FoundationStereo"}, "model.model_type is 'FoundationStereo': expected "
                                                    "'FastFoundationStereo'"),
        ({"modle": {}}, "the key 'modle' is unknown; the nearest known key is 'model'"),
        ({"exprt": {}}, "the key 'exprt' is unknown; the nearest known key is 'export'"),
        ({"encryption_key": "secret"}, "checkpoints are not encrypted here: take the key out, or add encryption_key="),
        ({"dataset__max_disparity": 416}, "dataset.max_disparity is 416: expected at most 192"),
        ({"train__precision": "fp16"}, "train.precision is 'fp16': expected 'fp32' or 'bf16'"),
        ({"train__optim__lr": "fast"}, "train.optim.lr is 'fast': expected a number"),
        ({"train__optim__lr": -1}, "train.optim.lr is -1.0: expected more than 0"),
        ({"train__optim__lr_scheduler": "Cosine"}, "expected 'MultiStepLR' or"),
        ({"train__num_gpus": True}, "train.num_gpus is True: expected a whole number"),
        ({"train__num_gpus": 4}, "train.gpu_ids names 2 GPUs and train.num_gpus is 4"),
        ({"train__gpu_ids": [0, 0]}, "train.gpu_ids is [0, 0]: expected different numbers"),
        ({"train__optim": [1]}, "train.optim is [1]: expected keys and values below it"),
        ({"train__distributed_strategy": "fsdp"}, "train.distributed_strategy is 'fsdp': expected 'ddp'"),
        ({"dataset__val_dataset__data_sources": ...}, "dataset.val_dataset.data_sources is empty"),
        ({"dataset__train_dataset__data_sources": "x"}, "dataset.train_dataset.data_sources is 'x': expected a list"),
        ({"dataset__train_dataset__data_sources": [{"dataset_name": "FSD"}]}, "lacks the key 'data_file'"),
        ({"dataset__train_dataset__augmentation__crop_size": [300, 730]}, "crop_size is [300, 730]: expected multiples "
                                                                          "of 32, such as [288, 736]"),
        ({"dataset__train_dataset__augmentation__crop_size": [320]}, "crop_size has 1 values: expected 2"),
        ({"dataset__train_dataset__augmentation__crop_size": [32, 32], "dataset__train_dataset__batch_size": 1},
         "give a larger crop or batch"),
        ({"dataset__train_dataset": SCENES}, "Scenes never end: give train.num_steps"),
        ({"dataset__train_dataset": SCENES, "train__num_steps": 9}, "Scenes have no epochs: give "
                                                                    "train.checkpoint_interval_unit: step"),
        ({"dataset__val_dataset__data_sources": [{"dataset_name": "Scenes", "data_file": "x"}]}, "expected a seed"),
        ({"train__clip_grad_norm": float("inf")}, "train.clip_grad_norm is inf: expected a number"),
        ({"train__optim__lr": 10**400}, "...: expected a number"),
        ({"train__seed": 2**32}, "train.seed is 4294967296: expected at most 4294967295"),
        ({"results_dir": "???"}, "results_dir is '???', which nothing fills in here: write what is meant"),
        ({"train__pretrained_model_path": "${results_dir}/a"}, "which nothing fills in here"),
        ({"results_dir": "~/runs"}, "results_dir is '~/runs', which nothing fills in here"),
        ({"results_dir": ...}, "neither results_dir nor train.results_dir is given"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change, sentence):
    """Each fault is a SpecError that names the key, what was found and what is right."""
    with pytest.raises(SpecError) as raised:
        TrainSpec.of(changed(**change))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        (None, FileError, "cannot read the spec"),
        ("a: [", SpecError, "is no YAML"),
        ("- 1", SpecError, "expected keys"),
        ("[" * 3000, SpecError, "is nested more deeply"),
        ("train: {seed: 1}\ndataset:\ntrain: {num_steps: 2}", SpecError, "the key 'train' stands in lines 1 and 3"),
        ("train: {seed: 1, seed: 2}", SpecError, "the key 'seed' stands in lines 1 and 1"),
    ],
)
def test_a_file_that_is_no_spec(tmp_path, text, error, sentence):
    """A missing file, no YAML, YAML without keys, and a key that would silently have only its last value."""
    path = tmp_path / "spec.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=sentence) as raised:
        TrainSpec.read(path)
    assert str(path) in str(raised.value)
