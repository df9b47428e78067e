"""Takes a graph of ours apart into pieces that take about as long to build: TensorRT 8.6 builds them side by side.

The iterations are alike, so one of them, run again and again, does for all: a builder whose time grows with the square
or the cube of the number of layers needs minutes less.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import onnx
from onnx import helper, numpy_helper, shape_inference

from ffs_ros.graph.across_planes import three_dimensional
from ffs_ros.graph.kernel_nodes import DOMAIN, LINEAR, with_kernels
from ffs_ros.graph.norm_nodes import FEWEST_CHANNELS
from ffs_ros.graph.turns import Turn, turns
from ffs_ros.graph.volume_nodes import NAME

_PART_OF_SCOPE = {
    "backbone": "backbone",
    "decoder": "decoder_end",
    "decoder/to_16": "decoder_begin",
    "decoder/to_8": "decoder_begin",
    "volume": "volume_end",
    "volume/correlation": "volume_stem",
    "volume/concatenation": "volume_stem",
    "volume/stem": "volume_stem",
    "volume/hourglass/down": "volume_down",
    "volume/hourglass/up": "volume_up",
    "context": "context",
    "tables": "context",
    "upsampling": "upsampling",
}
"""The part of a scope, and of those within it that are not here themselves."""
_ITERATION = "iteration"
_ORDER = (
    "backbone", "decoder_begin", "decoder_end", "volume_stem", "volume_down", "volume_up", "volume_end", "context",
    _ITERATION, "upsampling",
)  # fmt: skip
_DECODER = "decoder"
_DECODER_PARTS = (f"{_DECODER}_begin", f"{_DECODER}_end")
"""One part where kernels cut it. The last of the volume's goes with the one before: kernels do most of it."""


class KernelCall(NamedTuple):
    """A kernel that runs in the place of nodes."""

    kernel: str
    reads: list[str]
    writes: str
    size: list[int]
    """As its launch takes it."""
    constants: list[bytes]


class GraphPart(NamedTuple):
    """One part, a graph of its own. Its tensors have the names that they have in the whole graph's first iteration."""

    name: str
    content: bytes
    """The ONNX file."""
    nodes: int
    repeat: int = 1
    """How often it runs: in a row, or in turns with its neighbours that carry the same."""
    carried: dict[str, str] = {}  # noqa: RUF012 (nobody writes into it)
    """Input -> the output of one turn that it is in the next."""
    before: tuple[KernelCall, ...] = ()
    """What runs before it, each time."""
    after: tuple[KernelCall, ...] = ()
    channels_last: frozenset[str] = frozenset()
    """Of what it reads and writes, what is kept with the channels of a place side by side, as convolutions read it."""


class _NotOurs(Exception):
    """The graph has no parts that are known."""


def parts_of(model: onnx.ModelProto, kernels: bool = False) -> list[GraphPart] | None:
    """The parts in the order in which they run; None where the graph has open axes or is not ours.

    With ``kernels`` cost volume, its enlargement and look-up are calls between the parts; None also where the graph has
    no place for them: it is fp32, say.
    """
    volumes = three_dimensional(model)
    whole = with_kernels(volumes) if kernels else volumes
    if whole is None:
        return None
    try:
        return _Split(whole).parts()
    except _NotOurs:
        return None


