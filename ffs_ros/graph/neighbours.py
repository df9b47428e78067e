"""What stands around a node of a graph, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
from onnx import helper

Readers = dict[str, list[onnx.NodeProto]]
"""Tensor -> the nodes that read it."""
_THOUSANDTHS = 1000


def readers_of(nodes: Iterable[onnx.NodeProto]) -> Readers:
    readers: Readers = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def only_reader(node: onnx.NodeProto | None, readers: Readers, *kinds: str) -> onnx.NodeProto | None:
    """The one node that reads what a node makes, if it is of one of these kinds, or of any where none is named."""
    found = readers.get(node.output[0], []) if node is not None else []
    return found[0] if len(found) == 1 and (not kinds or found[0].op_type in kinds) else None


def slope(relu: onnx.NodeProto) -> int | None:
    """Of a ReLU or a leaky one, in thousandths; None where it is no whole number of them."""
    exact = _THOUSANDTHS * (attributes(relu).get("alpha", 0.01) if relu.op_type == "LeakyRelu" else 0.0)
    return round(exact) if abs(exact - round(exact)) < 1e-3 else None  # as a float32 that is written in decimals


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """By their names."""
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def index_of(nodes: Sequence[onnx.NodeProto], node: onnx.NodeProto) -> int:
    """Where that very node is: others may be equal."""
    return next(index for index, one in enumerate(nodes) if one is node)
