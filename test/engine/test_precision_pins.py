"""Which layers of a weakly typed network are held to which type."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fake_tensorrt import FakeTensorRt, Type

from ffs_ros.engine.precision_pins import Held, full_of, pin
from ffs_ros.engine.trt_versions import Messages

FULL, HALF = Type.FLOAT, Type.HALF


class Layer:
    """A layer of one output; what was asked of it. TensorRT 8.6 says float32 of all floating ones."""

    def __init__(
        self, kind: str, inputs: list[str], output: str, dtype: Type = FULL, name: str | None = None
    ) -> None:  # fmt: skip
        self.name = output if name is None else name
        self.type = SimpleNamespace(name=kind)
        self._inputs = [SimpleNamespace(name=name) for name in inputs]
        self._output = SimpleNamespace(name=output, dtype=dtype)
        self.num_inputs, self.num_outputs = len(inputs), 1
        self.precision: Type | None = None
        self.output_type: Type | None = None

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def get_output(self, index: int) -> Any:
        return self._output

    def set_output_type(self, index: int, dtype: Type) -> None:
        self.output_type = dtype

    def reset_precision(self) -> None:
        self.precision = None

    def reset_output_type(self, index: int) -> None:
        self.output_type = None


def types_of(layers: list[Layer], full_nodes: set[str]) -> list[Type | None]:
    """What the layers are in the graph; None where they are nothing of the kind."""
    found = full_of(FakeTensorRt("8.6.1", strong=False), layers, full_nodes)
    return [None if full is None else (FULL if full else HALF) for full in found]


def pinned(layers: list[Layer], full_nodes: set[str] | None) -> Held:
    network = SimpleNamespace(num_layers=len(layers), get_layer=layers.__getitem__)
    held = pin(FakeTensorRt("8.6.1", strong=False), network, full_nodes)
    assert held.fp32 == [layer for layer in layers if layer.precision == FULL]
    assert held.fp16 == [layer for layer in layers if layer.precision == HALF]
    assert [layer.output_type for layer in layers] == [layer.precision for layer in layers]
    return held


def test_a_typed_graph_is_held_to_its_types_where_that_saves_time() -> None:
    """All that is fp32, of whatever kind; fp16 are convolutions and what is reckoned of them; no integers and casts."""
    layers = [
        Layer("CONVOLUTION", ["x"], "Conv_1"),
        Layer("SOFTMAX", ["Conv_1"], "Softmax_2"),
        Layer("CAST", ["Softmax_2"], "Cast_3"),
        Layer("ELEMENTWISE", ["Cast_3"], "head/Add_4"),
        Layer("SLICE", ["head/Add_4"], "head/Split_5:1", name="head/Split_5_77"),
        Layer("SHAPE", ["head/Add_4"], "Shape_6", Type.INT32),
        Layer("GATHER", ["Shape_6"], "Gather_7", Type.INT32),
        Layer("IDENTITY", ["head/Split_5:1"], "disparity"),
    ]
    held = pinned(layers, {"Cast_3", "head/Add_4", "head/Split_5", "Shape_6", "Gather_7", "disparity"})
    assert [layer.precision for layer in layers] == [HALF, None, None, FULL, FULL, None, None, None]
    assert (len(held.fp32), len(held.fp16)) == (2, 1)


def test_what_is_reckoned_of_a_convolution_is_held_with_it() -> None:
    """With constants and the network's inputs, GELU's error function too; a product's result and roots are Myelin's."""
    layers = [
        Layer("CONVOLUTION", ["x"], "Conv_1"),
        Layer("CONSTANT", [], "root_two"),
        unnamed("SHUFFLE", ["root_two"], 2),
        Layer("ELEMENTWISE", ["Conv_1", "(Unnamed Layer* 2) [SHUFFLE]_output"], "Div_3"),
        Layer("UNARY", ["Div_3"], "Erf_4"),
        Layer("ELEMENTWISE", ["Erf_4", "hidden"], "Mul_5"),
        Layer("MATRIX_MULTIPLY", ["Mul_5", "keys"], "MatMul_6"),
        Layer("ELEMENTWISE", ["MatMul_6", "Mul_5"], "Add_7"),
        Layer("UNARY", ["Conv_1"], "Sqrt_8"),
        Layer("DECONVOLUTION", ["Add_7"], "ConvTranspose_9"),
    ]
    pinned(layers, set())
    assert [layer.get_output(0).name for layer in layers if layer.precision == HALF] == [
        "Conv_1", "Div_3", "Erf_4", "Mul_5", "ConvTranspose_9",
    ]  # fmt: skip


def unnamed(kind: str, inputs: list[str], index: int) -> Layer:
    name = f"(Unnamed Layer* {index}) [{kind}]"
    return Layer(kind, inputs, f"{name}_output", name=name)


@pytest.mark.parametrize(("full", "expected"), [({"Add_1"}, FULL), (set(), HALF)])
def test_layers_without_a_node_are_as_those_that_read_them(full: set[str], expected: Type) -> None:
    """A constant that is reshaped for broadcasting."""
    constant = Layer("CONSTANT", [], "(Unnamed Layer* 0) [Constant]_output", name="constant_56")
    reshaped = unnamed("SHUFFLE", ["(Unnamed Layer* 0) [Constant]_output"], 1)
    again = unnamed("SHUFFLE", ["(Unnamed Layer* 1) [SHUFFLE]_output"], 2)
    sum_of_both = Layer("ELEMENTWISE", ["x", "(Unnamed Layer* 2) [SHUFFLE]_output"], "Add_1")
    assert types_of([constant, reshaped, again, sum_of_both], full) == [expected] * 4


def test_of_two_kinds_of_readers_fp32_wins() -> None:
    """What both read is as exact as the one needs; what stands between it and the other is not."""
    constant, below = Layer("CONSTANT", [], "constant_1"), unnamed("SHUFFLE", ["constant_1"], 1)
    half = Layer("ELEMENTWISE", ["(Unnamed Layer* 1) [SHUFFLE]_output"], "Mul_1")
    layers = [constant, below, half, Layer("ELEMENTWISE", ["constant_1"], "Mul_2")]
    assert types_of(layers, {"Mul_2"}) == [FULL, HALF, HALF, FULL]


def test_where_none_reads_that_has_the_type_it_is_what_feeds_a_layer() -> None:
    """A cast's, an identity's and a comparison's readers say nothing; what belongs to nothing is on the safe side."""
    layers = [
        Layer("SOFTMAX", ["x"], "Softmax_1"),
        unnamed("SHUFFLE", ["Softmax_1"], 1),
        Layer("CAST", ["(Unnamed Layer* 1) [SHUFFLE]_output"], "Cast_2"),
        unnamed("SHUFFLE", ["Cast_2"], 3),
        Layer("ELEMENTWISE", ["(Unnamed Layer* 3) [SHUFFLE]_output"], "Greater_4", Type.INT32),
        Layer("IDENTITY", ["(Unnamed Layer* 3) [SHUFFLE]_output"], "disparity"),
        unnamed("CONSTANT", [], 5),
    ]
    types = types_of(layers, {"Cast_2", "disparity"})
    assert [types[index] for index in (1, 3, 4, 6)] == [HALF, FULL, None, FULL]
    types = types_of(layers, {"Softmax_1"})
    assert [types[index] for index in (1, 3, 6)] == [FULL, HALF, FULL]


