"""Holds the kernels, compiled as C++, against their NumPy twins: check.py LIBRARY, made of driver.cpp. No GPU."""

import os
import sys

import numpy as np

os.environ["LIBCUDA"] = sys.argv[1]

import kernel_twins as twins
from kernel_device import Device
from kernel_twins import PLANES, SAMPLES, STORED, close, last

from ffs_ros.engine.kernel_launches import KERNELS
from ffs_ros.graph.disparity_nodes import of_taps
from ffs_ros.graph.head_nodes import packed_depthwise, packed_layers, packed_taps
from ffs_ros.graph.kernel_nodes import packed
from ffs_ros.graph.motion_nodes import packed_rows
from ffs_ros.graph.volume_nodes import packed as packed_convolution
from ffs_ros.graph.volume_nodes import packed_bias

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


def launched(gpu, name, size, *given, blocks=None):
    """What the kernel makes of arrays: its tensors, then its constants. Addresses behind what it writes are guarded.

    ``blocks``: that many in the place of as many as an engine would have.
    """
    launch = KERNELS[name].launch(*size)
    into = gpu.buffer(launch.writes.dtype.itemsize * int(np.prod(launch.writes.shape)))
    addresses = [gpu.up(one).value for one in given]
    gpu.kernel(name).start(
        launch.grid if blocks is None else (blocks, 1, 1), launch.threads, (*addresses, into.value), launch.numbers
    )
    return gpu.down(into, launch.writes.shape, launch.writes.dtype)


def volume_case(gpu, batch, rows, columns):
    features = halves(2 * batch, 224, rows, columns, scale=3)
    features[:, :28, 0, 0] = 0  # a vector of length 0 ...
    features[0, 28:56, 0, 1 % columns] = np.float16(6e-8)  # ... and the smallest ones ...
    features[-1, 56:84, 0, 2 % columns] = np.float16(60000)  # ... and the largest
    features[0, 56:84, 0, 2 % columns] = np.float16(-60000)
    projected = halves(2 * batch, 12, rows, columns, scale=10)
    found = launched(gpu, "cost_volume", (batch, rows, columns), features, projected)
    report(
        f"cost_volume {batch}x{rows}x{columns}",
        close(np.moveaxis(found, -1, 1), twins.cost_volume(features, projected)),
    )
    gpu.free()


