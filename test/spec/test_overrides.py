"""KEY=VALUE words, and references between keys: what TAO's launcher makes of a spec before anything reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import piped

pytest.importorskip("yaml")

from ffs_ros.errors import FileError, SpecError
from ffs_ros.spec.overrides import is_override
from ffs_ros.spec.references import filled_in
from ffs_ros.spec.yaml_file import loaded

TEXT = """\
results_dir: /data/out
evaluate:
  checkpoint: ${export.checkpoint}
  results_dir: 2026-11-22
export: {checkpoint: "${results_dir}/train/model.pth"}
dataset:
  test_dataset:
    data_sources:
      - {dataset_name: Kitti, data_file: k.txt}
"""


def changed(folder: Path, *overrides: str) -> Any:
    path = folder / "spec.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return loaded(path, overrides)


def sources(values: Any) -> Any:
    return values["dataset"]["test_dataset"]["data_sources"]


def test_references_are_filled_in(tmp_path: Path) -> None:
    """Through another reference, whole or within a text; a folder's name that looks like a date stays a text."""
    values = changed(tmp_path)
    assert values["evaluate"] == {"checkpoint": "/data/out/train/model.pth", "results_dir": "2026-11-22"}


@pytest.mark.parametrize(
    ("override", "where", "value"),
    [
        ("results_dir=/x", ["results_dir"], "/x"),
        ("results_dir=/x", ["export", "checkpoint"], "/x/train/model.pth"),
        ("export.checkpoint=/y.pth", ["evaluate", "checkpoint"], "/y.pth"),
        ("export.checkpoint=null", ["export", "checkpoint"], None),
        ("export.checkpoint=", ["export", "checkpoint"], ""),
        ("export.batch_size=-1", ["export", "batch_size"], -1),
        ("+export.dynamic_hw=True", ["export", "dynamic_hw"], True),
        ("++gen_trt_engine.tensorrt.data_type=fp16", ["gen_trt_engine", "tensorrt", "data_type"], "fp16"),
        ("train.gpu_ids=[0,1]", ["train", "gpu_ids"], [0, 1]),
        ("export.onnx_file='/my data/m.onnx'", ["export", "onnx_file"], "/my data/m.onnx"),
        ("export.onnx_file=/a=b.onnx", ["export", "onnx_file"], "/a=b.onnx"),
        ("results_dir=2026-11-22", ["results_dir"], "2026-11-22"),
        ("evaluate.results_dir=${results_dir}/e", ["evaluate", "results_dir"], "/data/out/e"),
    ],
)
def test_one_key_is_changed(tmp_path: Path, override: str, where: list[str], value: Any) -> None:
    """Also one whose block is not there, and before references are filled in."""
    found = changed(tmp_path, override)
    for name in where:
        found = found[name]
    assert found == value


def test_entries_of_lists(tmp_path: Path) -> None:
    """By number, either way; or the whole list as Hydra writes it, without a space after the colon."""
    for dotted in ("dataset.test_dataset.data_sources.0.data_file", "dataset.test_dataset.data_sources[0].data_file"):
        assert sources(changed(tmp_path, f"{dotted}=/e.txt")) == [{"dataset_name": "Kitti", "data_file": "/e.txt"}]
    whole = "dataset.test_dataset.data_sources=[{dataset_name:Eth3d,data_file:/e.txt},{dataset_name: FSD}]"
    assert sources(changed(tmp_path, whole)) == [
        {"dataset_name": "Eth3d", "data_file": "/e.txt"}, {"dataset_name": "FSD"}
    ]  # fmt: skip


def test_the_last_of_two_counts(tmp_path: Path) -> None:
    """In the order in which they are typed."""
    assert changed(tmp_path, "results_dir=/x", "results_dir=/y")["results_dir"] == "/y"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("results_dir", "'results_dir' is not understood: expected KEY=VALUE"),
        ("~results_dir", "'~results_dir' is not understood"),
        ("results_dir=[", "the value of 'results_dir=[' is not understood: while parsing"),
        ("results_dir.train=1", "'results_dir.train=1' leads nowhere: results_dir has no keys"),
        ("dataset.test_dataset.data_sources.1.data_file=x", "leads nowhere: dataset.test_dataset.data_sources has 1 "
                                                            "entries, counted from 0"),
        ("dataset.test_dataset.data_sources.first=x", "leads nowhere"),
    ],
)  # fmt: skip
def test_what_is_no_override(tmp_path: Path, override: str, sentence: str) -> None:
    """One sentence that repeats it."""
    with pytest.raises(SpecError) as raised:
        changed(tmp_path, override)
    assert sentence in str(raised.value)


