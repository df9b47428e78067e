"""Keeps the types where TensorRT chooses them: weakly typed networks of 8.6 and 10.

An fp16 graph of ours says which of its nodes compute in fp32 (``full_nodes``), so what is fp32 there is held to it.
Held to fp16 is what takes long to try in the other type: convolutions, and arithmetic on what they give. The rest stays
the builder's. Its compiler Myelin takes products, look-ups and transpositions in whole regions, and on an H200 8.6.1
had no implementation for two of these with their layers held; of one it said so after 214 s. In an fp32 graph (TAO's),
what is known to need fp32 is found by its kind, and the builder is free elsewhere: norms, softmax and means, roots, the
arithmetic directly before and after them, and its constants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from ffs_ros.engine.trt_versions import Messages
from ffs_ros.full_nodes import node_of

_SENSITIVE = ("SOFTMAX", "REDUCE", "NORMALIZATION", "UNARY")
_ARITHMETIC = ("ELEMENTWISE", "SCALE")
_CONVOLUTIONS = ("CONVOLUTION", "DECONVOLUTION")
_POINTWISE = ("ACTIVATION", "ELEMENTWISE", "SCALE", "UNARY")
_LEFT_ALONE = ("SHAPE", "CAST", "IDENTITY", "ASSERTION", "CONDITION", "TRIP_LIMIT")
"""Kinds whose precision is not to be chosen."""
_LOOSENED = (
    "{} layers that are fp16 in the graph have no kernel of that precision with their neighbours: their type is the "
    "builder's choice; what is fp32 in the graph is held to it"
)
_NO_KERNEL = re.compile(
    r"(could not find any|no supported formats|no implementation)(?!.*(?:workspace|memory))[^{]*(?:\{(.*)\})?",
    re.IGNORECASE,
)


class Held(NamedTuple):
    """Layers whose type the builder does not choose."""

    fp32: list[Any]
    fp16: list[Any]
    order: list[str]
    """The names of all layers of the network."""

    def loosen(self, said: Messages) -> bool:
        """Let go of fp16, and warn, where the builder's errors say that some layer has no kernel of its type.

        In the regions that they name, or everywhere when that is nowhere. Returns whether there was something to let go
        of, so that another attempt makes sense.
        """
        regions = [self._region(match[2] or "") for error in said.errors if (match := _NO_KERNEL.search(error))]
        named = set().union(*regions)
        let_go = [layer for layer in self.fp16 if layer.name in named] or (self.fp16[:] if regions else [])
        if not let_go:
            return False
        for layer in let_go:
            layer.reset_precision()
            for index in range(layer.num_outputs):
                layer.reset_output_type(index)
        kept = [layer for layer in self.fp16 if layer not in let_go]
        self.fp16[:] = kept
        said.errors.clear()
        said.warnings.append(_LOOSENED.format(len(let_go)))
        return True

    def _region(self, named: str) -> set[str]:
        """The layers of ``{ForeignNode[first...last]}``, or of a single fused one, ``a + b``."""
        ends = [{*end.split(" + ")} for end in named.removeprefix("ForeignNode[").removesuffix("]").split("...")]
        places = [[index for index, name in enumerate(self.order) if name in end] for end in ends]
        if not all(places):
            return set()
        found = [index for end in places for index in end]
        return set(self.order[min(found) : max(found) + 1])


def pin(trt: Any, network: Any, full_nodes: Set[str] | None) -> Held:
    """Hold layers of ``network`` to the types that they have in the graph; which, is said above.

    Integers, and layers whose types are their purpose, are left alone.
    """
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    full: list[bool | None]
    if full_nodes is None:
        sensitive = _sensitive(layers)
        full = [index in sensitive or None for index in range(len(layers))]
    else:
        full = full_of(trt, layers, full_nodes)
        convolved = _convolved(trt, layers)
        full = [one or (False if index in convolved else None) for index, one in enumerate(full)]
    held = Held([], [], [layer.name for layer in layers])
    for layer, one in zip(layers, full, strict=True):
        if one is None or layer.type.name in _LEFT_ALONE or not _floating(trt, layer):
            continue
        (held.fp32 if one else held.fp16).append(layer)
        layer.precision = trt.float32 if one else trt.float16
        for index in range(layer.num_outputs):
            layer.set_output_type(index, layer.precision)
    return held


def full_of(trt: Any, layers: Sequence[Any], full_nodes: Set[str]) -> list[bool | None]:
    """Whether each layer's result is float32 in the graph, or float16; None where it is no floating one.

    A layer belongs to the node whose value it computes, or whose name it has. Others, which a parser adds (broadcasts,
    the square and the root of a norm, constants), have the type of the nodes that read them, float32 where they differ;
    where no layer that computes does, the type of what they read.
    """
    sources = _sources(layers)
    floating = [_floating(trt, layer) for layer in layers]
    nodes = [_node(layer) for layer in layers]
    makers = [[maker for maker in found if floating[maker]] for found in sources]
    readers: list[list[int]] = [[] for _ in layers]
    for reader, found in enumerate(makers):
        if floating[reader] and layers[reader].type.name not in _LEFT_ALONE:
            for maker in found:
                readers[maker].append(reader)

    def full(index: int) -> bool | None:
        if not floating[index]:
            return None
        if nodes[index]:
            return nodes[index] in full_nodes
        found = _nearest(index, readers, nodes) or _nearest(index, makers, nodes)
        return not found or not full_nodes.isdisjoint(found)  # what belongs to nothing is on the safe side in fp32

    return [full(index) for index in range(len(layers))]


def _convolved(trt: Any, layers: Sequence[Any]) -> set[int]:
    """Indices of the convolutions, and of the arithmetic on what they and the network's inputs give."""
    sources = _sources(layers)
    found: set[int] = set()
    for index, layer in enumerate(layers):  # in the order in which they run
        kind = layer.type.name
        pointwise = kind in _POINTWISE and (kind != "UNARY" or "Erf" in layer.name)
        computed = [maker for maker in sources[index] if not _constant(maker, layers, sources)]
        if _floating(trt, layer) and (kind in _CONVOLUTIONS or (pointwise and found.issuperset(computed))):
            found.add(index)
    return found


