"""Where fp16 rounds most: the relative error of every node on the middle of a real pair, against the fp32 graph.

python test/benchmarks/half_precision_layers.py CHECKPOINT FOLDER [--size HxW]

FOLDER has left.* and right.*. Both graphs run in ONNX Runtime on the CPU, the fp16 one as an fp32 graph that rounds
everything to fp16 which the fp16 graph has in fp16. Errors are root mean squares relative to that of the fp32 values,
so they add up from the images to the disparity. All values of both are held at once: 2 GB at 96x128.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from half_precision import pair, rounded
from onnx import TensorProto

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.graph.form import FP16
from ffs_ros.graph.model import build_model

WORST = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="96x128")
    args = parser.parse_args()
    rows, columns = (int(side) for side in args.size.split("x"))
    tensors = open_checkpoint(args.checkpoint).tensors
    feeds = {}
    for side, image in zip(("left", "right"), pair(args.folder), strict=True):
        top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
        feeds[side] = np.ascontiguousarray(image[None, top : top + rows, left : left + columns])
    wide, half = (build_model(tensors, (rows, columns), precision=precision) for precision in ("fp32", FP16))
    # Without casts both graphs have the same nodes in the same order.
    nodes = [[node for node in model.graph.node if node.op_type != "Cast"] for model in (wide, half)]
    types = {
        one.name: one.type.tensor_type.elem_type for one in onnx.shape_inference.infer_shapes(wide).graph.value_info
    }
    same = [twins for twins in zip(*nodes, strict=True) if types.get(twins[0].output[0]) == TensorProto.FLOAT]
    expected = values(wide, [node.output[0] for node, _ in same], feeds)
    found = values(rounded(half), [node.output[0] for _, node in same], feeds)
    errors = [
        (float(np.linalg.norm(other - one) / max(np.linalg.norm(one), 1e-12)), float(np.abs(one).max()), node.name)
        for (node, _), one, other in zip(same, expected, found, strict=True)
    ]
    print(f"{'error':>9} {'largest':>9}  the {WORST} worst of {len(errors)} nodes")
    show(sorted(errors, reverse=True)[:WORST])
    print("the last node of each part")
    show({name.split("/")[0]: (error, largest, name) for error, largest, name in errors}.values())
    print(f"largest value of all: {max(largest for _, largest, _ in errors):.1f}")


def values(model: onnx.ModelProto, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What these nodes give."""
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    model = onnx.shape_inference.infer_shapes(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, feeds)


def show(rows: object) -> None:
    for error, largest, name in rows:
        print(f"{error:9.6f} {largest:9.3f}  {name}")


if __name__ == "__main__":
    main()
