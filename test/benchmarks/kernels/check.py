"""Holds kernels.cu, compiled as C++, against the NumPy twins, and those against the package's graph in ONNX Runtime.

on_cpu/build.sh, then PYTHONPATH=repository python check.py. No GPU.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime
import twins
from device import HERE, Device
from twins import (
    PLANES,
    SAMPLES,
    STORED,
    channels_last_grid,
    close,
    first,
    last,
    look_up_convc1_grid,
    look_up_grid,
    volume_grid,
)  # fmt: skip

from ffs_ros.graph.builder import OPSET, Builder, Size
from ffs_ros.graph.lookup import looked_up, tables
from ffs_ros.graph.model import IR_VERSION
from ffs_ros.graph.volume import cost_volume

os.environ.setdefault("LIBCUDA", str(HERE / "on_cpu/libcuda.so"))
RANDOM = np.random.default_rng(5)
failures = []


def report(what, problem):
    print(f"{'FAILED ' + problem if problem else 'ok':<40}{what}", flush=True)
    failures.extend([what] if problem else [])


def halves(*shape, scale=1.0):
    return (scale * RANDOM.normal(size=shape)).astype(np.float16)


def disparities(batch, rows, columns):
    """At borders, far outside and none at all, and some ordinary ones."""
    d = RANDOM.uniform(-8, 56, (batch, rows, columns)).astype(np.float32)
    odd = np.float32([
        0, -0.0, 47, 46.5, 48, 52.99, 53, -4, -5.5, -6, 1, 2, 3.999, 1e9, -1e9, 3e38, -3e38, 2**31, 2**24 + 2,
        -4.0000005, 1e-30, -1e-30, np.nan, np.inf, -np.inf, columns, columns + 5, columns / 2,
    ])  # fmt: skip
    flat = d.reshape(-1)
    flat[: len(odd)] = odd[: flat.size]
    flat[-1] = np.nan
    return d


def volume_case(gpu, batch, rows, columns):
    features = halves(2 * batch, 224, rows, columns, scale=3)
    features[:, :28, 0, 0] = 0  # a vector of length 0 ...
    features[0, 28:56, 0, 1 % columns] = np.float16(6e-8)  # ... and the smallest ones ...
    features[-1, 56:84, 0, 2 % columns] = np.float16(60000)  # ... and the largest
    features[0, 56:84, 0, 2 % columns] = np.float16(-60000)
    projected = halves(2 * batch, 12, rows, columns, scale=10)
    expected = twins.cost_volume(features, projected)
    for features_last in (False, True):
        given = (last(features, 224), last(projected, 16)) if features_last else (features, projected)
        given = [gpu.up(one) for one in given]
        for volume_last in (False, True):
            name = f"cost_volume_{'last' if features_last else 'first'}_{'last' if volume_last else 'first'}"
            into = gpu.buffer(expected.size * 2)
            gpu.launch(gpu.kernel(name), *volume_grid(batch, rows, columns), *given, into, batch, rows, columns)
            if volume_last:
                found = first(gpu.down(into, (batch, PLANES, rows, columns, 32)))
            else:
                found = gpu.down(into, expected.shape)
            report(f"{name} {batch}x{rows}x{columns}", close(found, expected))
    gpu.free()


def look_up_case(gpu, batch, rows, columns):
    volume, pairs = halves(batch, 28, PLANES, rows, columns, scale=5), halves(batch, rows, columns, columns, scale=0.5)
    disparity = disparities(batch, rows, columns)
    expected = twins.look_up(disparity, volume, pairs)
    assert np.isnan(expected[np.isnan(disparity)][..., :29]).all()
    expected[~np.isfinite(disparity)] = np.nan
    pixels = batch * rows * columns
    planes, stored, into = gpu.up(volume), gpu.buffer(pixels * PLANES * STORED * 2), gpu.buffer(pixels * SAMPLES * 2)
    places = PLANES * rows * columns
    gpu.launch(gpu.kernel("channels_last"), *channels_last_grid(batch, places), planes, stored, places)
    found = gpu.down(stored, (batch, PLANES, rows, columns, STORED))
    expected_stored = last(volume, STORED)
    expected_stored[..., 28:] = 0
    report(f"channels_last {batch}x{rows}x{columns}", "" if np.array_equal(found, expected_stored) else "differs")

    given = [gpu.up(one) for one in (disparity, last(volume, STORED), pairs)]
    arguments = (*given, into, pixels, rows * columns, columns)
    gpu.launch(gpu.kernel("look_up"), *look_up_grid(pixels), *arguments)
    report(f"look_up {batch}x{rows}x{columns}", close(gpu.down(into, expected.shape), expected))

    weight, bias = halves(56, SAMPLES, scale=0.05), RANDOM.normal(size=56).astype(np.float32)
    evidence, more = gpu.buffer(pixels * 56 * 2), [gpu.up(twins.packed(weight)), gpu.up(bias)]
    arguments = (*given, *more, evidence, pixels, rows * columns, columns)
    gpu.launch(gpu.kernel("look_up_convc1"), *look_up_convc1_grid(pixels), *arguments)
    found, wanted = gpu.down(evidence, (batch, rows, columns, 56)), twins.evidence(expected, weight, bias)
    report(f"look_up_convc1 {batch}x{rows}x{columns}", close(found, wanted, absolute=2e-3))
    gpu.free()


def run(function, weights, feeds):
    b = Builder(weights)
    found = function(b, *feeds)
    make = onnx.helper
    b.nodes.append(make.make_node("Identity", [found], ["found"]))
    inputs = [make.make_tensor_value_info(n, make.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()]
    graph = make.make_graph(b.nodes, "part", inputs, [onnx.ValueInfoProto(name="found")], b.initializers())
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content = onnx.shape_inference.infer_shapes(model).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def sample_weight(b):
    """``convc1``'s weight [56,576] for the samples in the kernel's order, from the graph's own two initializers."""
    names = (f"update_block.encoder.convc1.{part}" for part in ("geometry", "correlation"))
    geometry, correlation = (b.get(f"{name}.fp16", b.get(name)) for name in names)
    weight = np.zeros((2, twins.TAPS, STORED, 56), np.float32)
    weight[:, :, :28] = geometry[:, : 28 * twins.TAPS, :56].reshape(2, twins.TAPS, 28, 56)
    weight[:, :, 28] = correlation
    return weight.reshape(SAMPLES, 56).T


