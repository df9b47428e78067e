"""Files that mean no harm and are not the bp2 network: what differs is listed, what they probably are is said."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from checkpoint_files import (
    FALSE,
    NONE,
    ONE,
    PROTOCOL2,
    STOP,
    TRUE,
    Refusal,
    call,
    dict_of,
    glob,
    live_tensors,
    new,
    number,
    storage,
    tensor,
    text,
    upstream_names,
    whole_network,
    write_legacy,
    write_zip,
)

from ffs_ros.checkpoint import open_checkpoint, recognise
from ffs_ros.errors import CheckpointError, FileError

BIAS = "proj_cmb.bias"


def write(path: Path, payload: bytes, **storages: bytes) -> Path:
    return write_zip(path, PROTOCOL2 + payload + STOP, {**ONE, **storages})


def one_number(value: float, kind: str = "FloatStorage", code: str = "<f") -> tuple[bytes, bytes]:
    """(tensor of the shape of ``BIAS``, its storage "1")."""
    return tensor(storage("1", 1, kind), (12,), (0,)), struct.pack(code, value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({BIAS: None}, r"1 missing \(proj_cmb\.bias\); it is probably a sibling.*23-36-37, 20-26-39 and 20-30-48"),
        (
            {BIAS: tensor(storage("0", 1), (16,), (0,)), "x.y": tensor(storage("0", 1), (), ())},
            r"1 of another shape \(proj_cmb\.bias \[16\] instead of \[12\]\); 1 unknown \(x\.y\); .* a sibling",
        ),
        (
            dict.fromkeys(["cam.fc.0.weight", "cam.fc.2.weight", "sam.samconv.weight", BIAS]),
            r"4 missing \(proj_cmb\.bias, cam\.fc\.0\.weight, cam\.fc\.2\.weight, \.\.\.\)",
        ),
        (
            {"feature.dino.blocks.0.norm1.weight": tensor(storage("0", 1), (8,), (0,))},
            r"1 unknown \(feature\.dino\.blocks\.0\.norm1\.weight\); it is probably a full FoundationStereo",
        ),
        (
            {"no.norm.num_batches_tracked": tensor(storage("0", 1), (), ())},
            r"1 unknown \(no\.norm\.num_batches_tracked\)",
        ),
        ({BIAS: text("12 numbers")}, r"its entry 'proj_cmb\.bias' is no named tensor"),
    ],
)
def test_tensors_that_do_not_fit(
    changes: dict[str, bytes | None], sentence: str, tmp_path: Path, assert_refused: Refusal
) -> None:
    """Missing, misshapen and unknown tensors are counted, the first named, and the likely network told."""
    assert_refused(write(tmp_path / "m.pth", dict_of(live_tensors(**changes))), sentence)


def test_a_name_without_the_common_prefix_is_unknown(tmp_path: Path, assert_refused: Refusal) -> None:
    """Weights of a second model beside ours (``ema.``, or ours without the prefix) are not quietly mixed in."""
    named = {f"model.{name}": held for name, held in live_tensors(**{BIAS: None}).items()}
    path = write(tmp_path / "m.pth", dict_of({**named, BIAS: tensor(storage("0", 1), (12,), (0,))}))
    assert_refused(path, r"1 missing \(proj_cmb\.bias\); 1 unknown \(proj_cmb\.bias\)")


def test_another_network(tmp_path: Path, assert_refused: Refusal) -> None:
    """A classifier's weights are no stereo network's."""
    held = tensor(storage("0", 1), (1,), (1,))
    path = write(tmp_path / "m.pth", dict_of({"conv1.weight": held, "fc.bias": held}))
    assert_refused(
        path, r"its 2 tensors \(conv1\.weight, fc\.bias, \.\.\.\).*another network, not a Fast-FoundationStereo"
    )


@pytest.mark.parametrize(
    ("value", "kind", "code", "sentence"),
    [
        (float("nan"), "FloatStorage", "<f", r"proj_cmb\.bias holds NaN, infinity or numbers too large"),
        (float("-inf"), "HalfStorage", "<e", r"proj_cmb\.bias holds NaN, infinity or numbers too large"),
        (1e300, "DoubleStorage", "<d", r"proj_cmb\.bias holds NaN, infinity or numbers too large"),
        (3, "LongStorage", "<q", r"proj_cmb\.bias holds int64 numbers; expected floating-point weights"),
        (True, "BoolStorage", "<?", r"proj_cmb\.bias holds bool numbers"),
    ],
)
def test_numbers_that_are_no_weights(
    value: float, kind: str, code: str, sentence: str, tmp_path: Path, assert_refused: Refusal
) -> None:
    """NaN, infinity, numbers beyond float32 and integers are refused by the tensor's name."""
    held, data = one_number(value, kind, code)
    assert_refused(write(tmp_path / "m.pth", dict_of(live_tensors(**{BIAS: held})), **{"1": data}), sentence)


