"""Files made to harm: nothing in them runs, each is refused with a sentence of its own, exit 2, no output file."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
from checkpoint_files import (
    BUILD,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    NONE,
    ONE,
    PROTOCOL2,
    PROTOCOL4,
    REDUCE,
    STOP,
    TRUE,
    Refusal,
    call,
    dict_of,
    glob,
    list_of,
    live_tensors,
    new,
    number,
    stack_glob,
    storage,
    tensor,
    text,
    tuple_of,
    whole_network,
    write_legacy,
    write_zip,
)

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.cli import main as ffs
from ffs_ros.errors import CheckpointError

COMMAND = "touch ran"
EVAL = "open('ran', 'w')"

PICKLES: dict[str, tuple[bytes, str]] = {
    "os.system": (call(glob("os", "system"), text(COMMAND)), r"asks for os\.system,"),
    "posix.system": (call(glob("posix", "system"), text(COMMAND)), r"asks for posix\.system \(os\.system\)"),
    "eval": (call(glob("__builtin__", "eval"), text(EVAL)), r"__builtin__\.eval \(builtins\.eval\)"),
    "exec, protocol 4": (
        PROTOCOL4 + call(stack_glob(text("builtins"), text("exec")), text(EVAL)), r"asks for builtins\.exec,"
    ),
    "names from the memo": (
        PROTOCOL4 + text("subprocess") + b"\x94" + b"0" + text("call") + b"\x94" + b"0"
        + call(b"h\x00h\x01\x93", list_of(text("touch"), text("ran"))), r"asks for subprocess\.call,"
    ),
    "nested reduce": (
        call(call(glob("builtins", "getattr"), call(glob("builtins", "__import__"), text("os")), text("system")),
             text(COMMAND)), r"asks for builtins\.__import__,"
    ),
    "getattr": (
        call(glob("builtins", "getattr"), text(""), text("upper")), r"names builtins\.getattr, which is no part"
    ),
    "call of a call": (
        call(call(glob("collections", "OrderedDict")), text("x")), r"calls something that the pickle itself has made"
    ),
    "call of a network class": (call(glob("core.update", "DispHead"), text("x")), r"calls core\.update\.DispHead,"),
    "attribute of a class": (
        glob("core.submodule", "BasicConv") + dict_of({"__init__": glob("core.submodule", "FeatureAtt")}) + BUILD,
        r"changes the class core\.submodule\.BasicConv itself"
    ),
    "attribute of a class, used": (
        list_of(glob("core.submodule", "Sub") + tuple_of(NONE, dict_of({"__new__": glob("os", "popen")})) + BUILD),
        r"asks for os\.popen,"
    ),
    "dotted name through a class": (
        PROTOCOL4 + stack_glob(text("core.submodule"), text("BasicConv.__init__.__globals__")),
        r"asks for core\.submodule\.BasicConv\.__init__\.__globals__,"
    ),
    "dotted name through a module": (
        PROTOCOL4 + call(stack_glob(text("torch.nn.modules.module"), text("warnings.sys.modules.clear"))),
        r"asks for torch\.nn\.modules\.module\.warnings\.sys"
    ),
    "dotted name of a network class": (
        PROTOCOL4 + stack_glob(text("timm.layers.mlp"), text("Mlp.forward")), r"names timm\.layers\.mlp\.Mlp\.forward"
    ),
    "function of a library": (
        call(glob("torch.hub", "load"), text("evil/evil")), r"names torch\.hub\.load, which is no part"
    ),
    "module that would be imported": (new(glob("ran_by_import", "Thing")), r"names ran_by_import\.Thing"),
    "__setstate__": (
        new(glob("setstate_module", "Thing"), state=dict_of({"x": NONE})), r"names setstate_module\.Thing"
    ),
    "INST": (MARK + text(COMMAND) + b"ios\npopen2\n", r"asks for os\.popen2,"),
    "OBJ": (MARK + glob("pty", "spawn") + text("sh") + b"o", r"asks for pty\.spawn,"),
    "NEWOBJ": (new(glob("subprocess", "Popen"), text(COMMAND)), r"asks for subprocess\.Popen,"),
    "NEWOBJ_EX": (
        PROTOCOL4 + glob("runpy", "run_path") + EMPTY_TUPLE + dict_of({"path_name": text("x")}) + b"\x92",
        r"asks for runpy\.run_path,"
    ),
    "extension registry": (b"\x82\x01", r"uses the instruction EXT1,"),
    "text persistent id": (b"Pstorage\n", r"uses the instruction PERSID,"),
    "out-of-band buffer": (b"\x97", r"uses the instruction NEXT_BUFFER,"),
    "computed name": (
        PROTOCOL4 + stack_glob(new(glob("core.submodule", "BasicConv")), text("x")), r"computes the name of a Python"
    ),
    "storage of a strange class": (
        tuple_of(text("storage"), glob("core.submodule", "Storage"), text("0"), text("cpu"), number(1)) + b"Q",
        r"a storage has an unknown type, name or size"
    ),
    "storage that is no tuple": (dict_of({}) + b"Q", r"a storage is not described by a tuple"),
    "storage under two descriptions": (
        list_of(storage("0", 1), storage("0", 1, "LongStorage")), r"storage 0 is described twice, and differently"
    ),
    "absurd storage": (storage("0", 2**47), r"declares 562949953421312 bytes of numbers '0', the archive holds 4"),
    "storage key with a path": (storage("../../../etc/passwd", 1), r"numbers '\.\./\.\./\.\./etc/passwd', which"),
    "negative stride": (tensor(storage("0", 1), (1,), (-1,)), r"size, stride or offset is -1;"),
    "offset beyond the storage": (
        tensor(storage("0", 1), (1,), (1,), offset=7), r"shape \[1\] reaches element 7 of a storage of 1"
    ),
    "offset just beyond the storage": (
        tensor(storage("0", 1), (1,), (0,), offset=1), r"shape \[1\] reaches element 1 of a storage of 1"
    ),
    "stride beyond the storage": (
        tensor(storage("0", 1), (2, 3), (2**40, 2**41)), r"reaches element 5497558138880 of a storage of 1"
    ),
    "size that overflows": (tensor(storage("0", 1), (2**63, 4), (0, 0)), r"size, stride or offset is no usable number"),
    "more strides than sizes": (tensor(storage("0", 1), (1,), (1, 1)), r"1 sizes and 2 strides"),
    "too many dimensions": (tensor(storage("0", 1), [1] * 20, [0] * 20), r"20 sizes and 20 strides"),
    "tensor of no storage": (tensor(dict_of({}), (1,), (1,)), r"not made of a storage, an offset"),
    "control characters in a name": (
        PROTOCOL4 + stack_glob(text("\x1b[2J\u202eevil"), text("x")), r"names \\x1b\[2J\\u202eevil\.x"
    ),
    "parameter of no tensor": (
        call(glob("torch._utils", "_rebuild_parameter"), text("x"), TRUE), r"made of something that is no tensor"
    ),
    "state for a number": (number(1) + dict_of({"__class__": NONE}) + BUILD, r"given to something that has none"),
    "append to a text": (text("x") + MARK + NONE + b"e", r"appended to something that is no list"),
    "entries of a list": (EMPTY_LIST + MARK + NONE + NONE + b"u", r"set on something that is no dictionary"),
    "empty stack": (REDUCE, r"its pickle is damaged \(pop from empty list\)"),
    "unknown memo": (b"h\x07", r"its pickle is damaged \(7\)"),
    "no end": (text("x")[:-1], r"expected 1 bytes in a unicodestring4|its pickle is damaged"),
    "nested deeply": (EMPTY_LIST * 300_000 + b"a" * 299_999, r"holds neither a network nor a state dict"),
}  # fmt: skip


def test_the_trap_works(trap: Path) -> None:
    """Python's own unpickler does run these files; so a quiet folder below means something."""
    for name in ("os.system", "eval", "exec, protocol 4", "module that would be imported"):
        pickle.loads(PICKLES[name][0] + STOP)  # noqa: S301
        assert (trap / "ran").exists(), name
        (trap / "ran").unlink()


