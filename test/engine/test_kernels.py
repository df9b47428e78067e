"""The kernels: what ships belongs to its source, and compiled, in NumPy and in the graph they compute the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kernel_twins as twins
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ffs_ros.engine.kernel_calls import Call, fault_of, prepared, ptx, source_sha256  # noqa: E402
from ffs_ros.engine.kernel_launches import KERNELS  # noqa: E402
from ffs_ros.graph.builder import OPSET, Builder, Size  # noqa: E402
from ffs_ros.graph.context import Context  # noqa: E402
from ffs_ros.graph.disparity_nodes import of_taps  # noqa: E402
from ffs_ros.graph.filtering import basic, first_disparity, gated  # noqa: E402
from ffs_ros.graph.head_attention import head_attention  # noqa: E402
from ffs_ros.graph.head_attention_nodes import head_attentions  # noqa: E402
from ffs_ros.graph.head_nodes import packed_depthwise, packed_layers, packed_taps  # noqa: E402
from ffs_ros.graph.kernel_nodes import packed, sample_weight  # noqa: E402
from ffs_ros.graph.layers import conv, instance_norm  # noqa: E402
from ffs_ros.graph.lookup import looked_up, tables  # noqa: E402
from ffs_ros.graph.model import IR_VERSION  # noqa: E402
from ffs_ros.graph.motion_nodes import packed_rows  # noqa: E402
from ffs_ros.graph.recurrent import correction, disparity_features, updated, wide_block  # noqa: E402
from ffs_ros.graph.resampling import four_times_finer  # noqa: E402
from ffs_ros.graph.upsampling import weighted_mean  # noqa: E402
from ffs_ros.graph.volume import all_pairs, cost_volume  # noqa: E402
from ffs_ros.graph.volume_nodes import packed as packed_convolution  # noqa: E402

RANDOM = np.random.default_rng(5)
SIZES = [(2, 4, 8), (1, 2, 64)]
OLDEST_PTX = "7.8"
"""What CUDA 11.8 wrote; drivers from 520 on take it."""


@pytest.mark.parametrize("name", KERNELS)
def test_what_ships_belongs_to_its_source(name: str) -> None:
    """A changed source is compiled again: test/benchmarks/kernels/compile.py."""
    text = ptx(name).decode("ascii")
    assert re.match(r"// From (\S+), SHA-256 with what it includes (\w+)\n", text).groups() == (
        f"{name}.cu", source_sha256(name)
    )  # fmt: skip
    assert f".version {OLDEST_PTX}\n.target sm_80\n" in text
    assert re.findall(r"\.entry (\w+)\(", text) == [name]
    parameters = re.findall(rf"\.param \.(\w+) {name}_param", text)
    launch = KERNELS[name].launch(*twins.size_of(name, 1, 2, 3))
    addresses = len(launch.reads) + len(launch.constant_bytes) + 1
    assert parameters == ["u64"] * addresses + ["u32"] * len(launch.numbers)
    assert re.findall(r"\.maxntid (\d+), 1, 1", text) == [str(launch.threads)]


@pytest.mark.parametrize("size", [[1, 2, 3, 8], [1, 2, 3, 8, -1], [1, 2, 0, 8, 0], [1, 2, 3, 8, 0, 1]])
def test_sizes_that_a_kernel_does_not_take(size: list[int]) -> None:
    """Too few numbers, too many, and what is none; a slope may be 0, a length not."""
    call = Call("instance_norm", ["picture", "sums"], "made", [1, 2, 3, 8, 0], 9)
    assert fault_of(call) is None
    assert fault_of(call._replace(size=size)) == f"calls instance_norm for a size of {size}"


def test_constants_of_another_length() -> None:
    """They would be read as weights behind their end."""
    with pytest.raises(ValueError, match="the constants of look_up_convc1 have"):
        prepared("look_up_convc1", ["a", "b", "c"], "d", [1, 2, 3], [b"1", b"2"])


@pytest.mark.parametrize("order", ["", "BACKWARDS", "BEFORE"])
def test_the_kernels_compute_what_their_twins_do(kernels_on_cpu: Path, checkout: Path, order: str) -> None:
    """Threads in both orders; nothing behind, or before, a buffer is touched, whatever the disparity."""
    paths = os.pathsep.join([str(checkout / "test"), str(checkout), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, checkout / "test" / "kernels_on_cpu" / "check.py", kernels_on_cpu],
        env={**os.environ, "PYTHONPATH": paths, **({order: "1"} if order else {})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * 82, done.stdout


def test_the_packed_weight_is_the_weight() -> None:
    """The twin takes it apart by lanes, as PTX's manual says."""
    weight = RANDOM.normal(size=(56, twins.SAMPLES)).astype(np.float16)
    np.testing.assert_array_equal(twins.unpacked(packed(weight)), weight)


