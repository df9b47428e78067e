"""What an fp16 graph says about its types is what others find them to be: ONNX's inference, and TensorRT-RTX's.

A strongly typed network knows the type of every layer, so it tells what the layers of a weakly typed one are to be.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")

from ffs_ros.engine.precision_pins import full_of  # noqa: E402
from ffs_ros.full_nodes import FULL_NODES, full_nodes_of, node_of  # noqa: E402
from ffs_ros.graph.form import FP16, LARGEST_ITERATIONS, OUTPUT  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.graph.parts import parts_of  # noqa: E402

SIZE = (64, 96)
FORMS = {
    "static": {"size": SIZE, "iterations": 2},
    "open": {"size": None, "iterations": 1},
    "batches of tensors": {"size": SIZE, "iterations": 1, "io": "tensor", "batch": None},
}


@pytest.fixture(scope="module", params=FORMS)
def half(request: pytest.FixtureRequest, tensors: Any) -> Any:
    return build_model(tensors, precision=FP16, **FORMS[request.param])


@pytest.fixture(scope="module")
def full_nodes(half: Any, tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """As they are read from the file."""
    path = tmp_path_factory.mktemp("graph") / "half.onnx"
    onnx.save(half, path)
    found = full_nodes_of(path)
    assert found is not None
    return found


def test_the_note_names_the_nodes_that_onnx_finds_to_be_fp32(half: Any, full_nodes: frozenset[str]) -> None:
    """All of them, and no integers."""
    graph = onnx.shape_inference.infer_shapes(half, strict_mode=True).graph
    types = {one.name: one.type.tensor_type.elem_type for one in [*graph.value_info, *graph.output]}
    assert full_nodes == {one.name for one in graph.node if {types[o] for o in one.output} == {onnx.TensorProto.FLOAT}}
    assert OUTPUT in full_nodes


def test_nodes_are_known_by_the_names_of_what_they_make(half: Any) -> None:
    """Those of weights and inputs are none of a node's."""
    graph = half.graph
    assert {node_of(output): node.name for node in graph.node for output in node.output if output != OUTPUT} == {
        node.name: node.name for node in graph.node if node.name != OUTPUT
    }
    assert {node_of(one.name) for one in [*graph.initializer, *graph.input]} == {None}


def test_the_longest_note_can_be_read(tensors: Any, tmp_path: Any) -> None:
    """Readers pass over long notes. An fp32 graph has none."""
    model = build_model(tensors, SIZE, LARGEST_ITERATIONS, precision=FP16)
    path = tmp_path / "long.onnx"
    onnx.save(model, path)
    assert f"iteration_{LARGEST_ITERATIONS}/" in {f"{name.split('/')[0]}/" for name in full_nodes_of(path) or ()}
    notes = {one.key for one in build_model(tensors, SIZE, 1).metadata_props}
    assert FULL_NODES not in notes


@pytest.mark.parametrize("named", [True, False], ids=["named layers", "named tensors alone"])
def test_each_layer_has_the_type_that_a_strongly_typed_network_gives_it(named, trt, half, full_nodes) -> None:
    """Also where layers have no names of nodes, as some have none in 8.6; and also where the graph is taken apart."""
    whole, kinds = half.SerializeToString(), set()
    for content in [whole, *(part.content for part in parts_of(half) or ())]:
        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(content)
        layers = [network.get_layer(index) for index in range(network.num_layers)]
        expected = [{trt.float32: True, trt.float16: False}.get(layer.get_output(0).dtype) for layer in layers]
        found = full_of(trt, [as_weakly_typed(trt, layer, named) for layer in layers], full_nodes)
        differ = [
            f"{layer.type.name} {layer.name}: {one}, and {other} in TensorRT-RTX"
            for layer, one, other in zip(layers, found, expected, strict=True)
            if one is not other
        ]
        assert differ == []
        kinds |= set(expected)
        assert False in expected
    assert {True, False} <= kinds


def as_weakly_typed(trt: Any, layer: Any, named: bool) -> Any:
    """The layer as TensorRT 8.6 shows it: everything that is floating is float32."""

    def shown(tensor: Any) -> Any:
        dtype = trt.float32 if tensor.dtype == trt.float16 else tensor.dtype
        return SimpleNamespace(name=tensor.name, dtype=dtype)

    inputs = [layer.get_input(index) for index in range(layer.num_inputs)]
    return SimpleNamespace(
        name=layer.name if named else f"(Unnamed Layer* 1) [{layer.type.name}]",
        type=SimpleNamespace(name=layer.type.name),
        num_inputs=layer.num_inputs,
        num_outputs=layer.num_outputs,
        get_input=lambda index: inputs[index] and shown(inputs[index]),
        get_output=lambda index: shown(layer.get_output(index)),
    )
