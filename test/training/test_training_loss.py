"""The loss on numbers that one can check by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from ffs_ros.training.loss import final_loss, iteration_weights, sequence_loss  # noqa: E402


def test_weights_of_22_iterations_are_taos():
    """Each is 0.9275 of the next one; the last is 1, the first 0.9^15, however many there are."""
    weights = iteration_weights(22)
    assert weights[-1] == 1.0
    assert weights[-2] == pytest.approx(0.9275, abs=5e-5)
    assert weights[0] == pytest.approx(0.9**15)
    assert iteration_weights(4)[0] == pytest.approx(0.9**15)
    assert iteration_weights(1) == [1.0]


def test_known_answer():
    """Truth 8 everywhere: initial 2 + 3 quarter-pixels off costs 2.5, maps 1 px and 2 px off their weights."""
    truth = torch.full((1, 1, 8, 8), 8.0)
    initial = torch.full((1, 1, 2, 2), 5.0)
    maps = [truth + 1.0, truth - 2.0]
    assert float(sequence_loss(initial, maps, truth, 192.0)) == pytest.approx(2.5 + 0.9**15 * 1.0 + 2.0)
    assert float(final_loss(truth + 0.5, truth, 192.0)) == pytest.approx(0.125)


@pytest.mark.parametrize("unknown", [math.nan, math.inf, 0.0, -1.0, 192.0, 500.0])
def test_what_is_no_truth_never_counts(unknown):
    """Padding's zeros, NaN, and what lies beyond the range: the mean is over the other half, and gets no gradient."""
    truth = torch.full((1, 1, 8, 8), 8.0)
    truth[..., 4:] = unknown
    initial = torch.full((1, 1, 2, 2), 5.0, requires_grad=True)
    map_ = torch.full((1, 1, 8, 8), 9.0, requires_grad=True)
    loss = sequence_loss(initial, [map_], truth, 192.0)
    loss.backward()
    assert loss.item() == pytest.approx(2.5 + 1.0)
    assert map_.grad is not None
    assert torch.equal(map_.grad[..., 4:], torch.zeros(1, 1, 8, 4))
    assert torch.allclose(map_.grad[..., :4], torch.tensor(1 / 32))
    assert torch.equal(initial.grad[..., 1:], torch.zeros(1, 1, 2, 1))


def test_a_batch_without_truth_costs_nothing():
    """No division by zero: loss and gradients are 0."""
    map_ = torch.full((1, 1, 8, 8), 9.0, requires_grad=True)
    loss = sequence_loss(torch.zeros(1, 1, 2, 2), [map_], torch.full((1, 1, 8, 8), math.nan), 192.0)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(map_.grad, torch.zeros_like(map_))


def test_half_precision_is_summed_in_float32():
    """A map in bfloat16 of many pixels: the mean is right to float32."""
    truth = torch.full((1, 1, 256, 256), 100.0)
    assert float(sequence_loss(truth[..., ::4, ::4] / 4, [(truth + 1).bfloat16()], truth, 192.0)) == 1.0
