"""Where a run's batches come from: annotation lists, looked through beforehand, or scenes that are rendered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from ffs_ros.annotation import read_annotations
from ffs_ros.data_check import check_samples
from ffs_ros.errors import TrainingError
from ffs_ros.spec.dataset import SCENES, Split
from ffs_ros.spec.train import TrainSpec
from ffs_ros.whole_file import whole_file

from .batches import Batches, Place, drawn_batch, share
from .dataset import PairsInFiles, dataset_of
from .scenes import training_seed, validation_seeds

DATA_REPORT = "data_check.json"


def is_scenes(split: Split) -> bool:
    """Whether the split is rendered."""
    return split.data_sources[0].dataset_name == SCENES


class Sources:
    """The pairs of a spec. Raises FfsError when lists or files are wrong, or too few for one step."""

    def __init__(self, spec: TrainSpec) -> None:
        self.spec = spec
        train, val = spec.dataset.train_dataset, spec.dataset.val_dataset
        self.train_pairs = None if is_scenes(train) else _pairs(train, spec.dataset.max_disparity, is_training=True)
        self.val_pairs = None if is_scenes(val) else _pairs(val, spec.dataset.max_disparity, is_training=False)
        self.steps_per_epoch = self._steps_per_epoch()

    def _steps_per_epoch(self) -> int | None:
        """None for scenes, which never end."""
        if self.train_pairs is None:
            return None
        spec = self.spec
        per_step = spec.dataset.train_dataset.batch_size * spec.train.num_gpus * spec.train.num_nodes
        if len(self.train_pairs) < per_step:
            raise TrainingError(
                f"dataset.train_dataset has {len(self.train_pairs)} pairs and one step takes {per_step} (batch_size x "
                f"GPUs): lower batch_size or add pairs"
            )
        return len(self.train_pairs) // per_step

    @property
    def total_steps(self) -> int:
        """At which the training ends."""
        train = self.spec.train
        return train.num_steps or train.num_epochs * (self.steps_per_epoch or 0)

    @property
    def validations(self) -> int:
        """Batches of one validation, over all processes."""
        return self.spec.dataset.val_dataset.num_scenes if self.val_pairs is None else len(self.val_pairs)

    def training_batches(self, steps: range, next_step: Callable[[], int], place: Place) -> Batches:
        """Of one process; ``next_step`` says where the run stands when it begins or goes on."""
        split, pairs = self.spec.dataset.train_dataset, self.train_pairs
        if pairs is None:
            data_seed = int(split.data_sources[0].data_file)
            return Batches(steps, next_step, lambda left: (training_seed(data_seed, step, place) for step in left))

        def loaded(left: range) -> Iterable[Any]:
            seed = self.spec.train.seed
            batches = (drawn_batch(step, len(pairs), split.batch_size, seed, place) for step in left)
            return _loader(pairs, split, batch_sampler=batches)

        return Batches(steps, next_step, loaded)

    def validation_batches(self, place: Place) -> Any:
        """Of one process: its share of the seeds, or of the pairs, one by one because their sizes differ."""
        split = self.spec.dataset.val_dataset
        if self.val_pairs is None:
            return validation_seeds(int(split.data_sources[0].data_file), split.num_scenes, place)
        return _loader(self.val_pairs, split, batch_size=1, sampler=share(len(self.val_pairs), place))


def check_data(spec: TrainSpec, folder: Path, say: Callable[[str], None]) -> None:
    """Look through every list and write ``data_check.json``. Raises TrainingError for what forbids a training."""
    names: dict[str, str] = {}
    left_images: dict[str, list[str]] = {"train_dataset": [], "val_dataset": []}
    reports = {}
    for split, images in left_images.items():
        for source in getattr(spec.dataset, split).data_sources:
            file, name = source.data_file, source.dataset_name
            if name == SCENES:
                continue
            samples = read_annotations(file)
            images += [os.path.abspath(sample.left) for sample in samples]  # noqa: PTH100 (asks no disk for links)
            if names.setdefault(file, name) != name:
                raise TrainingError(f"{file} is read as {names[file]} and as {name}: expected one dataset_name for it")
            if file not in reports:
                reports[file] = check_samples(samples, name, spec.dataset.max_disparity)
    trained_on = set(left_images["train_dataset"])
    seen_before = [image for image in left_images["val_dataset"] if image in trained_on]
    for file, report in reports.items():
        say(f"{file}: {report.text()}")
    if seen_before:
        say(
            f"warning: {len(seen_before)} of the {len(left_images['val_dataset'])} pairs of val_dataset are also in "
            f"train_dataset, the first: {seen_before[0]}; the validation tells nothing about pairs that are learned"
        )
    if reports:
        with whole_file(folder / DATA_REPORT) as temporary:
            summaries = {file: report.summary() for file, report in reports.items()}
            temporary.write_text(json.dumps(summaries, indent=2), encoding="utf-8")
    errors = [finding for report in reports.values() for finding in report.errors]
    if errors and spec.train.skip_data_check:
        say(f"training in spite of {len(errors)} error(s): train.skip_data_check is true")
    elif errors:
        raise TrainingError(
            f"the check of the data found {len(errors)} error(s), the first: {errors[0].sentence}; all are in "
            f"{folder / DATA_REPORT}; correct the lists, or set train.skip_data_check: true"
        )


def _pairs(split: Split, max_disparity_px: float, is_training: bool) -> PairsInFiles:
    pairs = dataset_of(split, max_disparity_px, is_training)
    if not len(pairs):
        files = ", ".join(source.data_file for source in split.data_sources)
        raise TrainingError(f"{files} lists no pair: expected lines 'left right disparity'")
    return pairs


def _loader(pairs: PairsInFiles, split: Split, **sampling: Any) -> DataLoader[Any]:
    return DataLoader(
        pairs, num_workers=split.workers, pin_memory=split.pin_memory and torch.cuda.is_available(),
        generator=torch.Generator(), **sampling,  # its own, so that making a loader leaves the run's random state alone
    )  # fmt: skip
