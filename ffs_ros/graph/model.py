"""The whole graph: two images in, disparity out. ``network`` is the method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from ffs_ros import __version__
from ffs_ros.checkpoint.stored import Place
from ffs_ros.full_nodes import FULL_NODES, written
from ffs_ros.graph.backbone import backbone
from ffs_ros.graph.beside import BuilderBeside
from ffs_ros.graph.builder import OPSET, Builder, Size
from ffs_ros.graph.context import context
from ffs_ros.graph.decoder import Features, decoder, half_resolution_stem
from ffs_ros.graph.filtering import filtered_volume, first_disparity
from ffs_ros.graph.form import FP16, FP32, IMAGE, OUTPUT, Form
from ffs_ros.graph.layers import channels_first
from ffs_ros.graph.lookup import tables
from ffs_ros.graph.recurrent import iteration
from ffs_ros.graph.upsampling import upsampled
from ffs_ros.graph.volume import all_pairs, cost_volume
from ffs_ros.imagenet import DEVIATION_RGB, MEAN_RGB

IR_VERSION = 8
"""What onnx 1.12 wrote, the first with opset 17: older runtimes read the file too."""


def build_model(
    tensors: Mapping[str, np.ndarray],
    size: tuple[int, int] | None,
    iterations: int = 8,
    io: str = IMAGE,
    batch: int | None = 1,
    precision: str = FP32,
) -> onnx.ModelProto:
    """The network with these weights as one ONNX graph, opset 17.

    ``tensors``: the checkpoint's, float32 under TAO names. ``size`` (H, W), ``iterations``, ``io``, ``batch`` and
    ``precision`` as in ``Form``. Inputs ``left`` and ``right``, or ``left_image`` and ``right_image``. Output
    ``disparity`` float32 [B,1,H,W]: pixels, x_right = x_left - d, as the network gives it, so a little below 0 at times
    (``StereoMatcher`` clips). Raises ExportError when the form makes no sense or a weight does not fit the precision.
    """
    form = Form(size, iterations, io, batch, precision)
    return model_of(Builder(tensors, halves=precision == FP16), form)


def build_model_beside(places: Mapping[str, Place], file: str, form: Form) -> onnx.ModelProto:
    """The same network, fp32 too, without weights: they are the halves at ``places`` of ``file`` in its own folder."""
    return model_of(BuilderBeside(places, file), form)


def model_of(b: Builder, form: Form) -> onnx.ModelProto:
    """The graph that an empty builder makes."""
    extent = extent_of(b, form)
    images = [normalised(b, name) for name in form.inputs] if form.io == IMAGE else list(form.inputs)
    images = [b.lower(image) for image in images]
    b.nodes.append(helper.make_node("Identity", [network(b, images, extent, form.iterations)], [OUTPUT], name=OUTPUT))

    dtype = TensorProto.UINT8 if form.io == IMAGE else TensorProto.FLOAT
    used = {name for node in b.nodes for name in node.input}
    graph = helper.make_graph(
        b.nodes,
        "fast_foundation_stereo",
        [helper.make_tensor_value_info(name, dtype, form.input_shape) for name in form.inputs],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, form.output_shape)],
        [tensor for tensor in b.initializers() if tensor.name in used],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "ffs_ros", __version__
    helper.set_model_props(model, form.metadata)
    if form.precision == FP16:
        model.metadata_props.add(key=FULL_NODES, value=written(b.full_nodes))
    return model


def network(b: Builder, images: list[str], size: Size, iterations: int) -> str:
    """Disparity [B,1,H,W] of the normalised images [B,3,H,W]."""
    with b.scope("backbone"):
        stages = backbone(b, b.concat(images, axis=0), size)
    with b.scope("decoder"):
        features = decoder(b, stages)
        left = Features(*(b.slice(feature, 0, 0, size.batch) for feature in features))
        stem = half_resolution_stem(b, images[0])
    with b.scope("volume"):
        volume = filtered_volume(b, cost_volume(b, features.f4, size), left, size)
        disparity = first_disparity(b, volume)
    with b.scope("context"):
        surroundings = context(b, left.f4)
    with b.scope("tables"):
        to_read = tables(b, volume, all_pairs(b, features.f4), size)
    hidden = surroundings.hidden
    for index in range(iterations):
        with b.scope(f"iteration_{index + 1}"):
            disparity, hidden = iteration(b, disparity, hidden, surroundings, to_read, size)
    with b.scope("upsampling"):
        return upsampled(b, disparity, hidden, stem, size)


def extent_of(b: Builder, form: Form) -> Size:
    """The lengths of the axes; open ones are read from the first input."""
    if all(isinstance(length, int) for length in form.extent):
        return Size(*form.extent)
    found = b.node("Shape", form.inputs[0])
    axes = [form.input_shape.index(length) for length in form.extent]
    lengths = zip(form.extent, axes, strict=True)
    return Size(*(n if isinstance(n, int) else b.slice(found, 0, axis, axis + 1) for n, axis in lengths))


def normalised(b: Builder, image: str) -> str:
    """[B,3,H,W] from uint8 [B,H,W,3]. Cast comes first: TensorRT takes uint8 at its border only."""
    planes = channels_first(b, b.float32(image))
    mean, deviation = (
        (255 * np.array(values)).astype(np.float32)[:, None, None] for values in (MEAN_RGB, DEVIATION_RGB)
    )
    return b.node("Div", b.sub(planes, mean), deviation)
