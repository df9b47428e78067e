"""Checks the package's kernels against their NumPy twins on a GPU and times them. Needs NumPy, onnx and the driver.

    PYTHONPATH=$PWD python3 test/benchmarks/kernels/time_kernels.py [launches]

For each kernel: registers, shared and local bytes per the driver, blocks per SM, microseconds (least / median of seven
CUDA graphs of 200 launches) with warm caches, and, "cold", behind a memset of 192 MB, whose own time is taken off. The
GB/s are of the bytes that must move at least. Ends with 1 if anything differs.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import kernel_twins as twins
from kernel_device import Device
from kernel_twins import PLANES, SAMPLES, STORED, close

from ffs_ros.engine.kernel_launches import KERNELS
from ffs_ros.graph.disparity_nodes import of_taps
from ffs_ros.graph.head_nodes import packed_depthwise, packed_layers, packed_taps
from ffs_ros.graph.kernel_nodes import packed
from ffs_ros.graph.motion_nodes import packed_rows
from ffs_ros.graph.volume_nodes import packed as packed_convolution
from ffs_ros.graph.volume_nodes import packed_bias

RANDOM = np.random.default_rng(11)
FLUSHED = 192 << 20
WARM_UP_S = 1.0
LAUNCHES = int(sys.argv[1]) if len(sys.argv) > 1 else 200
failures = []


def halves(*shape, scale=1.0):
    return (scale * RANDOM.standard_normal(shape, np.float32)).astype(np.float16)


def scene(batch, rows, columns):
    """A slanted ground and a few boxes before it, in pixels at 1/4, and a little noise."""
    d = np.broadcast_to(np.linspace(4, 30, rows, dtype=np.float32)[:, None], (batch, rows, columns)).copy()
    for _ in range(6):
        top, left = RANDOM.integers(rows), RANDOM.integers(columns)
        d[:, top : top + rows // 3, left : left + columns // 5] = RANDOM.uniform(5, 44)
    return (d + 0.3 * RANDOM.standard_normal(d.shape)).astype(np.float32)


def anything(batch, rows, columns):
    d = RANDOM.uniform(-8, 56, (batch, rows, columns)).astype(np.float32)
    odd = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, 47, 46.5, 0, -0.0, 48, 52.99, 53, -5, 1e9, 2.0**31])
    d.reshape(-1)[: odd.size] = odd[: d.size]
    return d


class Bench:
    def __init__(self):
        self.gpu = Device()
        print(self.gpu.name)
        self.flushed = self.gpu.buffer(FLUSHED)
        self.gpu.buffers.clear()  # kept
        self.flush_us = None
        end = time.monotonic() + WARM_UP_S
        while time.monotonic() < end:  # the clocks rise
            for _ in range(100):
                self.gpu.flush(self.flushed, FLUSHED)
            self.gpu.synchronize()

    def run(self, what, name, size, given, expected, nbytes, timed, absolute=1e-6, relative=2.0**-11 * 1.01):
        """Launch once and compare; then, if wanted, often."""
        gpu, kernel, launch = self.gpu, self.gpu.kernel(name), KERNELS[name].launch(*size)
        into = gpu.buffer(launch.writes.dtype.itemsize * int(np.prod(launch.writes.shape)))
        addresses = [*(gpu.up(one).value for one in given), into.value]

        def start():
            kernel.start(launch.grid, launch.threads, addresses, launch.numbers)

        start()
        problem = close(gpu.down(into, launch.writes.shape, launch.writes.dtype), expected, absolute, relative)
        print(f"  {'FAILED ' + problem if problem else 'right':<12} {what} {size}", flush=True)
        failures.extend([what] if problem else [])
        if timed:
            self.time(what, kernel, start, launch.threads, nbytes)
        gpu.free()

    def time(self, what, kernel, start, threads, nbytes):
        gpu = self.gpu
        warm = gpu.microseconds(start, LAUNCHES)
        few = max(1, LAUNCHES // 8)
        if self.flush_us is None:
            self.flush_us = gpu.microseconds(lambda: gpu.flush(self.flushed, FLUSHED), few)[1]

        def cold():
            gpu.flush(self.flushed, FLUSHED)
            start()

        cold_us = gpu.microseconds(cold, few)[1] - self.flush_us
        print(
            f"  {what:<34} {warm[0]:7.2f} / {warm[1]:7.2f} us, cold {cold_us:7.2f} us, {nbytes / 1e6:6.1f} MB, "
            f"{nbytes / warm[1] / 1e3:6.0f} GB/s, {gpu.facts(kernel, threads)}",
            flush=True,
        )

    def all(self, batch, rows, columns, timed):
        size, pixels = (batch, rows, columns), batch * rows * columns
        features, projected = halves(2 * batch, 224, rows, columns), halves(2 * batch, 12, rows, columns)
        expected = np.moveaxis(twins.cost_volume(features, projected), 1, -1)
        nbytes = 2 * (expected.size + features.size + projected.size)
        self.run("cost_volume", "cost_volume", size, (features, projected), expected, nbytes, timed)

        coarse = twins.last(halves(batch, 28, 12, -(-rows // 4), -(-columns // 4)), STORED)
        volume = twins.last(halves(batch, 28, PLANES, rows, columns), STORED)
        wanted = twins.finer(*(np.moveaxis(one[..., :28], -1, 1) for one in (coarse, volume)))
        nbytes = 2 * (coarse.size + 2 * volume.size)
        self.run(
            "four_times_finer", "four_times_finer", size, (coarse, volume), twins.last(wanted, STORED, 0), nbytes, timed
        )

        weight, places = halves(1, 28, 3, 3, 3, scale=0.05), np.moveaxis(volume[..., :28], -1, 1)
        given, wanted = (volume, of_taps(weight)), twins.first_disparity(places, weight[0])
        self.run("first_disparity", "first_disparity", size, given, wanted, volume.nbytes + wanted.nbytes, timed, 1e-4)

        nbytes = features.nbytes + 2 * pixels * columns
        self.run("all_pairs", "all_pairs", size, (features,), twins.all_pairs(features), nbytes, timed)

        logits, disparity = halves(batch, 9, 4 * rows, 4 * columns), scene(*size)
        given, wanted = (twins.last(logits, 16), disparity), twins.convex_upsampling(logits, disparity)
        nbytes = given[0].nbytes + disparity.nbytes + wanted.nbytes
        self.run("convex_upsampling", "convex_upsampling", size, given, wanted, nbytes, timed, 1e-4)

        volume, pairs = halves(batch, 28, PLANES, rows, columns, scale=5), halves(batch, rows, columns, columns)

        self.convolutions(*size, volume, timed)
        coarse = twins.last(halves(batch, 28, 12, -(-rows // 4), -(-columns // 4)), STORED)
        weights = RANDOM.standard_normal(10108, np.float32) / 5
        wanted, size_16 = twins.head_attention(coarse, weights), (batch, *coarse.shape[2:4])
        self.run("head_attention", "head_attention", size_16, (coarse, weights), wanted, 2 * coarse.nbytes, timed, 5e-3)
        self.gru(*size, timed)

        weight, bias = halves(56, SAMPLES, scale=0.05), RANDOM.standard_normal(56, np.float32)
        for kind in (scene, anything):
            disparity = kind(*size)
            samples = twins.look_up(disparity, volume, pairs)
            samples[~np.isfinite(disparity)] = np.nan
            given = disparity, twins.last(volume, STORED), pairs, packed(weight), bias
            nbytes = pixels * (4 + 20 * 64 + 20 * 2 + 2 * 56)
            wanted = twins.evidence(samples, weight, bias)
            self.run(f"look_up_convc1, {kind.__name__}", "look_up_convc1", size, given, wanted, nbytes, timed, 2e-3)
            weight_of_rows, bias_of_rows = halves(18, 7, 7, scale=0.1), RANDOM.standard_normal(18, np.float32)
            given = disparity, packed_rows(weight_of_rows), np.pad(bias_of_rows, (0, 6))
            wanted, name = twins.disparity_features(disparity, weight_of_rows, bias_of_rows), "disparity_features"
            self.run(f"{name}, {kind.__name__}", name, size, given, wanted, (4 + 2 * 24) * pixels, timed, 1e-3)

    def convolutions(self, batch, rows, columns, geometry, timed):
        """Each kind of the volume's."""
        shape = batch, PLANES, rows, columns
        volume, gate = twins.last(geometry, STORED, 0), twins.last(halves(batch, 28, 1, rows, columns), STORED)
        weight, bias = halves(28, 32, 3, 3, 3, scale=0.05), RANDOM.standard_normal(28, np.float32)
        full = np.zeros((32, 32, 3, 3, 3), np.float16)
        full[:28] = weight
        constants = packed_convolution(weight), packed_bias(bias)
        for kind, beside in (("", {}), ("_add", {"residual": volume}), ("_gated", {"gate": gate})):
            name = f"volume_convolution{kind}"
            wanted = twins.convolution(volume, full, constants[1], 10, **beside)
            nbytes = 2 * volume.nbytes + sum(one.nbytes for one in beside.values())
            self.run(name, name, (*shape, 10), (volume, *beside.values(), *constants), wanted, nbytes, timed, 2e-2)

    def head(self, batch, rows, columns, timed):
        """Both wide blocks and what follows them."""
        size, pixels, channels = (batch, rows, columns), batch * rows * columns, twins.HEAD
        picture = np.concatenate([halves(*size, channels), np.full((*size, 4), np.nan, np.float16)], -1)
        for hidden in (212, 244):
            taps, bias = (0.1 * RANDOM.standard_normal(n, np.float32) for n in ((50, channels), twins.HEAD_STORED))
            widen, narrow = halves(hidden, channels + 1, scale=0.1), halves(channels, hidden, scale=0.05)
            given = picture, packed_depthwise(taps), packed_layers(widen[:, :-1], widen[:, -1], narrow), bias
            wanted = twins.wide_block(picture[..., :channels], taps, (widen, narrow), bias[:channels])
            wanted = twins.last(np.moveaxis(wanted, -1, 1), twins.HEAD_STORED, 0)
            self.run(f"wide_block, {hidden}", "wide_block", (*size, hidden), given, wanted, 160 * pixels, timed, 2e-3)
        disparity, weight, bias = scene(*size), halves(channels, 3, 3, scale=0.1), np.float32([0.1])
        wanted = twins.disparity_step(picture[..., :channels], disparity, weight.reshape(channels, 9).T, bias)
        given = picture, disparity, packed_taps(weight), bias
        self.run(
            "disparity_step", "disparity_step", size, given, wanted[:, None], 88 * pixels, timed, 1e-5, 1e-6
        )  # fmt: skip

    def gru(self, batch, rows, columns, timed):
        """What stands between its convolutions."""
        places = batch * rows * columns
        gates, candidates = (halves(2, places, many) for many in (120, 64))
        seen, hidden, attention = halves(places, 104), halves(places, 64), halves(places)
        joined = np.ascontiguousarray(twins.gru_input(seen, hidden))
        each = [value for pair in zip(gates, candidates, strict=True) for value in pair]
        for name, given, twin in (
            ("gru_input", (seen, hidden), twins.gru_input),
            ("gru_reset", (gates[0], joined), twins.gru_reset),
            ("gru_output", (*each, hidden, attention), twins.gru_output),
        ):
            size, wanted = (batch, rows, columns), twin(*given)
            nbytes = sum(one.nbytes for one in given) + 2 * wanted.size
            self.run(name, name, size, given, wanted.reshape(*size, -1), nbytes, timed)

    def norm(self, batch, rows, columns, channels, timed, behind=0):
        """Both kernels, with a residual and without, and joined with so many channels."""
        size, stored = (batch, rows, columns, channels), -(-channels // 8) * 8
        picture, residual = (halves(batch, rows, columns, stored) for _ in range(2))
        chunk = KERNELS["channel_sums"].launch(*size).numbers[2]
        sums = twins.channel_sums(picture, chunk)
        self.run("channel_sums", "channel_sums", size, (picture,), sums, picture.nbytes, timed, 1e-3)
        for name, added in (("instance_norm", []), ("instance_norm_add", [residual])):
            wanted = twins.instance_norm(picture, sums, added[0] if added else np.zeros(1), chunk, 10, channels)
            nbytes = (2 + len(added)) * picture.nbytes
            self.run(name, name, (*size, 10), (picture, sums, *added), wanted, nbytes, timed, 1e-3)
        if behind:
            normed = twins.instance_norm(picture, sums, np.zeros(1), chunk, 10, channels)
            other = halves(batch, rows, columns, -(-behind // 8) * 8)
            given, wanted = (picture, sums, other), twins.joined(normed, channels, other, behind)
            nbytes = picture.nbytes + other.nbytes + 2 * wanted.size
            self.run(
                "instance_norm_join", "instance_norm_join", (*size, 10, behind), given, wanted, nbytes, timed, 1e-3
            )

    def join(self, batch, rows, columns, channels, behind, timed):
        """A leaky ReLU and what is joined with it."""
        size, places = (batch, rows, columns, channels, 10, behind), batch * rows * columns
        given = [halves(places, -(-many // 8) * 8) for many in (channels, behind)]
        wanted = twins.join_leaky(*given, channels, 10, behind)
        nbytes = sum(one.nbytes for one in given) + 2 * wanted.size
        self.run("join_leaky", "join_leaky", size, given, wanted.reshape(batch, rows, columns, -1), nbytes, timed)


NORMED = [(2, 30, 40, 160), (2, 30, 40, 320), (2, 60, 80, 96), (2, 60, 80, 192), (2, 120, 160, 48), (2, 120, 160, 96),
          (1, 240, 320, 12), (1, 240, 320, 16)]  # fmt: skip
"""Batch, rows, columns and channels of the instance norms at 480x640."""
JOINED = {(2, 30, 40, 160): 160, (2, 60, 80, 96): 96, (2, 120, 160, 48): 48}
"""Channels behind them in the decoder."""


def main():
    bench = Bench()
    for size in ((2, 3, 37), (1, 2, 8), (2, 2, 160)):
        bench.all(*size, timed=False)
        bench.head(*size, timed=False)
        bench.norm(*size, 44, timed=False, behind=19)
        bench.join(*size, 44, 19, timed=False)
    for columns in (160, 184):
        print(f"480x{4 * columns}, batch 1")
        bench.all(1, 120, columns, timed=True)
        bench.head(1, 120, columns, timed=True)
        bench.join(1, 240, 2 * columns, 12, 16, timed=True)
    for size in NORMED:
        bench.norm(*size, timed=True, behind=JOINED.get(size, 0))
    print("FAILED: " + ", ".join(failures) if failures else "all right")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
