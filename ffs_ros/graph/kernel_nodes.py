"""The steps of a graph of ours that CUDA kernels do faster, as nodes: volumes, disparities, look-up, norms, GRU, head.

They belong into no file: ``parts_of`` takes them out again, as what runs between its parts. What they replace stays in
the graph that was exported, which every other runtime runs. The volumes and the evidence have here the shapes that they
have in the graph; the kernels write and read them with the channels last, and ``LINEAR`` says what they read otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.disparity_nodes import with_first_disparity, with_upsampling
from ffs_ros.graph.gru_nodes import with_updates
from ffs_ros.graph.head_attention_nodes import with_attention
from ffs_ros.graph.head_nodes import CHANNELS as HEAD_CHANNELS
from ffs_ros.graph.head_nodes import LAST, head_steps
from ffs_ros.graph.join_nodes import with_joins
from ffs_ros.graph.lookup import CHANNELS, LEVELS, TAPS
from ffs_ros.graph.motion_nodes import DISPARITY, with_disparity_features
from ffs_ros.graph.norm_nodes import with_norms
from ffs_ros.graph.pair_nodes import with_all_pairs
from ffs_ros.graph.volume import PLANES
from ffs_ros.graph.volume_nodes import STORED, with_convolutions

DOMAIN = "ffs_ros.kernels"
LINEAR = {
    "cost_volume": (0, 1),
    "four_times_finer": (),
    "first_disparity": (),
    "volume_convolution": (),
    "volume_convolution_add": (),
    "volume_convolution_gated": (),
    "all_pairs": (0,),
    "look_up_convc1": (0, 2),
    "disparity_features": (0,),
    "convex_upsampling": (1,),
    "wide_block": (),
    "disparity_step": (1,),
    "head_attention": (),
    "gru_input": (),
    "gru_reset": (),
    "gru_output": (5,),
    "channel_sums": (),
    "instance_norm": (1,),
    "instance_norm_add": (1,),
    "instance_norm_join": (1,),
    "join_leaky": (),
}
"""Which of what a kernel reads lies in memory as its shape says; elsewhere the channels of a place lie side by side."""
_FINER = 4
_FEATURES, _PROJECTED, _EVIDENCE = 224, 12, 56
_CONVC1 = "update_block.encoder.convc1"
_OUTPUT_TILE, _SAMPLE_STEP = 8, 16
"""Outputs and samples of one product on a tensor core (``mma.m16n8k16``)."""


class _NotThere(Exception):
    """The graph does not have the steps in the form that is known."""


def with_kernels(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy of an fp16 graph of ours, of one size, with a node for each kernel; None where it does not fit them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))
    try:
        return _Rewrite(copy).model
    except _NotThere:
        return None


class _Rewrite:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.types = {one.name: one for one in [*model.graph.input, *model.graph.value_info, *model.graph.output]}
        self.weights = {one.name: one for one in model.graph.initializer}
        features, projected, cost = self._cost_volume_nodes()
        geometry, pairs = self._read_by("classifier.0.weight"), self._pairs()
        if len(self._shape(pairs)) != len(("batch", "rows", "left columns", "right columns")):
            raise _NotThere
        batch, rows, columns, _ = self._shape(pairs)
        self.size = batch, rows, columns
        self._expect(features, TensorProto.FLOAT16, 2 * batch, _FEATURES, rows, columns)
        self._expect(projected, TensorProto.FLOAT16, 2 * batch, _PROJECTED, rows, columns)
        self._expect(cost, TensorProto.FLOAT16, batch, STORED, PLANES, rows, columns)
        self._expect(geometry, TensorProto.FLOAT16, batch, CHANNELS, PLANES, rows, columns)
        self._expect(pairs, TensorProto.FLOAT16, batch, rows, columns, columns)

        self._move_projection(projected, features)
        concat = self.makers[cost]
        self.nodes[self.nodes.index(concat)] = self._kernel("cost_volume", concat, [features, projected], cost)
        self._put_finer()
        self.model.graph.initializer.extend(with_convolutions(self.nodes, self.weights, self._shape, DOMAIN))
        self._put_disparities()
        if not with_all_pairs(self.nodes, self.weights, features, self._maker(pairs), [*self.size], DOMAIN):
            raise _NotThere
        constants = self._convc1()
        iterations = self._readers("update_block.encoder.convc2.weight")
        for reader in iterations:
            self._put_look_up(reader.input[0], geometry, pairs, constants)
        of_disparity = self._readers(f"{DISPARITY}.weight")
        self.model.graph.initializer.extend(
            with_disparity_features(self.nodes, self.weights, of_disparity, self._type, DOMAIN)
        )
        with_updates(self.nodes, self._type, DOMAIN)
        self.model.graph.initializer.extend(with_attention(self.nodes, self.weights, self._type, DOMAIN))
        with_norms(self.nodes, self.weights, self._type, DOMAIN)
        with_joins(self.nodes, self._type, DOMAIN)
        self._put_heads(len(iterations))
        self._finish()

    def _readers(self, weight: str) -> list[onnx.NodeProto]:
        found = [one for one in self.nodes if any(name in (weight, f"{weight}.fp16") for name in one.input)]
        if not found or any(one.op_type != "Conv" for one in found):
            raise _NotThere
        return found

    def _read_by(self, weight: str) -> str:
        """What the only convolution with a weight reads."""
        found = self._readers(weight)
        if len(found) != 1:
            raise _NotThere
        return found[0].input[0]

    def _cost_volume_nodes(self) -> tuple[str, str, str]:
        """Features, their projection, and the volume."""
        project = self._readers("proj_cmb.weight")
        cost = self._read_by("corr_feature_att.0.conv.weight")
        if len(project) != 1 or self._maker(cost).op_type != "Concat":
            raise _NotThere
        return project[0].input[0], project[0].output[0], cost

    def _maker(self, name: str) -> onnx.NodeProto:
        if name not in self.makers:
            raise _NotThere
        return self.makers[name]

    def _pairs(self) -> str:
        found = [one for one in self.nodes if one.name.startswith("tables/") and one.op_type == "MatMul"]
        if len(found) != 1:
            raise _NotThere
        return found[0].output[0]

    def _shape(self, name: str) -> list[int]:
        if name not in self.types:
            raise _NotThere
        axes = self.types[name].type.tensor_type.shape.dim
        if not axes or not all(axis.HasField("dim_value") for axis in axes):
            raise _NotThere
        return [axis.dim_value for axis in axes]

    def _type(self, name: str) -> tuple[int, list[int]]:
        shape = self._shape(name)
        return self.types[name].type.tensor_type.elem_type, shape

    def _expect(self, name: str, kind: int, *lengths: int) -> None:
        if self._type(name) != (kind, [*lengths]):
            raise _NotThere

    def _kernel(
        self, name: str, instead: onnx.NodeProto, reads: list[str], writes: str, constants: Iterable[str] = ()
    ) -> onnx.NodeProto:
        """The node of a kernel. Its constants follow what it reads; ``reads`` says how many those are."""
        scope = instead.name.rpartition("/")[0]
        return helper.make_node(
            name, [*reads, *constants], [writes], name=f"{scope}/{name}", domain=DOMAIN, size=self.size,
            reads=len(reads),
        )  # fmt: skip

    def _put(self, after: str, *nodes: onnx.NodeProto) -> None:
        """Insert nodes behind the one that makes a tensor."""
        at = self.nodes.index(self.makers[after]) + 1
        self.nodes[at:at] = nodes

    def _move_projection(self, projected: str, features: str) -> None:
        """The kernel reads it before its part begins, so the part that makes the features makes it too."""
        node, scope = self.makers[projected], self.makers[features].name.rpartition("/")[0]
        node.name = f"{scope}/{node.name.rpartition('/')[2]}"

    def _put_finer(self) -> None:
        """In the place of a matrix for each axis, columns first (``resampling.four_times_finer``), and the sum."""
        total = self._read_by("cost_agg.post8_to_4.out.0.conv.weight")
        add, (batch, rows, columns) = self._maker(total), self.size
        if add.op_type != "Add" or rows % _FINER or columns % _FINER:
            raise _NotThere
        coarse = PLANES // _FINER, rows // _FINER, columns // _FINER
        made, volume = add.input
        for operator, at, length in (
            ("Reshape", 0, 0), ("MatMul", 1, coarse[0]), ("Reshape", 0, 0), ("MatMul", 1, coarse[1]),
            ("MatMul", 0, coarse[2]),
        ):  # fmt: skip
            node = self._maker(made)
            if node.op_type != operator:
                raise _NotThere
            if length:
                matrix = self._array(node.input[1 - at])
                if not np.array_equal(matrix if at else matrix.T, interpolation(length)):
                    raise _NotThere
            made = node.input[at]
        self._expect(made, TensorProto.FLOAT16, batch, CHANNELS, *coarse)
        self._expect(volume, TensorProto.FLOAT16, batch, CHANNELS, PLANES, rows, columns)
        self._put(total, self._kernel("four_times_finer", add, [made, volume], total))
        self.nodes.remove(add)

    def _put_disparities(self) -> None:
        """The first, and that of the images."""
        (classifier,), (output,) = self._readers("classifier.0.weight"), self.model.graph.output
        size = [*self.size]
        constant = with_first_disparity(self.nodes, self.weights, classifier, size, DOMAIN)
        finest = with_upsampling(self.nodes, self.weights, output.name, size, self._shape, DOMAIN)
        if constant is None or not finest:
            raise _NotThere
        self.model.graph.initializer.append(constant)

    def _put_look_up(self, evidence: str, geometry: str, pairs: str, constants: list[str]) -> None:
        transpose = self._maker(evidence)
        batch, rows, columns = self.size
        if transpose.op_type != "Transpose":
            raise _NotThere
        made = transpose.input[0]
        self._expect(made, TensorProto.FLOAT16, batch, rows, columns, _EVIDENCE)
        scope = transpose.name.split("/")[0]
        read = {name for name in self._read_inside(made, scope) if not self._of_tables(name)}
        if len(read) != 1:
            raise _NotThere
        (disparity,) = read
        self._expect(disparity, TensorProto.FLOAT, batch, 1, rows, columns)
        kernel = self._kernel("look_up_convc1", transpose, [disparity, geometry, pairs], evidence, constants)
        self._put(evidence, kernel)
        self.nodes.remove(transpose)

    def _put_heads(self, iterations: int) -> None:
        convs = self._readers(LAST)
        found = [head_steps(conv, self.nodes, self.weights) for conv in convs]
        if len(convs) != iterations or not all(found):
            raise _NotThere
        batch, *place = self.size
        for step in (step for steps in found for step in steps):
            picture, *disparity = step.reads
            self._expect(picture, TensorProto.FLOAT16, batch, HEAD_CHANNELS, *place)
            for name in disparity:
                self._expect(name, TensorProto.FLOAT, batch, 1, *place)
            for name, array in step.constants.items():
                if name not in self.weights:
                    self.weights[name] = numpy_helper.from_array(array, name)
                    self.model.graph.initializer.append(self.weights[name])
            self.nodes[self.nodes.index(step.last)] = step.node(self.size, DOMAIN)

    def _read_inside(self, name: str, scope: str) -> set[str]:
        """What the nodes of a scope read from elsewhere to make a tensor."""
        read, waiting, seen = set(), [name], {name}
        while waiting:
            for one in self._maker(waiting.pop()).input:
                if one in seen or one in self.weights:
                    continue
                seen.add(one)
                maker = self.makers.get(one)
                if maker is not None and maker.name.startswith(f"{scope}/"):
                    waiting.append(one)
                else:
                    read.add(one)
        return read

    def _of_tables(self, name: str) -> bool:
        return name in self.makers and self.makers[name].name.startswith("tables/")

    def _convc1(self) -> list[str]:
        """The names of its weight and bias as the kernel reads them, new initializers."""
        geometry, correlation, bias = (self._array(f"{_CONVC1}.{part}") for part in ("geometry", "correlation", "bias"))
        shapes = geometry.shape[2:], correlation.shape, bias.shape
        if shapes != ((2 * _EVIDENCE,), (LEVELS, TAPS, _EVIDENCE), (_EVIDENCE,)):
            raise _NotThere
        arrays = [packed(sample_weight(geometry, correlation)), bias.astype(np.float32)]
        names = [f"{_CONVC1}.packed", f"{_CONVC1}.full_bias"]
        self.model.graph.initializer.extend(
            numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)
        )
        return names

    def _array(self, name: str) -> np.ndarray:
        for one in (f"{name}.fp16", name):
            if one in self.weights:
                return numpy_helper.to_array(self.weights[one])
        raise _NotThere

    def _finish(self) -> None:
        """Leave out what leads to no output any more."""
        wanted = {one.name for one in self.model.graph.output}
        kept = []
        for node in reversed(self.nodes):
            if not wanted.isdisjoint(node.output):
                kept.append(node)
                wanted.update(node.input)
        graph = self.model.graph
        initializers = [one for one in graph.initializer if one.name in wanted]
        types = [self.types[name] for node in kept for name in node.output if name in self.types]
        for field, values in (("node", kept[::-1]), ("initializer", initializers), ("value_info", types)):
            graph.ClearField(field)
            getattr(graph, field).extend(values)
        self.model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def interpolation(length: int) -> np.ndarray:
    """[4 length, length]: ``resampling.interpolation`` of a known length."""
    centre = np.clip((np.arange(_FINER * length) + 0.5) / _FINER - 0.5, 0, length - 1)
    return np.maximum(1 - np.abs(centre[:, None] - np.arange(length)), 0)


def sample_weight(geometry: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """``convc1``'s weight [56,576] for the kernel's samples, from those of ``look_up_weights``.

    Sample 32 (9 level + tap) + c: of channel c of geometry, 28 that of the correlation, those above are zero.
    """
    outputs = correlation.shape[2]
    weight = np.zeros((LEVELS, TAPS, STORED, outputs), np.float32)
    lower = geometry[:, : CHANNELS * TAPS, :outputs]  # tap by tap; the tenth neighbour's are zero
    weight[:, :, :CHANNELS] = lower.reshape(LEVELS, TAPS, CHANNELS, outputs)
    weight[:, :, CHANNELS] = correlation
    return weight.reshape(LEVELS * TAPS * STORED, outputs).T


def packed(weight: np.ndarray) -> np.ndarray:
    """[56,576] as the kernel's tensor cores take it: halves [36,7,32,4], of a step, eight outputs and a lane."""
    outputs, samples = weight.shape
    tiles, steps = outputs // _OUTPUT_TILE, samples // _SAMPLE_STEP
    halves = weight.astype(np.float16).reshape(tiles, _OUTPUT_TILE, steps, 2, 4, 2)  # ..., upper, pair, two
    return np.ascontiguousarray(halves.transpose(2, 0, 1, 4, 3, 5).reshape(steps, tiles, 4 * _OUTPUT_TILE, 4))
