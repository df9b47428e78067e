"""The YAML of a spec, as nested mappings, with overrides put in and references filled in as TAO's launcher does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from ffs_ros.errors import FileError, SpecError
from ffs_ros.storage import opened_once

from .overrides import put
from .references import filled_in

_MOST_ENTRIES = 100_000
"""A spec has some hundred."""


def loaded(path: Path, overrides: Sequence[str] = ()) -> Any:
    """What is in the file. Raises FileError when there is none, SpecError when it is no YAML or says a key twice, or
    for an override that is none."""
    text = _text(path)
    try:
        values = yaml.load(text, _AsTao)
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SpecError(f"{path} is nested more deeply than any spec; give -e a spec") from None
    except Exception as error:  # a !!bool that is none is a KeyError of PyYAML's, a number of 5000 digits a ValueError
        raise SpecError(f"{path} has a value that is not what its tag or form says: {error}; correct it") from None
    for override in overrides:
        values = put(values, override, _value_of)
    if _entries(values, {}) > _MOST_ENTRIES:
        raise SpecError(f"{path} has aliases that repeat more than {_MOST_ENTRIES} values; write out what is meant")
    return filled_in(values)


def _text(path: Path) -> str:
    try:
        with opened_once(path) as file:
            return file.read().decode()
    except OSError as error:
        raise FileError(
            f"cannot read the spec {path}: {error.strerror}; check the name, or write one: ffs spec -o {path}"
        ) from None
    except UnicodeDecodeError:
        raise FileError(f"the spec {path} is no text; give -e a YAML file") from None


def _entries(value: Any, known: dict[int, float]) -> float:
    """How many there are below ``value`` once aliases are written out; without end where one is inside itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        below = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_entries(entry, known) for entry in below)
    return known[id(value)]


def text_of(values: Any) -> str:
    """YAML of nested mappings, in their order."""
    return yaml.safe_dump(values, sort_keys=False)


def _value_of(text: str) -> Any:
    """Raises ValueError for what is no YAML."""
    try:
        return _split(yaml.load(text, _AsTao)) if text else ""
    except Exception as error:  # as for a file
        raise ValueError(" ".join(str(error).split())) from None


def _split(value: Any) -> Any:
    """Hydra, which reads TAO's overrides, takes ``{a:1}`` as YAML takes ``{a: 1}``."""
    if isinstance(value, list):
        return [_split(item) for item in value]
    if isinstance(value, dict):
        entries = {}
        for key, entry in value.items():
            name, colon, rest = str(key).partition(":") if entry is None else (key, "", "")
            entries[name] = yaml.load(rest, _AsTao) if colon else _split(entry)
        return entries
    return value


class _AsTao(yaml.SafeLoader):
    """Refuses what YAML forbids and PyYAML takes: of two values of one key, the first would have no effect. A date, as
    a folder may be called, stays a text, as in OmegaConf, which reads TAO's specs."""

    yaml_implicit_resolvers: ClassVar[Any] = {
        first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                raise yaml.YAMLError(f"the key '{key.value}' stands in lines {lines[key.value]} and {line}; keep one")
            lines[key.value] = line
        return node