@pytest.mark.parametrize(("hidden", "padded"), [(212, 224), (244, 256), (1, 32)])
def test_the_packed_layers_of_the_head_are_its_layers(hidden: int, padded: int) -> None:
    """Likewise; what fills the hidden channels up is zero."""
    widen, narrow = (RANDOM.normal(size=shape).astype(np.float16) for shape in ((hidden, 37), (36, hidden)))
    halves = packed_layers(widen[:, :36], widen[:, 36], narrow)
    assert halves.nbytes == KERNELS["wide_block"].launch(1, 1, 1, hidden).constant_bytes[1]
    found = twins.unpacked_layers(halves.reshape(-1))
    np.testing.assert_array_equal(found[0], np.pad(widen, [(0, padded - hidden), (0, 0)]))
    np.testing.assert_array_equal(found[1], np.pad(narrow, [(0, 0), (0, padded - hidden)]))
    depthwise = packed_depthwise(RANDOM.normal(size=(50, 36)))
    assert depthwise.nbytes == KERNELS["wide_block"].launch(1, 1, 1, hidden).constant_bytes[0]
    taps = RANDOM.normal(size=(36, 3, 3)).astype(np.float16)
    np.testing.assert_array_equal(twins.unpacked_taps(packed_taps(taps).reshape(-1)), taps.reshape(36, 9).T)


@pytest.mark.parametrize("size", SIZES)
def test_the_twin_of_the_cost_volume_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """In fp32."""
    batch, rows, columns = size
    features = normal(2 * batch, 224, rows, columns)
    weights = {"proj_cmb.weight": normal(12, 224, 1, 1), "proj_cmb.bias": np.ones(12, np.float32)}
    size_px = Size(batch, 4 * rows, 4 * columns)
    found = run_nodes(lambda b, features: cost_volume(b, features, size_px), weights, {"features": features})
    projected = np.einsum("oi,bihw->bohw", weights["proj_cmb.weight"][:, :, 0, 0], features) + 1
    np.testing.assert_allclose(found, twins.cost_volume(features, projected), atol=1e-4)


def test_the_packed_weight_of_a_convolution_is_the_weight() -> None:
    """Likewise, with zeros for what there is not."""
    weight = RANDOM.normal(size=(28, 30, 3, 3, 3)).astype(np.float16)
    expected = np.zeros((32, 32, 3, 3, 3), np.float16)
    expected[:28, :30] = weight
    np.testing.assert_array_equal(twins.unpacked_convolution(packed_convolution(weight)), expected)


@pytest.mark.parametrize("kind", ["", "add", "gated"])
def test_the_twin_of_the_convolution_is_the_graph(kind: str, run_nodes: Any) -> None:
    """In fp32, with what stands behind it; the batch norm is folded."""
    x, added, features = normal(2, 28, 4, 5, 6), normal(2, 28, 4, 5, 6), normal(2, 8, 5, 6)
    weights = {"c.conv.weight": normal(28, 28, 3, 3, 3) / 20, "c.conv.bias": normal(28), **neutral_norm("c.norm", 28)}
    gate = "g.feat_att"
    weights |= {f"{gate}.0.conv.weight": normal(6, 8, 1, 1), f"{gate}.1.weight": normal(28, 6, 1, 1)}
    weights |= {f"{gate}.1.bias": normal(28), **neutral_norm(f"{gate}.0.norm", 6)}

    def part(b: Builder, x: str, added: str, features: str) -> str:
        if kind == "add":
            return b.relu(b.add(conv(b, x, "c.conv", norm="c.norm"), added))
        return gated(b, basic(b, x, "c"), features, "g") if kind == "gated" else basic(b, x, "c")

    found = run_nodes(part, weights, {"x": x, "added": added, "features": features})
    beside = {}
    if kind == "add":
        beside["residual"] = twins.last(added, 32, 0)
    elif kind == "gated":
        hidden = np.einsum("oi,bihw->bohw", weights[f"{gate}.0.conv.weight"][:, :, 0, 0], features)
        hidden = np.where(hidden < 0, 0.01 * hidden, hidden)
        logits = np.einsum("oi,bihw->bohw", weights[f"{gate}.1.weight"][:, :, 0, 0], hidden)
        gates = 1 / (1 + np.exp(-logits - weights[f"{gate}.1.bias"][:, None, None]))
        beside["gate"] = twins.last(gates, 32, 0)[:, None]
    full = np.zeros((32, 32, 3, 3, 3), np.float32)
    full[:28, :28] = weights["c.conv.weight"]
    bias = np.pad(weights["c.conv.bias"], [(0, 4)])
    expected = twins.convolution(twins.last(x, 32, 0), full, bias, 0 if kind == "add" else 10, **beside)
    np.testing.assert_allclose(found, np.moveaxis(expected[..., :28], -1, 1), atol=1e-4)


@pytest.mark.parametrize("size", [(2, 4, 8), (1, 12, 20)])
def test_the_twin_of_the_enlargement_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """With the sum behind it."""
    batch, rows, columns = size
    coarse, fine = (12, rows // 4, columns // 4), (48, rows, columns)
    feeds = {"coarse": normal(batch, 28, *coarse), "volume": normal(batch, 28, *fine)}

    def part(b: Builder, x: str, volume: str) -> str:
        return b.add(four_times_finer(b, x, coarse, fine), volume)

    np.testing.assert_allclose(run_nodes(part, {}, feeds), twins.finer(*feeds.values()), atol=1e-5)


def test_the_weight_of_taps_is_the_weight() -> None:
    """The twin takes it apart again."""
    weight = RANDOM.normal(size=(1, 28, 3, 3, 3)).astype(np.float16)
    np.testing.assert_array_equal(twins.of_window(of_taps(weight)), weight[0])


def test_the_twin_of_the_first_disparity_is_the_graph(run_nodes: Any) -> None:
    """In fp32, with a bias, which makes no difference."""
    weights = {"classifier.0.weight": normal(1, 28, 3, 3, 3) / 9, "classifier.0.bias": np.float32([3])}
    volume = normal(2, 28, 48, 5, 6)
    found = run_nodes(first_disparity, weights, {"volume": volume})
    np.testing.assert_allclose(found, twins.first_disparity(volume, weights["classifier.0.weight"][0]), atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_twin_of_all_pairs_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """In fp32."""
    batch, rows, columns = size
    features = normal(2 * batch, 224, rows, columns)
    np.testing.assert_allclose(run_nodes(all_pairs, {}, {"features": features}), twins.all_pairs(features), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_the_twin_of_the_upsampling_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """At the image's borders too."""
    batch, rows, columns = size
    feeds = {"logits": 3 * normal(batch, 9, 4 * rows, 4 * columns), "disparity": 30 + normal(batch, 1, rows, columns)}

    def part(b: Builder, logits: str, disparity: str) -> str:
        return weighted_mean(b, logits, disparity, Size(batch, 4 * rows, 4 * columns))

    expected = twins.convex_upsampling(feeds["logits"], feeds["disparity"][:, 0])
    np.testing.assert_allclose(run_nodes(part, {}, feeds), expected, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_the_twin_of_the_look_up_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """With the layer behind it, at borders and outside."""
    batch, rows, columns = size
    name = "update_block.encoder.convc1"
    weights = {f"{name}.weight": normal(56, 522, 1, 1) / 20, f"{name}.bias": normal(56)}
    feeds = {"volume": normal(batch, 28, 48, rows, columns), "pairs": normal(batch, rows, columns, columns)}
    disparity = RANDOM.uniform(-8, 56, (batch, rows, columns)).astype(np.float32)
    disparity.flat[:12] = [0, 47, 46.5, 48, 52.99, 53, -4, -5.5, 1e6, -1e6, columns, 3.999]
    arrays: dict[str, np.ndarray] = {}

    def part(b: Builder, volume: str, pairs: str, disparity: str) -> str:
        result = looked_up(b, tables(b, volume, pairs, Size(batch, 4 * rows, 4 * columns)), disparity, (rows, columns))
        arrays.update(b.arrays)
        return result

    found = run_nodes(part, weights, {**feeds, "disparity": disparity[:, None]})
    weight = sample_weight(arrays[f"{name}.geometry"], arrays[f"{name}.correlation"])
    samples = twins.look_up(disparity, *feeds.values()).reshape(-1, twins.SAMPLES)
    expected = np.maximum(samples @ weight.T + weights[f"{name}.bias"], 0).reshape(batch, rows, columns, 56)
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-4)


def test_the_twin_of_what_is_joined_is_the_graph(run_nodes: Any) -> None:
    """The decoder's: the norm's channels before the others."""
    feeds = {"picture": 3 + normal(2, 24, 7, 9), "fine": normal(2, 12, 7, 9)}

    def part(b: Builder, picture: str, fine: str) -> str:
        return b.concat([b.leaky_relu(instance_norm(b, picture)), fine], axis=1)

    found = run_nodes(part, {}, feeds).transpose(0, 2, 3, 1)
    picture, fine = (array.transpose(0, 2, 3, 1) for array in feeds.values())
    norm = twins.instance_norm(picture, twins.channel_sums(picture, 20), np.zeros(1), 20, 10, 24)
    expected = twins.joined(norm, 24, np.pad(fine, [(0, 0)] * 3 + [(0, 4)], constant_values=np.nan), 12)
    np.testing.assert_allclose(found, expected[..., :36], atol=1e-5)
    assert not expected[..., 36:].any()


def test_the_twin_of_the_join_is_the_graph(run_nodes: Any) -> None:
    """The upsampling's: what is joined begins within a vector of eight."""
    feeds = {"mask": normal(2, 12, 7, 9), "stem": normal(2, 16, 7, 9)}
    found = run_nodes(lambda b, mask, stem: b.concat([b.leaky_relu(mask), stem], axis=1), {}, feeds)
    mask, stem = (array.transpose(0, 2, 3, 1).reshape(-1, array.shape[1]) for array in feeds.values())
    expected = twins.join_leaky(np.pad(mask, [(0, 0), (0, 4)], constant_values=np.nan), stem, 12, 10, 16)
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1).reshape(-1, 28), expected[:, :28], atol=1e-6)
    assert not expected[:, 28:].any()


def test_the_packed_rows_are_the_weight() -> None:
    """Likewise, for even columns and odd ones."""
    weight = RANDOM.normal(size=(18, 7, 7)).astype(np.float16)
    rows = packed_rows(weight)
    assert rows.nbytes == KERNELS["disparity_features"].launch(1, 1, 1).constant_bytes[0]
    np.testing.assert_array_equal(twins.unpacked_rows(rows), weight)


@pytest.mark.parametrize("size", SIZES)
def test_the_twin_of_the_disparity_features_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """Of disparities that are halves; the last two hand them on."""
    disparity = RANDOM.uniform(-8, 56, size).astype(np.float16).astype(np.float32)
    name, learned, bias = "update_block.encoder.convd1", normal(16, 1, 7, 7) / 7, normal(16)
    weights = {f"{name}.weight": learned, f"{name}.bias": bias}
    found = run_nodes(disparity_features, weights, {"disparity": disparity[:, None]})
    handed_on = np.zeros((2, 7, 7), np.float32)
    handed_on[:, 3, 3] = 1, -1
    weight = np.concatenate([learned[:, 0], handed_on])
    expected = twins.disparity_features(disparity, weight, np.pad(bias, (0, 2)))
    assert not expected[..., 18:].any()
    np.testing.assert_allclose(found, expected[..., :18].transpose(0, 3, 1, 2), atol=1e-4)
    np.testing.assert_array_equal(expected[..., 16] - expected[..., 17], disparity)


@pytest.mark.parametrize(("slope", "added"), [(10, False), (0, True)])
def test_the_twin_of_the_norm_is_the_graph(slope: int, added: bool, run_nodes: Any) -> None:
    """In fp32, with what follows it."""
    feeds = {"picture": 3 + normal(2, 24, 7, 9), "residual": normal(2, 24, 7, 9)}

    def part(b: Builder, picture: str, residual: str) -> str:
        norm = instance_norm(b, picture)
        return b.relu(b.add(norm, residual)) if added else b.leaky_relu(norm)

    found = run_nodes(part, {}, feeds)
    picture, residual = (array.transpose(0, 2, 3, 1) for array in feeds.values())
    sums = twins.channel_sums(picture, 20)
    expected = twins.instance_norm(picture, sums, residual * added, 20, slope, 24)
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_the_twin_of_the_attention_is_the_graph(run_nodes: Any) -> None:
    """With the weights in the order in which the kernel takes them."""
    name, volume = "sa.0", normal(2, 28, 12, 2, 3)
    weights = {f"{name}.self_attn.{part}_proj.weight": normal(28, 28) / 4 for part in ("q", "k", "v", "out")}
    weights |= {f"{name}.self_attn.{part}_proj.bias": normal(28) for part in ("q", "k", "v", "out")}
    weights |= {f"{name}.norm{number}.{part}": normal(28) for number in (1, 2) for part in ("weight", "bias")}
    weights |= {f"{name}.linear1.weight": normal(112, 28) / 4, f"{name}.linear1.bias": normal(112)}
    weights |= {f"{name}.linear2.weight": normal(28, 112) / 4, f"{name}.linear2.bias": normal(28)}
    packed: list[np.ndarray] = []

    def part(b: Builder, volume: str) -> str:
        result = head_attention(b, volume, name, (12, 2, 3))
        (layer,) = head_attentions(b.nodes, {one.name: one for one in b.initializers()})
        packed.append(layer.weights)
        assert (layer.volume, list(layer.last.output)) == (volume, [result])
        return result

    found = run_nodes(part, weights, {"volume": volume})
    expected = twins.head_attention(np.moveaxis(volume, 1, -1), packed[0])
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected[..., :28], atol=1e-4)


def test_the_twins_of_the_gru_are_the_graph(run_nodes: Any) -> None:
    """Between convolutions of random weights; the channels of the kernels lie last."""
    units = [f"update_block.gru04.{size}_gru" for size in ("small", "large")]
    weights = {
        "update_block.gru04.conv1.0.weight": normal(168, 160, 1, 1) / 8,
        "update_block.gru04.conv1.0.bias": normal(168),
    }
    for unit in units:
        weights |= {f"{unit}.conv{gate}.weight": normal(60, 168, 1, 1) / 8 for gate in "zr"}
        weights |= {f"{unit}.convq.weight": normal(60, 160, 1, 1) / 8}
        weights |= {f"{unit}.conv{gate}.bias": normal(60) for gate in "zrq"}
    weights["update_block.gru04.conv0.0.weight"] = normal(100, 97, 1, 1) / 8
    feeds = {"hidden": normal(2, 60, 3, 5), "motion": normal(2, 50, 3, 5), "drive": normal(2, 100, 3, 5)}
    feeds["attention"] = RANDOM.uniform(size=(2, 1, 3, 5)).astype(np.float32)

    def part(b: Builder, hidden: str, motion: str, drive: str, attention: str) -> str:
        return updated(b, hidden, motion, Context("", drive, attention))

    found = run_nodes(part, weights, feeds)

    def places(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])

    def convolved(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"][:, :, 0, 0].T + weights.get(f"{name}.bias", np.float32(0))

    hidden = np.pad(places(feeds["hidden"]), [(0, 0), (0, 4)], constant_values=np.nan)
    of_motion = weights["update_block.gru04.conv0.0.weight"][:, 48:, 0, 0]
    of_motion = np.concatenate([of_motion, -of_motion[:, -1:]], 1)
    seen = np.maximum(places(feeds["motion"]) @ of_motion.T + places(feeds["drive"]), 0)
    joined = twins.gru_input(seen, hidden)
    y = np.maximum(convolved(joined, "update_block.gru04.conv1.0"), 0)
    given = []
    for unit in units:
        gates = 1 / (1 + np.exp(-np.concatenate([convolved(y, f"{unit}.conv{gate}") for gate in "zr"], 1)))
        given += [gates, np.tanh(convolved(twins.gru_reset(gates, joined), f"{unit}.convq"))]
    expected = twins.gru_output(*given, hidden, places(feeds["attention"])[:, 0])[:, :60]
    np.testing.assert_allclose(places(found), expected, atol=1e-4)


def neutral_norm(name: str, channels: int) -> dict[str, np.ndarray]:
    """Weights of a batch norm that does nothing."""
    weights = {one: np.zeros(channels, np.float32) for one in ("bias", "running_mean")}
    weights |= {one: np.ones(channels, np.float32) for one in ("weight", "running_var")}
    return {f"{name}.{one}": array for one, array in weights.items()}


HEAD = "update_block.disp_head.conv"


def head_weights(block: int, hidden: int) -> dict[str, np.ndarray]:
    """Of one wide block."""
    shapes = {
        "dwconv.weight": (36, 1, 7, 7), "dwconv.bias": (36,), "pwconv1.weight": (hidden, 36), "pwconv1.bias": (hidden,),
        "pwconv2.weight": (36, hidden), "pwconv2.bias": (36,), "gamma": (36,),
    }  # fmt: skip
    weights = {f"{HEAD}.{block}.{name}": 0.1 * normal(*shape) for name, shape in shapes.items()}
    weights[f"{HEAD}.{block}.gamma"] *= 10
    return weights


@pytest.mark.parametrize("size", [(2, 5, 11), (1, 1, 3)])
def test_the_twin_of_the_wide_block_is_the_graph(size: tuple[int, int, int], run_nodes: Any) -> None:
    """In fp32, but for what the twin rounds to halves as the kernel does."""
    name, picture = f"{HEAD}.2", normal(*size, 36)
    weights = head_weights(2, 50)
    found = run_nodes(
        lambda b, x: b.add(x, wide_block(b, x, name)), weights, {"picture": picture.transpose(0, 3, 1, 2)}
    )
    of = {key.removeprefix(f"{name}."): array for key, array in weights.items()}
    taps = np.concatenate([of["dwconv.weight"].reshape(36, 49).T, of["dwconv.bias"][None]])
    widen = np.concatenate([of["pwconv1.weight"], of["pwconv1.bias"][:, None]], 1)
    narrow = of["gamma"][:, None] * of["pwconv2.weight"]
    expected = twins.wide_block(picture, taps, (widen, narrow), of["gamma"] * of["pwconv2.bias"])
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=2e-3)
    assert np.abs(expected - picture).mean() > 0.05


def test_the_twin_of_the_disparity_step_is_the_graph(run_nodes: Any) -> None:
    """Behind the head's other layers, of which the blocks do nothing here."""
    hidden, disparity = normal(2, 60, 5, 11), 20 + normal(2, 5, 11)
    weights = {
        **head_weights(2, 4), **head_weights(3, 4),
        f"{HEAD}.0.weight": normal(36, 60, 3, 3), f"{HEAD}.0.bias": normal(36),
        f"{HEAD}.4.weight": normal(1, 36, 3, 3), f"{HEAD}.4.bias": normal(1),
    }  # fmt: skip
    for block in (2, 3):
        weights[f"{HEAD}.{block}.gamma"] *= 0
    first = run_nodes(lambda b, x: b.relu(conv(b, x, f"{HEAD}.0")), weights, {"hidden": hidden})
    found = run_nodes(
        lambda b, d, h: b.add(d, correction(b, h)), weights, {"disparity": disparity[:, None], "hidden": hidden}
    )
    weight = weights[f"{HEAD}.4.weight"].reshape(36, 9).T
    expected = twins.disparity_step(first.transpose(0, 2, 3, 1), disparity, weight, weights[f"{HEAD}.4.bias"])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-3)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def run_nodes() -> Callable[..., np.ndarray]:
    """What a function of the graph's makes of arrays, in ONNX Runtime."""
    import onnxruntime

    def run(function: Callable[..., str], weights: dict[str, np.ndarray], feeds: dict[str, np.ndarray]) -> np.ndarray:
        b, make = Builder(weights), onnx.helper
        found = function(b, *feeds)
        b.nodes.append(make.make_node("Identity", [found], ["found"]))
        inputs = [make.make_tensor_value_info(name, 1, array.shape) for name, array in feeds.items()]
        graph = make.make_graph(b.nodes, "part", inputs, [onnx.ValueInfoProto(name="found")], b.initializers())
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        content = onnx.shape_inference.infer_shapes(model).SerializeToString()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, feeds)[0])

    return run
