"""The ``dataset`` block: where pairs come from, for each action that reads some."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from .augmentation import AugmentationConfig
from .keys import key
from .model import MAX_DISPARITY_px

SCENES = "Scenes"
"""The dataset_name of rendered scenes: endless, no files, its data_file is a seed. For training alone."""


@dataclass(frozen=True)
class Source:
    """One entry of data_sources."""

    dataset_name: str
    data_file: str
    """An annotation list; for Scenes a seed."""


EXAMPLE_SOURCES = ({"dataset_name": "GenericDataset", "data_file": "annotations.txt"},)


@dataclass(frozen=True)
class Split:
    """``dataset.train_dataset`` or ``dataset.val_dataset``."""

    data_sources: tuple[Source, ...] = key((), "list of `dataset_name` and `data_file`", example=EXAMPLE_SOURCES)
    batch_size: int = key(
        1, "pairs for each GPU and step; `val_dataset`: of Scenes, pairs in files are validated one by one", least=1
    )
    workers: int = key(8, "processes that read files", least=0)
    pin_memory: bool = key(True, "faster copies to the GPU")
    num_scenes: int = key(32, "`val_dataset` only: batches of Scenes in one validation", least=1, ours=True)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


@dataclass(frozen=True)
class Dataset:
    """What all splits share."""

    dataset_name: str = key("StereoDataset", "TAO's only one for stereo", choices=("StereoDataset",))
    max_disparity: int = key(MAX_DISPARITY_px, "px; truth at or beyond it is not counted", least=1)


@dataclass(frozen=True)
class TrainingDataset(Dataset):
    """For train."""

    max_disparity: int = key(
        MAX_DISPARITY_px, "px; truth at or beyond it counts neither in the loss nor in the metrics",
        least=1, most=MAX_DISPARITY_px,
    )  # fmt: skip
    train_dataset: Split = field(default_factory=Split)
    val_dataset: Split = field(default_factory=Split)


@dataclass(frozen=True)
class Crop:
    """``augmentation``, of which nothing else matters where pairs stay as they are."""

    crop_size: tuple[int, int] | None = key(
        None, "rows, columns that an engine of open size runs at; without an effect for any other, as in TAO", least=32
    )


@dataclass(frozen=True)
class EvaluationSplit:
    """``dataset.test_dataset`` or ``dataset.infer_dataset``."""

    data_sources: tuple[Source, ...] = key((), "list of `dataset_name` and `data_file`", example=EXAMPLE_SOURCES)
    batch_size: int = key(1, "without an effect: one pair at a time", least=1)
    workers: int = key(8, "without an effect: as many as there are cores", least=0)
    pin_memory: bool = key(True, "without an effect")
    augmentation: Crop = field(default_factory=Crop)


EVALUATION_AUGMENTATION = dict.fromkeys(
    (
        f"dataset.{split}.augmentation.{entry.name}"
        for split in ("test_dataset", "infer_dataset")
        for entry in fields(AugmentationConfig)
    ),
    "of training",
)
SPLITS = ("train_dataset", "val_dataset", "test_dataset", "infer_dataset")
WITHOUT_EFFECT = {
    **dict.fromkeys(("dataset.min_depth", "dataset.max_depth", "dataset.normalize_depth"), "unused for stereo"),
    **dict.fromkeys(("dataset.baseline", "dataset.focal_x"), "unused: truth is disparity"),
    "dataset.quant_calibration_dataset": "another action's",
    **dict.fromkeys((f"dataset.{split}" for split in SPLITS), "another action's"),
    **dict.fromkeys((f"dataset.{split}.data_root" for split in SPLITS), "unused"),
}