def test_one_nan_in_a_large_tensor_is_found(tmp_path: Path, assert_refused: Refusal) -> None:
    """The last of 812,544 weights is looked at too."""
    held = tensor(storage("1", 304 * 160 * 16), (304, 160, 4, 4), (2560, 16, 4, 1))
    data = bytes(4 * (304 * 160 * 16 - 1)) + struct.pack("<f", float("nan"))
    tensors = live_tensors(**{"feature.deconv32_16.conv1.conv.weight": held})
    assert_refused(
        write(tmp_path / "m.pth", dict_of(tensors), **{"1": data}), r"deconv32_16\.conv1\.conv\.weight holds NaN"
    )


def test_negative_variance(tmp_path: Path, assert_refused: Refusal) -> None:
    """A batch norm's variance below zero would make NaN of every image."""
    held = tensor(storage("1", 1), (60,), (0,))
    tensors = live_tensors(**{"cnet.conv04.0.norm.running_var": held})
    path = write(tmp_path / "m.pth", dict_of(tensors), **{"1": struct.pack("<f", -0.1)})
    assert_refused(path, r"cnet\.conv04\.0\.norm\.running_var holds a negative variance")


GATE, ATTENTION = "cost_agg.post8_to_4.upsample.0", "cost_agg.post8_to_4.upsample.1"


def config(**values: bytes) -> bytes:
    """An omegaconf dictionary as pickled."""
    nodes = {
        name: new(glob("omegaconf.nodes", "AnyNode"), state=dict_of({"_val": value})) for name, value in values.items()
    }
    return new(glob("omegaconf.dictconfig", "DictConfig"), state=dict_of({"_content": dict_of(nodes), "_parent": NONE}))


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({GATE: {"relu": TRUE}}, rf"says {GATE}\.relu = True; the bp2 network has False"),
        ({"": {"args": config(corr_levels=number(4))}}, r"says args\.corr_levels = 4; the bp2 network has 2"),
        ({"": {"args": config(corr_radius=number(8))}}, r"says args\.corr_radius = 8; the bp2 network has 4"),
        ({"": {"args": config(normalize=FALSE)}}, r"says args\.normalize = False: .*not normalised.* 20-26-39"),
        ({f"{ATTENTION}.sa.0.self_attn": {"num_heads": number(2)}}, r"num_heads = 2; the bp2 network has 4"),
        (
            {f"{ATTENTION}.pos_embed0": {"pe": tensor(storage("1", 1), (1, 12, 28), (0, 0, 0))}},
            r"other values in cost_agg\.post8_to_4\.upsample\.1\.pos_embed0\.pe",
        ),
        (
            {f"{ATTENTION}.pos_embed0": {"pe": tensor(storage("1", 1), (1, 12, 32), (0, 0, 0))}},
            r"pos_embed0\.pe of shape \[1, 12, 32\]; the bp2 network has \[1, 12, 28\]",
        ),
    ],
)
def test_a_module_that_says_it_computes_something_else(
    extra: dict[str, dict[str, bytes]], sentence: str, tmp_path: Path, assert_refused: Refusal
) -> None:
    """What no shape can tell is read from the object: activation, look-up, heads, position table, normalisation."""
    path = write(tmp_path / "m.pth", whole_network(live_tensors(), extra), **{"1": ONE["0"]})
    assert_refused(path, sentence)


def test_a_module_that_says_it_is_ours(tmp_path: Path) -> None:
    """With the right answers to all of these it opens, and the training's max_disp is recorded."""
    args = config(corr_levels=number(2), corr_radius=number(4), normalize=TRUE, max_disp=number(416))
    extra = {GATE: {"relu": FALSE}, f"{ATTENTION}.sa.0.self_attn": {"num_heads": number(4)}, "": {"args": args}}
    checkpoint = open_checkpoint(write(tmp_path / "m.pth", whole_network(live_tensors(), extra)))
    assert checkpoint.settings == {"corr_levels": 2, "corr_radius": 4, "normalize": True, "max_disp": 416}


def test_a_training_without_normalisation(tmp_path: Path, assert_refused: Refusal) -> None:
    """A TAO training whose hyper-parameters switch the normalisation off gave weights for another network."""
    hyper = dict_of({"model": config(gwc_feature_normalize=FALSE)})
    payload = {"epoch": number(0), "global_step": number(1), "state_dict": dict_of(live_tensors())}
    path = write(tmp_path / "m.pth", dict_of({**payload, "hyper_parameters": hyper}))
    assert_refused(path, r"says gwc_feature_normalize = False")


