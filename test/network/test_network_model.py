"""The network as a whole: its tensors, the sizes it takes, batches, and what training needs of it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ffs_ros.errors import EngineError  # noqa: E402
from ffs_ros.network import FastFoundationStereo, network_from  # noqa: E402


def pair(height: int, width: int, batch: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A texture and the same texture 8 pixels further left, B,3,H,W uint8."""
    texture = np.random.default_rng(seed).integers(0, 256, (batch, 3, height, width + 8), dtype=np.uint8)
    return torch.from_numpy(texture[..., :-8].copy()), torch.from_numpy(texture[..., 8:].copy())


def test_tensors_are_exactly_the_live_ones_of_the_checkpoint(tensors, shared):
    """The network holds the 490 live tensors under their names and shapes, 14.6 million parameters, and no others."""
    network = FastFoundationStereo()
    held = {name: tuple(value.shape) for name, value in network.state_dict().items() if value.is_floating_point()}
    assert held == {name: array.shape for name, array in tensors.items()}
    assert len(held) == 490
    assert sum(parameter.numel() for parameter in network.parameters()) == 14_600_541
    manifest = json.loads((shared / "conformance" / "manifest.json").read_text())
    counters = {name for name in network.state_dict() if name.endswith("num_batches_tracked")}
    assert set(network.state_dict()) - counters < {entry["name"] for entry in manifest["tensors"]}


def test_weights_arrive_unchanged(tensors, network):
    """Every value of the checkpoint is the value in the network, which comes in inference mode."""
    state = network.state_dict()
    assert all(np.array_equal(state[name].numpy(), array) for name, array in tensors.items())
    assert not network.training


def test_epsilons_of_the_norms():
    """What keeps a norm from dividing by 0 is 1e-6 in the backbone's layer norms, 1e-5 elsewhere.

    The numbers alone do not show it everywhere: some change the results by less than rounding.
    """
    network = FastFoundationStereo()
    epsilons = {
        (name.startswith("feature."), type(module).__name__, module.eps)
        for name, module in network.named_modules()
        if hasattr(module, "eps")
    }
    assert epsilons == {
        (True, "LayerNorm", 1e-6),
        (True, "ChannelNorm", 1e-6),
        (True, "InstanceNorm2d", 1e-5),
        (False, "InstanceNorm2d", 1e-5),
        (False, "BatchNorm2d", 1e-5),
        (False, "BatchNorm3d", 1e-5),
        (False, "LayerNorm", 1e-5),
    }


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_other_tensors_are_refused(tensors, change):
    """A missing, an unknown and a misshapen tensor each stop the loading, by name."""
    changed = dict(tensors)
    if change == "unknown":
        name = "cost_agg.conv_patch.0.weight"
        changed[name] = np.zeros(1, np.float32)
    else:
        name = "sam.samconv.weight"
        array = changed.pop(name)
        if change == "shape":
            changed[name] = array[..., :5, :5]
    with pytest.raises(RuntimeError, match=re.escape(name)):
        network_from(changed)


@pytest.mark.parametrize("size", [(32, 32), (32, 64), (96, 32)])
def test_any_multiple_of_32_runs(small_network, size):
    """The smallest sizes and odd multiples of 32 give a finite disparity of the same size."""
    with torch.inference_mode():
        disparity = small_network(*pair(*size))
    assert disparity.shape == (1, 1, *size)
    assert disparity.isfinite().all()


def test_uint8_and_float_images_are_the_same(small_network):
    """0..255 means the same in both types."""
    left, right = pair(32, 64)
    with torch.inference_mode():
        assert torch.equal(small_network(left, right), small_network(left.float(), right.float()))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1, 3, 48, 64), (1, 3, 48, 64)),
        ((1, 3, 32, 80), (1, 3, 32, 80)),
        ((1, 3, 32, 64), (1, 3, 64, 64)),
        ((1, 3, 32, 64), (2, 3, 32, 64)),
        ((1, 1, 32, 64), (1, 1, 32, 64)),
        ((3, 32, 64), (3, 32, 64)),
        ((1, 32, 64, 3), (1, 32, 64, 3)),
        ((1, 3, 0, 64), (1, 3, 0, 64)),
    ],
)
def test_other_shapes_are_refused(small_network, left, right):
    """Odd sizes, unequal pairs and other layouts are refused with both shapes in the message."""
    with pytest.raises(EngineError, match="multiples of 32") as refusal:
        small_network(torch.zeros(left), torch.zeros(right))
    assert str(left) in str(refusal.value)
    assert str(right) in str(refusal.value)


def test_batch_of_two_equals_two_singles(network):
    """The pairs of a batch do not see each other."""
    left, right = pair(64, 96, batch=2)
    with torch.inference_mode():
        together = network(left, right)
        alone = torch.cat([network(left[i : i + 1], right[i : i + 1]) for i in range(2)])
    assert (alone[0] - alone[1]).abs().max() > 1  # px: the two differ, so a mix-up would show
    assert (together - alone).abs().max() <= 1e-3


def test_predictions_end_with_the_disparity(small_network):
    """Training sees the initial disparity, then one full-resolution map per iteration; the last is ``forward``'s."""
    small_network.iterations = 3
    left, right = pair(32, 64)
    with torch.inference_mode():
        initial, maps = small_network.predictions(left, right)
        assert torch.equal(maps[-1], small_network(left, right))
    assert initial.shape == (1, 1, 8, 16)
    assert [tuple(disparity.shape) for disparity in maps] == [(1, 1, 32, 64)] * 3
    assert not torch.equal(maps[0], maps[1])


def loss_of(initial: torch.Tensor, maps: list[torch.Tensor]) -> torch.Tensor:
    """The kind of loss that training uses: every prediction counts. The truth is 8 px, 2 at 1/4 resolution."""
    return (initial - 2).abs().mean() + sum((disparity - 8).abs().mean() for disparity in maps)


def test_training_reaches_every_parameter(tensors):
    """A loss on all predictions gives every parameter a gradient, save the bias that the softmax cancels."""
    network = network_from(tensors, iterations=2)
    loss_of(*network.predictions(*pair(64, 64))).backward()
    steepest = {name: parameter.grad.abs().max() for name, parameter in network.named_parameters()}
    assert {name for name, slope in steepest.items() if not slope > 1e-4} == {"classifier.0.bias"}


def test_training_mode_follows_the_batch(small_network):
    """In training mode gradients are finite and batch norms learn the statistics of their batch."""
    before = {name: value.clone() for name, value in small_network.named_buffers() if name.endswith("running_var")}
    small_network.train()
    loss_of(*small_network.predictions(*pair(64, 64, batch=2))).backward()
    assert all(parameter.grad.isfinite().all() for parameter in small_network.parameters())
    after = dict(small_network.named_buffers())
    assert before
    assert not any(torch.equal(after[name], value) for name, value in before.items())


def test_iterations_do_not_pass_gradients_through_the_disparity(small_network):
    """The disparity that an iteration starts from is a constant to the loss behind it."""
    initial, maps = small_network.predictions(*pair(32, 64))
    assert torch.autograd.grad(maps[-1].sum(), initial, allow_unused=True) == (None,)
