"""Which layers a weakly typed builder is held to fp32 for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fake_tensorrt import FakeTensorRt, Type

from ffs_ros.engine.precision_pins import pin


class Layer:
    """A layer of one output; what was asked of it."""

    def __init__(self, kind: str, inputs: list[str], output: str, dtype: Type = Type.FLOAT) -> None:
        self.name = output
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


def pinned(layers: list[Layer], typed: bool) -> int:
    network = SimpleNamespace(num_layers=len(layers), get_layer=layers.__getitem__)
    return pin(FakeTensorRt("8.6.1", strong=False), network, typed)


def test_a_typed_graph_is_held_to_its_types() -> None:
    """What is fp32 in it stays fp32; the rest, integers, shapes and casts are left alone."""
    layers = [
        Layer("CONVOLUTION", ["x"], "y", Type.HALF),
        Layer("CAST", ["y"], "z", Type.FLOAT),
        Layer("SOFTMAX", ["z"], "p", Type.FLOAT),
        Layer("SHAPE", ["p"], "s", Type.INT32),
        Layer("GATHER", ["i"], "j", Type.INT32),
    ]
    assert pinned(layers, typed=True) == 1
    assert [layer.precision for layer in layers] == [None, None, Type.FLOAT, None, None]
    assert [layer.output_type for layer in layers] == [None, None, Type.FLOAT, None, None]


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
    assert pinned(layers, typed=False) == 9
    assert [layer.get_output(0).name for layer in layers if layer.precision is None] == ["x", "y", "z"]


def test_the_error_function_of_gelu_does_without() -> None:
    """It is a unary operation as roots are, but harmless, and there are many."""
    layers = [Layer("UNARY", ["x"], "gru/Erf_12"), Layer("ELEMENTWISE", ["gru/Erf_12"], "y")]
    assert pinned(layers, typed=False) == 0
