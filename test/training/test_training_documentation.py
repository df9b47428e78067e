"""docs/training.md says what the code does: keys, defaults and limits, specs and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import pytest

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

from ffs_ros.scene import __main__ as scene_files  # noqa: E402
from ffs_ros.spec.keys import Facts, facts_of  # noqa: E402
from ffs_ros.spec.train import TrainSpec  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    """A row of the table of keys."""

    key: str
    default: str
    limits: str
    meaning: str


def declared(kind: type = TrainSpec, path: str = "") -> Iterator[Row]:
    """Every key that a spec may have, in the order of its declaration: one split for both, and no fixed values."""
    for field in fields(kind):
        name, hint, facts = f"{path}{field.name}", get_type_hints(kind)[field.name], facts_of(field)
        if name == "dataset.val_dataset" or facts.fixed:
            continue
        if is_dataclass(hint):
            yield from declared(hint, f"{name}.")
        else:
            assert field.default is not MISSING
            ours = ["ours"] if facts.ours else []
            meaning = ": ".join([*ours, facts.meaning] if facts.meaning else ours)
            yield Row(name, shown(field.default), limits_in_words(facts), meaning)


def shown(value: Any) -> str:
    """As YAML has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def limits_in_words(facts: Facts) -> str:
    """Empty when anything will do."""
    if facts.choices:
        return ", ".join(map(shown, facts.choices))
    bounds = {"at least": facts.least, "above": facts.above, "at most": facts.most}
    return ", ".join(f"{words} {bound:.10g}" for words, bound in bounds.items() if bound is not None)


def test_the_table_has_every_key_as_it_is_declared() -> None:
    """Each row is the declaration's, in its order."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in DOCUMENT.splitlines() if line.startswith("| `")
    ]
    rows = [Row(key.strip("`"), *rest) for key, *rest in cells if len(rest) == 3]
    assert rows == list(declared())


def test_the_specs_can_be_trained_with() -> None:
    """Every YAML block that is a whole spec passes the checks."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)]
    whole = [block for block in blocks if "dataset" in block]
    assert len(whole) >= 2
    for block in whole:
        TrainSpec.of(block)


def test_the_rendering_commands_can_be_typed() -> None:
    """Every ``python -m ffs_ros.scene`` of a shell block has options that exist, those in its variable included."""
    commands = []
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL):
        style = "".join(re.findall(r'^style="(.*)"$', block, re.MULTILINE))
        lines = re.findall(r"^python -m ffs_ros\.scene (.*)$", block, re.MULTILINE)
        commands += [scene_files._parser().parse_args(line.replace("$style", style).split()) for line in lines]
    assert [(command.seed, command.right_negative) for command in commands] == [
        (1, True), (2, True), (1, False), (2, False)
    ]  # fmt: skip
    assert {command.rectification_px for command in commands[2:]} == {5.0}


def test_what_it_says_is_what_the_code_says() -> None:
    """The texts of the table of messages are in the sources."""
    rows = DOCUMENT.split("## What it says")[1].split("## Keys")[0].splitlines()
    texts = [row.split("|")[1].strip() for row in rows if row.startswith("|")][2:]
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "ffs_ros").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", code)  # sentences are written in several pieces
    patterns = [re.escape(text).replace(re.escape("..."), ".*") for text in texts]
    assert len(texts) > 10
    assert [text for text, pattern in zip(texts, patterns, strict=True) if not re.search(pattern, joined)] == [
        "No space left on device"  # the system's own
    ]
