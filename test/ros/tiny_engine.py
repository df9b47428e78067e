"""An ONNX file with the real contract and an answer that can be told without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def expected_disparity(left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
    """What the file written by ``write_tiny_engine`` answers: red of left / 4 + blue of right / 8, none where the left
    green is 255. Every value is exact in float32."""
    disparity_HW = left_HW3[..., 0] * np.float32(0.25) + right_HW3[..., 2] * np.float32(0.125)
    disparity_HW[left_HW3[..., 1] == 255] = np.nan
    return disparity_HW


def write_tiny_engine(path: Path, height: int | None = None, width: int | None = None) -> Path:
    """Write the file; without a size it takes any."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rows, columns = height or "H", width or "W"
    weights: dict[str, np.ndarray] = {
        "quarter": np.array(0.25, np.float32),
        "eighth": np.array(0.125, np.float32),
        "full": np.array(255, np.uint8),
        "none": np.array(np.nan, np.float32),
    }
    nodes = [
        # Planes first: ONNX Runtime takes ten times as long to pick a channel out of interleaved pixels.
        helper.make_node("Transpose", ["left"], ["left_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Transpose", ["right"], ["right_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Split", ["left_planes"], ["left_red", "left_green", "left_blue"], axis=1),
        helper.make_node("Split", ["right_planes"], ["right_red", "right_green", "right_blue"], axis=1),
        helper.make_node("Cast", ["left_red"], ["left_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["right_blue"], ["right_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["left_float", "quarter"], ["left_part"]),
        helper.make_node("Mul", ["right_float", "eighth"], ["right_part"]),
        helper.make_node("Add", ["left_part", "right_part"], ["sum"]),
        helper.make_node("Equal", ["left_green", "full"], ["hole"]),
        helper.make_node("Where", ["hole", "none", "sum"], ["disparity"]),
    ]
    images = [helper.make_tensor_value_info(n, TensorProto.UINT8, [1, rows, columns, 3]) for n in ("left", "right")]
    output = helper.make_tensor_value_info("disparity", TensorProto.FLOAT, [1, 1, rows, columns])
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", images, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
