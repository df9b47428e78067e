"""TensorRT-RTX parses the graph and builds an engine from it, which it does without a GPU."""

from __future__ import annotations

import time

import pytest

from ffs_ros.checkpoint.stored import half_weights, stored
from ffs_ros.graph.form import INPUTS, Form
from ffs_ros.graph.model import build_model, build_model_beside

SIZES = ((64, 128), (96, 160), (256, 320))
"""Smallest, usual and largest of a profile."""


def engine_bytes(trt, model, profile=None, path="") -> int:
    """Parse and build, strongly typed; the engine's size. Prints the seconds. Weights lie beside ``path``."""
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    start_s = time.perf_counter()
    assert parser.parse(model.SerializeToString(), path), [str(parser.get_error(i)) for i in range(parser.num_errors)]
    parsed_s = time.perf_counter()
    config = builder.create_builder_config()
    if profile:
        shapes = builder.create_optimization_profile()
        for name, range_ in profile.items():
            shapes.set_shape(name, *range_)
        config.add_optimization_profile(shapes)
    engine = builder.build_serialized_network(network, config)
    assert engine is not None
    print(
        f"{len(model.graph.node)} nodes, {network.num_layers} layers, parsed in {parsed_s - start_s:.1f} s, "
        f"built in {time.perf_counter() - parsed_s:.1f} s"
    )
    return engine.nbytes


@pytest.mark.parametrize(("precision", "least_bytes"), [("fp32", 50_000_000), ("fp16", 25_000_000)])
def test_static_graph_at_full_size(precision, least_bytes, trt, tensors):
    """The graph that the README exports: 480x736, 8 iterations, uint8 images."""
    assert engine_bytes(trt, build_model(tensors, (480, 736), precision=precision)) > least_bytes


@pytest.mark.parametrize(
    ("io", "size", "batch", "precision", "iterations"),
    [
        ("tensor", SIZES[1], 1, "fp16", 4),
        ("tensor", SIZES[1], None, "fp32", 1),
        ("image", None, None, "fp32", 1),
        ("image", None, None, "fp16", 1),
    ],
)
def test_other_forms(io, size, batch, precision, iterations, trt, tensors):
    """The other contract, open batch, and all axes open; and the fast setting."""
    model = build_model(tensors, size, iterations, io, batch, precision)
    profile = {}
    for name in INPUTS[io] if None in (size, batch) else ():
        sizes = [size] * 3 if size else SIZES
        batches = [batch] * 3 if batch else (1, 2, 4)
        shapes = [(n, *hw, 3) if io == "image" else (n, 3, *hw) for n, hw in zip(batches, sizes, strict=True)]
        profile[name] = shapes
    assert engine_bytes(trt, model, profile) > 25_000_000


def test_weights_in_a_file_beside_the_graph(trt, tensors, tmp_path):
    """The small graph that ships, whose weights are halves in a safetensors file and are computed on in the graph."""
    file = stored(half_weights(tensors), {})
    (tmp_path / "weights.safetensors").write_bytes(file.data)
    model = build_model_beside(file.places, "weights.safetensors", Form(None, 1))
    profile = {name: [(1, *size, 3) for size in SIZES] for name in INPUTS["image"]}
    assert engine_bytes(trt, model, profile, str(tmp_path / "small.onnx")) > 25_000_000
