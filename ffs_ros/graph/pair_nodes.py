"""The correlation of all pairs of a graph of ours, as a node of a CUDA kernel."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper

from ffs_ros.graph.builder import Builder
from ffs_ros.graph.neighbours import index_of
from ffs_ros.graph.volume import all_pairs
from ffs_ros.graph.written import Written


def with_all_pairs(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, onnx.TensorProto],
    features: str,
    pairs: onnx.NodeProto,
    size: list[int],
    domain: str,
) -> bool:
    """Puts a kernel in the place of ``volume.all_pairs`` of the features, which ends in ``pairs``.

    ``size``: batch, rows and columns. False where that is something else.
    """
    b = Builder({}, halves=True)
    given = [b.lower("features")]
    if Written(b, given, all_pairs(b, *given), nodes, weights).arguments_of(pairs.output[0]) != [features]:
        return False
    scope = pairs.name.rpartition("/")[0]
    nodes[index_of(nodes, pairs)] = helper.make_node(
        "all_pairs", [features], pairs.output, name=f"{scope}/all_pairs", domain=domain, size=size, reads=1
    )
    return True