class _Split:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.weights = {one.name: one for one in model.graph.initializer}
        self.part_of: dict[str, str] = {one.name: _ORDER[0] for one in model.graph.input}
        """Tensor -> the part that makes it."""
        called = {one.op_type for one in model.graph.node if one.domain == DOMAIN}
        self.renamed = dict.fromkeys(_DECODER_PARTS if "channel_sums" in called else (), _DECODER)
        if NAME in called:
            self.renamed["volume_end"] = "volume_up"
        self.order = list(dict.fromkeys(self.renamed.get(name, name) for name in _ORDER))
        self.nodes: dict[str, list[onnx.NodeProto]] = {name: [] for name in self.order}
        self.iterations: list[list[onnx.NodeProto]] = []
        self._sort()
        self.types = _types(model)
        self.linear = {name for node in model.graph.node for name in _kept_linear(node)}
        """What is no picture, and what a kernel reads as its shape says."""

    def _sort(self) -> None:
        for node in self.model.graph.node:
            part, number = self._place(node)
            if any(self.order.index(self.part_of.get(name, part)) > self.order.index(part) for name in node.input):
                raise _NotOurs
            self.part_of.update(dict.fromkeys(node.output, part))
            if part == _ITERATION:
                while len(self.iterations) < number:
                    self.iterations.append([])
                self.iterations[number - 1].append(node)
            else:
                self.nodes[part].append(node)
        if not self.iterations or not all(self.nodes[name] for name in self.order if name != _ITERATION):
            raise _NotOurs
        self.nodes[_ITERATION] = self.iterations[0]

    def _place(self, node: onnx.NodeProto) -> tuple[str, int]:
        """The part of a node, and the number of its iteration."""
        scope = node.name.rpartition("/")[0]
        if not scope:  # what precedes and what follows the network
            made = {self.part_of[name] for name in node.input if name in self.part_of}
            return _ORDER[-1] if _ORDER[-1] in made else _ORDER[0], 0
        outermost = scope.split("/")[0]
        if outermost.startswith(f"{_ITERATION}_") and outermost[len(_ITERATION) + 1 :].isdigit():
            return _ITERATION, int(outermost[len(_ITERATION) + 1 :])
        while scope and scope not in _PART_OF_SCOPE:
            scope = scope.rpartition("/")[0]
        if not scope:
            raise _NotOurs
        part = _PART_OF_SCOPE[scope]
        return self.renamed.get(part, part), 0

    def parts(self) -> list[GraphPart]:
        carried, last = self._carried()
        after = [_renamed(node, last) for node in self.nodes["upsampling"]]
        wanted = {one.name for one in self.model.graph.output}
        reversed_parts = []
        for name in reversed(self.order):
            nodes = after if name == "upsampling" else self.nodes[name]
            again = len(self.iterations) if name == _ITERATION else 1
            in_turn = turns(nodes)
            if not in_turn:
                raise _NotOurs
            taken = carried if name == _ITERATION else {}
            wanted |= set(taken.values())
            for number, turn in reversed([*enumerate(in_turn, 1)]):
                title = name if len(in_turn) == 1 else f"{name}.{number}"
                reversed_parts.append(self._part(title, turn, wanted, again, taken))
                wanted |= _read([*turn.nodes, *turn.before, *turn.after])
        return reversed_parts[::-1]

    def _carried(self) -> tuple[dict[str, str], dict[str, str]]:
        """Input of the first iteration -> its output that the next takes instead; the last one's names -> the first's.

        Raises _NotOurs unless all iterations do the same.
        """
        first, *others = self.iterations
        carried: dict[str, str] = {}
        made = before = {name: name for node in first for name in node.output}
        for nodes in others:
            before = _matched(first, nodes, before, carried)
        after = {name for name in _read(self.nodes["upsampling"]) if self.part_of.get(name) == _ITERATION}
        if not carried.keys().isdisjoint(made) or not after <= before.keys():
            raise _NotOurs
        return carried, before

    def _part(self, name: str, turn: Turn, wanted: set[str], repeat: int, carried: dict[str, str]) -> GraphPart:
        nodes = turn.nodes
        made = [output for node in nodes for output in node.output]
        used = _read(nodes)
        wanted = wanted | _read(turn.after)
        inputs = dict.fromkeys(
            one for node in nodes for one in node.input if one and one not in made and one not in self.weights
        )
        outputs = [one for one in made if one in wanted]
        graph = helper.make_graph(
            nodes,
            name,
            [self.types[one] for one in inputs],
            [self.types[one] for one in outputs],
            [tensor for key, tensor in self.weights.items() if key in used],
        )
        opsets = [one for one in self.model.opset_import if one.domain != DOMAIN]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.model.ir_version)
        model.metadata_props.extend(self.model.metadata_props)
        return GraphPart(
            name,
            model.SerializeToString(),
            len(nodes),
            repeat,
            dict(carried),
            tuple(map(self._call, turn.before)),
            tuple(map(self._call, turn.after)),
            frozenset(one for one in (*inputs, *outputs) if self._channels_last(one)),
        )

    def _channels_last(self, name: str) -> bool:
        """Whether a tensor at a part's border is a picture or a volume of halves, [B,C,H,W] or [B,C,D,H,W]."""
        kind = self.types[name].type.tensor_type
        lengths = [axis.dim_value for axis in kind.shape.dim]
        pictured = len(lengths) in (4, 5) and lengths[1] >= FEWEST_CHANNELS
        return pictured and kind.elem_type == onnx.TensorProto.FLOAT16 and name not in self.linear

    def _call(self, node: onnx.NodeProto) -> KernelCall:
        facts = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        reads, constants = list(node.input[: facts["reads"]]), node.input[facts["reads"] :]
        contents = [numpy_helper.to_array(self.weights[name]).tobytes() for name in constants]
        return KernelCall(node.op_type, reads, node.output[0], list(facts["size"]), contents)


def _matched(
    first: list[onnx.NodeProto], nodes: list[onnx.NodeProto], before: dict[str, str], carried: dict[str, str]
) -> dict[str, str]:
    """The outputs of an iteration -> those of the first. ``before``: likewise, of the iteration before this one.

    ``carried`` grows by what takes the place of the first one's inputs, and must be the same in all iterations.
    """
    here: dict[str, str] = {}
    kept: set[str] = set()
    """What the first one's inputs are in this one too."""
    if len(nodes) != len(first):
        raise _NotOurs
    for model, node in zip(first, nodes, strict=True):
        if (model.op_type, list(model.attribute)) != (node.op_type, list(node.attribute)):
            raise _NotOurs
        for wanted, name in zip(model.input, node.input, strict=True):
            if name in before and name not in here:
                same = carried.setdefault(wanted, before[name]) == before[name]
            else:
                same = here.get(name, name) == wanted
                kept.add(wanted)
            if not same:
                raise _NotOurs
        here.update(zip(node.output, model.output, strict=True))
    if not kept.isdisjoint(carried):
        raise _NotOurs
    return here


def _kept_linear(node: onnx.NodeProto) -> list[str]:
    """Of the tensors of a node, those that no convolution takes, or that a kernel reads as their shapes say."""
    if node.domain == DOMAIN:
        return [node.input[at] for at in LINEAR[node.op_type]]
    return list(node.output) if node.name.startswith("tables/") else []


def _read(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input if name}


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.ClearField("input")
    copy.input.extend(names.get(name, name) for name in node.input)
    return copy


def _types(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """The type and shape of every tensor. Raises _NotOurs where an axis is open."""
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    types = {one.name: one for one in [*graph.input, *graph.value_info, *graph.output]}
    if not all(axis.HasField("dim_value") for one in types.values() for axis in one.type.tensor_type.shape.dim):
        raise _NotOurs
    return types
