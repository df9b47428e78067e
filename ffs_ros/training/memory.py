"""What a training step keeps in memory, counted without computing it, and which size would fit."""

from __future__ import annotations

import math
import os

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ffs_ros.network.model import SIZE_MULTIPLE, FastFoundationStereo
from ffs_ros.spec.train import TrainSpec

_BYTES_PER_WEIGHT = 4 * 4
"""The weight, its gradient and AdamW's two moments."""
_USABLE = 0.85
"""Of a GPU's memory; the rest is for what lives only within an operation, and for gaps between blocks."""
_LARGEST_SHARE_OF_A_SIDE = 0.9
"""Of a crop that did not fit."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch found no memory: a GPU's allocator has a class for it, the driver and the CPU only words."""
    return _is_of_gpu(error) or "DefaultCPUAllocator" in str(error)


def _is_of_gpu(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or "CUDA error: out of memory" in str(error)


def memory_of(error: RuntimeError) -> tuple[str, int]:
    """What ran out of memory, in a word, and how many bytes it has in all."""
    if _is_of_gpu(error):
        return "GPU", torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return "computer", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def shortage(spec: TrainSpec, device: str, total_bytes: int) -> str:
    """The sentence for a step of ``spec`` that found no memory on ``device``, which has ``total_bytes`` in all."""
    split = spec.dataset.train_dataset
    height, width = split.augmentation.crop_size
    step = f"batch_size {split.batch_size} at crop_size [{height}, {width}] with train_iters {spec.model.train_iters}"
    if split.batch_size <= _pairs_that_fit(spec, total_bytes):
        return (
            f"the {device} ran out of memory, and by estimate its {total_bytes / 1e9:.0f} GB hold {step}: other "
            f"programs take too much of it; end them, or lower batch_size"
        )
    return (
        f"the {device}'s {total_bytes / 1e9:.0f} GB are too few for {step}: by estimate "
        f"{what_fits(spec, total_bytes)} fits, when nothing else uses the {device}"
    )


def weight_bytes() -> int:
    """The network's weights and what belongs to each."""
    with FakeTensorMode():
        return _BYTES_PER_WEIGHT * sum(parameter.numel() for parameter in FastFoundationStereo().parameters())


def activation_bytes(pairs: int, height: int, width: int, iterations: int, is_bf16: bool) -> int:
    """Everything that the forward pass of a batch keeps for the backward one."""
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        network = FastFoundationStereo(iterations)
        image = torch.empty(pairs, 3, height, width)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network.predictions(image, image)
        for parameter in network.parameters():
            kept.pop(parameter.untyped_storage()._cdata, None)
        return sum(storage.nbytes() for storage in kept.values())


def what_fits(spec: TrainSpec, total_bytes: int) -> str:
    """A smaller batch at the spec's crop, or one pair at a smaller crop, that goes into this much memory."""
    split = spec.dataset.train_dataset
    height, width = split.augmentation.crop_size
    fitting = _pairs_that_fit(spec, total_bytes)
    pairs = min(int(fitting), split.batch_size - 1)
    if pairs >= 1:
        return f"batch_size {pairs} at crop_size [{height}, {width}]"
    side = min(math.sqrt(fitting), _LARGEST_SHARE_OF_A_SIDE)
    rows, columns = (max(1, int(side * size) // SIZE_MULTIPLE) * SIZE_MULTIPLE for size in (height, width))
    return f"batch_size 1 at crop_size [{rows}, {columns}]"


def _pairs_that_fit(spec: TrainSpec, total_bytes: int) -> float:
    """How many pairs of the spec's crop go into this much memory."""
    height, width = spec.dataset.train_dataset.augmentation.crop_size
    per_pair = activation_bytes(1, height, width, spec.model.train_iters, spec.train.precision == "bf16")
    return max(_USABLE * total_bytes - weight_bytes(), 0.0) / per_pair
