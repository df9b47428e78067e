"""The kernels of our own that run between the plans of an engine, as an engine file has them and on a GPU.

Their CUDA C++ and what it compiles to (PTX, which every driver from 520 on turns into the code of its GPU) are in
``kernels/``. An engine file brings the PTX that it was proven with: a later version of this package runs that.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ffs_ros.engine.cuda import Gpu
from ffs_ros.engine.kernel_launches import KERNELS, Launch
from ffs_ros.errors import EngineError

COMPUTE_CAPABILITY = (8, 0)
"""The least that they run on: they use tensor cores on halves, with fp32 sums."""
_FOLDER = Path(__file__).with_name("kernels")
_INCLUDED = re.compile(r'#include "(\w+\.cuh)"\n')


class Call(NamedTuple):
    """A kernel between plans, as the manifest has it."""

    kernel: str
    reads: list[str]
    """Tensors, in the order of its arguments."""
    writes: str
    size: list[int]
    """What its launch takes: batch, rows and columns, of some kernels more."""
    nbytes: int
    """Of what the engine file has of it: constants, then PTX."""


def launch_of(call: Call) -> Launch:
    return KERNELS[call.kernel].launch(*call.size)


class Ready:
    """A call whose code and constants are on a GPU."""

    def __init__(self, gpu: Gpu, call: Call, content: bytes) -> None:
        """``content``: its constants, then its PTX. Raises EngineError when the driver refuses that, or MemoryError."""
        self.call = call
        self._launch = launch_of(call)
        begin, self._constants = 0, []
        for nbytes in self._launch.constant_bytes:
            pinned, address = gpu.pinned(nbytes), gpu.buffer(nbytes)
            pinned[:] = np.frombuffer(content, np.uint8, nbytes, begin)
            gpu.upload(address, pinned)
            self._constants.append(address)
            begin += nbytes
        self._start = gpu.kernel(content[begin:], call.kernel)

    def enqueue(self, addresses: Mapping[str, int], into: int) -> None:
        """Run once on the tensors at ``addresses``. Raises EngineError when the GPU has failed."""
        given = [addresses[name] for name in self.call.reads]
        self._start(
            self._launch.grid, self._launch.threads, (*given, *self._constants, into), self._launch.numbers
        )  # fmt: skip


def fault_of(call: Call) -> str | None:
    """In words, what keeps a call that was read from a manifest from being one; None where nothing does."""
    if call.kernel not in KERNELS:
        return f"calls '{call.kernel}', which is no kernel of this version of ffs_ros"
    lengths, least = call.size if isinstance(call.size, list) else [], KERNELS[call.kernel].least
    short = any(type(length) is not int or length < one for length, one in zip(lengths, least))  # noqa: B905
    if len(lengths) != len(least) or short:
        return f"calls {call.kernel} for a size of {call.size}"
    names = [*call.reads, call.writes] if isinstance(call.reads, list) else []
    if len(names) != len(launch_of(call).reads) + 1 or not all(isinstance(name, str) for name in names):
        return f"calls {call.kernel} on {call.reads} into {call.writes}"
    if type(call.nbytes) is not int or call.nbytes <= sum(launch_of(call).constant_bytes):
        return f"calls {call.kernel} of {call.nbytes} bytes"
    return None


class Prepared(NamedTuple):
    """A call that is to become part of an engine."""

    call: Call
    content: bytes


def prepared(kernel: str, reads: list[str], writes: str, size: list[int], constants: Sequence[bytes]) -> Prepared:
    """A call as ``Call`` has it, with its constants and the PTX that ships."""
    content = b"".join(constants) + ptx(kernel)
    call = Call(kernel, reads, writes, size, len(content))
    lengths, expected = tuple(map(len, constants)), launch_of(call).constant_bytes
    if lengths != expected:
        raise ValueError(f"the constants of {kernel} have {lengths} bytes, expected {expected}")
    return Prepared(call, content)


def unfit(gpu: Gpu | None) -> str | None:
    """In words, why a GPU cannot run the kernels that ship; None where it can."""
    least = ".".join(map(str, COMPUTE_CAPABILITY))
    if gpu is None:
        return "there is no GPU here"
    if tuple(map(int, gpu.compute_capability.split("."))) < COMPUTE_CAPABILITY:
        return f"{gpu.name} has compute capability {gpu.compute_capability}, less than {least}"
    try:
        with gpu.current():
            for name in KERNELS:
                gpu.kernel(ptx(name), name)
    except (EngineError, MemoryError, OSError) as error:
        return str(error) or "GPU memory is short"
    return None


def ptx_path(name: str) -> Path:
    """Compressed, as a million of its characters say little."""
    return _FOLDER / f"{name}.ptx.gz"


def ptx(name: str) -> bytes:
    """What a kernel's source compiles to, as text that the driver takes."""
    return gzip.decompress(ptx_path(name).read_bytes())


def source_text(name: str) -> bytes:
    """A kernel's CUDA C++, with the files that it includes in the place of their names."""

    def included(line: re.Match[str]) -> str:
        return (_FOLDER / line[1]).read_text(encoding="utf-8").replace("#pragma once\n", "")

    return _INCLUDED.sub(included, (_FOLDER / f"{name}.cu").read_text(encoding="utf-8")).encode()


def source_sha256(name: str) -> str:
    """The mark in a PTX file by which it belongs to its source."""
    return hashlib.sha256(source_text(name)).hexdigest()
