"""The few calls of a torch pickle that are understood, each answered here with plain data or a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ffs_ros.checkpoint.permitted import STORAGES
from ffs_ros.checkpoint.records import Global, Inert, Storage, StoredTensor, is_count
from ffs_ros.errors import CheckpointError

_LARGEST_KEY = 2**60

Arguments = tuple[Any, ...]


def _tensor(arguments: Arguments) -> StoredTensor:
    """A view: (storage, offset, shape, stride, requires_grad, hooks[, metadata])."""
    if len(arguments) not in (6, 7) or type(arguments[0]) is not Storage:
        raise ValueError("a tensor is not made of a storage, an offset, a shape and strides")
    storage, offset, shape, stride = arguments[:4]
    if type(shape) is not tuple or type(stride) is not tuple:
        raise ValueError("a tensor's shape or stride is no tuple")
    if len(arguments) == 7 and arguments[6]:
        raise CheckpointError(
            "a tensor in it is stored negated or conjugated; save it after resolve_neg() and resolve_conj()"
        )
    return StoredTensor(storage, offset, shape, stride)


def _parameter(arguments: Arguments) -> StoredTensor:
    if not arguments or type(arguments[0]) is not StoredTensor:
        raise ValueError("a parameter is made of something that is no tensor")
    return arguments[0]


def _ordered_dictionary(arguments: Arguments) -> dict[Any, Any]:
    """Empty; the entries follow. (Python 2 gave them here.)"""
    if arguments:
        raise ValueError("an ordered dictionary has arguments")
    return {}


def _default_dictionary(arguments: Arguments) -> dict[Any, Any]:
    """Empty and without its default, which would be a function."""
    return {}


def _set(arguments: Arguments) -> list[Any]:
    """The very list that the set was to be made of: a copy each time could be asked for a million times."""
    return arguments[0] if arguments and type(arguments[0]) is list else []


CALLS: dict[tuple[str, str], Callable[[Arguments], Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): _ordered_dictionary,
    ("collections", "defaultdict"): _default_dictionary,
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _set,
    ("__builtin__", "set"): _set,
    ("__builtin__", "frozenset"): _set,
}


def described(description: Any) -> Storage | Global:
    """What torch.save keeps apart from the pickle: a storage; in old files also a class, next to its source text.

    Raises ValueError when the description is none of these. The numbers of the storage are not there yet.
    """
    if type(description) is not tuple or len(description) < 2:
        raise ValueError("a storage is not described by a tuple")
    if description[0] == "module" and type(description[1]) is Global:
        return description[1]
    kind, *rest = description[1:]
    if description[0] != "storage" or len(rest) not in (3, 4) or type(kind) is not Global:
        raise ValueError("a storage is described in an unknown way")
    dtype = STORAGES.get((kind.module, kind.name))
    key, elements = rest[0], rest[2]
    if dtype is None or type(key) is not str or not is_count(elements):
        raise ValueError("a storage has an unknown type, name or size")
    if len(rest) == 4 and rest[3] is not None:
        raise CheckpointError("it was written by a PyTorch older than 0.4; write it again with a newer one")
    return Storage(key, dtype, elements)


def cheap_key(value: Any) -> Any:
    """The value as a dictionary key that is cheap to hash.

    Tuples of tuples of tuples and chosen large integers are not; a record takes their place.
    """
    if value is None or type(value) in (str, bytes, bool, float, Global, Inert):
        return value
    if type(value) is int and abs(value) < _LARGEST_KEY:
        return value
    return Inert(None, value)
