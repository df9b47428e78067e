"""What a training step keeps in memory, counted without computing it, and which size would fit."""

from __future__ import annotations

import itertools

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ffs_ros.network.model import SIZE_MULTIPLE, FastFoundationStereo

from .spec import Spec

_BYTES_PER_WEIGHT = 4 * 4
"""The weight, its gradient and AdamW's two moments."""
_USABLE = 0.85
"""Of a GPU's memory; the rest is for what lives only within an operation, and for gaps between blocks."""


def kept_bytes(pairs: int, height: int, width: int, iterations: int, is_bf16: bool) -> int:
    """Weights with what belongs to them, and everything that the forward pass of a batch keeps for the backward one."""
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        network = FastFoundationStereo(iterations)
        weights = sum(parameter.numel() for parameter in network.parameters())
        image = torch.empty(pairs, 3, height, width)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network.predictions(image, image)
        for parameter in network.parameters():
            kept.pop(parameter.untyped_storage()._cdata, None)
        return _BYTES_PER_WEIGHT * weights + sum(storage.nbytes() for storage in kept.values())


def what_fits(spec: Spec, total_bytes: int) -> str:
    """A batch size at the spec's crop, or where not even one pair fits a smaller crop, for this much memory."""
    height, width = spec.dataset.train_dataset.augmentation.crop_size
    iterations, is_bf16 = spec.model.train_iters, spec.train.precision == "bf16"
    fixed = kept_bytes(1, SIZE_MULTIPLE, SIZE_MULTIPLE, iterations, is_bf16)
    per_pair = kept_bytes(1, height, width, iterations, is_bf16) - fixed
    pairs = int((_USABLE * total_bytes - fixed) / per_pair)
    pairs = min(pairs, spec.dataset.train_dataset.batch_size - 1)
    if pairs >= 1:
        return f"batch_size {pairs} at crop_size [{height}, {width}]"
    for shrink in itertools.count(1):
        ratio = 1 - shrink / 32
        rows, columns = (max(1, int(ratio * size) // SIZE_MULTIPLE) * SIZE_MULTIPLE for size in (height, width))
        is_smallest = rows == columns == SIZE_MULTIPLE
        need = fixed + per_pair * (rows * columns) / (height * width)
        if is_smallest or ((rows, columns) != (height, width) and need <= _USABLE * total_bytes):
            break
    return f"batch_size 1 at crop_size [{rows}, {columns}]"
