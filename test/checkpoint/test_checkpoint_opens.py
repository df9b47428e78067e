"""Every kind of file that users have opens to the same arrays that torch.load gives."""

from __future__ import annotations

import argparse
import collections
import enum
import hashlib
import pathlib
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import (
    EMPTY_TUPLE,
    FALSE,
    ONE,
    PROTOCOL2,
    STOP,
    TRUE,
    call,
    dict_of,
    glob,
    live_tensors,
    number,
    storage,
    tensor,
    tuple_of,
    upstream_names,
    write_zip,
)

from ffs_ros.checkpoint import Checkpoint, open_checkpoint
from ffs_ros.checkpoint.table import live_shapes
from ffs_ros.errors import CheckpointError

torch = pytest.importorskip("torch")


def assert_equal(checkpoint: Checkpoint, expected: dict[str, Any]) -> None:
    """The arrays are float32, C-contiguous and bit for bit the expected tensors (TAO names)."""
    assert set(checkpoint.tensors) == set(live_shapes())
    for name, array in checkpoint.tensors.items():
        assert (array.dtype, array.flags.c_contiguous) == (np.float32, True), name
        wanted = np.asarray(expected[name].float() if torch.is_tensor(expected[name]) else expected[name])
        assert np.array_equal(array, wanted), name


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """A state dict in TAO naming whose tensors each repeat one number of their own, so that files stay small."""
    return {
        name: torch.tensor(0.01 * (index + 1)).expand(shape)
        for index, (name, shape) in enumerate(live_shapes().items())
    }


@pytest.fixture(scope="module")
def upstream(small: dict[str, Any]) -> dict[str, Any]:
    """The same under the released file's names, with what that file carries besides."""
    named = {upstream_names()[name]: tensor for name, tensor in small.items()}
    named["dx"] = torch.arange(-4, 5, dtype=torch.int8).reshape(1, 1, 9, 1)
    named["cost_agg.agg_0.0.conv.weight"] = torch.ones(3)  # dead, and even of another shape
    named["cost_agg.conv1_up.bn.num_batches_tracked"] = torch.tensor(7)
    return named


@pytest.fixture(scope="module")
def random_weights() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(shape, generator=generator) for name, shape in live_shapes().items()}


def test_released_layout_equals_the_plain_state_dict(shared: Path, tmp_path: Path) -> None:
    """The whole-module pickle in the released file's layout gives the plain state dict, bit for bit."""
    conformance = shared / "conformance"
    path = tmp_path / "model_best_bp2_serialize.pth"
    arguments, sys.argv = sys.argv, ["restore.py", str(path)]
    try:
        make_checkpoint = runpy.run_path(str(conformance / "upstream_module" / "restore.py"))["make_checkpoint"]
    finally:
        sys.argv = arguments
        sys.path.remove(str(conformance))
    checkpoint = open_checkpoint(path)
    assert_equal(checkpoint, make_checkpoint.state_dict(naming="tao"))
    assert (checkpoint.layout, checkpoint.naming, checkpoint.container) == ("whole module", "upstream", "torch zip")
    assert (checkpoint.parameters, checkpoint.stored_parameters) == (14_600_541, 17_654_857)
    assert checkpoint.settings["max_disp"] == 192
    assert checkpoint.settings["hidden_dims"] == [128]
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not checkpoint.is_released_file


@pytest.mark.parametrize(
    ("wrapper", "prefix", "new_zip"),
    [
        (None, "", True), (None, "", False), ("model", "module.", True), ("model_state_dict", "", False),
        ("state_dict", "model.", True), ("state_dict", "model.module.", True), ("state_dict", "model.", False),
    ],
)  # fmt: skip
def test_layouts_of_torch_files(
    small: dict[str, Any], upstream: dict[str, Any], tmp_path: Path, wrapper: str | None, prefix: str, new_zip: bool
) -> None:
    """State dicts in either naming, with any usual prefix, bare or wrapped, in either torch container."""
    for naming, named in (("TAO", small), ("upstream", upstream)):
        payload: Any = {prefix + name: held for name, held in named.items()}
        payload = {wrapper: payload} if wrapper else payload
        path = tmp_path / f"{naming}.pth"
        torch.save(payload, path, _use_new_zipfile_serialization=new_zip)
        checkpoint = open_checkpoint(path)
        assert_equal(checkpoint, small)
        assert checkpoint.naming.startswith(naming)
        assert checkpoint.container == ("torch zip" if new_zip else "torch legacy")
        assert prefix in checkpoint.naming
        assert checkpoint.layout == (f"state dict, in its entry '{wrapper}'" if wrapper else "state dict")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_that_torch_writes(small: dict[str, Any], tmp_path: Path, protocol: int) -> None:
    """torch.save with a newer pickle protocol gives the same tensors."""
    path = tmp_path / "p.pth"
    torch.save(collections.OrderedDict(small), path, pickle_protocol=protocol)
    assert_equal(open_checkpoint(path), small)