def _constant(index: int, layers: Sequence[Any], sources: list[list[int]]) -> bool:
    """Whether a layer gives a constant, perhaps reshaped."""
    kind = layers[index].type.name
    return kind == "CONSTANT" or (
        kind == "SHUFFLE" and [layers[maker].type.name for maker in sources[index]] == ["CONSTANT"]
    )


def _nearest(start: int, towards: Sequence[list[int]], nodes: Sequence[str | None]) -> set[str]:
    """The first nodes on all ways from a layer that belongs to none."""
    found, seen, waiting = set(), {start}, [start]
    while waiting:
        for other in towards[waiting.pop()]:
            if node := nodes[other]:
                found.add(node)
            elif other not in seen:
                seen.add(other)
                waiting.append(other)
    return found


def _node(layer: Any) -> str | None:
    """The parser names the last layer of a node's, or only its tensor (8.6: LayerNormalization), as the node is."""
    names = [*(tensor.name for tensor in _outputs(layer)), layer.name]
    return next((node for name in names if (node := node_of(name))), None)


def _outputs(layer: Any) -> list[Any]:
    return [layer.get_output(index) for index in range(layer.num_outputs)]


def _floating(trt: Any, layer: Any) -> bool:
    return {tensor.dtype for tensor in _outputs(layer)} in ({trt.float32}, {trt.float16})


def _sources(layers: Sequence[Any]) -> list[list[int]]:
    """For each layer, the indices of those that make what it reads."""
    makers = {tensor.name: index for index, layer in enumerate(layers) for tensor in _outputs(layer)}
    return [
        [
            makers[tensor.name]
            for j in range(layer.num_inputs)
            if (tensor := layer.get_input(j)) and tensor.name in makers
        ]
        for layer in layers
    ]


def _sensitive(layers: Sequence[Any]) -> set[int]:
    """Indices of the layers of a sensitive kind, of the arithmetic beside them, and of the constants that both read."""
    sources = _sources(layers)
    kinds = [layer.type.name for layer in layers]
    seeds = {i for i, kind in enumerate(kinds) if kind in _SENSITIVE and "Erf" not in layers[i].name}
    pairs = {(maker, reader) for reader, makers_ in enumerate(sources) for maker in makers_}
    beside = {m for m, reader in pairs if reader in seeds} | {reader for m, reader in pairs if m in seeds}
    found = seeds | {i for i in beside if kinds[i] in _ARITHMETIC}
    # An epsilon of 1e-12 is 0 in halves; on its way it may be reshaped.
    waiting = list(found)
    while waiting:
        for maker in sources[waiting.pop()]:
            if maker not in found and _constant(maker, layers, sources):
                found.add(maker)
                waiting.append(maker)
    return found