def finer_case(gpu, batch, rows, columns):
    coarse, volume = (
        halves(batch, 28, 12, -(-rows // 4), -(-columns // 4), scale=3),
        halves(batch, 28, PLANES, rows, columns),
    )
    expected = last(twins.finer(coarse, volume), STORED, 0)
    given = last(coarse, STORED), last(volume, STORED)
    found = launched(gpu, "four_times_finer", (batch, rows, columns), *given)
    report(f"four_times_finer {batch}x{rows}x{columns}", close(found, expected))
    gpu.free()


def first_disparity_case(gpu, batch, rows, columns):
    volume, weight = halves(batch, 28, PLANES, rows, columns), halves(1, 28, 3, 3, 3, scale=0.1)
    volume[-1, 3, 20, -1, -1] = 60000  # what it gives to a plane is all that counts there
    volume[0, 27, 40, 0, 0] = np.nan
    volume[-1, 5, 0, 0, -1], volume[0, 6, 47, -1, 0] = np.inf, -np.inf
    given = last(volume, STORED), of_taps(weight)
    found = launched(gpu, "first_disparity", (batch, rows, columns), *given)
    expected = twins.first_disparity(volume, weight[0])
    report(f"first_disparity {batch}x{rows}x{columns}", close(found, expected, 1e-5, 1e-5))
    gpu.free()


def pairs_case(gpu, batch, rows, columns):
    features = halves(2 * batch, 224, rows, columns, scale=3)
    features[:, :, 0, 0] = 0
    features[-1, :, -1, -1] = np.float16(6e-8) * np.arange(-112, 112)
    features[0, :, -1, columns // 2] = 60000 * np.sign(features[0, :, -1, columns // 2])
    features[0, 7, 0, columns // 3], features[-1, 223, 0, columns // 2] = np.nan, -np.inf
    found = launched(gpu, "all_pairs", (batch, rows, columns), features)
    report(f"all_pairs {batch}x{rows}x{columns}", close(found, twins.all_pairs(features)))
    gpu.free()


def upsampling_case(gpu, batch, rows, columns):
    logits, disparity = halves(batch, 9, 4 * rows, 4 * columns, scale=3), disparities(batch, rows, columns)
    logits[0, 8, 0, 0], logits[-1, 4, -1, -1], logits[0, 0, 1, 0], logits[0, :, 2, 0] = np.nan, np.inf, -np.inf, 60000
    expected = twins.convex_upsampling(logits, disparity)
    found = launched(gpu, "convex_upsampling", (batch, rows, columns), last(logits, 16), disparity)
    report(f"convex_upsampling {batch}x{rows}x{columns}", close(found, expected, 1e-5, 1e-5))
    gpu.free()


def look_up_case(gpu, batch, rows, columns):
    volume, pairs = halves(batch, 28, PLANES, rows, columns, scale=5), halves(batch, rows, columns, columns, scale=0.5)
    disparity = disparities(batch, rows, columns)
    expected = twins.look_up(disparity, volume, pairs)
    assert np.isnan(expected[np.isnan(disparity)][..., :29]).all()
    expected[~np.isfinite(disparity)] = np.nan
    weight, bias = halves(56, SAMPLES, scale=0.05), RANDOM.normal(size=56).astype(np.float32)
    given = disparity, last(volume, STORED), pairs, packed(weight), bias  # nobody may read the volume's padding: NaN
    found = launched(gpu, "look_up_convc1", (batch, rows, columns), *given)
    report(f"look_up_convc1 {batch}x{rows}x{columns}", close(found, twins.evidence(expected, weight, bias), 2e-3))
    gpu.free()


def features_case(gpu, batch, rows, columns):
    """The last two features are the disparity above and below 0, as halves, where nothing around is not finite."""
    size, disparity = (batch, rows, columns), RANDOM.uniform(-8, 56, (batch, rows, columns)).astype(np.float32)
    disparity[0, 0, 0], disparity[-1, -1, -1], disparity[0, rows // 2, columns // 2] = 65504, -65504, np.nan
    disparity[-1, rows // 3, columns // 5], disparity[0, -1, 0] = 1e9, -np.inf
    weight, bias = halves(18, 7, 7, scale=0.1), RANDOM.normal(size=18).astype(np.float32)
    weight[16:], bias[16:] = 0, 0
    weight[16:, 3, 3] = 1, -1
    given = disparity[:, None], packed_rows(weight), np.pad(bias, (0, 6))
    found = launched(gpu, "disparity_features", size, *given)
    problem = close(found, twins.disparity_features(disparity, weight, bias), 1e-4)
    there = np.isfinite(found[..., 16])
    with np.errstate(over="ignore", invalid="ignore"):
        handed_on = found[..., 16] - found[..., 17] == disparity.astype(np.float16)
    problem = problem or ("" if handed_on[there].all() else "the disparity is not handed on")
    report(f"disparity_features {batch}x{rows}x{columns}", problem)
    gpu.free()


def norm_case(gpu, batch, rows, columns, channels, slope):
    """Against the picture itself in float64: channels far from zero, of nothing but one value, of the largest ones."""
    size, stored = (batch, rows, columns, channels), -(-channels // 8) * 8
    picture = halves(batch, rows, columns, channels)
    picture[..., 1] = 1000 + picture[..., 1]
    picture[..., 2] = np.float16(7.3)
    picture[..., 3] = 60000 * np.sign(picture[..., 3])
    picture[:, 0, 0, 4] = 30000
    picture[-1, -1, -1, 5], picture[0, 0, 0, 6], picture[0, -1, 0, 7] = np.nan, np.inf, -np.inf
    residual = halves(*picture.shape)
    given = [np.concatenate([one, np.full((*size[:3], stored - channels), np.nan, np.float16)], -1)
             for one in (picture, residual)]  # fmt: skip
    sums = launched(gpu, "channel_sums", size, given[0])
    chunk = KERNELS["channel_sums"].launch(*size).numbers[2]
    expected = twins.channel_sums(given[0], chunk)
    with np.errstate(invalid="ignore"):
        mean_off, squares_off = np.moveaxis(np.abs(sums - expected), 2, 0)
        mean, squares = np.moveaxis(np.abs(expected), 2, 0)
        wrong = (mean_off > 1e-6 * (1 + mean + np.sqrt(squares))) | (squares_off > 1e-4 * (1 + squares))
    problem = f"{wrong.sum()} sums" if wrong.any() else ""
    report(f"channel_sums {batch}x{rows}x{columns}x{channels}", problem)
    exact = picture.astype(np.float64)
    with np.errstate(invalid="ignore"):
        normed = (exact - exact.mean((1, 2), keepdims=True)) / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
    for name, added in (("instance_norm", []), ("instance_norm_add", [given[1]])):
        found = launched(gpu, name, (*size, slope), given[0], sums, *added)
        expected = normed + residual * len(added)
        expected = np.where(expected < 0, expected * slope / 1000, expected)
        problem = close(found[..., :channels], expected, 1e-4) or (
            "what fills up is not zero" if found[..., channels:].any() else ""
        )
        report(f"{name} {batch}x{rows}x{columns}x{channels}", problem)
    behind = 3 * channels // 2 + 1  # which fills no vector
    other = halves(*size[:3], behind)
    other[0, 0, 0, -1], other[-1, -1, -1, 0], other[0, -1, 0, 1] = np.nan, -np.inf, 65504
    other = np.concatenate([other, np.full((*size[:3], -behind % 8), np.nan, np.float16)], -1)
    found = launched(gpu, "instance_norm_join", (*size, slope, behind), given[0], sums, other)
    normed = np.where(normed < 0, normed * slope / 1000, normed)
    expected = twins.joined(last(np.moveaxis(normed, -1, 1), stored, 0), channels, other, behind)
    problem = close(found[..., :stored], expected[..., :stored], 1e-4)
    problem = problem or close(found[..., stored:], expected[..., stored:], 0, 0)
    report(f"instance_norm_join {batch}x{rows}x{columns}x{channels}+{behind}", problem)
    gpu.free()


def join_case(gpu, batch, rows, columns, channels, slope, behind):
    """What fills both up is NaN; values that are none, and the largest."""
    places = batch * rows * columns
    picture, other = (last(halves(places, many), -(-many // 8) * 8) for many in (channels, behind))
    picture[0, 0], picture[-1, 1], picture[-1, channels - 1] = np.nan, -65504, -np.inf
    other[-1, behind - 1], other[0, 0] = np.nan, -65504
    found = launched(gpu, "join_leaky", (batch, rows, columns, channels, slope, behind), picture, other)
    with np.errstate(invalid="ignore"):
        expected = twins.join_leaky(picture, other, channels, slope, behind)
    report(f"join_leaky {places}x{channels}+{behind}", close(found.reshape(expected.shape), expected))
    gpu.free()


def convolution_case(gpu, kind, batch, planes, rows, columns, slope, blocks):
    """What fills up the gate is NaN: nothing of it may be in the result. Blocks begin and end within tiles."""
    shape, name = (batch, planes, rows, columns), f"volume_convolution{kind}"
    volume = halves(*shape, 32)
    volume.reshape(-1)[:2] = np.float16(60000), np.nan
    weight, bias = halves(28, 32, 3, 3, 3, scale=0.05), np.float32(RANDOM.normal(size=28))
    full = np.zeros((32, 32, 3, 3, 3), np.float16)
    full[:28] = weight
    constants = packed_convolution(weight), packed_bias(bias)
    beside = {
        "": {},
        "_add": {"residual": last(halves(batch, 28, *shape[1:]), STORED, 0)},
        "_gated": {"gate": last(halves(batch, 28, 1, rows, columns), STORED)},
    }[kind]
    found = launched(gpu, name, (*shape, slope), volume, *beside.values(), *constants, blocks=blocks)
    expected = twins.convolution(volume, full, constants[1], slope, **beside)
    report(f"{name} {'x'.join(map(str, shape))}", close(found, expected, 2e-3))
    gpu.free()


def head_case(gpu, batch, rows, columns, hidden):
    """Both kernels: pixels that are NaN, the largest and zero, and whatever fills channels up."""
    size, channels = (batch, rows, columns), twins.HEAD
    picture = np.moveaxis(halves(*size, channels, scale=2), -1, 1)
    picture[0, :, 0, 0], picture[-1, 3, -1, -1], picture[-1, 35, rows // 2, -1] = 0, np.nan, np.nan
    taps, bias = (0.1 * RANDOM.normal(size=n).astype(np.float32) for n in ((50, channels), channels))
    widen, narrow = halves(hidden, channels + 1, scale=0.2), halves(channels, hidden, scale=0.1)
    packed_both = packed_layers(widen[:, :-1], widen[:, -1], narrow)
    padded_bias = np.pad(bias, (0, twins.HEAD_STORED - channels), constant_values=np.nan)
    given = last(picture, twins.HEAD_STORED)
    found = launched(gpu, "wide_block", (*size, hidden), given, packed_depthwise(taps), packed_both, padded_bias)
    wanted = twins.wide_block(given[..., :channels], taps, (widen, narrow), bias)
    problem = close(found[..., :channels], wanted, 2e-3)  # a half in between may be the next one
    problem = problem or ("what fills up is not zero" if found[..., channels:].any() else "")
    report(f"wide_block {batch}x{rows}x{columns}x{hidden}", problem)

    picture[0, 7, 0, 0] = 65504
    given, disparity, weight = last(picture, twins.HEAD_STORED), disparities(*size), halves(channels, 3, 3, scale=0.1)
    bias = bias[:1]
    found = launched(gpu, "disparity_step", size, given, disparity[:, None], packed_taps(weight), bias)[:, 0]
    wanted = twins.disparity_step(given[..., :channels], disparity, weight.reshape(channels, -1).T, bias)
    report(f"disparity_step {batch}x{rows}x{columns}", close(found, wanted, 1e-5, 1e-6))
    gpu.free()


def attention_case(gpu, batch, rows, columns):
    """A place of nothing but one value, one of the largest, and NaN in what fills up and in a place."""
    volume = last(halves(batch, 28, 12, rows, columns), STORED)
    volume[0, 0, 0, 0, :28], volume[0, 1, 0, 0, :28], volume[-1, -1, -1, -1, 5] = 3, 60000, np.nan
    weights = RANDOM.normal(size=10108).astype(np.float32) / 5
    found = launched(gpu, "head_attention", (batch, rows, columns), volume, weights)
    expected = twins.head_attention(volume, weights)
    report(f"head_attention {batch}x{rows}x{columns}", close(found, expected, 2e-3))
    gpu.free()


def gru_case(gpu, batch, rows, columns):
    """What fills up is NaN; a place of what is seen and of the hidden state too."""
    size, places = (batch, rows, columns), batch * rows * columns
    seen, hidden = (last(halves(places, many), -(-many // 8) * 8) for many in (100, 60))
    gates, candidates = halves(2, places, 120), [last(halves(places, 60), 64) for _ in range(2)]
    seen[0, 3], hidden[-1, 5], candidates[0][0, 7], gates[1, -1, 2] = np.nan, np.nan, np.inf, np.nan
    attention = halves(places)
    joined = np.ascontiguousarray(twins.gru_input(seen, hidden))
    each = [value for pair in zip(gates, candidates, strict=True) for value in pair]
    for name, given, twin in (
        ("gru_input", (seen, hidden), twins.gru_input),
        ("gru_reset", (gates[0], joined), twins.gru_reset),
        ("gru_output", (*each, hidden, attention), twins.gru_output),
    ):
        with np.errstate(invalid="ignore"):
            expected = twin(*given)
        found = launched(gpu, name, size, *given)
        report(f"{name} {batch}x{rows}x{columns}", close(found.reshape(expected.shape), expected))
    gpu.free()


def main():
    gpu = Device()
    for size in ((1, 1, 1), (2, 3, 7)):
        attention_case(gpu, *size)
        gru_case(gpu, *size)
    for size in (
        ("", 1, 5, 3, 17, 10, 3),
        ("_add", 2, 2, 13, 5, 0, 3),
        ("_gated", 1, 3, 1, 1, 10, 1),
        ("", 1, 1, 12, 16, 0, None),
    ):
        convolution_case(gpu, *size)
    for size in ((1, 3, 32), (2, 2, 37), (1, 1, 1), (1, 2, 160), (2, 1, 75), (1, 2, 8)):
        volume_case(gpu, *size)
    for size in ((1, 4, 32), (2, 3, 37), (1, 1, 1), (2, 8, 40), (1, 5, 8), (1, 16, 24)):
        finer_case(gpu, *size)
    for size in ((1, 6, 14), (2, 7, 15), (1, 1, 1), (1, 13, 29), (2, 3, 28)):
        first_disparity_case(gpu, *size)
    for size in ((1, 2, 96), (2, 2, 37), (1, 1, 1), (1, 1, 160), (1, 1, 98)):
        pairs_case(gpu, *size)
    for size in ((1, 3, 32), (2, 5, 37), (1, 1, 1)):
        upsampling_case(gpu, *size)
    for size in ((1, 3, 32), (2, 3, 37), (1, 1, 1), (1, 1, 160), (2, 2, 75), (1, 5, 8)):
        look_up_case(gpu, *size)
    for size in ((1, 8, 16), (2, 13, 37), (1, 1, 1), (1, 9, 18), (3, 2, 75), (1, 30, 5)):
        features_case(gpu, *size)
    for size in ((1, 8, 9, 16, 0), (2, 31, 40, 44, 10), (1, 1, 3, 8, 0), (2, 20, 37, 296, 0), (1, 150, 40, 12, 10)):
        norm_case(gpu, *size)
    for size in ((1, 5, 60, 12, 10, 16), (2, 3, 7, 44, 1000, 19), (1, 1, 1, 4, 10, 2)):
        join_case(gpu, *size)
    for size in ((1, 8, 8, 212), (2, 13, 19, 244), (1, 1, 1, 1), (1, 17, 9, 33), (3, 2, 24, 64)):
        head_case(gpu, *size)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
