"""What the kernels of ``ffs_ros/engine/kernels`` compute, in NumPy and fp32 from the same halves.

The definitions are those of ffs_ros/graph/volume.py, lookup.py and layers.py; test/engine/test_kernels.py holds them
together.
"""

import math

import numpy as np

from ffs_ros.engine.kernel_launches import KERNELS

PLANES, GROUPS, TAPS, CHANNELS, STORED = 48, 8, 9, 28, 32
SAMPLES = 2 * TAPS * STORED
HEAD, HEAD_STORED = 36, 40


def cost_volume(features, projected):
    """[B,32,48,H,W] from [2B,224,H,W] and [2B,12,H,W]."""
    features, projected = features.astype(np.float32), projected.astype(np.float32)
    _, _, rows, columns = features.shape
    grouped = features.reshape(2, -1, GROUPS, CHANNELS, rows, columns)
    left, right = grouped / np.maximum(np.sqrt((grouped**2).sum(3, keepdims=True)), 1e-12)
    left_projected, right_projected = projected.reshape(2, -1, 12, rows, columns)
    volume = np.zeros((len(left), 32, PLANES, rows, columns), np.float32)
    volume[:, 8:20] = left_projected[:, :, None]
    for d in range(min(PLANES, columns)):
        volume[:, :8, d, :, d:] = (left[..., d:] * right[..., : columns - d]).sum(2)
        volume[:, 20:, d, :, d:] = right_projected[..., : columns - d]
    return volume


def finer(coarse, volume):
    """[B,28,48,H,W] from [B,28,12,ceil(H/4),ceil(W/4)] and [B,28,48,H,W]."""
    x = coarse.astype(np.float32)
    for axis in (2, 3, 4):
        length = x.shape[axis]
        position = np.clip((np.arange(4 * length, dtype=np.float32) + 0.5) / 4 - 0.5, 0, length - 1)
        below = np.floor(position).astype(int)
        above, share = np.minimum(below + 1, length - 1), (position - below).reshape(-1, *[1] * (4 - axis))
        x = (1 - share) * x.take(below, axis) + share * x.take(above, axis)
    return volume.astype(np.float32) + x[..., : volume.shape[3], : volume.shape[4]]


def first_disparity(volume, weight):
    """[B,1,H,W] from [B,28,48,H,W] and the classifier's weight [28,3,3,3]; its bias leaves the softmax as it is."""
    batch, _, _, rows, columns = volume.shape
    padded = np.pad(volume.astype(np.float32), [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1)])
    logits = np.zeros((batch, PLANES, rows, columns))
    with np.errstate(invalid="ignore"):
        for z, y, x in np.ndindex(3, 3, 3):
            seen = padded[:, :, z : z + PLANES, y : y + rows, x : x + columns]
            logits += np.einsum("c,bcdhw->bdhw", weight[:, z, y, x].astype(np.float64), seen)
        logits = np.where(np.isfinite(logits), logits, np.nan)
        share = np.exp(logits - logits.max(1, keepdims=True))
        mean = (share * np.arange(PLANES)[:, None, None]).sum(1, keepdims=True) / share.sum(1, keepdims=True)
    return mean.astype(np.float32)


def all_pairs(features):
    """[B,H,W,W] from [2B,224,H,W]: of unit vectors, left before right."""
    x = features.astype(np.float32)
    with np.errstate(invalid="ignore"):
        left, right = np.split(x / np.maximum(np.sqrt((x**2).sum(1, keepdims=True)), 1e-12), 2)
        return np.matmul(left.transpose(0, 2, 3, 1), right.transpose(0, 2, 1, 3))


def convex_upsampling(logits, disparity):
    """[B,1,4H,4W] from [B,9,4H,4W] and [B,H,W], which counts as 0 outside."""
    _, rows, columns = disparity.shape
    padded = np.pad(disparity, [(0, 0), (1, 1), (1, 1)])
    around = np.stack([padded[:, y : y + rows, x : x + columns] for y in range(3) for x in range(3)], 1)
    with np.errstate(invalid="ignore", over="ignore"):
        weight = np.exp(logits.astype(np.float32) - logits.astype(np.float32).max(1, keepdims=True))
        product = weight * (4 * around).repeat(4, 2).repeat(4, 3)
        return product.sum(1, keepdims=True) / weight.sum(1, keepdims=True)


