"""The node's parameters as options of a tool that does what the node does: same names, defaults and limits."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from typing import Any

from ffs_ros.config import NodeConfig, ParameterFacts, contradiction, parameter_facts
from ffs_ros.errors import FfsError


def add_node_options(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Declare ``--bit-depth`` for ``bit_depth`` and so on; one that is not given is None."""
    facts_by_name = parameter_facts()
    group = parser.add_argument_group("as the node's parameters of these names")
    for name in names:
        kind, default, facts = facts_by_name[name]
        text = facts.description.replace("%", "%%")
        if kind is bool:
            group.add_argument(_option(name), action="store_true", default=None, help=text)
        else:
            shown = f"{text} (default: {default}{f' {facts.unit}' if facts.unit else ''})" if default != "" else text
            group.add_argument(_option(name), metavar=_metavar(kind, facts), help=shown)


def node_config(args: argparse.Namespace, names: Iterable[str], **others: Any) -> NodeConfig:
    """The options' values, and ``others``. Raises FfsError for one that the node would refuse."""
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    facts_by_name = parameter_facts()
    values = {name: _value(name, text, *facts_by_name[name]) for name, text in given.items()}
    contradictory = contradiction(values)
    if contradictory is not None:
        raise FfsError(contradictory)
    return NodeConfig(**values, **others)


def _value(name: str, given: Any, kind: type, default: Any, facts: ParameterFacts) -> Any:
    if kind is bool:
        return given
    try:
        value = kind(given)
    except ValueError:
        value = math.nan
    if facts.choices:
        good, expected = value in facts.choices, "one of " + ", ".join(facts.choices)
    elif facts.minimum is None or facts.maximum is None:
        good, expected = kind is str or math.isfinite(value), "a text" if kind is str else "a number"
    else:
        good = facts.minimum <= value <= facts.maximum
        what = "an integer" if kind is int else "a number"
        expected = f"{what} from {facts.minimum:g} to {facts.maximum:g} {facts.unit}".rstrip()
    if not good:
        raise FfsError(f"{_option(name)} is {given!r}: expected {expected}, for example {_option(name)} {default}")
    return value


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _metavar(kind: type, facts: ParameterFacts) -> str:
    if facts.choices:
        return "|".join(facts.choices)
    return {int: "N", float: "X", str: "TEXT"}[kind]
