"""What differs between versions: found by what a module has, not by its number."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeTensorRt, Type

from ffs_ros.engine.trt_versions import AUTO, RTX, TENSORRT, Phases, TensorRt, imported
from ffs_ros.errors import EngineError


def test_what_each_version_can() -> None:
    """8.6 is weak and silent, 10 both, 11 strong alone."""
    old, both = FakeTensorRt("8.6.1", strong=False, monitor=False), FakeTensorRt("10.3.0")
    new = FakeTensorRt("11.0.0", weak=False)
    found = [TensorRt(TENSORRT, module) for module in (old, both, new)]
    assert [one.can_be_strong for one in found] == [False, True, True]
    assert [one.can_be_weak for one in found] == [True, True, False]
    assert [one.tells_progress for one in found] == [False, True, True]


@pytest.mark.parametrize(
    ("version", "nodes", "repeat", "level"),
    [("8.6.1", 2000, 1, 2), ("8.6.1", 317, 1, 2), ("8.6.1", 51, 1, 3), ("8.6.1", 6, 8, 4), ("10.3.0", 6, 8, 3)],
)
def test_small_parts_and_those_that_run_again_are_worth_higher_levels(
    version: str, nodes: int, repeat: int, level: int
) -> None:
    """Where a level costs minutes: a whole graph, the backbone, an hourglass, an iteration."""
    assert TensorRt(TENSORRT, FakeTensorRt(version)).optimization_level(nodes, repeat) == level


def test_networks_are_made_as_the_version_wants() -> None:
    """Explicit batch where there is a choice, strongly typed where asked for."""
    tensorrt = TensorRt(TENSORRT, FakeTensorRt())
    builder = tensorrt.trt.Builder(tensorrt.logger)
    assert tensorrt.network(builder, strong=True).flags == ["EXPLICIT_BATCH", "STRONGLY_TYPED"]
    assert tensorrt.network(builder, strong=False).flags == ["EXPLICIT_BATCH"]


def test_what_a_context_needs_has_two_names() -> None:
    """``device_memory_size`` lost its place to ``_v2``."""
    tensorrt = TensorRt(TENSORRT, FakeTensorRt())
    old, new = type("Old", (), {"device_memory_size": 5}), type("New", (), {"device_memory_size_v2": 6})
    assert (tensorrt.context_bytes(old), tensorrt.context_bytes(new)) == (5, 6)


def test_types() -> None:
    """Those that inputs and outputs have; a sentence for others."""
    tensorrt = TensorRt(TENSORRT, FakeTensorRt())
    assert [tensorrt.dtype(one) for one in (Type.UINT8, Type.HALF)] == [np.uint8, np.float16]
    with pytest.raises(EngineError, match="is BF16, which is not supported"):
        tensorrt.dtype(type("T", (), {"name": "BF16"}))


def test_progress_is_the_share_of_nested_phases() -> None:
    """A step that has phases of its own counts as they go on; the share never falls."""
    phases = Phases()
    phases.start("build", None, 4)
    phases.step("build", 0)
    assert phases.done == 0.25
    phases.start("optimize", "build", 2)
    phases.step("optimize", 0)
    assert phases.done == 0.375
    phases.start("time kernels", "optimize", 10)
    phases.step("time kernels", 4)
    assert phases.done == pytest.approx(0.25 * (1 + (1 + 0.5) / 2))
    phases.finish("time kernels")
    phases.finish("optimize")
    phases.start("optimize", "build", 2)
    assert phases.done == pytest.approx(0.4375)
    phases.step("build", 1)
    assert phases.done == 0.5
    phases.step("build", 3)
    phases.finish("build")
    assert phases.done == 1.0


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes exactly these modules importable, with these versions."""

    def install(**versions: str) -> None:
        for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_libs", "tensorrt_rtx_bindings"):
            module: Any = None
            if name in versions:
                module = ModuleType(name)
                module.__dict__.update(vars(FakeTensorRt(versions[name])))
            monkeypatch.setitem(sys.modules, name, module)

    return install


def test_auto_takes_the_first_that_is_installed(installed: Any) -> None:
    """TensorRT before TensorRT-RTX; a name takes that one."""
    installed(tensorrt="10.3.0", tensorrt_rtx="1.2.0")
    assert imported(AUTO).title == "TensorRT 10.3.0"
    assert imported(RTX).title == "TensorRT-RTX 1.2.0"
    installed(tensorrt_rtx="1.2.0")
    assert imported(AUTO).runtime == RTX


def test_none_is_installed(installed: Any) -> None:
    """What to install, for each."""
    installed()
    with pytest.raises(EngineError, match=r"TensorRT does not import.*tensorrt pycuda.*RTX does not.*rtx") as said:
        imported(AUTO)
    assert "sgbm" not in str(said.value)  # which helps nobody who builds an engine
    installed(tensorrt="8.5.3")
    with pytest.raises(EngineError, match=r"TensorRT 8\.5\.3 is older than 8\.6: install a newer one"):
        imported(TENSORRT)
