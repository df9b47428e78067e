"""Nested YAML mappings -> nested frozen dataclasses, with a sentence for every key or value that does not fit."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar

from ffs_ros.errors import SpecError

T = TypeVar("T")


class Limits(NamedTuple):
    """What the value of a key may be."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()


def key(default: Any, **limits: Any) -> Any:
    """A dataclass field with its default and its ``Limits``."""
    return field(default=default, metadata={"limits": Limits(**limits)})


def read(kind: type[T], values: Any, path: str = "", without_effect: Mapping[str, str] | None = None) -> T:
    """The dataclass ``kind`` from a mapping; keys that are left out have their defaults.

    ``path`` is what stands before the keys in messages. ``without_effect``: dotted names that may be there and are not
    read. Raises SpecError for an unknown key (and names the nearest known one), a wrong type or a value out of range.
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise SpecError(f"{path or 'the spec'} is {_shown(values)}: expected keys and values below it")
    hints = typing.get_type_hints(kind)
    known: dict[str, Field[Any]] = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    read_values = {}
    for name, value in values.items():
        dotted = f"{path}.{name}" if path else str(name)
        if name in known:
            limits = known[name].metadata.get("limits", Limits())
            read_values[name] = _value(hints[name], value, dotted, limits, without_effect or {})
        elif dotted not in (without_effect or {}):
            raise SpecError(_unknown(dotted, str(name), [*known]))
    missing = [entry.name for entry in known.values() if entry.name not in read_values and _is_required(entry)]
    if missing:
        raise SpecError(f"{path or 'the spec'} lacks the key '{missing[0]}'; add it")
    return kind(**read_values)


def _unknown(dotted: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    near = f"; the nearest known key is '{close[0]}'" if close else ""
    return f"the key '{dotted}' is unknown{near}"


def _is_required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _value(hint: Any, value: Any, dotted: str, limits: Limits, without_effect: Mapping[str, str]) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in options:
        if value is None or value == "":
            return None
        (hint,) = (option for option in options if option is not type(None))
    if isinstance(value, str) and (value == "???" or "${" in value or value.startswith("~/")):
        raise SpecError(f"{dotted} is {_shown(value)}, which nothing fills in here: write what is meant")
    if is_dataclass(hint):
        return read(typing.cast(type, hint), value, dotted, without_effect)
    if typing.get_origin(hint) is tuple:
        return _items(hint, value, dotted, limits, without_effect)
    number = _scalar(hint, value, dotted)
    _check(number, dotted, limits)
    return number


def _items(hint: Any, value: Any, dotted: str, limits: Limits, without_effect: Mapping[str, str]) -> tuple[Any, ...]:
    kinds = typing.get_args(hint)
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"{dotted} is {_shown(value)}: expected a list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise SpecError(f"{dotted} has {len(value)} values: expected {len(kinds)}")
    return tuple(
        _value(kind, item, f"{dotted}[{index}]", limits, without_effect)
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _scalar(kind: Any, value: Any, dotted: str) -> Any:
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)  # YAML 1.1 takes 1e-4 for a text
            if math.isfinite(number):
                return number
    elif kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    elif type(value) is kind:
        return value
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    raise SpecError(f"{dotted} is {_shown(value)}: expected {words[kind]}")


def _check(value: Any, dotted: str, limits: Limits) -> None:
    if limits.choices and value not in limits.choices:
        raise SpecError(f"{dotted} is {_shown(value)}: expected {' or '.join(map(_shown, limits.choices))}")
    if isinstance(value, (int, float)):
        if limits.least is not None and not value >= limits.least:
            raise SpecError(f"{dotted} is {value}: expected at least {limits.least}")
        if limits.above is not None and not value > limits.above:
            raise SpecError(f"{dotted} is {value}: expected more than {limits.above}")
        if limits.most is not None and not value <= limits.most:
            raise SpecError(f"{dotted} is {value}: expected at most {limits.most}")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
