"""The whole graph: two images in, disparity out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ffs_ros.graph.backbone import backbone
from ffs_ros.graph.builder import OPSET, Builder, Length, Size
from ffs_ros.graph.context import context
from ffs_ros.graph.decoder import Features, decoder, half_resolution_stem
from ffs_ros.graph.filtering import filtered_volume, first_disparity
from ffs_ros.graph.layers import channels_first
from ffs_ros.graph.lookup import tables
from ffs_ros.graph.recurrent import iteration, seen_part
from ffs_ros.graph.upsampling import upsampled
from ffs_ros.graph.volume import all_pairs, cost_volume, left_and_right

IR_VERSION = 8
MEAN = np.array([0.485, 0.456, 0.406]) * 255
DEVIATION = np.array([0.229, 0.224, 0.225]) * 255

IMAGE = "image"
TENSOR = "tensor"


def build_model(
    tensors: Mapping[str, np.ndarray],
    size: tuple[int, int] | None,
    iterations: int = 8,
    io: str = IMAGE,
    batch: int | None = 1,
) -> onnx.ModelProto:
    """The network as one fp32 ONNX graph.

    ``tensors`` are the checkpoint's, float32 under TAO names. ``size`` is (H, W), multiples of 32, and ``batch`` the
    number of pairs; None leaves them open (H and W must then be multiples of 32 at run time). Inputs: for ``io``
    "image" ``left`` and ``right``, uint8 [B,H,W,3] RGB; for "tensor" ``left_image`` and ``right_image``, float32
    [B,3,H,W], RGB normalised with the ImageNet mean and deviation. Output: ``disparity`` float32 [B,1,H,W], pixels, as
    the network gives it: not clipped at 0.
    """
    b = Builder(tensors)
    shape = [batch or "batch", *(size or ("height", "width"))]
    names, dtype = ("left", "right"), TensorProto.UINT8
    layout = [*shape, 3]
    if io == TENSOR:
        names, dtype = ("left_image", "right_image"), TensorProto.FLOAT
        layout = [shape[0], 3, *shape[1:]]

    extent = open_size(b, names[0], layout, shape)
    images = [image(b, name) for name in names] if io == IMAGE else list(names)
    disparity = network(b, images, extent, iterations)
    b.nodes.append(helper.make_node("Identity", [disparity], ["disparity"], name="disparity"))

    used = {name for node in b.nodes for name in node.input}
    graph = helper.make_graph(
        b.nodes,
        "fast_foundation_stereo",
        [helper.make_tensor_value_info(name, dtype, layout) for name in names],
        [helper.make_tensor_value_info("disparity", TensorProto.FLOAT, [shape[0], 1, *shape[1:]])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in b.arrays.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def open_size(b: Builder, name: str, layout: list, shape: list) -> Size:
    """The lengths of the axes; those that are open are read from the input."""
    if all(isinstance(length, int) for length in shape):
        return Size(*shape)
    found = b.node("Shape", name)
    return Size(*(
        length if isinstance(length, int) else b.slice(found, 0, layout.index(length), layout.index(length) + 1)
        for length in shape
    ))


def image(b: Builder, name: str) -> str:
    """Normalised [B,3,H,W] from uint8 [B,H,W,3]. Cast comes first: TensorRT takes uint8 nowhere else."""
    planes = channels_first(b, b.float32(name))
    mean, deviation = (values.astype(np.float32)[:, None, None] for values in (MEAN, DEVIATION))
    return b.node("Div", b.sub(planes, mean), deviation)


def network(b: Builder, images: list[str], size: Size, iterations: int) -> str:
    with b.scope("backbone"):
        stages = backbone(b, b.concat(images, axis=0), size)
    with b.scope("decoder"):
        features = decoder(b, stages)
        stem = half_resolution_stem(b, images[0])
    left = Features(*(left_and_right(b, feature)[0] for feature in features))
    with b.scope("volume"):
        volume = filtered_volume(b, cost_volume(b, features.f4, size), left, size)
        disparity = first_disparity(b, volume)
    with b.scope("context"):
        surroundings = context(b, left.f4)
        seen = seen_part(b, surroundings.seen)
    with b.scope("tables"):
        read = tables(b, volume, all_pairs(b, features.f4), size)
    hidden = surroundings.hidden
    for index in range(iterations):
        with b.scope(f"iteration_{index + 1}"):
            disparity, hidden = iteration(b, disparity, hidden, surroundings, seen, read, size)
    with b.scope("upsampling"):
        return upsampled(b, disparity, hidden, stem, size)