@pytest.mark.parametrize(
    "entries",
    [
        {"state_dict_encrypted": TRUE, "state_dict": call(glob("_codecs", "encode"), text("gAAAA"), text("latin1"))},
        {"state_dict_encrypted": TRUE, "state_dict": dict_of({})},
        {"epoch": number(1), "global_step": number(1), "state_dict": call(glob("_io", "BytesIO"), text("x"))},
    ],
)
def test_encrypted_tao_checkpoint(entries: dict[str, bytes], tmp_path: Path, assert_refused: Refusal) -> None:
    """A checkpoint that TAO encrypted is called that, and the way out is told."""
    assert_refused(write(tmp_path / "m.pth", dict_of(entries)), r"is an encrypted TAO checkpoint.*encryption_key")


@pytest.mark.parametrize("part", [0.0002, 0.3, 0.9, 0.9999])
def test_half_a_zip_download(part: float, tmp_path: Path, assert_refused: Refusal) -> None:
    """A torch file that ends early is called half a download, wherever it ends."""
    path = write(tmp_path / "m.pth", dict_of(live_tensors()), **{"1": bytes(300_000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert_refused(path, r"ends after \d+ bytes without its table of contents .*71105659.*half a download")


def test_half_a_legacy_download(tmp_path: Path, assert_refused: Refusal) -> None:
    """An older torch file that ends in its pickle is damaged, one that ends in its numbers is half a download."""
    held = tensor(storage("0", 1).replace(b"tQ", NONE + b"tQ"), (1,), (1,))
    path = write_legacy(tmp_path / "m.pth", PROTOCOL2 + dict_of({"a": held}) + STOP, {"0": (1, ONE["0"])})
    data = path.read_bytes()
    path.write_bytes(data[:-2])
    assert_refused(path, r"in the middle of its numbers; it is probably half a download")
    path.write_bytes(data[:90])
    assert_refused(path, r"its pickle is damaged")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("m.pth", b"", r"is empty"),
        ("m.pth", b"\n<!DOCTYPE html><html>", r"is a web page: the download was answered by a page"),
        ("m.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:7a\n", r"is only a Git LFS pointer"),
        ("m.tlt", bytes(range(1, 200)), r"is an encrypted TAO file"),
        ("m.pth", b"\x08\x08\x12\x07pytorch" + bytes(64), r"is an ONNX graph|is no ONNX graph"),
        ("m.pth", b"ftrt" + bytes(64), r"is a TensorRT engine"),
        ("m.pth", b"\x1f\x8b\x08\x00" + bytes(64), r"is an archive; unpack it"),
        ("m.pth", b"\xff\xd8\xff\xe0", r"is a picture; expected model_best"),
        ("m.pth", b"#ROSBAG V2.0\n", r"is a recorded bag"),
        ("m.pth", b"\x93NUMPY", r"is a NumPy array"),
        ("m.pth", bytes(4096), r"holds nothing but zeros"),
        ("m.pth", bytes(range(3, 250)), r"is no checkpoint: neither a torch file"),
    ],
)
def test_files_that_are_no_checkpoints(name: str, data: bytes, sentence: str, tmp_path: Path) -> None:
    """What users have instead of a checkpoint is recognised by its first bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=sentence):
        open_checkpoint(path)


def test_research_tier_is_known_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sibling that is byte for byte the published one is called by its folder's name."""
    path = write(tmp_path / "model_best_bp2_serialize.pth", NONE)
    monkeypatch.setitem(recognise._TIERS, hashlib.sha256(path.read_bytes()).hexdigest(), "20-30-48")
    with pytest.raises(CheckpointError, match=r"is the research tier 20-30-48 of Fast-FoundationStereo"):
        open_checkpoint(path)


def test_missing_unreadable_and_huge_files(tmp_path: Path) -> None:
    """A missing file, a folder and a file of gigabytes each get their own sentence, before anything is read."""
    with pytest.raises(FileError, match=r"there is no such file"):
        open_checkpoint(tmp_path / "none.pth")
    with pytest.raises(FileError, match=r"is a folder or a device"):
        open_checkpoint(tmp_path)
    with pytest.raises(FileError, match=r"cannot be read"):
        open_checkpoint(f"{tmp_path}/a\0b")
    huge = tmp_path / "huge.pth"
    with huge.open("wb") as file:
        file.truncate(3_300_000_000)  # a hole: takes no room
    with pytest.raises(FileError, match=r"has 3\.3 GB.*probably a full FoundationStereo network"):
        open_checkpoint(huge)


def test_upstream_names_of_every_live_tensor(tmp_path: Path) -> None:
    """A state dict under the released file's names opens without torch."""
    theirs = upstream_names()
    named = {theirs[ours]: held for ours, held in live_tensors().items()}
    assert open_checkpoint(write(tmp_path / "m.pth", dict_of(named))).naming == "upstream"