@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickles(name: str, trap: Path, assert_refused: Refusal) -> None:
    """Each trick in a torch zip is refused with its own sentence and runs nothing."""
    instructions, sentence = PICKLES[name]
    path = write_zip(trap / "hostile.pth", PROTOCOL2 + instructions + STOP, ONE)
    assert_refused(path, sentence)


@pytest.mark.parametrize(
    "name", ["os.system", "nested reduce", "attribute of a class", "module that would be imported"]
)
def test_hostile_legacy_and_bare_pickles(name: str, trap: Path, assert_refused: Refusal) -> None:
    """The same holds for older torch files; a bare pickle is refused with what it asks for, if that is harmful."""
    instructions, sentence = PICKLES[name]
    assert_refused(write_legacy(trap / "old.pth", PROTOCOL2 + instructions + STOP), sentence)
    bare = trap / "bare.pth"
    bare.write_bytes(instructions + STOP)
    harmful = "asks for" in sentence or "changes" in sentence
    assert_refused(bare, sentence if harmful else "is a bare pickle")


def test_each_refusal_is_its_own_sentence(tmp_path: Path) -> None:
    """No two of the hostile pickles are refused with the same words."""
    sentences = []
    for instructions, _ in PICKLES.values():
        with pytest.raises(CheckpointError) as refusal:
            open_checkpoint(write_zip(tmp_path / "h.pth", PROTOCOL2 + instructions + STOP, ONE))
        sentences.append(str(refusal.value))
    assert len(set(sentences)) == len(sentences)


