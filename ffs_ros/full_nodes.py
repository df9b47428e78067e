"""Which nodes of an fp16 graph give fp32, as a note in its file, for runtimes that do not keep a graph's types.

TensorRT 8.6 reads every value as float32 and then chooses the types, unless each layer is told. It keeps the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from ffs_ros.onnx_notes import notes_of

FULL_NODES = "ffs_ros.full_nodes"
"""The note's key; fp32 graphs have none."""
_NODE = re.compile(r"((?:.*/)?[A-Z][A-Za-z0-9]*_\d+)(?::\d+)?")
"""A node's name as the graph's builder makes it, and its value's: ``scope/Add_12``, ``scope/Split_3:1``."""


def written(names: Iterable[str]) -> str:
    """The note: ``/ Sub_2 Div_3 decoder/ ReduceMean_361 Sub_362``; scopes end with a slash."""
    words = []
    for scope, members in groupby(sorted(names, key=_scope), _scope):
        words += [scope, *(name[len(scope.lstrip("/")) :] for name in members)]
    return " ".join(words)


def full_nodes_of(path: Path) -> frozenset[str] | None:
    """The names of the nodes of an ONNX file whose results are float32; None where its note does not say so."""
    note = notes_of(path).get(FULL_NODES)
    return None if note is None else full_nodes(note)


def full_nodes(note: str) -> frozenset[str]:
    """The names that ``written`` was given."""
    scope, names = "", set()
    for word in note.split():
        if word.endswith("/"):
            scope = word.lstrip("/")
        else:
            names.add(scope + word)
    return frozenset(names)


def node_of(name: str) -> str | None:
    """The node that a layer or tensor of this name comes from; None for what has another origin."""
    found = _NODE.fullmatch(name)
    return found and found[1]


def _scope(name: str) -> str:
    return name.rpartition("/")[0] + "/"