def twin_case(batch, rows, columns):
    """The package's graphs, fp32, give what the twins give."""
    size = Size(batch, 4 * rows, 4 * columns)
    features = halves(2 * batch, 224, rows, columns).astype(np.float32)
    weights = {"proj_cmb.weight": halves(12, 224, 1, 1).astype(np.float32), "proj_cmb.bias": np.ones(12, np.float32)}
    found = run(lambda b, features: cost_volume(b, features, size), weights, {"features": features})
    projected = np.einsum("oi,bihw->bohw", weights["proj_cmb.weight"][:, :, 0, 0], features) + 1
    error = np.abs(found - twins.cost_volume(features, projected)).max()
    report(f"twin of cost_volume {batch}x{rows}x{columns}: {error:.1e}", "" if error < 5e-5 else "differs")

    name = "update_block.encoder.convc1"
    weights = {f"{name}.weight": RANDOM.normal(size=(56, 522, 1, 1)).astype(np.float32) / 20,
               f"{name}.bias": RANDOM.normal(size=56).astype(np.float32)}  # fmt: skip
    feeds = {"volume": halves(batch, 28, PLANES, rows, columns).astype(np.float32),
             "pairs": halves(batch, rows, columns, columns).astype(np.float32)}  # fmt: skip
    disparity = disparities(batch, rows, columns)
    disparity[~np.isfinite(disparity) | (np.abs(disparity) > 1e9)] = 7.25  # ONNX Runtime casts those as it likes
    arrays = {}

    def part(b, volume, pairs, disparity):
        arrays.update(tables=tables(b, volume, pairs, size))
        result = looked_up(b, arrays["tables"], disparity, (rows, columns))
        arrays.update(b.arrays)
        return result

    found = run(part, weights, {**feeds, "disparity": disparity[:, None]})
    samples = twins.look_up(disparity, *feeds.values()).reshape(-1, SAMPLES)
    expected = np.maximum(samples @ sample_weight(arrays).T + weights[f"{name}.bias"], 0)
    expected = expected.reshape(batch, rows, columns, 56).transpose(0, 3, 1, 2)
    error = np.abs(found - expected).max()
    report(f"twin of look_up, then convc1 {batch}x{rows}x{columns}: {error:.1e}", "" if error < 5e-5 else "differs")


def main():
    gpu = Device().load()
    print(gpu.name)
    for size in ((1, 3, 32), (2, 2, 37), (1, 1, 1), (1, 2, 160), (2, 1, 75), (1, 2, 8)):
        volume_case(gpu, *size)
    for size in ((1, 3, 32), (2, 3, 37), (1, 1, 1), (1, 1, 160), (2, 2, 75), (1, 5, 8)):
        look_up_case(gpu, *size)
    for size in ((2, 4, 8), (1, 2, 64)):
        twin_case(*size)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
