"""The fp16 network with the kernels in place of the nodes that they replace, against the network as it is; on the CPU.

Shows which tensors the parts hand over: PYTHONPATH=repository python whole_network.py [rows columns].
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime
import twins
from check import sample_weight
from device import HERE, Device
from onnx import numpy_helper
from onnx.utils import Extractor

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.graph.model import build_model
from ffs_ros.weights import WEIGHTS

os.environ.setdefault("LIBCUDA", str(HERE / "on_cpu/libcuda.so"))
ITERATIONS = 3
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.intra_op_num_threads, OPTIONS.log_severity_level = 1, 3


class Network:
    def __init__(self, rows, columns):
        model = build_model(open_checkpoint(WEIGHTS).tensors, (rows, columns), ITERATIONS, precision="fp16")
        self.model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        self.nodes = self.model.graph.node
        self.types = {one.name: one for one in self.model.graph.value_info}
        self.arrays = {one.name: numpy_helper.to_array(one) for one in self.model.graph.initializer}

    def reader(self, weight, turn=0):
        """The node that reads a weight, in iteration ``turn``."""
        return [n for n in self.nodes if any(i in (weight, f"{weight}.fp16") for i in n.input)][turn]

    def run(self, feeds, *outputs):
        if outputs == ("disparity",) and set(feeds) == {"left", "right"}:
            model = self.model
        else:
            model = Extractor(self.model).extract_model(list(feeds), list(outputs))
        session = onnxruntime.InferenceSession(model.SerializeToString(), OPTIONS, ["CPUExecutionProvider"])
        wanted = {one.name for one in session.get_inputs()}
        return session.run(list(outputs), {name: array for name, array in feeds.items() if name in wanted})

    def told(self, what, name):
        shape = [axis.dim_value for axis in self.types[name].type.tensor_type.shape.dim]
        print(f"  {what:<12} {name:<46} {shape}")
        return name


def main(rows=64, columns=96):
    network = Network(rows, columns)
    random = np.random.default_rng(0)
    texture = random.integers(0, 256, (rows // 4, columns // 4 + 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    feeds = {"left": texture[None, :, :columns], "right": texture[None, :, 12 : 12 + columns]}
    (expected,) = network.run(feeds, "disparity")

    project = network.reader("proj_cmb.weight")
    f4, projected = network.told("f4", project.input[0]), network.told("projected", project.output[0])
    cost = network.told("cost volume", network.reader("corr_feature_att.0.conv.weight").input[0])
    geometry = network.told("geometry", network.reader("classifier.0.weight").input[0])
    (pairs,) = (n.output[0] for n in network.nodes if n.name.startswith("tables/") and n.op_type == "MatMul")
    network.told("pairs", pairs)
    evidence = [network.reader("update_block.encoder.convc2.weight", k).input[0] for k in range(ITERATIONS)]
    network.told("evidence", evidence[0])
    summed = [n.output[0] for n in network.nodes if n.name.startswith("volume/") and n.op_type == "ReduceSum"]
    heads = [
        [n.output[0] for n in network.nodes if n.name.startswith(f"iteration_{k + 1}/head/")][-1] for k in range(2)
    ]
    disparity = [network.told("disparity", summed[-1]), *heads]

    gpu = Device().load()
    f4_value, projected_value, cost_value = network.run(feeds, f4, projected, cost)
    given = [gpu.up(twins.last(one, stored)) for one, stored in ((f4_value, 224), (projected_value, 16))]
    batch, height, width = 1, rows // 4, columns // 4
    into = gpu.buffer(2 * cost_value.size)
    grid = twins.volume_grid(batch, height, width)
    gpu.launch(gpu.kernel("cost_volume_last_last"), *grid, *given, into, batch, height, width)
    found = twins.first(gpu.down(into, (batch, 48, height, width, 32)))
    print(f"cost volume: {np.abs(found.astype(np.float32) - cost_value).max():.1e} of {np.abs(cost_value).max():.2f}")

    feeds[cost] = np.ascontiguousarray(found)
    geometry_value, pairs_value, disparity_value = network.run(feeds, geometry, pairs, disparity[0])
    tables = [gpu.up(twins.last(geometry_value, 32)), gpu.up(pairs_value)]
    weights = gpu.up(twins.packed(sample_weight(network.arrays)))
    bias = [array for name, array in network.arrays.items() if name.startswith("update_block.encoder.convc1.bias")]
    bias = gpu.up(bias[0].astype(np.float32))
    pixels = batch * height * width
    for k in range(ITERATIONS):
        address, into = gpu.up(disparity_value), gpu.buffer(pixels * 56 * 2)
        arguments = (address, *tables, weights, bias, into, pixels, height * width, width)
        gpu.launch(gpu.kernel("look_up_convc1"), *twins.look_up_convc1_grid(pixels), *arguments)
        feeds[evidence[k]] = np.ascontiguousarray(twins.first(gpu.down(into, (batch, height, width, 56))))
        if k + 1 < ITERATIONS:
            (disparity_value,) = network.run(feeds, disparity[k + 1])
    (found,) = network.run(feeds, "disparity")
    off = np.abs(found - expected)
    print(
        f"disparity, px: {off.mean():.4f} mean, {off.max():.4f} most off; {expected.min():.1f} to {expected.max():.1f}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
