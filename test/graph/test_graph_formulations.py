"""Steps that are written otherwise than the network defines them give what the definition gives."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.graph.builder import Builder, Size
from ffs_ros.graph.layers import folded_batch_norm, gelu, transposed_conv, unit_norm
from ffs_ros.graph.lookup import looked_up, tables
from ffs_ros.graph.resampling import doubled_and_quartered, four_times_finer
from ffs_ros.graph.volume import cost_volume

RANDOM = np.random.default_rng(7)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def batch_norm(name, channels):
    """Tensors of a batch norm that changes every channel."""
    return {
        f"{name}.weight": 1 + 0.2 * normal(channels),
        f"{name}.bias": normal(channels),
        f"{name}.running_mean": normal(channels),
        f"{name}.running_var": np.exp(0.3 * normal(channels)),
    }


def sampled(values, position):
    """Linear interpolation of ``values`` at ``position``; a neighbour outside counts as zero."""
    below = int(np.floor(position))
    pair = [values[index] if 0 <= index < len(values) else 0.0 * values[0] for index in (below, below + 1)]
    return (1 - (position - below)) * pair[0] + (position - below) * pair[1]


@pytest.mark.parametrize("open_axes", [False, True])
def test_look_up(open_axes, run_part):
    """Nine samples on two levels of geometry and correlation, through ``convc1``: inside, at borders, far outside."""
    batch, rows, columns = 2, 2, 8
    volume, pairs = normal(batch, 28, 48, rows, columns), normal(batch, rows, columns, columns)
    disparity = RANDOM.uniform(-12, 60, (batch, 1, rows, columns)).astype(np.float32)
    disparity[0, 0, 0, :6] = [0.0, 47.0, 46.5, -1e9, 1e9, 3.0]
    name = "update_block.encoder.convc1"
    weights = {f"{name}.weight": normal(56, 522, 1, 1) / 20, f"{name}.bias": normal(56)}

    def part(b, volume, pairs, disparity):
        # the lengths of open axes come from an input at the resolution of the images, four times this one
        lengths = (
            [b.node("Slice", b.node("Shape", disparity), *map(np.array, ([axis], [axis + 1]))) for axis in (0, 2, 3)]
            if open_axes
            else [batch, rows, columns]
        )
        size = Size(lengths[0], b.length("Mul", lengths[1], 4), b.length("Mul", lengths[2], 4))
        read = tables(b, volume, pairs, size)
        return {"found": looked_up(b, read, disparity, b.grid(size, 4))}

    feeds = {"volume": volume, "pairs": pairs, "disparity": disparity}
    found = run_part(weights, part, feeds, open_axes=open_axes)["found"]

    expected = np.empty_like(found)
    for image, row, column in np.ndindex(batch, rows, columns):
        d = float(disparity[image, 0, row, column])
        values = []
        for level in range(2):
            planes = volume[image, :, :, row, column].T.reshape(-1, 2**level, 28).mean(1)
            line = pairs[image, row, column].reshape(-1, 2**level).mean(1)[:, None]
            taps = range(-4, 5)
            values += [np.stack([sampled(planes, d / 2**level + tap) for tap in taps], axis=1).ravel()]
            values += [np.stack([sampled(line, (column - d) / 2**level + tap) for tap in taps], axis=1).ravel()]
        weight = weights[f"{name}.weight"][:, :, 0, 0].astype(np.float64)
        expected[image, :, row, column] = np.maximum(weight @ np.concatenate(values) + weights[f"{name}.bias"], 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("columns", [8, 60])
def test_cost_volume(columns, run_part):
    """Cosines per group, the left projection everywhere, the right one shifted; zeros where a pixel looks outside."""
    rows = 2
    features = normal(2, 224, rows, columns)
    weights = {"proj_cmb.weight": normal(12, 224, 1, 1) / 15, "proj_cmb.bias": normal(12)}

    def part(b, features):
        return {"found": cost_volume(b, features, Size(1, 4 * rows, 4 * columns))}

    found = run_part(weights, part, {"features": features})["found"]
    grouped = features.reshape(2, 8, 28, rows, columns)
    left, right = grouped / np.linalg.norm(grouped, axis=2, keepdims=True)
    projected = np.einsum("oi,bihw->bohw", weights["proj_cmb.weight"][:, :, 0, 0], features)
    projected += weights["proj_cmb.bias"][:, None, None]
    expected = np.zeros((1, 32, 48, rows, columns), np.float32)
    expected[0, 8:20] = projected[0][:, None]
    for d in range(min(48, columns)):
        expected[0, :8, d, :, d:] = (left[..., d:] * right[..., : columns - d]).sum(1)
        expected[0, 20:, d, :, d:] = projected[1][..., : columns - d]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_doubled_and_quartered(run_part):
    """A transposed convolution, LeakyReLU and a convolution with stride 4, without the volume between them."""
    torch = pytest.importorskip("torch")
    double, quarter = normal(3, 5, 4, 4, 4), normal(2, 5, 4, 4, 4)
    weights = {"up.conv.weight": double, **batch_norm("up.norm", 5)}
    weights |= {"down.conv.weight": quarter, **batch_norm("down.norm", 2)}
    volume = normal(1, 3, 4, 6, 8)
    found = run_part(weights, lambda b, x: {"found": doubled_and_quartered(b, x, "up", "down")}, {"x": volume})["found"]

    def normed(x, name):
        return torch.nn.functional.batch_norm(
            x,
            *(
                torch.from_numpy(weights[f"{name}.{part}"])
                for part in ("running_mean", "running_var", "weight", "bias")
            ),
        )

    with torch.no_grad():
        x = torch.nn.functional.conv_transpose3d(*map(torch.from_numpy, (volume, double)), stride=2, padding=1)
        x = torch.nn.functional.leaky_relu(normed(x, "up.norm"), 0.01)
        expected = normed(torch.nn.functional.conv3d(x, torch.from_numpy(quarter), stride=4), "down.norm").numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("kernel", [3, 4])
def test_transposed_convolution(axes, kernel, run_part):
    """Kernel 4, and kernel 3 with its output padding, with a batch norm folded along the second axis of the weight."""
    torch = pytest.importorskip("torch")
    weight, x = normal(3, 5, *[kernel] * axes), normal(1, 3, *[4] * axes)
    weights = {"up.weight": weight, **batch_norm("norm", 5)}
    found = run_part(weights, lambda b, x: {"found": transposed_conv(b, x, "up", norm="norm")}, {"x": x})["found"]
    function = getattr(torch.nn.functional, f"conv_transpose{axes}d")
    y = function(*map(torch.from_numpy, (x, weight)), stride=2, padding=1, output_padding=4 - kernel).numpy()
    mean, variance, scale, shift = (
        weights[f"norm.{part}"].reshape(-1, *[1] * axes) for part in ("running_mean", "running_var", "weight", "bias")
    )
    expected = (y - mean) / np.sqrt(variance + 1e-5) * scale + shift
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)


def test_batch_norm_folds_with_a_bias():
    """norm(conv(x) + bias) for a convolution that already has a bias, by hand: (2 x + 1 - 3) / 2 * 5 + 7."""

    values = {"running_mean": 3, "running_var": 4 - 1e-5, "weight": 5, "bias": 7}
    b = Builder({f"norm.{part}": np.float32([value]) for part, value in values.items()})
    weight, bias = folded_batch_norm(b, np.full((1, 1, 1, 1), 2.0, np.float32), np.float32([1]), "norm")
    np.testing.assert_allclose((weight.item(), bias.item()), (5, 2), rtol=1e-6)


@pytest.mark.parametrize("open_axes", [False, True])
def test_four_times_finer(open_axes, run_part):
    """Trilinear interpolation between pixel centres, edges clamped."""
    torch = pytest.importorskip("torch")
    volume = normal(2, 3, 12, 3, 5)

    def part(b, x):
        rows, columns = (
            [b.node("Slice", b.node("Shape", x), *map(np.array, ([axis], [axis + 1]))) for axis in (3, 4)]
            if open_axes
            else (3, 5)
        )
        fine = (48, b.length("Mul", rows, 4), b.length("Mul", columns, 4))
        return {"found": four_times_finer(b, x, (12, rows, columns), fine)}

    found = run_part({}, part, {"x": volume}, open_axes=open_axes)["found"]
    expected = torch.nn.functional.interpolate(torch.from_numpy(volume), scale_factor=4, mode="trilinear").numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_unit_norm_of_nothing(run_part):
    """A vector of length 1 stays, a zero vector stays zero instead of becoming NaN."""
    x = np.float32([[3, 0], [4, 0]])
    found = run_part({}, lambda b, x: {"found": unit_norm(b, x, axis=0)}, {"x": x})["found"]
    np.testing.assert_allclose(found, [[0.6, 0], [0.8, 0]], rtol=1e-6)


def test_gelu_is_the_exact_one(run_part):
    """x Phi(x), which the form with tanh misses by 4e-4 at -2."""
    found = run_part({}, lambda b, x: {"found": gelu(b, x)}, {"x": np.float32([-2, 0, 1])})["found"]
    np.testing.assert_allclose(found, [-0.04550026, 0, 0.84134475], rtol=0, atol=1e-6)
