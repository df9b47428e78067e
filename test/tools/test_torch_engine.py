"""A checkpoint behind the engines' protocol."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ffs_ros.errors import EngineError, FileError, UnfitImages
from ffs_ros.matcher import StereoMatcher
from ffs_ros.tools.engine_choice import EngineChoice
from ffs_ros.tools.torch_engine import TorchEngine
from ffs_ros.weights import WEIGHTS


def test_it_answers_as_the_network_does() -> None:
    """The numbers of ``network.disparity_of``, with as many iterations as are asked for; no answer is a failure."""
    pytest.importorskip("torch")
    from ffs_ros.checkpoint import open_checkpoint
    from ffs_ros.network import disparity_of

    left, right = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 64, 3), np.uint8)
    with TorchEngine(WEIGHTS, iterations=1) as engine:
        assert (engine.info.dense, engine.info.size_multiple, engine.info.max_disparity) == (True, 32, 192.0)
        assert engine.info.name == WEIGHTS.name
        found = engine.infer({"left": left, "right": right})["disparity"]
        with pytest.raises(UnfitImages, match="'left' float32"):
            engine.infer({"left": left.astype(np.float32), "right": right})
        assert StereoMatcher(engine).match(left[0, :30], right[0, :30]).shape == (30, 64)
    np.testing.assert_array_equal(found, disparity_of(open_checkpoint(WEIGHTS).tensors, left, right, iterations=1))


def test_an_engine_is_chosen_by_its_name(tmp_path: object) -> None:
    """Checkpoints' endings go to PyTorch, others where they always went."""
    pytest.importorskip("torch")
    with EngineChoice(str(WEIGHTS), iterations=1).open() as matcher:
        assert matcher.engine.info.runtime.startswith("PyTorch")
    with EngineChoice("sgbm", max_disparity=40, engine_size="auto").open() as matcher:
        assert matcher.engine.info.max_disparity == 48.0
    with pytest.raises(FileError, match=r"none\.pth"), EngineChoice(f"{tmp_path}/none.pth").open():
        pass


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing, and what to do on a machine that is to do without."""
    for name in [name for name in sys.modules if name.startswith("ffs_ros.network")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineError, match=r"the Python package 'torch' is not installed; .* or export it on a machine"):
        TorchEngine(WEIGHTS)
