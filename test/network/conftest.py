"""The conformance kit's weights and cases, and a small network that needs neither."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ffs_ros.network import FastFoundationStereo, network_from  # noqa: E402

# Tensors that checkpoints carry and no computation reads.
DEAD = (
    "context_zqr_convs.",
    *(f"cost_agg.{part}." for part in ("conv3_up", "conv2_up", "agg_0", "agg_1", "conv_out", "conv_patch", "atts")),
    *(f"cost_agg.feature_att_up_{scale}." for scale in (16, 8)),
)


@pytest.fixture(scope="session")
def tensors(shared: Path) -> dict[str, np.ndarray]:
    """The kit's synthetic weights: the live tensors under TAO's names."""
    spec = importlib.util.spec_from_file_location("make_checkpoint", shared / "conformance" / "make_checkpoint.py")
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    return {
        name: array
        for name, array in kit.state_dict().items()
        if array.dtype == np.float32 and not name.startswith(DEAD)
    }


@pytest.fixture(scope="session")
def network(tensors: dict[str, np.ndarray]) -> FastFoundationStereo:
    return network_from(tensors)


@pytest.fixture(scope="session")
def case(shared: Path):
    """``case("a")`` -> every array of that case, from all its files, and its ``meta`` as a dict."""

    def load(letter: str) -> dict:
        arrays: dict = {}
        for path in sorted((shared / "conformance").glob(f"case_{letter}_*.npz")):
            with np.load(path) as file:
                arrays.update(file)
        arrays["meta"] = json.loads(str(arrays["meta"]))
        return arrays

    return load


@pytest.fixture
def small_network() -> FastFoundationStereo:
    """Random weights, the same in every run, and two iterations. Layer scales are raised from their start near 0."""
    torch.manual_seed(0)
    network = FastFoundationStereo(iterations=2)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("gamma", "gamma_xca")):
                parameter.fill_(0.5)
    return network.eval()