def test_a_tensors_name_is_enough() -> None:
    """The names that TensorRT 8.6.1 gives the layers of a LayerNormalization and of a ReduceL2."""
    norm = Layer("NORMALIZATION", ["x"], "stage_1/LayerNormalization_1", name="(Unnamed Layer* 9) [Normalization]")
    square = unnamed("ELEMENTWISE", ["stage_1/Cast_2", "stage_1/Cast_2"], 10)
    total = Layer("REDUCE", ["(Unnamed Layer* 10) [ELEMENTWISE]_output"], "sum", name="stage_1/ReduceL2_3")
    root = Layer("UNARY", ["sum"], "stage_1/ReduceL2_3", name="stage_1/ReduceL2_3_65")
    cast = Layer("CAST", ["stage_1/LayerNormalization_1"], "stage_1/Cast_2")
    layers = [norm, cast, square, total, root, Layer("CAST", ["stage_1/ReduceL2_3"], "Cast_4")]
    types = types_of(layers, {"stage_1/ReduceL2_3"})
    assert [types[index] for index in (0, 2, 3, 4)] == [HALF, FULL, FULL, FULL]


@pytest.mark.parametrize(
    ("said", "let_go"),
    [
        (
            "Error Code 10: Internal Error (could not find any implementation for {ForeignNode[Conv_2...Conv_3]}.)",
            "23",
        ),
        (
            "10: could not find any implementation for {ForeignNode[(Unnamed Layer* 7) [Shuffle]...Conv_3 + Add_5]}.",
            "234",
        ),
        ("Could not find any implementation for node Conv_1 + Add_5.", "1234"),
        ("could not find any implementation for {ForeignNode[x...y]}.", "1234"),
        ("Error Code 2: no supported formats", "1234"),
        ("Error Code 10: Could not find any implementation for node {Conv_1} due to insufficient workspace", ""),
        ("Error Code 1: Cuda Runtime (out of memory)", ""),
    ],
)
def test_fp16_is_let_go_where_no_kernel_has_it(said: str, let_go: str) -> None:
    """In the region that the builder names, or everywhere; the fp32 places stay, and it is a warning."""
    layers = [
        Layer("CONVOLUTION", ["x"], "Conv_1"),
        unnamed("Shuffle", ["Conv_1"], 7),
        *(Layer("CONVOLUTION", ["x"], f"Conv_{number}") for number in (2, 3, 4)),
        Layer("ELEMENTWISE", ["Conv_4"], "Add_5"),
    ]
    held, messages = pinned(layers, {"Add_5"}), Messages()
    messages.errors.append(said)
    assert held.loosen(messages) is bool(let_go)
    free = [layer.name for layer in layers if layer.precision is None and layer.type.name == "CONVOLUTION"]
    assert free == [f"Conv_{number}" for number in let_go]
    assert [layer.output_type for layer in layers] == [layer.precision for layer in layers]
    assert ([layer.name for layer in held.fp32], len(held.fp16)) == (["Add_5"], 4 - len(let_go))
    assert list(messages.errors) == ([] if let_go else [said])
    warnings = [f"{len(let_go)} layers that are fp16 in the graph have no kernel"] if let_go else []
    assert [warning[: len(warnings[0])] for warning in messages.warnings] == warnings


