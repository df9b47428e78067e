"""A graph taken apart computes what it did, and one that is not ours stays whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.graph.parts import GraphPart, parts_of  # noqa: E402
from ffs_ros.weights import GRAPH, WEIGHTS  # noqa: E402

SIZE = (64, 96)
ITERATIONS = 3
RESHAPES = 12
"""Before and behind six convolutions across the planes of a volume: the parts keep volumes as they are."""


@pytest.fixture(scope="module")
def network() -> Any:
    """The weights that ship as a graph of one size."""
    return build_model(open_checkpoint(WEIGHTS).tensors, SIZE, ITERATIONS)


@pytest.fixture(scope="module")
def parts(network: Any) -> list[GraphPart]:
    return parts_of(network) or []


def iteration_of(parts: list[GraphPart]) -> GraphPart:
    return next(part for part in parts if part.name == "iteration")


def pair() -> dict[str, np.ndarray]:
    texture = np.random.default_rng(5).integers(0, 256, (1, SIZE[0], SIZE[1] + 8, 3), dtype=np.uint8)
    return {"left": texture[:, :, :-8], "right": texture[:, :, 8:]}


def test_the_parts_run_one_after_the_other_are_the_network(network: Any, parts: list[GraphPart], run_model) -> None:
    """The iteration's part runs as often as there are iterations; what it carries takes the place of its inputs."""
    values = pair()
    for part in parts:
        for _ in range(part.repeat):
            model = onnx.load_model_from_string(part.content)
            values.update(run_model(model, {one.name: values[one.name] for one in model.graph.input}))
            values.update({name: values[output] for name, output in part.carried.items()})
    whole = run_model(network, pair())["disparity"]
    assert whole.mean() > 1
    np.testing.assert_allclose(values["disparity"], whole, atol=1e-3)


def test_each_part_is_there_once(network: Any, parts: list[GraphPart]) -> None:
    """One iteration does for three; nodes, weights and notes are those of the whole."""
    assert [part.name for part in parts] == [
        "backbone", "decoder_begin", "decoder_end", "volume_stem", "volume_down", "volume_up", "volume_end", "context",
        "iteration", "upsampling",
    ]  # fmt: skip
    assert [part.repeat for part in parts] == [1] * 8 + [ITERATIONS, 1]
    assert sum(part.nodes * part.repeat for part in parts) == len(network.graph.node) - RESHAPES
    carried = iteration_of(parts).carried
    assert len(carried) == 2
    graphs = [onnx.load_model_from_string(part.content) for part in parts]
    for one in graphs:
        onnx.checker.check_model(one, full_check=True)
        assert {(entry.key, entry.value) for entry in one.metadata_props} == {
            (entry.key, entry.value) for entry in network.metadata_props
        }
    iteration = onnx.load_model_from_string(iteration_of(parts).content).graph
    assert {one.name for one in iteration.output} == set(carried.values())
    assert set(carried) < {one.name for one in iteration.input}
    weights = [{one.name for one in graph.graph.initializer} for graph in graphs]
    shapes = {node.input[1] for node in network.graph.node if node.op_type == "Reshape"}
    entered = {name.removesuffix(".dense") for name in set.union(*weights)}
    assert entered >= {one.name for one in network.graph.initializer} - shapes
    assert [one.name for one in graphs[-1].graph.output] == ["disparity"]


def test_the_halves_of_an_fp16_graph_stay_halves() -> None:
    """The disparity between the iterations is fp32, the hidden state is not."""
    network = build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 2, precision="fp16")
    parts = parts_of(network)
    assert parts is not None
    types = {
        len(one.type.tensor_type.shape.dim) and one.type.tensor_type.shape.dim[1].dim_value: one.type.tensor_type
        for one in onnx.load_model_from_string(iteration_of(parts).content).graph.output
    }
    assert {channels: kind.elem_type for channels, kind in types.items()} == {
        1: onnx.TensorProto.FLOAT, 60: onnx.TensorProto.FLOAT16
    }  # fmt: skip


def test_a_single_iteration_carries_nothing() -> None:
    """It runs once, and upsampling reads its own outputs."""
    parts = parts_of(build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 1))
    assert parts is not None
    assert (iteration_of(parts).repeat, iteration_of(parts).carried) == (1, {})


