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
from ffs_ros.engine.kernel_calls import Prepared, prepared  # noqa: E402
from ffs_ros.engine.parts import Part  # noqa: E402
from ffs_ros.engine.trt import TrtEngine  # noqa: E402
from ffs_ros.engine.trt_versions import TensorRt  # noqa: E402
from ffs_ros.errors import EngineError  # noqa: E402

INFO = EngineInfo("parts.engine", "reference", 192.0, 32)
Graph = tuple[str, bytes]


def graph(
    name: str, inputs: list[str], operator: str, output: str, channels: int = 3, last: int = 0
) -> Graph:  # fmt: skip
    """One operator on float32 [1,3,32,64], or of other ``channels``, or on halves [1,32,64,last]."""
    make, kind = onnx.helper, onnx.TensorProto.FLOAT16 if last else onnx.TensorProto.FLOAT
    one = make.make_tensor("one", kind, [1], [1.0])
    shape = [1, 32, 64, last] if last else [1, channels, 32, 64]
    values = [make.make_tensor_value_info(each, kind, shape) for each in (*inputs, output)]
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


def opened(graphs: list[Graph], repeat: int, carried: dict[str, str], after: list[Prepared] | None = None) -> TrtEngine:
    """An engine whose second plan runs ``repeat`` times, each time with kernels ``after`` it."""
    FakeGpu.held = 0
    module = ReferenceTensorRt()
    module.gpu = FakeGpu()
    kernels = after or []
    parts = [
        Part(name, len(content), *((repeat, carried, [], [one.call for one in kernels]) if number == 1 else (1, {})))
        for number, (name, content) in enumerate(graphs)
    ]
    contents = [content for _, content in graphs]
    contents[2:2] = [one.content for one in kernels]
    plan = b"".join(contents)
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


STEREO = [
    graph("features", ["left_image", "right_image"], "Add", "start", 1),
    graph("iteration", ["seed"], "Add", "picture", last=40),
    graph("upsampling", ["next", "start"], "Sub", "disparity", 1),
]


def step(disparity: str, writes: str) -> Prepared:
    """The kernel that adds what it makes of the picture, here its bias alone, which is 1, in fp32."""
    constants = np.zeros(640, np.float16).tobytes(), np.float32(1).tobytes()
    return prepared("disparity_step", ["picture", disparity], writes, [1, 32, 64], constants)


@pytest.mark.parametrize("repeat", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("calls", "output", "more"),
    [
        ([step("start", "next")], "next", 0),
        ([step("start", "between"), step("between", "next")], "between", 1),
    ],
)
def test_what_kernels_alone_read_and_write_is_carried_too(
    calls: list[Prepared], output: str, more: int, repeat: int
) -> None:
    """Each step adds 1 and writes nothing that it reads; the next kernel and the last part read the last one's."""
    with opened(STEREO, repeat, {"start": output} if repeat > 1 else {}, calls) as engine:
        feeds: dict[str, Any] = {name: np.full((1, 1, 32, 64), 7, np.float32) for name in ("left_image", "right_image")}
        feeds["seed"] = np.zeros((1, 32, 64, 40), np.float16)
        for _ in range(2):
            assert np.unique(engine.infer(feeds)["disparity"]) == [repeat + more]
    assert FakeGpu.held == 0


@pytest.mark.parametrize(
    ("carried", "fault"),
    [
        ({"start": "picture"}, "'picture', which part iteration carries to 'start', is not made as it is read"),
        ({"start": "start"}, "'start', which part iteration carries to 'start', is not made as it is read"),
        ({"seed": "next"}, "'next', which part iteration carries to 'seed', is not made as it is read"),
        ({"picture": "picture"}, "'picture', which part iteration carries to 'picture', is not made as it is read"),
        ({"left_image": "next"}, "'next', which part iteration carries to 'left_image', is not made as it is read"),
    ],
)
def test_what_kernels_carry_must_fit(carried: dict[str, str], fault: str) -> None:
    """Of another type or shape than a kernel or the plan reads, made by another part or by none, read by another."""
    with pytest.raises(EngineError, match=fault):
        opened(STEREO, 2, carried, [step("start", "next")])
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
