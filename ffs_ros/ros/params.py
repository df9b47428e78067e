"""``NodeConfig`` as ROS parameters: declared from its facts, read back into it."""

from __future__ import annotations

import difflib
from functools import partial
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ffs_ros.config import NodeConfig, ParameterFacts, contradiction, parameter_facts
from ffs_ros.errors import FfsError

_ROS_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
_KIND_NAMES = {bool: "true or false", int: "an integer", float: "a number with a decimal point", str: "a text"}
_LIVE = tuple(name for name, (_, _, facts) in parameter_facts().items() if not facts.read_only)


def declare(node: Node) -> None:
    """Declare every parameter of ``NodeConfig`` and refuse, from now on, values outside its choices and those that
    contradict each other.

    Raises FfsError, naming the parameter and what it takes, for an override that does not fit.
    """
    node.add_on_set_parameters_callback(partial(_check, node))
    for name, (kind, default, facts) in parameter_facts().items():
        try:
            node.declare_parameter(name, default, _descriptor(name, kind, facts))
        except ParameterException:  # noqa: PERF203 (ten rounds, once)
            given = _overrides(node)[name].value
            contradictory = _contradiction(node, {name: given}) if isinstance(given, kind) else None
            if contradictory is not None:
                raise FfsError(contradictory) from None
            example = f"-p {name}:={_typed(default)}"
            raise FfsError(
                f"parameter {name} is {given!r}: expected {expected(kind, facts)}, for example {example}"
            ) from None


def config_of(node: Node) -> NodeConfig:
    """The parameters' values now."""
    return NodeConfig(**{name: node.get_parameter(name).value for name in parameter_facts()})


def live_values(node: Node) -> dict[str, Any]:
    """Name -> value of those that may change while the node runs, as they are now.

    On the executor's thread, where they change: another one would see half of a change of several.
    """
    return {name: node.get_parameter(name).value for name in _LIVE}


def expected(kind: type, facts: ParameterFacts) -> str:
    """What a parameter takes, in words: ``an integer from 16 to 4096 px``."""
    if facts.choices:
        return "one of " + ", ".join(facts.choices)
    if facts.minimum is None:
        return _KIND_NAMES[kind]
    return f"{_KIND_NAMES[kind]} from {facts.minimum:g} to {facts.maximum:g} {facts.unit}".rstrip()


def misspelled(node: Node) -> str | None:
    """A sentence about overrides that look like one of the parameters but are none; ROS ignores them without a word.

    Others may be meant for other nodes that read the same file.
    """
    declared = list(parameter_facts())
    unknown = sorted(name for name in _overrides(node) if not node.has_parameter(name))
    nearest = [(name, difflib.get_close_matches(name, declared, n=1)) for name in unknown]
    names = [f"'{name}' (did you mean '{near[0]}'?)" for name, near in nearest if near]
    return f"no such parameter: {', '.join(names)}; it is ignored" if names else None


def _overrides(node: Node) -> dict[str, Any]:
    """What was given at the start, by name; rclpy offers no public way."""
    return getattr(node, "_parameter_overrides", {})


def _typed(value: Any) -> str:
    """A value as it is typed behind ``-p name:=``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _descriptor(name: str, kind: type, facts: ParameterFacts) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=name,
        type=_ROS_TYPES[kind],
        description=facts.description + (f" [{facts.unit}]" if facts.unit else ""),
        additional_constraints=expected(kind, facts) if facts.choices else "",
        read_only=facts.read_only,
    )
    if facts.minimum is not None and facts.maximum is not None:
        limits = {"from_value": kind(facts.minimum), "to_value": kind(facts.maximum)}
        if kind is int:
            descriptor.integer_range = [IntegerRange(**limits, step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(**limits)]
    return descriptor


def _check(node: Node, parameters: list[Parameter[Any]]) -> SetParametersResult:
    """ROS checks types and ranges by itself, but knows no choices and nothing of what goes together.

    Changes nothing: a later check may still refuse.
    """
    facts_by_name = parameter_facts()
    ours = {parameter.name: parameter.value for parameter in parameters if parameter.name in facts_by_name}
    for name, value in ours.items():
        kind, _, facts = facts_by_name[name]
        if facts.choices and value not in facts.choices:
            return SetParametersResult(successful=False, reason=f"'{value}' is not {expected(kind, facts)} ({name})")
    contradictory = _contradiction(node, ours)
    return SetParametersResult(successful=contradictory is None, reason=contradictory or "")


def _contradiction(node: Node, new: dict[str, Any]) -> str | None:
    """What the new values and those that stay say against each other."""
    declared = {name: node.get_parameter(name).value for name in parameter_facts() if node.has_parameter(name)}
    return contradiction(declared | new)