def changed(network: Any, change: Any) -> Any:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    change(model)
    return model


def other_slope(model: Any) -> None:
    node = next(one for one in model.graph.node if one.name.startswith("iteration_2/") and one.op_type == "Conv")
    next(one for one in node.attribute if one.name == "group").i = 7


def other_weight(model: Any) -> None:
    nodes = [one for one in model.graph.node if one.name.startswith("iteration_3/") and one.op_type == "Conv"]
    nodes[0].input[1], nodes[1].input[1] = nodes[1].input[1], nodes[0].input[1]


def skips_an_iteration(model: Any) -> None:
    """The third takes its hidden state from the first."""
    first, second = (
        [one.output[0] for one in model.graph.node if one.name.startswith(f"iteration_{number}/gru/Add")][-1]
        for number in (1, 2)
    )
    for node in model.graph.node:
        if node.name.startswith("iteration_3/"):
            node.input[:] = [first if name == second else name for name in node.input]


def one_node_less(model: Any) -> None:
    model.graph.node.remove(next(one for one in model.graph.node if one.name.startswith("iteration_2/head/Add")))


def other_scope(model: Any) -> None:
    model.graph.node[50].name = f"somewhere/{model.graph.node[50].name}"


def looks_back(model: Any) -> None:
    """A feature that depends on the volume."""
    volume = next(one.output[0] for one in model.graph.node if one.name.startswith("volume/"))
    node = next(one for one in model.graph.node if one.name.startswith("upsampling/Slice"))
    node.name, node.input[0] = "decoder/late", volume


def ends_early(model: Any) -> None:
    """The last part reads what the first iteration made, by the name that it has in the part that runs them all."""
    first, last = (
        [one for one in model.graph.node if one.name.startswith(f"iteration_{number}/")] for number in (1, ITERATIONS)
    )
    twins = {of_last.output[0]: of_first.output[0] for of_first, of_last in zip(first, last, strict=True)}
    for node in model.graph.node:
        if node.name.startswith("upsampling/"):
            node.input[:] = [twins.get(name, name) for name in node.input]


def reads_the_one_before(model: Any) -> None:
    """In each iteration but the first a node reads its neighbour's result of the iteration before."""
    iterations = [
        [one for one in model.graph.node if one.name.startswith(f"iteration_{number + 1}/")]
        for number in range(ITERATIONS)
    ]
    made = {name: at for at, node in enumerate(iterations[0]) for name in node.output}
    reader, place, maker = next(
        (at, place, made[name])
        for at, node in enumerate(iterations[0])
        for place, name in enumerate(node.input)
        if name in made
    )
    for before, nodes in reversed(list(pairwise(iterations))):
        nodes[reader].input[place] = before[maker].output[0]


@pytest.mark.parametrize(
    "change",
    [
        other_slope, other_weight, skips_an_iteration, one_node_less, other_scope, looks_back, ends_early,
        reads_the_one_before,
    ],
)  # fmt: skip
def test_a_graph_that_is_not_ours_stays_whole(network: Any, change: Any) -> None:
    """Iterations that differ, wherever, and parts that nobody knows."""
    assert parts_of(changed(network, change)) is None


def test_of_two_iterations_the_second_reads_an_old_value() -> None:
    """In one place what the first read; elsewhere what that made of it, which the part would be given everywhere."""
    two = build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 2)
    parts = parts_of(two)
    assert parts is not None
    first, second = (
        [one for one in two.graph.node if one.name.startswith(f"iteration_{number}/")] for number in (1, 2)
    )
    carried, _ = iteration_of(parts).carried.items()
    readers = [
        (at, place) for at, node in enumerate(first) for place, name in enumerate(node.input) if name == carried[0]
    ]
    assert len(readers) > 1
    at, place = readers[0]
    assert second[at].input[place] == carried[1]
    second[at].input[place] = carried[0]
    assert parts_of(two) is None


def test_open_axes_and_foreign_graphs_stay_whole(tiny_onnx: Any) -> None:
    """A plan of open size is one."""
    assert parts_of(onnx.load(GRAPH)) is None
    assert parts_of(onnx.load(tiny_onnx(SIZE))) is None
