"""``KEY=VALUE`` words of a command, which change a spec as TAO's launcher (Hydra) has them.

train.num_epochs=5    results_dir=/data/out    export.checkpoint=null
dataset.test_dataset.data_sources=[{dataset_name:Kitti,data_file:/data/kitti.txt}]
dataset.test_dataset.data_sources.0.data_file=/data/other.txt
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ffs_ros.errors import SpecError

_OVERRIDE = re.compile(r"(\+{0,2})([A-Za-z_]\w*(?:\.\w+|\[\d+\])*)=(.*)", re.DOTALL)


def is_override(word: str) -> bool:
    """Whether a command's word changes a spec; a file whose name has a = is told apart by a folder: ./a=b.onnx."""
    return _OVERRIDE.fullmatch(word) is not None


def put(values: Any, override: str, value_of: Callable[[str], Any]) -> Any:
    """``values``, nested mappings and lists, with ``override`` in them. ``value_of`` reads its value, or raises
    ValueError. Raises SpecError when it is no override or does not lead anywhere."""
    parts = _OVERRIDE.fullmatch(override)
    if parts is None:
        raise SpecError(f"'{override}' is not understood: expected KEY=VALUE, such as train.num_epochs=5")
    dotted = parts[2]
    try:
        value = value_of(parts[3])
    except ValueError as error:
        raise SpecError(f"the value of '{override}' is not understood: {error}") from None
    values = {} if values is None else values
    place, above = values, "the spec"
    *path, last = re.findall(r"\w+", dotted)
    for name in path:
        if isinstance(place, dict) and place.get(name) is None:
            place[name] = {}
        place = place[_in(place, name, above, override)]
        above = name if above == "the spec" else f"{above}.{name}"
    place[_in(place, last, above, override)] = value
    return values


def _in(place: Any, name: str, above: str, override: str) -> Any:
    """What ``place`` is indexed with."""
    if isinstance(place, dict):
        return name
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return int(name)
    if isinstance(place, list):
        raise SpecError(f"'{override}' leads nowhere: {above} has {len(place)} entries, counted from 0")
    raise SpecError(f"'{override}' leads nowhere: {above} has no keys")
