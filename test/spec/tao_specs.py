"""Specs as TAO's users have them: one for all actions of the bp2 network, written out with the keys of TAO's schema."""

from __future__ import annotations

from typing import Any

import yaml

BP2_WIDTHS = {
    "motion_encoder_widths": [56, 96, 16, 12], "motion_encoder_final": 48, "gru_hidden": 60,
    "gru_gating_conv_widths": [100, 168], "disp_head_input_dim": 60, "disp_head_intermediate": 36,
    "disp_head_pwconv1_widths": [212, 244], "mask_widths": [32, 16], "stem_2_widths": [12, 16],
    "spx_2_gru_widths": [16, 12, 16, 24], "spx_gru_out": 9, "classifier_mid": 14, "cnet_conv04_widths": [60, 48],
    "cam_mid_channels": 8, "cost_agg_conv_patch_padding": [0, 0, 0],
}  # fmt: skip
"""As the released checkpoint's own arguments have them."""
FOUNDATION_STEREO = {
    "hidden_dims": [128, 128, 128], "n_gru_layers": 3, "volume_dim": 32, "max_disparity": 416, "valid_iters": 22,
    "motion_encoder_widths": [256, 256, 64, 64], "motion_encoder_final": None, "gru_hidden": None,
    "mask_widths": [64, 32], "stem_2_widths": [32, 32], "spx_2_gru_widths": [32, 32, 32, 32],
    "cam_mid_channels": None, "cost_agg_conv_patch_padding": None,
}  # fmt: skip
"""Defaults of TAO's schema, which its resolved specs have where a spec left the bp2 network's values out."""


def experiment() -> dict[str, Any]:
    """Every block, with what a user fills in and a few keys that change nothing."""

    def split(name: str, file: str, crop_size: list[int]) -> dict[str, Any]:
        return {
            "data_sources": [{"dataset_name": name, "data_file": file}], "batch_size": 1, "workers": 4,
            "augmentation": {"crop_size": crop_size, "input_mean": [0.485, 0.456, 0.406], "yjitter_prob": 1.0},
        }  # fmt: skip

    return {
        "results_dir": "results", "encryption_key": None, "model_name": "depth_net", "wandb": {"enable": False},
        "dataset": {
            "dataset_name": "StereoDataset", "max_disparity": 192, "min_depth": 0.0, "baseline": 0.193001,
            "train_dataset": split("FSD", "/data/train.txt", [320, 736]),
            "val_dataset": split("Middlebury", "/data/val.txt", [320, 736]),
            "test_dataset": split("Middlebury", "/data/test.txt", [480, 736]),
            "infer_dataset": split("GenericDataset", "/data/infer.txt", [480, 736]),
            "quant_calibration_dataset": {"images_dir": ""},
        },
        "model": {
            "model_type": "FastFoundationStereo", "encoder": "vitl", "hidden_dims": [128], "n_gru_layers": 1,
            "corr_radius": 4, "corr_levels": 2, "n_downsample": 2, "max_disparity": 192, "valid_iters": 8,
            "train_iters": 22, "volume_dim": 28, "mixed_precision": False, "gwc_feature_normalize": True, **BP2_WIDTHS,
            "stereo_backbone": {"edgenext_pretrained_path": "", "use_bn": False}, "low_memory": 0,
        },
        "train": {
            "num_gpus": 1, "num_epochs": 1, "precision": "fp32", "pretrained_model_path": "/data/bp2.pth",
            "optim": {"optimizer": "AdamW", "lr": 1e-5, "lr_scheduler": "MultiStepLR", "warmup_steps": 0},
        },
        "evaluate": {"num_gpus": 1, "batch_size": 1, "checkpoint": "/data/bp2.pth"},
        "inference": {"num_gpus": 1, "checkpoint": "/data/bp2.pth", "save_raw_pfm": True, "conf_threshold": 0.5},
        "export": {
            "gpu_id": 0, "checkpoint": "/data/bp2.pth", "onnx_file": "out/model.onnx", "on_cpu": False,
            "input_channel": 3, "input_height": 480, "input_width": 736, "opset_version": 17, "batch_size": 1,
            "valid_iters": 8, "format": "onnx",
        },
        "gen_trt_engine": {
            "gpu_id": 0, "onnx_file": "out/model.onnx", "trt_engine": "out/model.engine", "batch_size": 1,
            "verbose": False, "timing_cache": None,
            "tensorrt": {"data_type": "fp16", "workspace_size": 4, "min_batch_size": 1, "opt_batch_size": 1,
                         "max_batch_size": 1, "layers_precision": []},
        },
        "quantize": {"model_path": "???", "results_dir": "${nothing}"},
    }  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    """``experiment()`` with dotted keys (``__`` for a dot) set to other values, or removed (...)."""
    values = experiment()
    for dotted, value in changes.items():
        *above, name = dotted.split("__")
        place = values
        for key in above:
            place = place.setdefault(key, {})
        if value is ...:
            place.pop(name, None)
        else:
            place[name] = value
    return values


def written(values: dict[str, Any], path: Any) -> Any:
    """The path of a file with the spec."""
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path
