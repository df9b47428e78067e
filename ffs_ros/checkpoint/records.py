"""What a pickle can become here: plain Python data and these four kinds of record, none of which can do anything."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ffs_ros.errors import CheckpointError

LARGEST_COUNT = 2**48
MOST_DIMENSIONS = 16

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip
"""Every dtype that can be measured; only the first four can be weights."""

_WEIGHT_DTYPES = {"float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2"}

_PYTHON3_MODULES = {"__builtin__": "builtins", "posix": "os", "nt": "os"}


@dataclass(frozen=True, eq=False)
class Global:
    """The name of a class or function; never the thing itself."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """``module.name``, and in brackets how a Python 3 programmer would write it."""
        python3 = _PYTHON3_MODULES.get(self.module)
        return f"{self.module}.{self.name}" + (f" ({python3}.{self.name})" if python3 else "")


@dataclass(eq=False, repr=False)
class Inert:
    """An object as the pickle describes it: which class, with which arguments, holding what. It has no behaviour."""

    kind: Any
    """``Global`` of its class or of the function that would have made it; a record where the pickle made that too."""
    arguments: Any = ()
    state: dict[Any, Any] = field(default_factory=dict)
    slots: dict[Any, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class Storage:
    """A run of numbers somewhere in the file; ``data`` is set once the file is known to hold all of it."""

    key: str
    dtype: str
    elements: int
    data: memoryview | None = None
    big_endian: bool = False

    @property
    def nbytes(self) -> int:
        return self.elements * ITEM_BYTES[self.dtype]

    def same_as(self, other: Storage) -> Storage:
        """This storage, when the other describes it alike; raises ValueError otherwise."""
        if (self.dtype, self.elements) != (other.dtype, other.elements):
            raise ValueError(f"storage {shown(self.key)} is described twice, and differently")
        return self


@dataclass(eq=False, repr=False)
class StoredTensor:
    """A view of a storage: offset and strides in elements. It exists only if all of it lies inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.shape) > MOST_DIMENSIONS or len(self.shape) != len(self.stride):
            raise CheckpointError(f"a tensor has {len(self.shape)} sizes and {len(self.stride)} strides; it is damaged")
        for number in (self.offset, *self.shape, *self.stride):
            if not is_count(number):
                told = number if type(number) is int and abs(number) <= LARGEST_COUNT else "no usable number"
                raise CheckpointError(
                    f"a tensor's size, stride or offset is {told}; expected a view inside its storage; the file is "
                    f"damaged or was made to harm"
                )
        if 0 in self.shape:
            return
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        if last >= self.storage.elements:
            raise CheckpointError(
                f"a tensor of shape {list(self.shape)} reaches element {last} of a storage of {self.storage.elements}; "
                f"the file is damaged or was made to harm"
            )

    @property
    def dtype(self) -> str:
        return self.storage.dtype

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def is_floating(self) -> bool:
        return self.dtype in _WEIGHT_DTYPES

    def array(self) -> np.ndarray:
        """A C-contiguous float32 copy of a floating-point tensor; inf where a float64 is too large for it."""
        assert self.storage.data is not None, "a storage is read before the file is known to hold it"
        code = (">" if self.storage.big_endian else "<") + _WEIGHT_DTYPES[self.dtype]
        flat = np.frombuffer(self.storage.data, dtype=code, count=self.storage.elements)
        if 0 in self.shape:
            return np.zeros(self.shape, np.float32)
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, [step * flat.itemsize for step in self.stride], writeable=False
        )
        if self.dtype == "bfloat16":  # the upper half of a float32
            bits = view.astype(np.uint32, order="C")
            bits <<= np.uint32(16)
            return bits.view(np.float32)
        with np.errstate(over="ignore"):
            return np.array(view, dtype=np.float32, order="C")


def is_count(value: object) -> bool:
    """Whether a value from a file is an integer that can be a size, a stride or an offset."""
    return type(value) is int and 0 <= value < LARGEST_COUNT


def shown(text: str, most: int = 160) -> str:
    """Text from a file, safe to print: without control or non-ASCII characters, and not too long."""
    short = text if len(text) <= most else text[:most] + "..."
    return short if short.isascii() and short.isprintable() else short.encode("unicode_escape").decode("ascii")
