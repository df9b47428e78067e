"""Keeps fp32 where it is needed when TensorRT chooses the types: weakly typed networks of 8.6 and 10.

An fp16 graph of ours says itself where it is fp32 (``ffs export --precision fp16``), so its layers are held to the
types that it has. In an fp32 graph, TAO's say, what is known to need fp32 is found by its kind: norms, softmax and
means, roots, and the arithmetic directly before and after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SENSITIVE = ("SOFTMAX", "REDUCE", "NORMALIZATION", "UNARY")
_ARITHMETIC = ("ELEMENTWISE", "CONSTANT", "SCALE")
_LEFT_ALONE = ("SHAPE", "CAST", "IDENTITY", "ASSERTION", "CONDITION", "TRIP_LIMIT")
"""Kinds whose precision is not to be chosen."""


def pin(trt: Any, network: Any, typed: bool) -> int:
    """Hold layers of ``network`` to fp32, those of a ``typed`` graph to its types; returns how many are in fp32."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    if not typed:
        layers = [layers[index] for index in _sensitive(layers)]
    pinned = 0
    for layer in layers:
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        kinds = {tensor.dtype for tensor in outputs}
        if layer.type.name in _LEFT_ALONE or len(kinds) != 1 or not kinds <= {trt.float32, trt.float16}:
            continue
        (kind,) = kinds
        layer.precision = kind
        for index in range(layer.num_outputs):
            layer.set_output_type(index, kind)
        pinned += kind == trt.float32
    return pinned


def _sensitive(layers: list[Any]) -> Iterator[int]:
    """Indices of the layers of a sensitive kind and of the arithmetic beside them."""
    makers = {layer.get_output(j).name: i for i, layer in enumerate(layers) for j in range(layer.num_outputs)}
    found = {i for i, layer in enumerate(layers) if layer.type.name in _SENSITIVE}
    beside = set()
    for i, layer in enumerate(layers):
        inputs = (layer.get_input(j) for j in range(layer.num_inputs))
        for maker in (makers.get(tensor.name) for tensor in inputs if tensor is not None):
            if maker is not None and (i in found) != (maker in found):
                beside.add(maker if i in found else i)
    yield from sorted(found | {i for i in beside if layers[i].type.name in _ARITHMETIC})
