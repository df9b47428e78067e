"""``${results_dir}/export/model.onnx``: what a spec takes from its other keys, or ``${oc.env:HOME}`` from outside.

As OmegaConf does, which reads TAO's specs. What cannot be filled in stays as it is; whoever needs the value says so.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ffs_ros.errors import SpecError

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_MISSING = "???"
_DEEPEST = 16
_LONGEST = 10_000
"""Characters of a text: what others repeat grows without limit."""


class _Unknown(Exception):
    """There is nothing to fill in."""


def filled_in(values: Any) -> Any:
    """``values``, nested mappings and lists, with their references replaced. Raises SpecError for an endless text."""
    return _filled(values, _References(values))


def _filled(value: Any, references: _References) -> Any:
    if isinstance(value, dict):
        return {name: _filled(entry, references) for name, entry in value.items()}
    if isinstance(value, list):
        return [_filled(item, references) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return references.text(value, _DEEPEST)
    except _Unknown:
        return value


class _References:
    """To ``root``. What each means is found once, however often others repeat it."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, Any] = {}

    def text(self, text: str, depth: int) -> Any:
        """With its references replaced. Raises _Unknown."""
        if _REFERENCE.fullmatch(text):
            return self._meant(text[2:-1], depth)
        filled = _REFERENCE.sub(lambda found: str(self._meant(found[1], depth)), text)
        if len(filled) > max(_LONGEST, len(text)):
            raise SpecError(f"'{text[:40]}' becomes {len(filled)} characters once filled in; write what is meant")
        return filled

    def _meant(self, name: str, depth: int) -> Any:
        if depth == 0:  # they lead in a circle
            raise _Unknown
        if name not in self._known:
            place = self._place(name)
            self._known[name] = self.text(place, depth - 1) if isinstance(place, str) else place
        return self._known[name]

    def _place(self, name: str) -> Any:
        """What stands there."""
        resolver, colon, argument = name.partition(":")
        if colon:
            variable, comma, default = argument.partition(",")
            if resolver.strip() != "oc.env" or not (variable.strip() in os.environ or comma):
                raise _Unknown
            return os.environ.get(variable.strip(), default.strip())
        place = self._root
        for part in name.strip().split("."):
            if isinstance(place, dict) and part in place:
                place = place[part]
            elif isinstance(place, list) and part.isdecimal() and int(part) < len(place):
                place = place[int(part)]
            else:
                raise _Unknown
        if place is None or place == _MISSING:
            raise _Unknown
        return place
