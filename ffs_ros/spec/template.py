"""A spec with every key at its default and a comment, made from the declarations: what ``ffs spec`` writes.

TAO reads it too: keys that TAO lacks, and keys whose default is none, stand there as comments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any, get_type_hints

from .engine import EngineSpec
from .evaluate import EvaluateSpec
from .experiment import Experiment
from .export import ExportSpec
from .inference import InferenceSpec
from .keys import facts_of
from .train import TrainSpec

SPECS: dict[str, type[Experiment]] = {
    kind.ACTION: kind for kind in (TrainSpec, EvaluateSpec, InferenceSpec, ExportSpec, EngineSpec)
}
OUR_NAMES = {"eval": "evaluate", "infer": "inference", "build-engine": "gen_trt_engine"}
_VERBS = {action: verb for verb, action in OUR_NAMES.items()}
_OUT = "# "
"""Before a key that is not in force."""

Tree = dict[str, Any]
"""Fields by their keys; a Tree for what has keys below it."""


def template(action: str | None = None) -> str:
    """The text of a spec for one of TAO's actions, or for all of them."""
    for_what = "all actions (ffs VERB -e)" if action is None else f"ffs {_VERBS.get(action, action)} -e"
    tree = _tree_of(action)
    head = (
        f"# A spec for {for_what}, in TAO's keys (docs/tao.md). Files are examples; what else stands here may be left\n"
        "# out where no other default is named. Keys in comments have none, or are not TAO's.\n"
    )
    return head + "".join(f"{line}\n" for line in _lines(tree))


def examples(action: str | None = None) -> dict[str, Any]:
    """The values, nested, that ``template`` has where the default would not do."""
    return _examples(_tree_of(action))


def _examples(tree: Tree) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in tree.items():
        value = _examples(entry) if isinstance(entry, dict) else facts_of(entry).example
        if value not in (None, {}):
            found[name] = value
    return found


def _tree_of(action: str | None) -> Tree:
    tree: Tree = {}
    for kind in SPECS.values() if action is None else [SPECS[action]]:
        _merge(tree, _tree(kind, without=SPECS.keys() - {kind.ACTION}))
    return tree


def _tree(kind: type, without: Collection[str] = ()) -> Tree:
    """Keys with none below them first, so that a block's beginning and end are seen."""
    hints = get_type_hints(kind)
    entries = [entry for entry in fields(kind) if entry.name not in without]
    tree: Tree = {entry.name: entry for entry in entries if not is_dataclass(hints[entry.name])}
    tree.update({entry.name: _tree(hints[entry.name]) for entry in entries if is_dataclass(hints[entry.name])})
    return tree


def _merge(tree: Tree, other: Tree) -> None:
    for name, entry in other.items():
        if isinstance(entry, dict):
            _merge(tree.setdefault(name, {}), entry)
        else:
            tree.setdefault(name, entry)


def _lines(tree: Tree, indent: str = "") -> Iterator[str]:
    for name, entry in tree.items():
        if isinstance(entry, dict):
            below = [*_lines(entry, f"{indent}  ")]
            empty = all(line.lstrip().startswith(_OUT) for line in below)  # which TAO would take for a null
            yield f"{'' if indent else chr(10)}{indent}{_OUT if empty else ''}{name}:"
            yield from below
        else:
            yield f"{indent}{_line(name, entry)}"


def _line(name: str, entry: Field[Any]) -> str:
    facts = facts_of(entry)
    value = entry.default if facts.example is None else facts.example
    differs = value not in (entry.default, ()) and entry.default not in (None, ())
    meaning = "; ".join(filter(None, ("not TAO's" if facts.ours else "", _plain_text(facts.meaning))))
    limits = facts.limits if len(facts.choices) != 1 else ""
    limits = "; ".join(filter(None, (limits, f"default {_yaml(entry.default)}" if differs else "")))
    comment = " ".join(filter(None, (meaning, f"({limits})" if limits else "")))
    after = f"  # {comment}" if comment else ""
    return f"{_OUT if facts.ours or value is None else ''}{name}: {_yaml(value)}{after}"


def _yaml(value: Any) -> str:
    """As PyYAML and OmegaConf read it, in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value) if isinstance(value, float) else str(value)
    return re.sub(r"^(-?\d+)e", r"\1.0e", text) if isinstance(value, float) else text


def _plain_text(markdown: str) -> str:
    """Without links and marks, which the documents have."""
    return re.sub(r"[,;]? (see )?\[[^]]*\]\([^)]*\)|`", "", markdown)
