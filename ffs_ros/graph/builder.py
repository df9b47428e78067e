"""Collects the nodes and initializers of one ONNX graph; a value is the name of the tensor that carries it.

A graph that computes in halves (fp16) has a Cast where a step asks for ``lower``, and one back where a step asks for
``full`` precision, since halves would lose too much; in an fp32 graph neither adds anything. Weights and constants take
the type of what they meet.

A length is an ``int``, or the name of an int64 tensor of one element where the graph leaves an axis open, so the same
code writes static graphs (every shape a constant) and dynamic ones (shapes computed from the inputs').
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ffs_ros.errors import ExportError

OPSET = 17

Length = int | str
Operand = str | float | np.ndarray

_WHOLE = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
_LENGTH_OPERATORS = {"Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": operator.floordiv}


class Size(NamedTuple):
    """Batch, rows and columns of the input images."""

    batch: Length
    height: Length
    width: Length


class Builder:
    """Every method adds what it needs to the graph and returns the name of the result."""

    def __init__(self, tensors: Mapping[str, np.ndarray], halves: bool = False) -> None:
        self.tensors = tensors
        """The checkpoint: float32 arrays by their TAO names."""
        self.halves = halves
        """Whether the graph computes in fp16 where nothing speaks against it."""
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: dict[str, np.ndarray] = {}
        """The initializers by name."""
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._constant_names: set[str] = set()
        self._lengths: dict[tuple[str, Length, Length], str] = {}
        self._scope: list[str] = []
        self._half: set[str] = set()
        """The values in fp16; all others have the type that the fp32 graph has."""
        self._whole: set[str] = set()
        """The values that are whole numbers."""
        self._casts: dict[str, str] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names of nodes inside begin with ``name/``: what profilers and TensorRT's layer list show."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    # Nodes

    def nodes_of(self, op: str, inputs: Sequence[Operand], outputs: int, **attributes: Any) -> list[str]:
        """The results of one node with several outputs. What depends on constants alone is computed at once."""
        name = "/".join([*self._scope, f"{op}_{len(self.nodes)}"])
        results = [name] if outputs == 1 else [f"{name}:{index}" for index in range(outputs)]
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        in_half = not self._half.isdisjoint(names) and op != "Cast"
        if in_half:
            names = [self._rounded(value) for value in names]
            self._half.update(results)
        node = helper.make_node(op, names, results, name=name, **attributes)
        if op != "ConstantOfShape" and self._constant_names.issuperset(names):
            model = ReferenceEvaluator(node, opsets={"": OPSET})
            feeds = {key: self.arrays[key] for key in names}
            return [self.constant(np.asarray(value)) for value in model.run(None, feeds)]
        self.nodes.append(node)
        if self._gives_whole_numbers(op, names, attributes):
            self._whole.update(results)
        return results

    def _gives_whole_numbers(self, op: str, inputs: Sequence[str], attributes: Mapping[str, Any]) -> bool:
        if op in ("Cast", "ConstantOfShape"):
            return attributes.get("to") in _WHOLE
        return op == "Shape" or all(self._is_whole(name) for name in inputs)

    def _is_whole(self, name: str) -> bool:
        return name in self._whole or (name in self.arrays and np.issubdtype(self.arrays[name].dtype, np.integer))

    @property
    def full_nodes(self) -> list[str]:
        """The names of the nodes whose results are float32."""
        lower = self._half | self._whole
        return [node.name for node in self.nodes if lower.isdisjoint(node.output)]

    def node(self, op: str, *inputs: Operand, **attributes: Any) -> str:
        """The result of one node. Numbers and arrays among ``inputs`` become constants (numbers: float32)."""
        return self.nodes_of(op, inputs, 1, **attributes)[0]

    # Values that are known when the graph is written

    def constant(self, value: float | np.ndarray) -> str:
        """An initializer with this value; equal ones are stored once. A plain number becomes a float32 scalar."""
        array = value if isinstance(value, np.ndarray) else np.float32(value)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.weight(f"constant_{len(self._constants)}", np.asarray(array))
            self._constant_names.add(self._constants[key])
        return self._constants[key]

    def weight(self, name: str, array: np.ndarray) -> str:
        """An initializer under its own name; the same array may come again, as in every iteration."""
        if not np.array_equal(self.arrays.setdefault(name, array), array):
            raise ValueError(f"two different initializers are called {name}")
        return name

    def initializers(self) -> list[onnx.TensorProto]:
        """All of them, also those that no node reads."""
        return [numpy_helper.from_array(array, name) for name, array in self.arrays.items()]

    # Lengths and shapes

    def length(self, op: str, left: Length, right: Length) -> Length:
        """``left`` op ``right`` for op Add, Sub, Mul, Div (rounded down)."""
        if isinstance(left, int) and isinstance(right, int):
            return int(_LENGTH_OPERATORS[op](left, right))
        key = (op, left, right)
        if key not in self._lengths:
            self._lengths[key] = self.node(op, *(self._length_tensor(value) for value in (left, right)))
        return self._lengths[key]

    def grid(self, size: Size, scale: int) -> tuple[Length, Length]:
        """Rows and columns at 1/``scale`` of the images."""
        return self.length("Div", size.height, scale), self.length("Div", size.width, scale)

    def shape(self, lengths: Sequence[Length]) -> str:
        """A shape as an int64 vector."""
        if all(isinstance(value, int) for value in lengths):
            return self.constant(np.array(lengths, np.int64))
        return self.node("Concat", *(self._length_tensor(value) for value in lengths), axis=0)

    def scalar(self, length: Length) -> str:
        """A length as an int64 scalar."""
        return self.constant(np.array(length)) if isinstance(length, int) else self.node("Squeeze", length)

    def count(self, length: Length) -> str:
        """int64 [length]: 0, 1, 2, ..."""
        return self.node("Range", np.array(0), self.scalar(length), np.array(1))

    def float32(self, x: Operand) -> str:
        return self.node("Cast", x, to=onnx.TensorProto.FLOAT)

    def full(self, x: str) -> str:
        """``x`` in fp32."""
        return self._cast(x, self.float32) if x in self._half else x

    def lower(self, x: str) -> str:
        """``x`` in the type that the graph computes in."""
        if not self.halves or x in self._half or x in self.arrays:
            return x
        lowered = self._cast(x, lambda value: self.node("Cast", value, to=onnx.TensorProto.FLOAT16))
        self._half.add(lowered)
        return lowered

    def _cast(self, x: str, cast: Callable[[str], str]) -> str:
        """One Cast, however often it is asked for."""
        if x not in self._casts:
            self._casts[x] = cast(x)
        return self._casts[x]

    def _rounded(self, name: str) -> str:
        """What a node that computes in fp16 reads for ``name``: float32 weights and constants are rounded to it."""
        array = self.arrays.get(name)
        if array is None or array.dtype != np.float32:
            return name
        with np.errstate(over="ignore"):
            rounded = array.astype(np.float16)
        if not np.isfinite(rounded).all():
            raise ExportError(
                f"'{name}' has {float(np.abs(array).max()):g} among its values, and fp16 ends at 65504; export with "
                "--precision fp32"
            )
        if name in self._constant_names:
            return self.constant(rounded)
        return self.weight(f"{name}.fp16", rounded)

    def int32(self, x: Operand) -> str:
        return self.node("Cast", x, to=onnx.TensorProto.INT32)

    def _length_tensor(self, value: Length) -> str:
        return value if isinstance(value, str) else self.constant(np.array([value], np.int64))

    # Moving values about

    def reshape(self, x: str, lengths: Sequence[Length]) -> str:
        """0 keeps the input's length on that axis, one -1 takes what is left."""
        return self.node("Reshape", x, self.shape(lengths))

    def transpose(self, x: str, *order: int) -> str:
        return self.node("Transpose", x, perm=list(order))

    def concat(self, values: Sequence[str], axis: int) -> str:
        return self.node("Concat", *values, axis=axis)

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        return self.nodes_of("Split", [x, np.array(sizes, np.int64)], len(sizes), axis=axis)

    def slice(self, x: str, axis: int, start: Length, stop: Length) -> str:
        return self.node("Slice", x, self.shape([start]), self.shape([stop]), np.array([axis], np.int64))

    def reverse(self, x: str, axis: int) -> str:
        begin, end = np.array([-1]), np.array([np.iinfo(np.int64).min])
        return self.node("Slice", x, begin, end, np.array([axis], np.int64), np.array([-1]))

    def unsqueeze(self, x: str, axis: int) -> str:
        return self.node("Unsqueeze", x, np.array([axis], np.int64))

    def pad(self, x: str, before: Sequence[Length], after: Sequence[Length]) -> str:
        """Zeros before and after each axis."""
        return self.node("Pad", x, self.shape([*before, *after]))

    def zeros(self, lengths: Sequence[Length]) -> str:
        """In the type that the graph computes in."""
        if not self.halves:
            return self.node("ConstantOfShape", self.shape(lengths))
        zeros = self.node(
            "ConstantOfShape", self.shape(lengths), value=numpy_helper.from_array(np.zeros(1, np.float16))
        )
        self._half.add(zeros)
        return zeros

    # Arithmetic

    def add(self, left: Operand, right: Operand) -> str:
        return self.node("Add", left, right)

    def sub(self, left: Operand, right: Operand) -> str:
        return self.node("Sub", left, right)

    def mul(self, left: Operand, right: Operand) -> str:
        return self.node("Mul", left, right)

    def matmul(self, left: Operand, right: Operand) -> str:
        return self.node("MatMul", left, right)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def leaky_relu(self, x: str) -> str:
        """Slope 0.01, as everywhere in this network."""
        return self.node("LeakyRelu", x, alpha=0.01)

    def sigmoid(self, x: str) -> str:
        return self.node("Sigmoid", x)

    def tanh(self, x: str) -> str:
        return self.node("Tanh", x)

    def softmax(self, x: str, axis: int) -> str:
        return self.node("Softmax", x, axis=axis)

    def mean(self, x: str, *axes: int) -> str:
        """Mean over ``axes``, which stay with length 1."""
        return self.node("ReduceMean", x, axes=list(axes), keepdims=1)

    def max(self, x: str, *axes: int) -> str:
        """Maximum over ``axes``, which stay with length 1."""
        return self.node("ReduceMax", x, axes=list(axes), keepdims=1)

    def sum(self, x: str, axis: int, keepdims: bool = True) -> str:
        return self.node("ReduceSum", x, np.array([axis], np.int64), keepdims=int(keepdims))