def look_up(disparity, volume, pairs):
    """[B,H,W,2,9,32] from [B,H,W], [B,28,48,H,W] and [B,H,W,W]."""
    batch, rows, columns = disparity.shape
    found = np.zeros((batch, rows, columns, 2, TAPS, STORED), np.float32)
    entries = [volume.astype(np.float32).transpose(0, 3, 4, 2, 1), pairs.astype(np.float32)[..., None]]
    positions = [disparity, np.arange(columns, dtype=np.float32) - disparity]
    for level in range(2):
        channels = (slice(0, CHANNELS), slice(CHANNELS, CHANNELS + 1))
        for table, position, into in zip(entries, positions, channels, strict=True):
            half = table.shape[3] // 2
            if level:
                table = (
                    table[..., : 2 * half, :]
                    .reshape(batch, rows, columns, half, 2, table.shape[-1])
                    .mean(4, dtype=np.float32)
                )
            with np.errstate(invalid="ignore"):
                scaled = position * np.float32(0.5**level)
                below, fraction = np.floor(scaled), (scaled - np.floor(scaled))[..., None, None]
                first = np.nan_to_num(np.clip(below, -100, 5000)).astype(int)
            table = np.pad(table, [(0, 0)] * 3 + [(1, 1), (0, 0)])
            index = np.clip(first[..., None] + np.arange(-4, 6), -1, table.shape[3] - 2) + 1
            near = np.take_along_axis(table, index[..., None], axis=3)
            lower, upper = near[..., :-1, :], near[..., 1:, :]
            found[..., level, :, into] = lower + fraction * (upper - lower)
    return found


def evidence(samples, weight, bias):
    """[B,H,W,56]: ``convc1`` and its ReLU, from samples as the kernel has them (halves), NaN where one is NaN."""
    halves = samples.astype(np.float16).astype(np.float32).reshape(*samples.shape[:3], SAMPLES)
    with np.errstate(invalid="ignore"):
        x = halves @ weight.astype(np.float16).astype(np.float32).T + bias
    return np.where(x < 0, 0, x).astype(np.float32)


def disparity_features(disparity, weight, bias):
    """[B,H,W,24] from [B,H,W], rounded to halves: 18 by the weight [18,7,7], with a ReLU, and zeros behind them."""
    rows, columns = disparity.shape[1:]
    with np.errstate(over="ignore", invalid="ignore"):  # far outside it is infinite in halves
        padded = np.pad(disparity.astype(np.float16).astype(np.float32), [(0, 0), (3, 3), (3, 3)])
        y = bias + sum(
            padded[:, r : r + rows, c : c + columns, None] * weight[:, r, c].astype(np.float32)
            for r, c in np.ndindex(7, 7)
        )
        return last(np.moveaxis(np.where(y < 0, 0, y), -1, 1), 24, 0).astype(np.float32)


def convolution(volume, weight, bias, slope, residual=0, gate=1):
    """[B,D,H,W,32] from the same, with weight [32,32,3,3,3]: what 28 outputs are, and zeros behind them."""
    _, planes, rows, columns, _ = volume.shape
    padded = np.pad(volume.astype(np.float32), [(0, 0), (1, 1), (1, 1), (1, 1), (0, 0)])
    y = np.zeros(volume.shape, np.float32) + bias
    for d, r, c in np.ndindex(3, 3, 3):
        y += padded[:, d : d + planes, r : r + rows, c : c + columns] @ weight[:, :, d, r, c].astype(np.float32).T
    y += residual
    with np.errstate(invalid="ignore"):
        y = np.where(y < 0, y * np.float32(slope / 1000), y) * gate
    y[..., CHANNELS:] = 0
    return y.astype(np.float32)


