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


class Facts(NamedTuple):
    """What is said about a key, and what its value may be."""

    meaning: str = ""
    """Also the last column of the documents' tables, and the comment in what ``ffs spec`` writes."""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()
    """Texts are found in any case, as TAO takes them."""
    ours: bool = False
    """TAO has no such key."""
    fixed: str = ""
    """Whose value the default is, when there can be no other one; any value given is compared with it."""
    example: Any = None
    """What ``ffs spec`` writes where the default would not do."""

    @property
    def limits(self) -> str:
        """In words; empty when anything will do."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        bounds = {"at least": self.least, "above": self.above, "at most": self.most}
        return ", ".join(f"{words} {bound:.10g}" for words, bound in bounds.items() if bound is not None)


def key(default: Any, meaning: str = "", **facts: Any) -> Any:
    """A dataclass field with its default and its ``Facts``."""
    return field(default=default, metadata={"facts": Facts(meaning, **facts)})


def facts_of(entry: Field[Any]) -> Facts:
    """Those of a field that ``key`` made; empty ones for any other."""
    return entry.metadata.get("facts", Facts())


def read(kind: type[T], values: Any, path: str = "", without_effect: Mapping[str, str] | None = None) -> T:
    """The dataclass ``kind`` from a mapping; keys that are left out have their defaults.

    ``path`` is what stands before the keys in messages. ``without_effect``: dotted names that may be there and are not
    read. Raises SpecError for an unknown key (and names the nearest known one), a wrong type, a value out of range, or
    all values that differ from fixed ones.
    """
    without_effect = without_effect or {}
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise SpecError(f"{path or 'the spec'} is {_shown(values)}: expected keys and values below it")
    hints = typing.get_type_hints(kind)
    known: dict[str, Field[Any]] = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    read_values, differing = {}, []
    for name, value in values.items():
        dotted = f"{path}.{name}" if path else str(name)
        if name in known and (whose := facts_of(known[name]).fixed):
            if plain(value) != plain(known[name].default):
                differing.append(f"{dotted} is {_shown(value)}: {whose} has {_shown(plain(known[name].default))}")
        elif name in known:
            read_values[name] = _value(hints[name], value, dotted, facts_of(known[name]), without_effect)
        elif dotted not in without_effect:
            beside = {other.rpartition(".")[2] for other in without_effect if other.rpartition(".")[0] == path}
            raise SpecError(_unknown(dotted, str(name), [*known, *sorted(beside - {*known})]))
    if differing:
        keys = "the key" if len(differing) == 1 else "these keys"
        raise SpecError(f"{'; '.join(differing)}; correct or leave out {keys}")
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


def _value(hint: Any, value: Any, dotted: str, facts: Facts, without_effect: Mapping[str, str]) -> Any:
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
        return _items(hint, value, dotted, facts, without_effect)
    return _checked(_scalar(hint, value, dotted), dotted, facts)


def _items(hint: Any, value: Any, dotted: str, facts: Facts, without_effect: Mapping[str, str]) -> tuple[Any, ...]:
    kinds = typing.get_args(hint)
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"{dotted} is {_shown(value)}: expected a list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise SpecError(f"{dotted} has {len(value)} values: expected {len(kinds)}")
    return tuple(
        _value(kind, item, f"{dotted}[{index}]", facts, without_effect)
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


def _checked(value: Any, dotted: str, facts: Facts) -> Any:
    if facts.choices:
        for choice in facts.choices:
            if value == choice or (isinstance(value, str) and value.lower() == choice.lower()):
                return choice
        raise SpecError(f"{dotted} is {_shown(value)}: expected {' or '.join(map(_shown, facts.choices))}")
    if isinstance(value, (int, float)):
        if facts.least is not None and not value >= facts.least:
            raise SpecError(f"{dotted} is {value}: expected at least {facts.least}")
        if facts.above is not None and not value > facts.above:
            raise SpecError(f"{dotted} is {value}: expected more than {facts.above}")
        if facts.most is not None and not value <= facts.most:
            raise SpecError(f"{dotted} is {value}: expected at most {facts.most}")
    return value


def plain(value: Any) -> Any:
    """With lists for tuples, as YAML and readers of checkpoints want them."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
