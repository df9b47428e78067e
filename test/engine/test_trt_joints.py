"""What passes between the plans of one engine: each reads what was made for it, or the engine does not open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeGpu
from reference_tensorrt import ReferenceTensorRt

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ffs_ros.engine import EngineInfo  # noqa: E402
from ffs_ros.engine.parts import Part  # noqa: E402
from ffs_ros.engine.trt import TrtEngine  # noqa: E402
from ffs_ros.engine.trt_versions import TensorRt  # noqa: E402
from ffs_ros.errors import EngineError  # noqa: E402

INFO = EngineInfo("parts.engine", "reference", 192.0, 32)
Graph = tuple[str, bytes]


def graph(name: str, inputs: list[str], operator: str, output: str, channels: int = 3) -> Graph:
    """One operator on float32 [1,3,32,64], or of other ``channels``."""
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    one = make.make_tensor("one", kind, [1], [1.0])
    values = [make.make_tensor_value_info(each, kind, [1, channels, 32, 64]) for each in (*inputs, output)]
    terms = [*inputs, "one"][:2]
    model = make.make_model(
        make.make_graph([make.make_node(operator, terms, [output])], name, values[:-1], values[-1:], [one]),
        opset_imports=[make.make_opsetid("", 17)],
        ir_version=8,
    )
    return name, model.SerializeToString()


FEATURES = graph("features", ["left_image", "right_image"], "Add", "start")
ITERATION = graph("iteration", ["start"], "Add", "next")
LAST = graph("upsampling", ["next", "start"], "Sub", "disparity")


def opened(graphs: list[Graph], repeat: int, carried: dict[str, str]) -> TrtEngine:
    """An engine whose second plan runs ``repeat`` times."""
    FakeGpu.held = 0
    module = ReferenceTensorRt()
    module.gpu = FakeGpu()
    parts = [
        Part(name, len(content), *((repeat, carried) if number == 1 else (1, {})))
        for number, (name, content) in enumerate(graphs)
    ]
    plan = b"".join(content for _, content in graphs)
    return TrtEngine(TensorRt("tensorrt", module), module.gpu, plan, INFO, parts)


@pytest.mark.parametrize("repeat", [1, 2, 3, 4])
def test_a_later_part_reads_what_was_there_before_the_iterations(repeat: int) -> None:
    """Not what they carried to its name: each adds 1, and the last part takes the start away again."""
    carried = {"start": "next"} if repeat > 1 else {}
    with opened([FEATURES, ITERATION, LAST], repeat, carried) as engine:
        feeds: dict[str, Any] = {
            name: np.full((1, 3, 32, 64), 7.0, np.float32) for name in ("left_image", "right_image")
        }
        for _ in range(2):
            assert np.unique(engine.infer(feeds)["disparity"]) == [repeat]
    assert FakeGpu.held == 0


@pytest.mark.parametrize(
    ("graphs", "carried", "fault"),
    [
        ([ITERATION, FEATURES, LAST], {}, "'start', which part iteration reads, is not made before it"),
        ([FEATURES, graph("iteration", ["start"], "Add", "next", 1), LAST], {}, "'start', which part iteration reads"),
        ([FEATURES, ITERATION, LAST], {"start": "none"}, "'none', which part iteration carries to 'start', is not"),
        ([FEATURES, ITERATION, LAST], {"none": "next"}, "'next', which part iteration carries to 'none', is not"),
    ],
)
def test_plans_that_do_not_fit_together(graphs: list[Graph], carried: dict[str, str], fault: str) -> None:
    """Out of order, of another shape, carried names that do not exist: a sentence, and nothing stays allocated."""
    with pytest.raises(EngineError, match=rf"the plans of engine 'parts.engine' do not fit together: {fault}.*again"):
        opened(graphs, 2, carried)
    assert FakeGpu.held == 0