def test_a_spec_that_is_no_mapping(tmp_path: Path) -> None:
    """Nothing can be changed in a list; in an empty file everything."""
    path = tmp_path / "spec.yaml"
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(SpecError, match="leads nowhere"):
        loaded(path, ["a.b=1"])
    path.write_text("", encoding="utf-8")
    assert loaded(path, ["a.b=1"]) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("word", "expected"),
    [("a=1", True), ("+a.b[0].c=1", True), ("a=", True), ("./a=b.onnx", False), ("/a=b", False), ("--a=b", False),
     ("a", False), ("", False)],
)  # fmt: skip
def test_what_looks_like_an_override(word: str, expected: bool) -> None:
    """Options and paths do not."""
    assert is_override(word) is expected


def test_what_cannot_be_filled_in_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """No such key, a circle, a value that is itself missing, another resolver, an unset variable."""
    monkeypatch.setenv("FFS_TEST_DATA", "/data")
    monkeypatch.delenv("FFS_TEST_UNSET", raising=False)
    stays = {"a": "${b}", "b": "${a}", "c": "${nothing}/x", "d": "???", "e": "${d}/x", "f": "${eval:'1+1'}",
             "g": "${oc.env:FFS_TEST_UNSET}", "h": "${.a}", "n": None, "i": "${n}", "j": "${l.7}",
             "l": [1]}  # fmt: skip
    assert filled_in(stays) == stays
    outside = {"a": "${oc.env:FFS_TEST_DATA}/k.txt", "b": "${oc.env:FFS_TEST_UNSET,/none}", "c": "${l.1}", "l": [1, 2]}
    assert filled_in(outside) == {"a": "/data/k.txt", "b": "/none", "c": 2, "l": [1, 2]}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [x, x]\n" + "".join(f"b{i}: &{c} [{', '.join([f'*{b}'] * 10)}]\n" for i, (b, c) in
         enumerate(zip("abcdefghijk", "bcdefghijkl", strict=True))), "aliases that repeat more than 100000 values"),
        ("a: &a [*a]\n", "aliases that repeat"),
        ("a: &a {b: *a}\n", "aliases that repeat"),
        ("".join(f"x{i}: '{f'${{x{i + 1}}}' * 10}'\n" for i in range(14)) + "x14: z\n", "becomes 100000 characters"),
        ("a: " + "9" * 5000 + "\n", "not what its tag or form says"),
        ("a: !!bool maybe\n", "not what its tag or form says"),
        ("a: !!float ''\n", "not what its tag or form says"),
    ],
)  # fmt: skip
def test_specs_without_end(tmp_path: Path, text: str, reason: str) -> None:
    """A few lines that stand for billions of values, and values that PyYAML stumbles over: a sentence, soon."""
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=reason):
        loaded(file)


@pytest.mark.timeout(60)
def test_a_spec_may_come_out_of_a_pipe(tmp_path: Path) -> None:
    """Of a shell's ``<(command)``; nobody waits for one that is not written to, or reads a device without end."""
    with piped(tmp_path / "pipe", "echo a: 1"):
        assert loaded(tmp_path / "pipe") == {"a": 1}
    assert loaded(tmp_path / "pipe") is None
    with pytest.raises(FileError, match="/dev/zero is a device: expected a file or a pipe"):
        loaded(Path("/dev/zero"))


def test_references_that_come_to_nothing_are_found_once(tmp_path: Path) -> None:
    """Ten to the power of fourteen of them, none of which makes the text longer."""
    file = tmp_path / "s.yaml"
    file.write_text("".join(f"x{i}: '{f'${{x{i + 1}}}' * 10}'\n" for i in range(14)) + "x14: ''\n")
    assert loaded(file)["x0"] == ""
