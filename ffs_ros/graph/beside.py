"""Weights that lie in a file beside the graph, in half precision, and are computed on when a runtime opens it.

The network's description does its arithmetic on weights with NumPy. Here it is given ``Later`` arrays, which know a
shape and no numbers: the same arithmetic becomes nodes, and runtimes compute what depends on weights alone once, when
they open the graph. So the graph is small and PyTorch can read the same file of weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import EllipsisType
from typing import Any, cast

import numpy as np
import onnx
from numpy.lib.mixins import NDArrayOperatorsMixin

from ffs_ros.checkpoint.stored import Place
from ffs_ros.graph.builder import Builder

_OPERATORS = {np.add: "Add", np.subtract: "Sub", np.multiply: "Mul", np.true_divide: "Div", np.sqrt: "Sqrt"}
_Index = int | slice | None


class Later(NDArrayOperatorsMixin):
    """A float32 array without numbers. What is done with it is noted, and written as nodes when the graph reads it.

    It has those parts of NumPy that the description uses; others raise TypeError. All arithmetic is float32.
    """

    def __init__(self, shape: tuple[int, ...], write: Callable[[Builder], str]) -> None:
        self.shape = shape
        self._write = write
        self._written: str | None = None

    def written(self, b: Builder) -> str:
        """The tensor that carries it, from nodes that are added where there are none yet."""
        if self._written is None:
            self._written = self._write(b)
        return self._written

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def T(self) -> Later:
        return self._transposed(range(self.ndim)[::-1])

    def swapaxes(self, one: int, other: int) -> Later:
        order = list(range(self.ndim))
        order[one], order[other] = other, one
        return self._transposed(order)

    def astype(self, dtype: Any) -> Later:
        """Itself: NumPy's float64 is there to round once, from float32; halves are exact enough without."""
        return self

    def reshape(self, *shape: Any) -> Later:
        lengths = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        if -1 in lengths:
            lengths[lengths.index(-1)] = -math.prod(self.shape) // math.prod(lengths)
        return Later(tuple(lengths), lambda b: b.reshape(self.written(b), lengths))

    def __getitem__(self, index: _Index | EllipsisType | tuple[_Index | EllipsisType, ...]) -> Later:
        """Slices with step 1, numbers, ``None`` and ``...``."""
        given = list(index) if isinstance(index, tuple) else [index]
        given += [] if Ellipsis in given else [Ellipsis]
        rest = [slice(None)] * (self.ndim - sum(part is not None and part is not Ellipsis for part in given))
        spans: list[tuple[int, int]] = []
        shape: list[int] = []
        for one in (each for part in given for each in (rest if isinstance(part, EllipsisType) else [part])):
            if one is None:
                shape.append(1)
                continue
            length = self.shape[len(spans)]
            first, last, _ = (one if isinstance(one, slice) else slice(one, one + 1)).indices(length)
            spans.append((first, last))
            if isinstance(one, slice):
                shape.append(last - first)
        return Later(tuple(shape), lambda b: self._cut(b, spans, shape))

    def _cut(self, b: Builder, spans: Sequence[tuple[int, int]], shape: Sequence[int]) -> str:
        result = self.written(b)
        for axis, (first, last) in enumerate(spans):
            if (first, last) != (0, self.shape[axis]):
                result = b.slice(result, axis, first, last)
        kept = [last - first for first, last in spans]
        return result if kept == list(shape) else b.reshape(result, shape)

    def _transposed(self, order: Sequence[int]) -> Later:
        return Later(tuple(self.shape[axis] for axis in order), lambda b: b.transpose(self.written(b), *order))

    # What NumPy calls when its own functions are given a Later

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Later:
        if method != "__call__" or options or ufunc not in _OPERATORS:
            return NotImplemented
        shape = np.broadcast_shapes(*(np.shape(value) for value in inputs))
        return Later(shape, lambda b: b.node(_OPERATORS[ufunc], *(_operand(b, value) for value in inputs)))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        written_as = _FUNCTIONS.get(function)
        return NotImplemented if written_as is None else written_as(*args, **options)


def _operand(b: Builder, value: Any) -> str:
    return value.written(b) if isinstance(value, Later) else b.constant(np.asarray(value, np.float32))


def _like(function: Callable[..., np.ndarray], *values: Any) -> tuple[int, ...]:
    """The shape of what a function of NumPy makes of arrays like these."""
    return function(*(np.broadcast_to(np.float32(0), np.shape(value)) for value in values)).shape


def _concatenated(values: Sequence[Any], axis: int = 0) -> Later:
    shape = _like(lambda *parts: np.concatenate(parts, axis), *values)
    return Later(shape, lambda b: b.concat([_operand(b, value) for value in values], axis=axis))


def _padded(array: Later, widths: Sequence[tuple[int, int]]) -> Later:
    before, after = zip(*widths, strict=True)
    shape = tuple(map(sum, zip(before, array.shape, after, strict=True)))
    if shape == array.shape:
        return array
    return Later(shape, lambda b: b.pad(array.written(b), before, after))


def _split(array: Later, parts: int) -> list[Later]:
    length = len(array) // parts
    return [array[length * part : length * (part + 1)] for part in range(parts)]


def _tiled(array: Later, times: int) -> Later:
    return _concatenated([array] * times)


def _einsum(equation: str, *values: Any) -> Later:
    shape = _like(lambda *parts: np.einsum(equation, *parts), *values)
    return Later(shape, lambda b: b.node("Einsum", *(_operand(b, value) for value in values), equation=equation))


def _zeros_like(array: Later) -> np.ndarray:
    return np.zeros(array.shape, np.float32)


def _shape(array: Later) -> tuple[int, ...]:
    return array.shape


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.concatenate: _concatenated, np.pad: _padded, np.split: _split, np.tile: _tiled, np.einsum: _einsum,
    np.zeros_like: _zeros_like, np.shape: _shape,
}  # fmt: skip


class BuilderBeside(Builder):
    """Writes a graph whose weights are the halves in a file beside it."""

    def __init__(self, places: Mapping[str, Place], file: str) -> None:
        """``places`` of all the checkpoint's tensors in ``file``, the name of a file in the graph's own folder."""
        tensors = {name: Later(place.shape, partial(Builder.float32, x=name)) for name, place in places.items()}
        super().__init__(cast("Mapping[str, np.ndarray]", tensors))
        self._places = places
        self._file = file
        self._entered: dict[str, str] = {}

    def weight(self, name: str, array: np.ndarray) -> str:
        """The tensor that carries an array; under one name the same comes again, as in every iteration."""
        if not isinstance(array, Later):
            return super().weight(name, array)
        if name not in self._entered:
            self._entered[name] = array.written(self)
        return self._entered[name]

    def constant(self, value: float | np.ndarray) -> str:
        return value.written(self) if isinstance(value, Later) else super().constant(value)

    def initializers(self) -> list[onnx.TensorProto]:
        return [*super().initializers(), *(self._elsewhere(name) for name in self._places)]

    def _elsewhere(self, name: str) -> onnx.TensorProto:
        place = self._places[name]
        tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT16, dims=place.shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": self._file, "offset": place.offset, "length": place.length}.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor
