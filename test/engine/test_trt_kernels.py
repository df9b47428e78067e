"""An engine with kernels between its plans: cut out of the graph, run in their turns, with the answer of the whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeGpu, fake_manifest
from reference_tensorrt import ReferenceTensorRt

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from ffs_ros.checkpoint import open_checkpoint  # noqa: E402
from ffs_ros.engine import EngineInfo, TensorSpec  # noqa: E402
from ffs_ros.engine.cuda import Module, Start  # noqa: E402
from ffs_ros.engine.kernel_calls import prepared, unfit  # noqa: E402
from ffs_ros.engine.kernel_launches import KERNELS  # noqa: E402
from ffs_ros.engine.manifest import install, manifest_path, read_engine  # noqa: E402
from ffs_ros.engine.parts import as_notes, contents, parts_from  # noqa: E402
from ffs_ros.engine.trt import TrtEngine  # noqa: E402
from ffs_ros.engine.trt_build import Built, Settings, Source, build  # noqa: E402
from ffs_ros.engine.trt_versions import TensorRt  # noqa: E402
from ffs_ros.errors import EngineError  # noqa: E402
from ffs_ros.graph.model import build_model  # noqa: E402
from ffs_ros.graph.parts import parts_of  # noqa: E402
from ffs_ros.weights import WEIGHTS  # noqa: E402

SIZE = (64, 96)
INFO = EngineInfo("kernels.engine", "reference", 192.0, 32)
SETTINGS = Settings("fp16", True, 1.0, 3, None)
NORM, NORM_ADD, NORM_JOIN = (["channel_sums", f"instance_norm{one}"] for one in ("", "_add", "_join"))
BEFORE = {
    "decoder.2": [*NORM_JOIN, *NORM], "decoder.3": NORM * 2, "decoder.4": NORM_ADD,
    "decoder.5": NORM_JOIN, "decoder.6": NORM, "decoder.7": NORM_ADD,
    "decoder.8": NORM_JOIN, "decoder.9": NORM, "decoder.10": NORM_ADD,
    "volume_stem": ["cost_volume", "volume_convolution"],
    "volume_up": [], "context": ["all_pairs"],
    "iteration.1": ["look_up_convc1", "disparity_features"],
    "iteration.2": ["gru_input"], "iteration.3": ["gru_reset"] * 2, "iteration.4": ["gru_output"],
    "upsampling.2": ["join_leaky"],
}  # fmt: skip
"""The kernels that run before a part; those of the stem at 1/2 beside the first two of the decoder's."""
AFTER = {
    "volume_stem": ["volume_convolution_gated"],
    "volume_up": [
        "head_attention", "four_times_finer", "volume_convolution", "volume_convolution", "volume_convolution_add",
        "first_disparity",
    ],
    "upsampling.2": ["convex_upsampling"],
    "iteration.4": ["wide_block", "wide_block", "disparity_step"],
}  # fmt: skip
CALLED = [name for part in BEFORE for name in (*BEFORE[part], *AFTER.get(part, []))]


@pytest.fixture(scope="module")
def network() -> Any:
    return build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 3, precision="fp16")


@pytest.fixture
def module() -> ReferenceTensorRt:
    FakeGpu.held = 0
    return ReferenceTensorRt()


@pytest.fixture
def built(module: ReferenceTensorRt, network: Any, tmp_path: Path) -> Built:
    sources = [
        Source(*part[:5], *([prepared(*call) for call in calls] for calls in part[5:7]), part.channels_last)
        for part in parts_of(network, kernels=True) or []
    ]
    module.gpu = FakeGpu()
    return build(TensorRt("tensorrt", module), None, tmp_path / "m.onnx", sources, SETTINGS, lambda share: True)


class GpuOfCompiledKernels(FakeGpu):
    """Runs the kernels themselves, compiled for the CPU, through the package's own calls of the driver.

    But not the convolutions of 48 planes, which take a minute there; test_kernels.py has fewer planes.
    """

    library: str

    def kernel(self, ptx: bytes, name: str) -> Start:
        if name.startswith("volume_convolution"):
            return super().kernel(ptx, name)
        module = Module(self.stream, ptx, name, self.library)

        def start(grid: Sequence[int], threads: int, addresses: Sequence[int], numbers: Sequence[int]) -> None:
            assert addresses[-1] not in addresses[:-1], "reads what it writes"
            places = [FakeGpu.memory[address].ctypes.data for address in addresses]
            self.do(lambda: module.start(grid, threads, places, numbers))

        return start


def opened(module: ReferenceTensorRt, gpu: FakeGpu, one: Built) -> TrtEngine:
    module.gpu = gpu
    return TrtEngine(TensorRt("tensorrt", module), gpu, one.plan, INFO, one.parts)


def pair(seed: int) -> dict[str, np.ndarray]:
    """Two images of large squares that have nothing in common, so that every iteration moves the disparity far."""
    squares = np.random.default_rng(seed).integers(0, 256, (2, 1, SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8)
    left, right = squares.repeat(8, axis=2).repeat(8, axis=3)
    return {"left": left, "right": right}


def check_answers(module: ReferenceTensorRt, network: Any, one: Built, gpu: FakeGpu) -> None:
    """Also the second time, when the buffers hold what the first left."""
    whole = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    with opened(module, gpu, one) as engine:
        assert list(engine.inputs) == ["left", "right"]
        assert list(engine.outputs) == ["disparity"]
        for seed in (1, 2):
            answer, expected = engine.infer(pair(seed))["disparity"], whole.run(["disparity"], pair(seed))[0]
            assert expected.mean() > 1
            off = np.abs(answer - expected)
            assert (
                off.mean() < 0.015
            )  # 0.03 and more where a kernel reads an older disparity, or a tap is another one's
            assert off.max() < 0.3
    assert FakeGpu.held == 0


def test_it_answers_as_the_whole_graph(module: ReferenceTensorRt, network: Any, built: Built) -> None:
    """Within what halves round; each kernel is in its place."""
    assert {one.name: [call.kernel for call in one.before] for one in built.parts if one.before or one.after} == BEFORE
    assert {one.name: [call.kernel for call in one.after] for one in built.parts if one.after} == AFTER
    FakeGpu.kernels.clear()
    check_answers(module, network, built, FakeGpu())
    assert FakeGpu.kernels == CALLED


def test_the_kernels_themselves_answer_so(
    module: ReferenceTensorRt, network: Any, built: Built, kernels_on_cpu: Path
) -> None:
    """As compiled for the CPU, with the arguments that the engine gives to the driver."""
    gpu = GpuOfCompiledKernels()
    gpu.library = str(kernels_on_cpu)
    check_answers(module, network, built, gpu)


def test_each_kernel_matters(module: ReferenceTensorRt, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose kernel makes nothing of sense answers otherwise: the tests above would notice."""
    with opened(module, FakeGpu(), built) as engine:
        right = engine.infer(pair(1))["disparity"]
        for name in KERNELS:
            monkeypatch.setattr(FakeGpu, "broken", name)
            off = np.abs(engine.infer(pair(1))["disparity"] - right).mean()
            assert off > 0.05 or np.isnan(off), name


def test_nothing_that_kernels_replace_is_built(module: ReferenceTensorRt, network: Any, built: Built) -> None:
    """No tables, no positions, no integers; every input of a plan is an image, or made before; every output is read."""
    graphs = [onnx.load_model_from_string(content) for content in module.built]
    inner = [one for one in graphs if one.graph.name.startswith(("volume_stem", "context", "iteration"))]
    operators = {node.op_type for one in inner for node in one.graph.node}
    assert operators.isdisjoint({"Gather", "Floor", "Expand", "Pad", "ConstantOfShape", "Min"})
    assert sum(len(one.graph.node) for one in graphs[1:]) < 400
    ends = "volume/hourglass/end/", "volume/Conv", "volume/Softmax"
    assert not any(node.name.startswith(ends) for one in graphs for node in one.graph.node)
    made = {"left", "right"}
    read = {"disparity"}
    for part, one in zip(built.parts, graphs, strict=True):
        onnx.checker.check_model(one, full_check=True)
        for call in part.before:
            assert made.issuperset(call.reads)
            made.add(call.writes)
        assert made.issuperset(value.name for value in one.graph.input)
        made.update(value.name for value in one.graph.output)
        for call in part.after:
            assert made.issuperset(call.reads)
            made.add(call.writes)
        read |= {name for call in part.calls for name in call.reads} | set(part.carried.values())
        read |= {value.name for value in one.graph.input}
    assert made == read
    used = {name for one in graphs for node in one.graph.node for name in node.input}
    assert {tensor.name for one in graphs for tensor in one.graph.initializer} <= used


def test_other_graphs_have_no_place_for_kernels(network: Any) -> None:
    """fp32, and what is not named as ours; a single iteration has."""
    assert parts_of(build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 1), kernels=True) is None
    single = parts_of(build_model(open_checkpoint(WEIGHTS).tensors, SIZE, 1, precision="fp16"), kernels=True) or []
    assert [call.kernel for part in single for call in (*part.before, *part.after)] == CALLED
    assert {*CALLED} == {*KERNELS}
    other = onnx.ModelProto()
    other.CopyFrom(network)
    next(one for one in other.graph.node if one.name.startswith("tables/MatMul")).name = "volume/MatMul_1"
    assert parts_of(other, kernels=True) is None
    other.CopyFrom(network)
    right = next(one for one in other.graph.node if one.name.startswith("tables/Transpose") and one.input[0][-1] == "1")
    right.input[0] = f"{right.input[0][:-1]}0"  # left pixels with left ones
    assert parts_of(other, kernels=True) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_another_enlargement_has_no_place_for_a_kernel(network: Any, axis: int) -> None:
    """By other weights along one axis: columns, rows or planes."""
    other = onnx.ModelProto()
    other.CopyFrom(network)
    product = [one for one in other.graph.node if one.name.startswith("volume/hourglass/end/MatMul")][axis]
    weight = next(one for one in other.graph.initializer if one.name in product.input)
    changed = onnx.numpy_helper.to_array(weight).copy()
    changed[0, 0] = 0.5
    weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
    assert parts_of(network, kernels=True) is not None
    assert parts_of(other, kernels=True) is None


@pytest.mark.parametrize(("scope", "index"), [("volume", 1), ("volume", 47), ("upsampling", 0)])
def test_another_mean_has_no_place_for_a_kernel(network: Any, scope: str, index: int) -> None:
    """One that counts its planes otherwise, or takes other pixels for those of the images."""
    other = onnx.ModelProto()
    other.CopyFrom(network)
    product = next(one for one in other.graph.node if one.name.startswith(f"{scope}/Mul"))
    factors = next(one for one in other.graph.initializer if one.name in product.input)
    changed = onnx.numpy_helper.to_array(factors).copy()
    changed.reshape(-1)[index] += 0.5
    factors.CopyFrom(onnx.numpy_helper.from_array(changed, factors.name))
    assert parts_of(other, kernels=True) is None


def test_the_manifest_knows_the_kernels(built: Built, tmp_path: Path) -> None:
    """Written and read, with the content of each in the file; what is edited is refused in words."""
    path = tmp_path / "one.engine"
    repeat = max(part.repeat for part in built.parts)
    install(path, built.plan, fake_manifest(built.plan, parts=as_notes(built.parts), iterations=repeat))
    manifest, plan = read_engine(path)
    assert as_notes(parts_from(manifest.parts, len(plan), repeat)) == as_notes(built.parts)
    texts = [content for content in contents(plan, built.parts) if b".entry" in content]
    assert len(texts) == len(CALLED)
    content = json.loads(manifest_path(path).read_text())

    def edited(change: Callable[[dict[str, Any]], None]) -> str:
        copy = json.loads(json.dumps(content))
        change(next(part for part in copy["parts"] if part["name"] == "volume_stem")["before"][0])
        manifest_path(path).write_text(json.dumps(copy))
        with pytest.raises(EngineError, match="is not what ffs build-engine wrote") as error:
            read_engine(path)
        return str(error.value)

    assert "part volume_stem calls 'sort', which is no kernel of this version" in edited(
        lambda one: one.update(kernel="sort")
    )
    assert "entries of a kernel are missing" in edited(lambda one: one.pop("writes"))
    assert "calls cost_volume for a size of [1, 16]" in edited(lambda one: one.update(size=[1, 16]))
    assert "calls cost_volume on ['x'] into" in edited(lambda one: one.update(reads=["x"]))
    assert "calls cost_volume of 0 bytes" in edited(lambda one: one.update(nbytes=0))
    assert "the parts do not make up the engine" in edited(lambda one: one.update(nbytes=one["nbytes"] + 1))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"size": [1, 16, 32]}, "'decoder/.*', which kernel cost_volume reads, is not made before it as it reads it"),
        ({"reads": ["left", "right"]}, "'left', which kernel cost_volume reads, is not made before it"),
        ({"writes": "disparity"}, "two of them write the same"),
        ({"writes": "elsewhere"}, "'elsewhere', which kernel cost_volume writes, is read by none of them"),
    ],
)
def test_kernels_that_do_not_fit_their_plans(
    module: ReferenceTensorRt, built: Built, change: dict[str, Any], fault: str
) -> None:
    """A kernel reads and writes behind the ends of what is smaller than it believes: the engine does not open."""
    parts = [
        part._replace(before=[part.before[0]._replace(**change), *part.before[1:]])
        if part.name == "volume_stem"
        else part
        for part in built.parts
    ]
    with pytest.raises(EngineError, match=fault):
        opened(module, FakeGpu(), built._replace(parts=parts))
    assert FakeGpu.held == 0


def test_what_the_engine_gives_is_a_kernel_s(module: ReferenceTensorRt, built: Built) -> None:
    """By whatever name, in the shape in which the kernel writes it, which must fit what it reads."""

    def changed(**change: Any) -> Built:
        *others, end = built.parts
        return built._replace(parts=[*others, end._replace(after=[end.after[0]._replace(**change)])])

    spec = TensorSpec((1, 1, *SIZE), np.dtype(np.float32))
    with opened(module, FakeGpu(), changed()) as engine, opened(module, FakeGpu(), changed(writes="other")) as other:
        assert (engine.outputs, other.outputs) == ({"disparity": spec}, {"other": spec})
        np.testing.assert_array_equal(engine.infer(pair(1))["disparity"], other.infer(pair(1))["other"])
    for change in ({"size": [1, 16, 32]}, {"reads": built.parts[-1].after[0].reads[::-1]}):
        with pytest.raises(EngineError, match="which kernel convex_upsampling reads, is not made before it as it"):
            opened(module, FakeGpu(), changed(**change))
    assert FakeGpu.held == 0


def test_memory_that_is_short_for_kernels(module: ReferenceTensorRt, built: Built) -> None:
    """What they hold counts as what the engine needs."""
    with pytest.raises(EngineError, match=r"needs \d+ MB of GPU memory and 0 MB were free"):
        opened(module, FakeGpu(free=100), built)
    assert FakeGpu.held == 0


def test_gpus_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, old ones, and drivers that cannot compile them."""
    assert unfit(FakeGpu()) is None
    old = FakeGpu("Tesla T4")
    old.compute_capability = "7.5"
    assert unfit(old) == "Tesla T4 has compute capability 7.5, less than 8.0"
    assert unfit(None) == "there is no GPU here"

    def refused(self: FakeGpu, ptx: bytes, name: str) -> Start:
        raise EngineError("the driver cannot load it")

    monkeypatch.setattr(FakeGpu, "kernel", refused)
    assert unfit(FakeGpu()) == "the driver cannot load it"