def head_attention(volume, weights):
    """[B,12,H,W,32] from the same, of whose channels 28 are read; ``weights`` as the kernel has them."""
    shapes = [(28, 84), 84, (28, 28), 28, 28, 28, (112, 28), 112, (112, 28), 28, 28, 28, (12, 1, 1, 28)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = [part.reshape(shape) for part, shape in zip(np.split(weights, ends[:-1]), shapes, strict=True)]
    (projection, projection_bias, output, output_bias, scale, shift, widen, widen_bias, narrow, narrow_bias, last_scale,
     last_shift, position) = parts  # fmt: skip

    def normed(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)

    with np.errstate(invalid="ignore"):
        x = volume[..., :28].astype(np.float32) + position
        query, key, value = np.moveaxis((x @ projection + projection_bias).reshape(*x.shape[:-1], 3, 4, 7), -3, 0)
        score = query @ key.swapaxes(-1, -2)
        score = np.exp(score - score.max(-1, keepdims=True))
        mixed = (score / score.sum(-1, keepdims=True)) @ value
        x = normed(x + mixed.reshape(x.shape) @ output + output_bias) * scale + shift
        y = x @ widen.T + widen_bias
        y = 0.5 * y * (1 + erf(y / np.sqrt(np.float32(2))))
        y = normed(x + y @ narrow + narrow_bias) * last_scale + last_shift
    return np.concatenate([y, np.zeros((*y.shape[:-1], 4))], -1).astype(np.float32)


erf = np.vectorize(math.erf, otypes=[np.float32])


def gru_input(seen, hidden):
    """[P,160] from [P,104], of which 100 count, and [P,64], of which 60 do."""
    return np.concatenate([seen[:, :100], hidden[:, :60]], 1)


def gru_reset(gates, joined):
    """[P,160] from [P,120] and [P,160]."""
    return np.concatenate([gates[:, 60:].astype(np.float32) * joined[:, 100:], joined[:, :100]], 1)


def gru_output(small_gates, small_candidates, large_gates, large_candidates, hidden, attention):
    """[P,64] from gates [P,120], candidates and hidden state [P,64], of all of which 60 are read, and attention [P]."""
    before, weight = hidden[:, :60].astype(np.float32), attention.astype(np.float32)[:, None]
    small, large = (
        before + gates[:, :60].astype(np.float32) * (candidates[:, :60].astype(np.float32) - before)
        for gates, candidates in ((small_gates, small_candidates), (large_gates, large_candidates))
    )
    return np.pad(large + weight * (small - large), [(0, 0), (0, 4)])


def channel_sums(picture, chunk):
    """[N,chunks,2,C] from [N,H,W,C]: means and sums of squared deviations of so many places."""
    places = picture.astype(np.float64).reshape(len(picture), -1, picture.shape[-1])
    chunks = [places[:, at : at + chunk] for at in range(0, places.shape[1], chunk)]
    with np.errstate(invalid="ignore"):
        means = [one.mean(1, keepdims=True) for one in chunks]
        squares = [((one - mean) ** 2).sum(1) for one, mean in zip(chunks, means, strict=True)]
        return np.stack([np.stack([mean[:, 0] for mean in means], 1), np.stack(squares, 1)], 2).astype(np.float32)


def instance_norm(picture, sums, residual, chunk, slope, channels):
    """[N,H,W,C]: the norm that the sums give, plus the residual, with a leaky ReLU; zeros behind the channels."""
    places = picture.shape[1] * picture.shape[2]
    each = np.minimum(chunk, places - chunk * np.arange(sums.shape[1]))[:, None]
    means, squares = np.moveaxis(sums.astype(np.float64), 2, 0)
    with np.errstate(invalid="ignore"):
        mean = (means * each).sum(1, keepdims=True) / places
        variance = (squares + each * (means - mean) ** 2).sum(1, keepdims=True) / places
        y = (picture - mean[:, None]) / np.sqrt(variance[:, None] + 1e-5) + residual.astype(np.float32)
        y = np.where(y < 0, y * slope / 1000, y)
    y[..., channels:] = 0
    return y.astype(np.float32)


def join_leaky(picture, other, channels, slope, behind):
    """[P,(C+D)8] from [P,C8] and [P,D8], of which so many channels count."""
    x = picture[:, :channels].astype(np.float32)
    both = np.concatenate([np.where(x < 0, x * slope / 1000, x), other[:, :behind]], 1)
    return np.pad(both, [(0, 0), (0, -both.shape[1] % 8)])


def joined(first_picture, channels, other, behind):
    """[N,H,W,C8+D8] from both, of which so many channels count."""
    sizes = (channels, first_picture), (behind, other)
    return np.concatenate([last(np.moveaxis(one[..., :many], -1, 1), one.shape[-1], 0) for many, one in sizes], -1)


def wide_block(picture, taps, layers, bias):
    """[B,H,W,36] from such a picture: [50,36], taps and bias; [H,37] and [36,H] of ``layers``; [36]."""
    x = picture.astype(np.float32)
    padded = np.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)])
    rows, columns = x.shape[1:3]
    with np.errstate(invalid="ignore", over="ignore"):
        placed = taps[49] + sum(
            taps[tap] * padded[:, tap // 7 : tap // 7 + rows, tap % 7 : tap % 7 + columns] for tap in range(49)
        )
        placed = placed.astype(np.float16).astype(np.float32)
        widen, narrow = (one.astype(np.float32) for one in layers)
        wide = placed @ widen[:, :HEAD].T + widen[:, HEAD]
        share = np.frompyfunc(math.erfc, 1, 1)(wide * -(2**-0.5)).astype(np.float32) / 2
        return x + (wide * share).astype(np.float16).astype(np.float32) @ narrow.T + bias


def disparity_step(picture, disparity, weight, bias):
    """[B,H,W] from [B,H,W,36] and [B,H,W]; the weight [9,36]."""
    padded = np.pad(picture.astype(np.float32), [(0, 0), (1, 1), (1, 1), (0, 0)])
    rows, columns = disparity.shape[1:]
    with np.errstate(invalid="ignore", over="ignore"):
        near = (padded[:, tap // 3 : tap // 3 + rows, tap % 3 : tap % 3 + columns] for tap in range(9))
        return disparity + (bias + sum(x @ by for x, by in zip(near, weight.astype(np.float32), strict=True)))


def last(x, stored, fill=np.nan):
    """[B,C,...] with the channels last, padded: with NaN what nobody may read."""
    x = np.moveaxis(x, 1, -1)
    padding = np.full((*x.shape[:-1], stored - x.shape[-1]), fill, x.dtype)
    return np.concatenate([x, padding], axis=-1)


def size_of(name, batch, rows, columns):
    """A size of a kernel, with channels that fill no load, and a slope, where it wants them."""
    if name.startswith("volume_convolution"):
        return [batch, 3, rows, columns, 10]
    return [batch, rows, columns, 44, 10, 19][: len(KERNELS[name].least)]


def close(found, expected, absolute=1e-6, relative=2.0**-11 * 1.01):
    """The halves nearest to ``expected``, or next to nearest, where fp32 sums in another order; not finite alike."""
    found, expected = found.astype(np.float32), np.broadcast_to(expected, found.shape)
    there = np.isfinite(expected)
    if not np.array_equal(found[~there], expected[~there], equal_nan=True):
        return "not finite elsewhere"
    found, expected = found[there], expected[there]
    off = np.abs(found - expected) - relative * np.maximum(np.abs(expected), 2.0**-14) - absolute
    if not off.size or off.max() <= 0:
        return ""
    return f"off by {np.abs(found - expected).max():g} of {np.abs(expected).max():g}, {(off > 0).sum()} of {off.size}"


def run_twin(name, arrays, numbers, images):
    """A kernel on its arguments, the bytes of buffers on a GPU, which may be longer: writes into the last.

    ``images``: the depth of its grid.
    """
    halves = [one[: one.size // 2 * 2].view(np.float16) for one in arrays]
    if name == "cost_volume":
        batch, rows, columns = numbers
        features, projected = (
            first(halves[at], 2 * batch, channels, rows, columns) for at, channels in ((0, 224), (1, 12))
        )
        result = np.moveaxis(cost_volume(features, projected), 1, -1)
    elif name == "four_times_finer":
        rows, columns = numbers
        shapes = (PLANES // 4, -(-rows // 4), -(-columns // 4), STORED), (PLANES, rows, columns, STORED)
        places = zip(halves, (*shapes, shapes[1]), strict=True)
        batch = min(one.size // int(np.prod(shape)) for one, shape in places)
        given = [first(one, batch, *shape) for one, shape in zip(halves, shapes)]  # noqa: B905 (not what it writes)
        found = finer(*(np.moveaxis(one[..., :CHANNELS], -1, 1) for one in given))
        result = last(found, STORED, 0)
    elif name == "head_attention":
        places, area = numbers
        result = head_attention(
            first(halves[0], places // area // 12, 12, area, 1, STORED), arrays[1][: 4 * 10108].view(np.float32)
        )
    elif name.startswith("gru_"):
        channels, twin = {
            "gru_input": ((104, 64), gru_input),
            "gru_reset": ((120, 160), gru_reset),
            "gru_output": ((120, 64, 120, 64, 64, 1), gru_output),
        }[name]
        given = [first(one, numbers[0], many) for one, many in zip(halves, channels)]  # noqa: B905 (not what it writes)
        result = twin(*given[:5], *(one[:, 0] for one in given[5:]))
    elif name.startswith("volume_convolution"):
        batch, planes, rows, columns, slope = numbers
        of_gate = 1 if name.endswith("_gated") else planes
        kind = {"add": "residual", "gated": "gate"}.get(name.rpartition("_")[2])
        beside = {} if kind is None else {kind: first(halves[1], batch, of_gate, rows, columns, STORED)}
        weight, bias = unpacked_convolution(halves[1 + len(beside)][: 27 * STORED**2]), arrays[2 + len(beside)]
        volume = first(halves[0], batch, planes, rows, columns, STORED)
        result = convolution(volume, weight, first(bias.view(np.float32), STORED), slope, **beside)
    elif name == "first_disparity":
        volume = first(halves[0], images, PLANES, *numbers, STORED)[..., :CHANNELS]
        found = first_disparity(np.moveaxis(volume, -1, 1), of_window(first(halves[1], 32, STORED)))
        arrays[-1][: found.nbytes].view(np.float32)[...] = found.reshape(-1)
        return
    elif name == "all_pairs":
        batch, rows, columns = numbers
        result = all_pairs(first(halves[0], 2 * batch, 224, rows, columns))
    elif name == "disparity_features":
        disparity = first(arrays[0][: arrays[0].size // 4 * 4].view(np.float32), images, *numbers)
        bias = first(arrays[2].view(np.float32), 18)
        result = disparity_features(disparity, unpacked_rows(first(halves[1], 2, 7, 3, 32, 2)), bias)
    elif name == "convex_upsampling":
        rows, columns = numbers
        logits = first(halves[0], images, 4 * rows, 4 * columns, 16)[..., :9]
        disparity = arrays[1][: arrays[1].size // 4 * 4].view(np.float32)
        found = convex_upsampling(np.moveaxis(logits, -1, 1), first(disparity, images, rows, columns))
        arrays[-1][: found.nbytes].view(np.float32)[...] = found.reshape(-1)
        return
    elif name == "channel_sums":
        pixels, vectors, chunk = numbers
        sums = channel_sums(first(halves[0], images, 1, pixels, 8 * vectors), chunk)
        arrays[-1][: sums.nbytes].view(np.float32)[...] = sums.reshape(-1)
        return
    elif name.startswith("instance_norm"):
        pixels, channels, chunk, _, slope, *behind = numbers
        shape = images, 1, pixels, -(-channels // 8) * 8
        sums = arrays[1][: arrays[1].size // 4 * 4].view(np.float32)
        sums = first(sums, images, -(-pixels // chunk), 2, shape[-1])
        residual = first(halves[2], *shape) if name.endswith("_add") else np.zeros(1)
        result = instance_norm(first(halves[0], *shape), sums, residual, chunk, slope, channels)
        if behind:
            result = joined(result, channels, first(halves[2], *shape[:3], -(-behind[0] // 8) * 8), *behind)
    elif name == "join_leaky":
        places, channels, slope, behind = numbers
        given = [first(one, places, -(-many // 8) * 8) for one, many in zip(halves, (channels, behind))]  # noqa: B905
        result = join_leaky(*given, channels, slope, behind)
    elif name in ("wide_block", "disparity_step"):
        shape = images, *numbers[:2]
        picture = first(halves[0], *shape, HEAD_STORED)[..., :HEAD]
        if name == "disparity_step":
            disparity, bias = (one[: one.size // 4 * 4].view(np.float32) for one in (arrays[1], arrays[3]))
            stepped = disparity_step(picture, first(disparity, *shape), unpacked_taps(halves[2]), bias[0])
            arrays[-1][: stepped.nbytes].view(np.float32)[...] = stepped.reshape(-1)
            return
        taps, bias = (one.view(np.float32) for one in (arrays[1], arrays[3]))
        taps = first(taps, 13, HEAD, 4).transpose(0, 2, 1).reshape(52, HEAD)
        made = wide_block(picture, taps, unpacked_layers(halves[2]), bias[:HEAD])
        result = last(np.moveaxis(made, -1, 1), HEAD_STORED, 0)
    else:
        pixels, area, columns = numbers
        grid = pixels // area, area // columns, columns
        volume = first(halves[1], grid[0], PLANES, *grid[1:], STORED)
        pairs = first(halves[2], *grid, columns)
        disparity = first(arrays[0][: 4 * pixels].view(np.float32), *grid)
        samples = look_up(disparity, np.moveaxis(volume[..., :CHANNELS], -1, 1), pairs)
        result = evidence(samples, unpacked(halves[3]), arrays[4].view(np.float32))
    with np.errstate(over="ignore"):
        halves[-1][: result.size] = result.astype(np.float16).reshape(-1)


def first(array, *shape):
    """What a buffer has of a tensor."""
    return array[: int(np.prod(shape))].reshape(shape)


def unpacked(halves):
    """``convc1``'s weight [56,576] from what the kernel's tensor cores take, [36,7,32,4] of 16 samples and 8 outputs.

    Of lane 4 output + pair, the four halves are samples 2 pair, 2 pair + 1, and those 8 further.
    """
    weight = np.empty((56, SAMPLES), np.float16)
    given = halves.reshape(SAMPLES // 16, 7, 32, 4)
    for lane in range(32):
        for place in range(4):
            sample = 2 * (lane % 4) + place % 2 + 8 * (place // 2)
            weight[lane // 4 :: 8, sample::16] = given[:, :, lane, place].T
    return weight


def unpacked_convolution(halves):
    """The weight [32,32,3,3,3] from [3,3,2,3,2,32,2,4]: of lane 4 c + pair, channels 2 pair, 2 pair + 1, 8 further."""
    weight = np.empty((32, 32, 3, 3, 3), np.float16)
    given = halves.reshape(3, 3, 2, 3, 2, 32, 2, 4)
    for step, two, lane, one, at in np.ndindex(2, 2, 32, 2, 4):
        column, tile = lane // 4, 2 * two + one
        output = 8 * (column // 2) + 2 * tile + column % 2
        channel = 16 * step + 2 * (lane % 4) + at % 2 + 8 * (at // 2)
        weight[output, channel] = given[:, :, step, :, two, lane, one, at].transpose(2, 0, 1)
    return weight


def unpacked_rows(halves):
    """[18,7,7] from [2,7,3,32,2]: of lane 4 output + pair, taps 2 pair, 2 pair + 1 of eight, the first or last none."""
    weight = np.empty((2, 24, 7, 8), np.float16)
    for lane in range(32):
        pair = lane % 4
        weight[:, lane // 4 :: 8, :, 2 * pair : 2 * pair + 2] = halves[:, :, :, lane].transpose(0, 2, 1, 3)
    even, odd = weight
    assert not weight[:, 18:].any()
    assert not even[..., 0].any()
    assert not odd[..., 7].any()
    assert np.array_equal(even[..., 1:], odd[..., :7])
    return odd[:18, :, :7]


def of_window(rows):
    """The classifier's weight [28,3,3,3] from what the kernel's tensor cores take, [32,32]: its rows are taps."""
    taps = rows.reshape(4, 8, STORED)[..., :CHANNELS]
    return np.concatenate([taps[:3], taps[3, :3, None]], 1).reshape(3, 3, 3, CHANNELS).transpose(3, 0, 1, 2)


def of_lane(lane, words):
    """Output, and input of each half of some words of a lane: 2 pair, 2 pair + 1, and those 8 further of the next."""
    return lane // 4, (8 * np.arange(words)[:, None] + 2 * (lane % 4) + np.arange(2)).reshape(-1)


def unpacked_layers(halves):
    """[H,37] and [36,H] from [groups,5,32,8], of 16 hidden channels: two times 8 x 40, then five times 8 x 16."""
    groups = halves.reshape(-1, 5, 32, 8).transpose(0, 2, 1, 3).reshape(-1, 32, 40)
    widen, narrow = np.empty((len(groups), 2, 8, 40), np.float16), np.empty((5, 8, len(groups), 16), np.float16)
    for lane in range(32):
        output, inputs = of_lane(lane, 5)
        for tile in range(2):
            widen[:, tile, output, inputs] = groups[:, lane, 10 * tile : 10 * tile + 10]
        output, inputs = of_lane(lane, 2)
        for tile in range(5):
            narrow[tile, output, :, inputs] = groups[:, lane, 20 + 4 * tile : 24 + 4 * tile].T
    widen, narrow = widen.reshape(-1, 40), narrow.reshape(40, -1)
    assert not widen[:, HEAD + 1 :].any()
    assert not narrow[HEAD:].any()
    return widen[:, : HEAD + 1], narrow[:HEAD]


def unpacked_taps(halves):
    """[9,36] from [10,32,2]."""
    weight = np.empty((2, 8, 40), np.float16)
    given = halves.reshape(2, 5, 32, 2)
    for lane in range(32):
        output, inputs = of_lane(lane, 5)
        weight[:, output, inputs] = given[:, :, lane].reshape(2, -1)
    return weight.reshape(16, 40)[:9, :HEAD]
