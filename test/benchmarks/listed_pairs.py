"""``python test/benchmarks/listed_pairs.py WEIGHTS LIST``: errors of weights on annotated pairs, as in a validation.

The truth is in GenericDataset's encoding.
"""

from __future__ import annotations

import sys

import torch

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.metrics import counted, pooled_per_image, scores
from ffs_ros.network import network_from
from ffs_ros.training.dataset import PairsInFiles
from ffs_ros.training.spec import Source

ITERATIONS, MAX_DISPARITY_px = 8, 192.0


def main(weights: str, annotations: str) -> None:
    """Print the means over the pairs."""
    network = network_from(open_checkpoint(weights).tensors, ITERATIONS)
    pairs = []
    for item in PairsInFiles([Source("GenericDataset", annotations)]):
        with torch.no_grad():
            disparity_HW = network(item["left"][None], item["right"][None])[0, 0].numpy()
        truth_HW = item["disparity"][0].numpy()
        pairs.append(scores(disparity_HW, truth_HW, counted(truth_HW, MAX_DISPARITY_px)))
    mean = pooled_per_image(pairs)
    print(f"{weights} on {annotations}: epe {mean.epe:.2f} px, bp2 {mean.bp2:.1%}, pairs {len(pairs)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
