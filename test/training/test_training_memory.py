"""The count of what a step keeps, and the size that is said to fit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

from ffs_ros.network.model import FastFoundationStereo  # noqa: E402
from ffs_ros.training import memory  # noqa: E402
from ffs_ros.training.memory import activation_bytes, weight_bytes, what_fits  # noqa: E402
from ffs_ros.training.spec import spec_from  # noqa: E402


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


def test_a_size_that_fits_is_smaller_than_the_one_that_did_not(monkeypatch):
    """Half the batch where that fits, a smaller crop of multiples of 32 where not even one pair does."""
    sources = [{"dataset_name": "GenericDataset", "data_file": "list.txt"}]
    split = {"data_sources": sources, "batch_size": 8, "augmentation": {"crop_size": [128, 256]}}
    spec = spec_from({"results_dir": "x", "dataset": {"train_dataset": split, "val_dataset": split}})
    pair = 10**9
    monkeypatch.setattr(memory, "activation_bytes", lambda *_: pair)
    assert what_fits(spec, int((weight_bytes() + 4.5 * pair) / 0.85)) == "batch_size 4 at crop_size [128, 256]"
    assert what_fits(spec, int((weight_bytes() + 9.5 * pair) / 0.85)) == "batch_size 7 at crop_size [128, 256]"
    assert what_fits(spec, int((weight_bytes() + 0.6 * pair) / 0.85)) == "batch_size 1 at crop_size [96, 192]"
    assert what_fits(spec, 1) == "batch_size 1 at crop_size [32, 32]"
