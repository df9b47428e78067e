"""A pickle of the complete network object, as the released file is: where its tensors and its settings lie.

The object is a tree of records; ``_modules``, ``_parameters`` and ``_buffers`` are where torch.nn.Module keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ffs_ros.checkpoint.records import Inert, StoredTensor, shown
from ffs_ros.checkpoint.settings import plain
from ffs_ros.checkpoint.table import VOLUME
from ffs_ros.errors import CheckpointError

_MOST_MODULES = 20_000
_MOST_PARTS = 1_000
_LONGEST_NAME = 200
_DEEPEST = 50
_HARM = "the file is damaged or was made to harm"
_GATE = "cost_agg.post8_to_4.upsample.0"
_ATTENTION = "cost_agg.post8_to_4.upsample.1"
_PLANES = 12
"""Disparity planes in the attention: 192 px at one plane per 16."""


def is_module(value: Any) -> bool:
    """Whether a record is that of a torch.nn.Module."""
    return type(value) is Inert and type(value.state.get("_modules")) is dict


def module_tensors(root: Inert) -> dict[str, Any]:
    """Dotted name -> tensor record of every parameter and persistent buffer, as a state dict has them."""
    tensors: dict[str, Any] = {}
    for prefix, module in _walk(root):
        transient = module.state.get("_non_persistent_buffers_set")
        skipped = transient if type(transient) is list and len(transient) <= _MOST_PARTS else ()
        for place in ("_parameters", "_buffers"):
            for name, tensor in _parts(module, place):
                if tensor is not None and not (place == "_buffers" and name in skipped):
                    tensors[prefix + name] = tensor
    return tensors


def _parts(module: Inert, place: str) -> list[tuple[str, Any]]:
    held = module.state.get(place)
    parts = held.items() if type(held) is dict else ()
    if len(parts) > _MOST_PARTS or any(type(name) is not str or len(name) > _LONGEST_NAME for name, _ in parts):
        raise CheckpointError(
            f"its network has a module of more than {_MOST_PARTS} parts, or a part whose name is no short text; {_HARM}"
        )
    return list(parts)


def module_settings(root: Inert) -> dict[str, Any]:
    """The ``args`` that the network was made with, as plain data; empty where it has none."""
    settings = plain(root.state.get("args"))
    return settings if type(settings) is dict else {}


def check_architecture(root: Inert) -> None:
    """Raises CheckpointError when the object says of itself that it computes something else than our network.

    Only what no tensor's shape can tell, and only where the object says it at all.
    """
    settings = module_settings(root)
    for name, expected in (("corr_levels", 2), ("corr_radius", 4), ("volume_dim", VOLUME), ("cv_group", 8)):
        _expect(f"args.{name}", settings.get(name, expected), expected)
    check_normalisation("args.normalize", settings.get("normalize"))
    modules = dict(_walk(root))
    gate = modules.get(f"{_GATE}.")
    if gate is not None:
        _expect(f"{_GATE}.relu", gate.state.get("relu", False), False)
    attention = modules.get(f"{_ATTENTION}.sa.0.self_attn.")
    if attention is not None:
        _expect(f"{_ATTENTION}.sa.0.self_attn.num_heads", attention.state.get("num_heads", 4), 4)
    positions = modules.get(f"{_ATTENTION}.pos_embed0.")
    if positions is not None:
        _check_positions(positions.state.get("pe"))


def check_normalisation(name: str, value: Any) -> None:
    """Raises CheckpointError when a file says that its correlation is not normalised; saying nothing means it is."""
    if value is not None and value is not True:
        raise CheckpointError(
            f"says {name} = {shown(str(value))}: it was trained with a correlation that is not normalised, as the "
            f"research tiers 20-26-39 and 20-30-48 were; expected the released bp2 network or one finetuned from it"
        )


def _expect(name: str, found: Any, expected: Any) -> None:
    if type(found) is not type(expected) or found != expected:
        raise CheckpointError(
            f"says {name} = {shown(str(plain(found)))}; the bp2 network has {expected}; it is another network, and its "
            f"disparities would be wrong here"
        )


def _check_positions(stored: Any) -> None:
    """The table that the attention over disparity adds: pe[t, 2i] = sin(t w_i), pe[t, 2i+1] = cos(t w_i)."""
    if type(stored) is not StoredTensor:
        return
    shape = stored.shape
    name = f"{_ATTENTION}.pos_embed0.pe"
    if len(shape) != 3 or shape[0] != 1 or shape[2] != VOLUME or not _PLANES <= shape[1] <= 4096:
        raise CheckpointError(
            f"has {name} of shape {list(shape)}; the bp2 network has [1, {_PLANES}, {VOLUME}]; it is another network"
        )
    angle = np.arange(_PLANES)[:, None] * np.exp(-np.arange(0, VOLUME, 2) * np.log(10_000.0) / VOLUME)
    expected = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(_PLANES, VOLUME)
    if not stored.is_floating or not np.allclose(stored.array()[0, :_PLANES], expected, atol=1e-3):
        raise CheckpointError(f"has other values in {name} than the bp2 network; it is another network")


def _walk(root: Inert) -> Iterator[tuple[str, Inert]]:
    """(prefix, module) of the root and every module under it, in the order of a state dict."""
    pending = [("", root, 0)]
    for _ in range(_MOST_MODULES):
        if not pending:
            return
        prefix, module, depth = pending.pop()
        yield prefix, module
        if depth < _DEEPEST:
            children = [(name, child) for name, child in _parts(module, "_modules") if type(child) is Inert]
            pending += [(f"{prefix}{name}.", child, depth + 1) for name, child in reversed(children)]
    raise CheckpointError(f"its network has more than {_MOST_MODULES} modules; expected about 700; {_HARM}")
