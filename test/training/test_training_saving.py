"""What is saved does not depend on how tensors lie in memory: on a GPU convolutions lie channels last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.checkpoint.stored import half_weights, stored  # noqa: E402
from ffs_ros.network.layout import channels_last  # noqa: E402
from ffs_ros.network.model import FastFoundationStereo  # noqa: E402
from ffs_ros.training.saving import WholeCheckpointIO, write_weights_fp16  # noqa: E402


@pytest.fixture(scope="module")
def networks() -> tuple[FastFoundationStereo, FastFoundationStereo]:
    """The same weights, laid out as PyTorch makes them, and channels last."""
    plain, moved = FastFoundationStereo(1), FastFoundationStereo(1)
    moved.load_state_dict(plain.state_dict())
    channels_last(moved)
    assert sum(not tensor.is_contiguous() for tensor in moved.state_dict().values()) > 50
    return plain, moved


def test_weights_are_the_same_file_in_either_layout(networks, tmp_path):
    """Byte for byte, and what is read from it is what was in the network, rounded."""
    files = [tmp_path / f"{name}.safetensors" for name in ("plain", "moved")]
    for network, file in zip(networks, files, strict=True):
        write_weights_fp16(network, file, step=1)
    assert files[0].read_bytes() == files[1].read_bytes()
    state = networks[0].state_dict()
    for name, array in open_checkpoint(files[1]).tensors.items():
        np.testing.assert_array_equal(array, state[name].half().float().numpy(), err_msg=name)


def test_a_checkpoint_opens_the_same_in_either_layout(networks, tmp_path):
    """Exactly: PyTorch stores the strides, and reading follows them."""
    state = networks[0].state_dict()
    for index, network in enumerate(networks):
        path = tmp_path / f"{index}.pth"
        saved = {"state_dict": {f"model.{name}": tensor for name, tensor in network.state_dict().items()}}
        WholeCheckpointIO().save_checkpoint(saved, path)
        opened = open_checkpoint(path).tensors
        for name, array in opened.items():
            np.testing.assert_array_equal(array, state[name].numpy(), err_msg=name)


def test_stored_weights_are_the_same_file_in_any_order_of_memory(tmp_path: Path):
    """The file that ships is written from arrays in whatever order, and opened by what knows only one."""
    name = "feature.stem.0.weight"
    array = np.random.default_rng(0).normal(size=(4, 3, 2, 5)).astype(np.float32)
    moved = np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not moved.flags.c_contiguous
    assert stored(half_weights({name: moved}), {}).data == stored(half_weights({name: array}), {}).data
    halves = {name: moved.astype(np.float16)}
    assert not halves[name].flags.c_contiguous
    assert stored(halves, {}).data == stored(half_weights({name: array}), {}).data
