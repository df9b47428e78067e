"""The ranges of the network's numbers, against values that are known."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ffs_ros.network import FastFoundationStereo  # noqa: E402
from ffs_ros.network.ranges import activation_ranges  # noqa: E402


@pytest.fixture
def network():
    torch.manual_seed(3)
    return FastFoundationStereo(iterations=2).eval()


@pytest.fixture
def pairs():
    images = np.random.default_rng(1).integers(0, 256, (2, 2, 32, 64, 3), dtype=np.uint8)
    return [tuple(pair) for pair in images]


def test_every_stage_has_a_range(network, pairs):
    """All modules of the network, the cost volume, what is looked up and the answer; a cosine stays within 1."""
    found = activation_ranges(network, pairs)
    stages = {name for name, _ in network.named_children()} | {"cost_volume", "look_up", "disparity"}
    assert set(found) == stages
    for stage, span in found.items():
        assert span.least <= span.largest
        assert 0 <= span.usual <= max(-span.least, span.largest)
        assert span.where.startswith(stage)
    with torch.inference_mode():
        answers = [network(*(torch.from_numpy(i)[None].permute(0, 3, 1, 2) for i in pair)) for pair in pairs]
    assert found["disparity"].least == min(float(answer.min()) for answer in answers)
    assert found["disparity"].largest == max(float(answer.max()) for answer in answers)


def test_the_largest_number_is_found_where_it_is(network, pairs):
    """A layer of the second iteration's path that is made large; a convolution before a batch norm does not count."""
    with torch.no_grad():
        network.update_block.gru04.conv1[0].bias[5] = 70000.0
        network.classifier[0].bias[:] = -400.0
        first = network.corr_feature_att[0]
        first.conv.weight *= 1e6
        first.norm.running_var[:] = 1e12
    found = activation_ranges(network, pairs)
    assert found["update_block"].where == "update_block.gru04.conv1.0"
    assert found["update_block"].largest == pytest.approx(70000, rel=0.01)
    assert found["classifier"].least == pytest.approx(-400, rel=0.05)
    assert found["corr_feature_att"].largest < 1e3


def test_the_network_stays_as_it_was(network, pairs):
    """No hook is left behind."""
    activation_ranges(network, pairs[:1])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
