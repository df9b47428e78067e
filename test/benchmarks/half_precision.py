"""How far the fp16 graph is from the fp32 graph on real stereo pairs, in ONNX Runtime on the CPU.

python test/benchmarks/half_precision.py CHECKPOINT [--pairs FOLDER] [--names NAME ...]

ONNX Runtime computes most fp16 nodes of a CPU in fp32 and rounds less than a GPU does. So besides the fp16 graph itself
(``as it is``) a graph is run that computes in fp32 and rounds to fp16 everywhere the fp16 graph has a value in fp16
(``rounded``): what a GPU that adds up in fp32 does.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.engine import open_engine
from ffs_ros.fit import InputFit
from ffs_ros.graph.form import FP16, SIZE_MULTIPLE
from ffs_ros.graph.model import build_model
from ffs_ros.image_file import read_rgb
from ffs_ros.matcher import StereoMatcher

WIDEST_px = 1000
"""Wider pairs are halved: their disparities exceed the network's range."""
KEEP_HALVES = {"Transpose", "Reshape", "Concat", "Split", "Slice", "Gather", "Pad", "Expand", "Unsqueeze", "Squeeze",
               "Relu", "Max", "ReduceMax"}  # fmt: skip
"""What these give from halves are halves."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    default = Path(os.environ.get("FFS_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "stereo"
    parser.add_argument("--pairs", type=Path, default=default)
    parser.add_argument("--names", nargs="*", help="some of the pairs (default: all)")
    args = parser.parse_args()
    tensors = open_checkpoint(args.checkpoint).tensors
    names = [facts["name"] for facts in json.loads((args.pairs / "manifest.json").read_text())]
    names = [name for name in names if any((args.pairs / name).glob("left.*"))]  # the others are not rectified
    print(
        f"{'':22} {'as it is':>29}   {'rounded':>29}\n{'pair':22}"
        + 2 * f" {'mean px':>9} {'max px':>8} {'bad-2 %':>9}  "
    )
    means = []
    for name in args.names or names:
        images = pair(args.pairs / name)
        size = InputFit.of(images[0].shape[:2], None, SIZE_MULTIPLE).engine_size
        half = build_model(tensors, size, precision=FP16)
        wide_HW = answer(build_model(tensors, size), images)
        row = f"{name:22}"
        for model in (half, rounded(half)):
            difference_HW = np.abs(answer(model, images) - wide_HW)
            means.append(float(difference_HW.mean()))
            row += f" {means[-1]:9.5f} {difference_HW.max():8.3f} {100 * (difference_HW > 2).mean():9.4f}  "
        print(row, flush=True)
    print(f"mean of the pairs: {np.mean(means[::2]):.5f} px as it is, {np.mean(means[1::2]):.5f} px rounded")


def answer(model: onnx.ModelProto, images: list[np.ndarray]) -> np.ndarray:
    """The disparity of a pair, px of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(model.SerializeToString())
        with open_engine(path, gpu_index=None) as engine:
            return StereoMatcher(engine).match(*images)


def pair(folder: Path) -> list[np.ndarray]:
    """Left and right image, RGB."""
    images = [read_rgb(next(folder.glob(f"{side}.*"))) for side in ("left", "right")]
    if images[0].shape[1] <= WIDEST_px:
        return images
    return [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in images]


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """An fp32 graph that rounds to fp16 wherever ``model`` has a value in fp16."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    half = {value.name for value in graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT16}
    nodes = []
    for node in graph.node:
        results = [name for name in node.output if name in half]
        if node.op_type == "Cast" and node.input[0] in half:
            nodes.append(helper.make_node("Identity", node.input, node.output))
        elif node.op_type == "Cast" and results:
            nodes += [helper.make_node("Identity", node.input, [f"{results[0]}:exact"]), *rounding(results[0])]
        elif node.op_type == "ConstantOfShape" and results:
            nodes.append(helper.make_node("ConstantOfShape", node.input, node.output))
        elif node.op_type in KEEP_HALVES or not results:
            nodes.append(node)
        else:
            exact = onnx.NodeProto()
            exact.CopyFrom(node)
            exact.output[:] = [f"{name}:exact" for name in node.output]
            nodes += [exact, *(one for name in node.output for one in rounding(name))]
    initializers = [
        numpy_helper.from_array(numpy_helper.to_array(one).astype(np.float32), one.name)
        if one.data_type == TensorProto.FLOAT16
        else one
        for one in graph.initializer
    ]
    result = helper.make_graph(nodes, "rounded", graph.input, graph.output, initializers)
    return helper.make_model(result, opset_imports=model.opset_import, ir_version=model.ir_version)


def rounding(name: str) -> list[onnx.NodeProto]:
    """``name`` is its exact value, rounded."""
    return [
        helper.make_node("Cast", [f"{name}:exact"], [f"{name}:half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", [f"{name}:half"], [name], to=TensorProto.FLOAT),
    ]


if __name__ == "__main__":
    main()
