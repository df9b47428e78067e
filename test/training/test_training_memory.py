"""The count of what a step keeps, and the size that is said to fit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

from ffs_ros.network.model import FastFoundationStereo  # noqa: E402
from ffs_ros.spec.train import TrainSpec  # noqa: E402
from ffs_ros.training import memory  # noqa: E402
from ffs_ros.training.memory import (  # noqa: E402
    activation_bytes,
    is_out_of_memory,
    shortage,
    weight_bytes,
    what_fits,
)


def test_the_count_is_that_of_a_real_step():
    """What autograd keeps of a real forward pass, each storage once, as the count without computing says."""
    network = FastFoundationStereo(1)
    kept: dict[int, int] = {}
    held = []

    def keep(tensor):
        held.append(tensor)
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    image = torch.zeros(1, 3, 32, 64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.predictions(image, image)
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    activations = sum(size for pointer, size in kept.items() if pointer not in own)
    assert activation_bytes(1, 32, 64, 1, is_bf16=False) == pytest.approx(activations, rel=0.02)
    assert weight_bytes() == 16 * sum(parameter.numel() for parameter in network.parameters())


def test_it_grows_with_the_batch_and_shrinks_with_half_precision():
    """In proportion to the pairs."""
    one, three = (activation_bytes(pairs, 64, 128, 1, is_bf16=False) for pairs in (1, 3))
    assert three == pytest.approx(3 * one, rel=0.01)
    assert activation_bytes(3, 64, 128, 1, is_bf16=True) < 0.75 * three


def batch_of_eight():
    sources = [{"dataset_name": "GenericDataset", "data_file": "list.txt"}]
    split = {"data_sources": sources, "batch_size": 8, "augmentation": {"crop_size": [128, 256]}}
    return TrainSpec.of({"results_dir": "x", "dataset": {"train_dataset": split, "val_dataset": split}})


def test_a_size_that_fits_is_smaller_than_the_one_that_did_not(monkeypatch):
    """Half the batch where that fits, a smaller crop of multiples of 32 where not even one pair does."""
    spec = batch_of_eight()
    pair = 10**9
    monkeypatch.setattr(memory, "activation_bytes", lambda *_: pair)
    assert what_fits(spec, int((weight_bytes() + 4.5 * pair) / 0.85)) == "batch_size 4 at crop_size [128, 256]"
    assert what_fits(spec, int((weight_bytes() + 9.5 * pair) / 0.85)) == "batch_size 7 at crop_size [128, 256]"
    assert what_fits(spec, int((weight_bytes() + 0.6 * pair) / 0.85)) == "batch_size 1 at crop_size [96, 192]"
    assert what_fits(spec, 1) == "batch_size 1 at crop_size [32, 32]"


def test_a_batch_that_should_fit_has_others_to_blame(monkeypatch):
    """Advice to take a smaller batch would be wrong on a GPU that other programs fill."""
    monkeypatch.setattr(memory, "activation_bytes", lambda *_: 10**9)
    spec = batch_of_eight()
    assert "its 150 GB hold batch_size 8 at crop_size [128, 256]" in shortage(spec, "GPU", 150 * 10**9)
    assert "other programs take too much of it" in shortage(spec, "GPU", 150 * 10**9)
    assert "the GPU's 9 GB are too few for batch_size 8" in shortage(spec, "GPU", 9 * 10**9)
    assert "batch_size 7 at crop_size [128, 256] fits" in shortage(spec, "GPU", 9 * 10**9)


def test_what_the_driver_says_counts_too():
    """A kernel that finds no memory raises another error than the allocator does."""
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
