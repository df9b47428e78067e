"""``${results_dir}/export/model.onnx``: what a spec takes from its other keys, or ``${oc.env:HOME}`` from outside.

As OmegaConf does, which reads TAO's specs. What cannot be filled in stays as it is; whoever needs the value says so.
"""

from __future__ import annotations

import os
import re
from typing import Any

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_MISSING = "???"
_DEEPEST = 16


class _Unknown(Exception):
    """There is nothing to fill in."""


def filled_in(values: Any) -> Any:
    """``values``, nested mappings and lists, with their references replaced."""
    return _filled(values, values)


def _filled(value: Any, root: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled(entry, root) for name, entry in value.items()}
    if isinstance(value, list):
        return [_filled(item, root) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return _text(value, root, _DEEPEST)
    except _Unknown:
        return value


def _text(text: str, root: Any, depth: int) -> Any:
    """Raises _Unknown."""
    if _REFERENCE.fullmatch(text):
        return _meant(text[2:-1], root, depth)
    return _REFERENCE.sub(lambda found: str(_meant(found[1], root, depth)), text)


def _meant(name: str, root: Any, depth: int) -> Any:
    if depth == 0:  # they lead in a circle
        raise _Unknown
    resolver, colon, argument = name.partition(":")
    if colon:
        variable, comma, default = argument.partition(",")
        if resolver.strip() != "oc.env" or not (variable.strip() in os.environ or comma):
            raise _Unknown
        return os.environ.get(variable.strip(), default.strip())
    place = root
    for part in name.strip().split("."):
        if isinstance(place, dict) and part in place:
            place = place[part]
        elif isinstance(place, list) and part.isdecimal() and int(part) < len(place):
            place = place[int(part)]
        else:
            raise _Unknown
    if place is None or place == _MISSING:
        raise _Unknown
    return _text(place, root, depth - 1) if isinstance(place, str) else place
