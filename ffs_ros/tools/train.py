"""``ffs train``: a spec -> checkpoints, weights and a loss curve."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffs_ros.advice import TRAIN_PACKAGES
from ffs_ros.errors import TrainingError
from ffs_ros.spec.train import TrainSpec

HELP = """\
ffs train -e spec.yaml
ffs train -e spec.yaml train.num_epochs=5 results_dir=runs/longer

Train the network: finetune released weights on annotated pairs, or start from nothing on rendered scenes. The spec has
TAO's keys; KEY=VALUE changes one for this run. RESULTS_DIR/train receives
  model_epoch_NNN_step_NNNNN.pth   checkpoints that ffs export, ffs inspect and a resumed run open
  dn_model_latest.pth              a link to the newest one; a run that finds it goes on from there
  weights_fp16.safetensors         the newest weights alone
  curve.csv, validation.csv        step, loss, learning rate, samples a second; step and scores
  status.json, experiment.yaml, lightning_logs   as TAO has them
  tune/                            with --tune N: the trials, each a training of its own
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs train``."""
    parser.add_argument(
        "-e", "--spec", "--experiment_spec_file", metavar="SPEC.yaml", type=Path, required=True,
        help="what to train, and how",
    )  # fmt: skip
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="what is another than in the spec")
    parser.add_argument(
        "--tune", metavar="N", type=int, help="search lr and lr_decay in N trainings of the spec; goes on if repeated"
    )


def main(args: argparse.Namespace) -> None:
    """Train, or raise FfsError."""
    try:
        from ffs_ros.training.run import train

        if args.tune is not None:
            from ffs_ros.training.tune import tune
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ffs_ros"):
            raise
        raise TrainingError(
            f"training needs the Python package '{error.name}', which is not installed; {TRAIN_PACKAGES}"
        ) from None
    spec = TrainSpec.read(args.spec, args.overrides)
    if args.tune is None:
        train(spec)
    else:
        tune(spec, args.tune)