LIGHTNING = {"pytorch-lightning_version": text("2.5.0"), "state_dict": dict_of(live_tensors())}


def test_lightning_data_may_name_anything_but_programs(trap: Path, assert_refused: Refusal) -> None:
    """Beside a Lightning file's tensors unknown names and calls are inert; a name that runs programs is refused."""
    strange = {"callbacks": list_of(PICKLES["module that would be imported"][0], PICKLES["getattr"][0])}
    path = write_zip(trap / "fine.ckpt", PROTOCOL2 + dict_of({**LIGHTNING, **strange}) + STOP, ONE)
    assert len(open_checkpoint(path).tensors) == 490
    assert not (trap / "ran").exists()
    assert "ran_by_import" not in sys.modules
    harmful = {"callbacks": PICKLES["os.system"][0]}
    path = write_zip(trap / "hostile.ckpt", PROTOCOL2 + dict_of({**LIGHTNING, **harmful}) + STOP, ONE)
    assert_refused(path, r"asks for os\.system,")


@pytest.mark.parametrize("bad", [call(glob("ran_by_import", "Thing")), text("weights"), dict_of({}), NONE])
def test_lightning_weights_must_be_tensors(bad: bytes, trap: Path, assert_refused: Refusal) -> None:
    """Inert data in the place of a weight is refused by the weight's name."""
    held = {**LIGHTNING, "state_dict": dict_of(live_tensors(**{"proj_cmb.bias": bad}))}
    path = write_zip(trap / "hostile.ckpt", PROTOCOL2 + dict_of(held) + STOP, ONE)
    assert_refused(path, r"its entry 'proj_cmb\.bias' is no named tensor")


def test_offence_in_an_otherwise_good_network(trap: Path, assert_refused: Refusal) -> None:
    """A whole module with every tensor in place is still refused for one foreign name in one attribute."""
    extra = {"cam.fc": {"hook": glob("evil", "hook")}}
    path = write_zip(trap / "m.pth", PROTOCOL2 + whole_network(live_tensors(), extra) + STOP, ONE)
    assert_refused(path, r"names evil\.hook, which is no part")


def test_export_of_a_hostile_file_leaves_no_output(trap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ffs export refuses as ffs inspect does, and writes nothing."""
    pytest.importorskip("ffs_ros.tools.export", reason="the verb export is not part of this tree yet")
    for name in ("os.system", "eval", "attribute of a class", "absurd storage"):
        path = write_zip(trap / "hostile.pth", PROTOCOL2 + PICKLES[name][0] + STOP, ONE)
        before = sorted(trap.iterdir())
        with pytest.raises(SystemExit) as end:
            ffs(["export", str(path), "-o", str(trap / "model.onnx"), "--size", "64x96"])
        assert end.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert sorted(trap.iterdir()) == before
