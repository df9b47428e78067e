"""Keeps fp32 where it is needed when TensorRT chooses the types: weakly typed networks of 8.6 and 10.

An fp16 graph of ours says itself where it is fp32 (``ffs export --precision fp16``), so its layers are held to the
types that it has. In an fp32 graph, TAO's say, what is known to need fp32 is found by its kind: norms, softmax and
means, roots, the arithmetic directly before and after them, and its constants.
"""

from __future__ import annotations

from typing import Any

_SENSITIVE = ("SOFTMAX", "REDUCE", "NORMALIZATION", "UNARY")
_ARITHMETIC = ("ELEMENTWISE", "SCALE")
_LEFT_ALONE = ("SHAPE", "CAST", "IDENTITY", "ASSERTION", "CONDITION", "TRIP_LIMIT")
"""Kinds whose precision is not to be chosen."""


def pin(trt: Any, network: Any, typed: bool) -> int:
    """Hold layers of ``network`` to fp32: those that are fp32 in a ``typed`` graph; returns how many."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    if not (typed and any(tensor.dtype == trt.float16 for layer in layers for tensor in _outputs(layer))):
        layers = [layers[index] for index in _sensitive(layers)]
    pinned = 0
    for layer in layers:
        if layer.type.name in _LEFT_ALONE or {tensor.dtype for tensor in _outputs(layer)} != {trt.float32}:
            continue
        layer.precision = trt.float32
        for index in range(layer.num_outputs):
            layer.set_output_type(index, trt.float32)
        pinned += 1
    return pinned


def _outputs(layer: Any) -> list[Any]:
    return [layer.get_output(index) for index in range(layer.num_outputs)]


def _sensitive(layers: list[Any]) -> list[int]:
    """Indices of the layers of a sensitive kind, of the arithmetic beside them, and of the constants that both read."""
    makers = {layer.get_output(j).name: i for i, layer in enumerate(layers) for j in range(layer.num_outputs)}
    sources = [
        [
            makers[tensor.name]
            for j in range(layer.num_inputs)
            if (tensor := layer.get_input(j)) and tensor.name in makers
        ]
        for layer in layers
    ]
    kinds = [layer.type.name for layer in layers]
    seeds = {i for i, kind in enumerate(kinds) if kind in _SENSITIVE and "Erf" not in layers[i].name}
    pairs = {(maker, reader) for reader, makers_ in enumerate(sources) for maker in makers_}
    beside = {m for m, reader in pairs if reader in seeds} | {reader for m, reader in pairs if m in seeds}
    found = seeds | {i for i in beside if kinds[i] in _ARITHMETIC}
    # An epsilon of 1e-12 is 0 in halves; on its way it may be reshaped.
    waiting = list(found)
    while waiting:
        for maker in sources[waiting.pop()]:
            if maker not in found and (kinds[maker] == "CONSTANT" or _constant_reshaped(maker, kinds, sources)):
                found.add(maker)
                waiting.append(maker)
    return sorted(found)


def _constant_reshaped(layer: int, kinds: list[str], sources: list[list[int]]) -> bool:
    return kinds[layer] == "SHUFFLE" and [kinds[maker] for maker in sources[layer]] == ["CONSTANT"]