def test_letting_go_ends() -> None:
    """The same error again lets go of the rest, and then nothing is left to try."""
    held, messages = pinned([Layer("CONVOLUTION", ["x"], f"Conv_{number}") for number in (1, 2, 3)], set()), Messages()
    for remain in (2, 0):
        messages.errors.append("could not find any implementation for {ForeignNode[Conv_2...Conv_2]}.")
        assert held.loosen(messages) is True
        assert len(held.fp16) == remain
    messages.errors.append("could not find any implementation for {ForeignNode[Conv_2...Conv_2]}.")
    assert held.loosen(messages) is False


def test_in_an_fp32_graph_norms_and_softmax_are_found_with_their_arithmetic() -> None:
    """An instance norm is fp32 as a whole, with its epsilon; the convolutions around it are the builder's choice."""
    layers = [
        Layer("CONVOLUTION", ["image"], "x"),
        Layer("REDUCE", ["x"], "mean"),
        Layer("ELEMENTWISE", ["x", "mean"], "centred"),
        Layer("ELEMENTWISE", ["centred", "centred"], "squares"),
        Layer("REDUCE", ["squares"], "variance"),
        Layer("CONSTANT", [], "epsilon"),
        Layer("SHUFFLE", ["epsilon"], "epsilon4"),
        Layer("ELEMENTWISE", ["variance", "epsilon4"], "above"),
        Layer("UNARY", ["above"], "deviation"),
        Layer("ELEMENTWISE", ["centred", "deviation"], "normed"),
        Layer("CONVOLUTION", ["normed"], "y"),
        Layer("ACTIVATION", ["y"], "z"),
    ]
    held = pinned(layers, None)
    assert (len(held.fp32), held.fp16) == (9, [])
    assert [layer.get_output(0).name for layer in layers if layer.precision is None] == ["x", "y", "z"]


def test_the_error_function_of_gelu_does_without() -> None:
    """It is a unary operation as roots are, but harmless, and there are many."""
    layers = [Layer("UNARY", ["x"], "gru/Erf_12"), Layer("ELEMENTWISE", ["gru/Erf_12"], "y")]
    assert pinned(layers, None) == Held([], [], ["gru/Erf_12", "y"])
