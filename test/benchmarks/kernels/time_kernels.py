"""Checks kernels.ptx against the NumPy twins on a GPU and times it. Needs NumPy and the driver; no nvcc, no options.

    python3 time_kernels.py [launches]

For each kernel: registers, shared and local bytes per the driver, blocks per SM, microseconds (least / median of seven
CUDA graphs of 200 launches) with warm caches, and, "cold", behind a memset of 192 MB, whose own time is taken off. The
GB/s are of the bytes that must move at least. Ends with 1 if anything differs.
"""

import sys
import time

import numpy as np
import twins
from device import Device
from twins import (
    PLANES,
    SAMPLES,
    STORED,
    channels_last_grid,
    close,
    last,
    look_up_convc1_grid,
    look_up_grid,
    volume_grid,
)  # fmt: skip

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


class Bench:
    def __init__(self):
        self.gpu = Device().load()
        print(self.gpu.name)
        self.flushed = self.gpu.buffer(FLUSHED)
        self.gpu.buffers.clear()  # kept
        self.flush_us = None
        end = time.monotonic() + WARM_UP_S
        while time.monotonic() < end:  # the clocks rise
            for _ in range(100):
                self.gpu.flush(self.flushed, FLUSHED)
            self.gpu.synchronize()

    def check(self, what, problem):
        print(f"  {'FAILED ' + problem if problem else 'right':<12} {what}", flush=True)
        failures.extend([what] if problem else [])

    def time(self, what, name, grid, arguments, nbytes):
        gpu, kernel = self.gpu, self.gpu.kernel(name)
        warm = gpu.microseconds(lambda: gpu.launch(kernel, *grid, *arguments), LAUNCHES)
        few = max(1, LAUNCHES // 8)
        if self.flush_us is None:
            self.flush_us = gpu.microseconds(lambda: gpu.flush(self.flushed, FLUSHED), few)[1]

        def cold():
            gpu.flush(self.flushed, FLUSHED)
            gpu.launch(kernel, *grid, *arguments)

        cold_us = gpu.microseconds(cold, few)[1] - self.flush_us
        print(
            f"  {what:<34} {warm[0]:7.2f} / {warm[1]:7.2f} us, cold {cold_us:7.2f} us, {nbytes / 1e6:6.1f} MB, "
            f"{nbytes / warm[1] / 1e3:6.0f} GB/s, {gpu.facts(kernel, grid[1])}",
            flush=True,
        )

    def volume(self, batch, rows, columns, timed):
        gpu = self.gpu
        features, projected = halves(2 * batch, 224, rows, columns), halves(2 * batch, 12, rows, columns)
        expected = twins.cost_volume(features, projected)
        for side in ("first", "last"):
            given = (features, projected) if side == "first" else (last(features, 224), last(projected, 16))
            given = [gpu.up(one) for one in given]
            for order in ("first", "last"):
                name, into = f"cost_volume_{side}_{order}", gpu.buffer(2 * expected.size)
                grid, arguments = volume_grid(batch, rows, columns), (*given, into, batch, rows, columns)
                gpu.launch(gpu.kernel(name), *grid, *arguments)
                if order == "last":
                    found = np.moveaxis(gpu.down(into, (batch, PLANES, rows, columns, 32)), -1, 1)
                else:
                    found = gpu.down(into, expected.shape)
                self.check(f"{name} {batch}x{rows}x{columns}", close(found, expected))
                if timed:
                    self.time(name, name, grid, arguments, 2 * (expected.size + features.size + projected.size))
        gpu.free()

    def look_up(self, batch, rows, columns, timed):
        gpu, pixels, places = self.gpu, batch * rows * columns, PLANES * rows * columns
        volume, pairs = halves(batch, 28, PLANES, rows, columns, scale=5), halves(batch, rows, columns, columns)
        planes, stored = gpu.up(volume), gpu.buffer(2 * pixels * PLANES * STORED)
        grid, arguments = channels_last_grid(batch, places), (planes, stored, places)
        gpu.launch(gpu.kernel("channels_last"), *grid, *arguments)
        wanted = last(volume, STORED)
        wanted[..., 28:] = 0
        same = np.array_equal(gpu.down(stored, wanted.shape), wanted)
        self.check(f"channels_last {batch}x{rows}x{columns}", "" if same else "differs")
        if timed:
            self.time("channels_last", "channels_last", grid, arguments, 2 * (volume.size + wanted.size))

        anything = RANDOM.uniform(-8, 56, (batch, rows, columns)).astype(np.float32)
        odd = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, 47, 46.5, 0, -0.0, 48, 52.99, 53, -5, 1e9, 2.0**31])
        flat = anything.reshape(-1)
        flat[: odd.size] = odd[: flat.size]
        weight, bias = halves(56, SAMPLES, scale=0.05), RANDOM.standard_normal(56, np.float32)
        weights, biases = gpu.up(twins.packed(weight)), gpu.up(bias)
        correlation, into = gpu.up(pairs), gpu.buffer(2 * pixels * SAMPLES)
        for what, disparity in (("a scene", scene(batch, rows, columns)), ("anything", anything)):
            expected = twins.look_up(disparity, volume, pairs)
            expected[~np.isfinite(disparity)] = np.nan
            grid = look_up_grid(pixels)
            arguments = (gpu.up(disparity), stored, correlation, into, pixels, rows * columns, columns)
            gpu.launch(gpu.kernel("look_up"), *grid, *arguments)
            problem = close(gpu.down(into, expected.shape), expected)
            self.check(f"look_up, {what} {batch}x{rows}x{columns}", problem)
            if timed:
                nbytes = pixels * (4 + 20 * 64 + 20 * 2 + 2 * SAMPLES)
                self.time(f"look_up, {what}", "look_up", grid, arguments, nbytes)

            evidence, grid = gpu.buffer(2 * pixels * 56), look_up_convc1_grid(pixels)
            arguments = (*arguments[:3], weights, biases, evidence, pixels, rows * columns, columns)
            gpu.launch(gpu.kernel("look_up_convc1"), *grid, *arguments)
            found, wanted = gpu.down(evidence, (batch, rows, columns, 56)), twins.evidence(expected, weight, bias)
            problem = close(found, wanted, absolute=2e-3)
            self.check(f"look_up_convc1, {what} {batch}x{rows}x{columns}", problem)
            if timed:
                nbytes = pixels * (4 + 20 * 64 + 20 * 2 + 2 * 56)
                self.time(f"look_up_convc1, {what}", "look_up_convc1", grid, arguments, nbytes)
        gpu.free()


def main():
    bench = Bench()
    for batch, rows, columns in ((2, 3, 37), (1, 2, 8), (2, 2, 160)):
        bench.volume(batch, rows, columns, timed=False)
        bench.look_up(batch, rows, columns, timed=False)
    for columns in (160, 184):
        print(f"480x{4 * columns}, batch 1")
        bench.volume(1, 120, columns, timed=True)
        bench.look_up(1, 120, columns, timed=True)
    print("FAILED: " + ", ".join(failures) if failures else "all right")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
