"""What the entries of a manifest must be. People edit it, and an engine with wrong ones would give depth even so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ffs_ros.engine.parts import parts_from

_BOUNDS = ("min", "opt", "max")


def fault_in(content: Mapping[str, Any], manifest: type) -> str | None:
    """In words, what keeps ``content`` from being a ``manifest``, a dataclass; None where nothing does."""
    if set(content) != {one.name for one in fields(manifest)}:
        return "entries are missing or added"
    for name, wanted in get_type_hints(manifest).items():
        if not _fits(content[name], wanted):
            return f"'{name}' is {content[name]!r}"
    if len(content["command"]) < len(("ffs", "build-engine", "SOURCE", "-o", "ENGINE")):
        return "'command' builds nothing"
    sizes = [content["sizes"].get(bound, []) for bound in _BOUNDS]
    rise = all(len(size) == len(("pairs", "rows", "columns")) for size in sizes) and all(
        0 < least <= usual <= most for least, usual, most in zip(*sizes, strict=True)
    )
    if not rise or len(content["sizes"]) != len(sizes):
        return f"'sizes' is {content['sizes']!r}"
    if not content["max_disparity"] > 0:
        return f"'max_disparity' is {content['max_disparity']!r}"
    try:
        parts_from(content["parts"], content["engine_bytes"], content["iterations"])
    except ValueError as error:
        return str(error)
    return None


def _fits(value: Any, wanted: Any) -> bool:
    """Whether ``value``, from JSON, is of a type; a whole number is a ``float`` too, a truth value is no number."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(one, inner[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    if wanted is float:
        return type(value) in (int, float)
    return type(value) is wanted
