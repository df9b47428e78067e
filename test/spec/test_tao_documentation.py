"""docs/tao.md answers for every action and every key of TAO's that is read."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ffs_ros import cli
from ffs_ros.spec.engine import GenTrtEngine, TensorRt
from ffs_ros.spec.evaluate import Evaluate
from ffs_ros.spec.export import Export
from ffs_ros.spec.inference import Inference
from ffs_ros.spec.template import OUR_NAMES

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "tao.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """The text below a heading."""
    return DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_action_has_its_verb_or_a_sentence() -> None:
    """The table's actions are those that ``ffs`` answers, and the verbs are the right ones."""
    found = re.findall(
        r"^\| (\d?) ?\| `depth_net (\w+)` \| \w+ \| (.*?) \|", section("The seven actions"), re.MULTILINE
    )
    assert [number for number, _, _ in found if number] == list("1234567")
    rows = {action: here for _, action, here in found}
    assert len({*found}) == len(found) == 10
    assert {*rows} == {*cli.TAO_VERBS} | {"train", "export"}
    verbs = {action: verb for verb, action in OUR_NAMES.items()}
    for action, here in rows.items():
        if here.endswith("-e`"):
            assert here == f"`ffs {verbs.get(action, action)} -e`"
            assert f"ffs {verbs.get(action, action)} -e" in cli.TAO_VERBS.get(action, here)


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [
        ("export", [Export]),
        ("gen_trt_engine", [GenTrtEngine, TensorRt]),
        ("evaluate", [Evaluate]),
        ("inference", [Inference]),
    ],
    ids=["export", "gen_trt_engine", "evaluate", "inference"],
)
def test_every_key_is_spoken_of(heading: str, kinds: list[type]) -> None:
    """In the table of its action."""
    text = section(heading)
    between = {f"{bound}_{axis}" for bound in ("min", "opt", "max") for axis in ("height", "width", "batch_size")}
    keys = {field.name for kind in kinds for field in fields(kind)} - between - {"results_dir", "tensorrt"}
    assert [key for key in sorted(keys) if not re.search(rf"`(tensorrt\.)?{key}`", text)] == (
        ["format", "input_channel"] if heading == "export" else []  # which have one value
    )