@pytest.mark.parametrize("new_zip", [True, False], ids=["zip", "legacy"])
def test_full_weights_with_views_and_shared_storages(
    random_weights: dict[str, Any], tmp_path: Path, new_zip: bool
) -> None:
    """Non-contiguous, sliced and shared tensors come out as torch.load reads them."""
    weights = dict(random_weights)
    block = torch.rand(3, 28, 28).transpose(1, 2)
    weights["cost_agg.post8_to_4.upsample.1.sa.0.self_attn.q_proj.weight"] = block[1]
    weights["cost_agg.post8_to_4.upsample.1.sa.0.self_attn.k_proj.weight"] = block[2]
    weights["cam.fc.0.weight"] = torch.rand(20, 48, 1, 1)[3:19:2]
    weights["cnet.conv04.0.conv.weight"] = weights["cnet.conv04.0.conv.weight"].to(memory_format=torch.channels_last)
    path = tmp_path / "full.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=new_zip)
    assert_equal(open_checkpoint(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("new_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions_become_float32(small: dict[str, Any], tmp_path: Path, dtype: str, new_zip: bool) -> None:
    """fp16, bf16 and fp64 weights are converted exactly as torch converts them, and the file's dtype is told."""
    path = tmp_path / "half.pth"
    torch.save(
        {n: w[(slice(0, 1),) * w.dim()].to(getattr(torch, dtype)).expand(w.shape) for n, w in small.items()},
        path,
        _use_new_zipfile_serialization=new_zip,
    )  # fmt: skip
    checkpoint = open_checkpoint(path)
    assert_equal(checkpoint, torch.load(path, weights_only=True))
    assert checkpoint.stored_dtypes == (dtype,)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_safetensors(random_weights: dict[str, Any], tmp_path: Path, dtype: str) -> None:
    """A safetensors file opens without its package, and its notes become settings."""
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "w.safetensors"
    weights = {name: held.to(getattr(torch, dtype)) for name, held in random_weights.items()}
    safetensors.save_file(weights, path, metadata={"trained_on": "FSD"})
    checkpoint = open_checkpoint(path)
    assert_equal(checkpoint, weights)
    assert (checkpoint.container, checkpoint.settings) == ("safetensors", {"trained_on": "FSD"})


def test_big_endian_numbers(tmp_path: Path) -> None:
    """A zip that says its byte order is big is read in that order."""
    pickle = PROTOCOL2 + dict_of(live_tensors()) + STOP
    path = write_zip(tmp_path / "big.pth", pickle, {"0": ONE["0"][::-1]}, byteorder="big")
    assert open_checkpoint(path).tensors["proj_cmb.bias"].tolist() == [0.5] * 12


class _AttributeDict(dict):
    """Like Lightning's hyper-parameters."""


class _Mode(enum.Enum):
    BEST = "min"


class _Callback:
    """Like a training framework's callback: state, slots' tuple, a bound method, a function, a path."""

    def __init__(self) -> None:
        self.path = pathlib.PurePosixPath("/results/run 1")
        self.mode = _Mode.BEST
        self.seen = {1, 2, 3}
        self.method = self.on_end
        self.function = np.mean
        self.queue = collections.deque([1, 2], maxlen=5)

    def on_end(self) -> None:
        raise AssertionError("something of the file was run")

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("something of the file was run")


def _omegaconf_like(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand-ins at omegaconf's module path, with its state layout and its cycles (_parent)."""
    module = types.ModuleType("omegaconf.dictconfig")
    config = type("DictConfig", (), {"__module__": module.__name__, "__qualname__": "DictConfig"})
    module.DictConfig = config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    outer, inner = config(), config()
    inner.__dict__.update(_content={"gwc_feature_normalize": True, "max_disparity": 192}, _parent=outer)
    outer.__dict__.update(_content={"model": inner, "name": "run"}, _parent=None)
    return outer


@pytest.mark.parametrize("new_zip", [True, False], ids=["zip", "legacy"])
def test_lightning_file_with_everything_that_trainings_put_in(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_zip: bool
) -> None:
    """Callbacks, namespaces, NumPy scalars, paths, enums and configs stay inert data; the tensors come out."""
    hyper = _AttributeDict(
        experiment=_omegaconf_like(monkeypatch), lr=np.float64(1e-5), steps=np.int32(3), root=Path("/data")
    )
    path = tmp_path / "model_epoch_000_step_00100.pth"
    torch.save(
        {
            "epoch": 0,
            "global_step": 100,
            "pytorch-lightning_version": "2.5.0",
            "tao_model": "depth_net",
            "state_dict": collections.OrderedDict((f"model.module.{name}", held) for name, held in small.items()),
            "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {"best": torch.tensor(1.5)}, "own": _Callback()},
            "optimizer_states": [{"state": {0: {"step": torch.tensor(9.0), "exp_avg": torch.zeros(3)}}}],
            "lr_schedulers": [{"last": np.arange(3), "device": torch.device("cpu"), "dtype": torch.float16}],
            "hyper_parameters": hyper,
            "hparams_name": "kwargs",
            "args": argparse.Namespace(a=1, b=[2, (3,)]),
            "loops": {"fit_loop": {"state_dict": {}}},
            "random": {"numpy": np.random.default_rng(1).bit_generator.state, "torch": torch.get_rng_state()},
        },
        path,
        _use_new_zipfile_serialization=new_zip,
    )
    monkeypatch.delitem(sys.modules, "omegaconf.dictconfig")
    checkpoint = open_checkpoint(path)
    assert_equal(checkpoint, small)
    assert checkpoint.layout == "Lightning, in its entry 'state_dict'"
    assert checkpoint.settings["global_step"] == 100
    experiment = checkpoint.settings["hyper_parameters"]["experiment"]
    assert experiment == {"model": {"gwc_feature_normalize": True, "max_disparity": 192}, "name": "run"}


@pytest.fixture
def upstream_classes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A torch.nn.Module class at the released network's import path, as the writer of such a file has it."""
    module = types.ModuleType("core.foundation_stereo")
    kind = type("FastFoundationStereo", (torch.nn.Module,), {"__module__": module.__name__})
    module.FastFoundationStereo = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "core", types.ModuleType("core"))
    monkeypatch.setitem(sys.modules, "core.foundation_stereo", module)
    return kind


@pytest.mark.parametrize("new_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_whole_module_saved_by_torch(
    small: dict[str, Any], upstream_classes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_zip: bool
) -> None:
    """torch.save(module) opens where the module's classes do not exist; non-persistent buffers are no weights."""
    root = upstream_classes()
    for name, held in small.items():
        owner = root
        *parents, leaf = name.split(".")
        for parent in parents:
            if parent not in owner._modules:
                owner.add_module(parent, torch.nn.Sequential())
            owner = owner._modules[parent]
        if leaf.startswith("running_"):
            owner.register_buffer(leaf, held)
        else:
            owner.register_parameter(leaf, torch.nn.Parameter(held))
    root.register_buffer("scratch", torch.zeros(3), persistent=False)
    root.register_parameter("absent", None)
    root.args = {"max_disp": 192, "corr_levels": 2}
    path = tmp_path / "module.pth"
    torch.save({"model": root} if new_zip else root, path, _use_new_zipfile_serialization=new_zip)
    monkeypatch.delitem(sys.modules, "core.foundation_stereo")
    checkpoint = open_checkpoint(path)
    assert_equal(checkpoint, small)
    assert checkpoint.layout.startswith("whole module")
    assert checkpoint.settings == {"max_disp": 192, "corr_levels": 2}


def test_released_file_is_known_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash decides whether a file is the released one."""
    path = write_zip(tmp_path / "m.pth", PROTOCOL2 + dict_of(live_tensors()) + STOP, ONE)
    monkeypatch.setattr("ffs_ros.checkpoint.recognise.RELEASED_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert open_checkpoint(path).is_released_file


def test_the_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reading serves the hash and the weights, so that nobody can swap the file in between."""
    path = write_zip(tmp_path / "m.pth", PROTOCOL2 + dict_of(live_tensors()) + STOP, ONE)
    opened: list[Path] = []
    really_open = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *mode: opened.append(self) or really_open(self, *mode))
    open_checkpoint(path)
    assert opened == [path]


def test_negated_view_is_not_read_as_if_it_were_not(tmp_path: Path) -> None:
    """A tensor that torch stores as "negated view" is refused, for its bytes alone have the wrong sign."""
    shape = tuple_of(number(12))
    negated = call(
        glob("torch._utils", "_rebuild_tensor_v2"), storage("1", 12), number(0), shape, tuple_of(number(1)), FALSE,
        EMPTY_TUPLE, dict_of({"neg": TRUE}),
    )  # fmt: skip
    path = write_zip(
        tmp_path / "n.pth",
        PROTOCOL2 + dict_of(live_tensors(**{"proj_cmb.bias": negated})) + STOP,
        {**ONE, "1": bytes(48)},
    )
    with pytest.raises(CheckpointError, match="is stored negated or conjugated"):
        open_checkpoint(path)


def test_zero_stride_and_offset_views(tmp_path: Path) -> None:
    """Strides and offsets are elements of the storage, not bytes: a transposed window of 0, 1, 2, ...."""
    window = tensor(storage("1", 1000), (8, 48, 1, 1), (1, 20, 7, 7), offset=5)
    path = write_zip(
        tmp_path / "w.pth",
        PROTOCOL2 + dict_of(live_tensors(**{"cam.fc.0.weight": window})) + STOP,
        {**ONE, "1": np.arange(1000, dtype="<f4").tobytes()},
    )
    expected = 5 + np.arange(8)[:, None] + 20 * np.arange(48)[None, :]
    assert np.array_equal(open_checkpoint(path).tensors["cam.fc.0.weight"][:, :, 0, 0], expected)
