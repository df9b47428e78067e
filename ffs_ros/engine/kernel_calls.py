"""The kernels of our own that run between the plans of an engine: what each reads and writes, and how it is launched.

Their CUDA C++ and what it compiles to (PTX, which every driver from 520 on turns into the code of its GPU) are in
``kernels/``. An engine file brings the PTX that it was proven with: a later version of this package runs that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ffs_ros.engine import TensorSpec
from ffs_ros.engine.cuda import Gpu
from ffs_ros.errors import EngineError

COMPUTE_CAPABILITY = (8, 0)
"""The least that they run on: they use tensor cores on halves, with fp32 sums."""
_FOLDER = Path(__file__).with_name("kernels")
_INCLUDED = re.compile(r'#include "(\w+\.cuh)"\n')
_PLANES, _STORED, _FEATURES, _PROJECTED, _EVIDENCE, _WRITTEN = 48, 32, 224, 12, 56, 64
_SAMPLES = 2 * 9 * _STORED
_FINER = 4


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


class Launch(NamedTuple):
    """A kernel for one size. Shapes are in the order in which tensors lie in memory."""

    reads: list[TensorSpec]
    writes: TensorSpec
    grid: tuple[int, int, int]
    threads: int
    numbers: tuple[int, ...]
    """Arguments behind the addresses of what it reads, of its constants, and of what it writes."""


def _cost_volume(batch: int, rows: int, columns: int) -> Launch:
    """Group correlation and concatenation of the features and their projection, left images before right ones."""
    return Launch(
        [_halves(2 * batch, channels, rows, columns) for channels in (_FEATURES, _PROJECTED)],
        _halves(batch, _PLANES, rows, columns, _STORED),
        (_ceil(columns, 32), rows, batch),
        128,
        (batch, rows, columns),
    )


def _four_times_finer(batch: int, rows: int, columns: int) -> Launch:
    """What enters the hourglass plus the coarse volume, at 1/16 of the images, interpolated."""
    fine = _halves(batch, _PLANES, rows, columns, _STORED)
    coarse = _halves(batch, _PLANES // _FINER, _ceil(rows, _FINER), _ceil(columns, _FINER), _STORED)
    return Launch(
        [coarse, fine],
        fine,
        (_ceil(columns, 32), _ceil(rows + 2, _FINER), batch * (_PLANES // _FINER + 1)),
        128,
        (rows, columns),
    )


def _look_up_convc1(batch: int, rows: int, columns: int) -> Launch:
    """What is around the disparity in the geometry volume and the correlation of all pairs, through ``convc1``.

    And the disparity, in halves, which more than one layer reads with the channels last.
    """
    pixels = batch * rows * columns
    return Launch(
        [
            TensorSpec((batch, 1, rows, columns), np.dtype(np.float32)),
            _halves(batch, _PLANES, rows, columns, _STORED),
            _halves(batch, rows, columns, columns),
        ],
        _halves(batch, rows, columns, _WRITTEN),
        (_ceil(pixels, 32), 1, 1),
        256,
        (pixels, rows * columns, columns),
    )


_CHANNELS_AT_ONCE = 8
_CHUNKS, _FEWEST_CHUNKS = 128, 16
"""Of all images and of one: enough blocks for all of a GPU, and few enough for each block of the norm to read."""
_SUM_THREADS, _SUM_VECTORS = 512, 64
_NORM_BLOCKS, _NORM_THREADS, _NORM_VECTORS = 600, 256, 4
"""Vectors, of eight channels: of a block."""


def _channel_sums(batch: int, rows: int, columns: int, channels: int) -> Launch:
    """Mean and squared deviations of each channel, of chunks of the places of a picture; what fills them up too."""
    pixels, vectors = rows * columns, _ceil(channels, _CHANNELS_AT_ONCE)
    stored = vectors * _CHANNELS_AT_ONCE
    least = _SUM_THREADS // min(vectors, _SUM_VECTORS)  # places: one for each thread
    chunk = max(least, _ceil(pixels, max(_FEWEST_CHUNKS, _CHUNKS // batch)))
    chunks = _ceil(pixels, chunk)
    return Launch(
        [_halves(batch, rows, columns, stored)],
        TensorSpec((batch, chunks, 2, stored), np.dtype(np.float32)),
        (chunks, _ceil(vectors, _SUM_VECTORS), batch),
        _SUM_THREADS,
        (pixels, vectors, chunk),
    )


def _instance_norm(batch: int, rows: int, columns: int, channels: int, slope: int) -> Launch:
    """Instance norm from that, then a leaky ReLU of ``slope`` thousandths."""
    sums = _channel_sums(batch, rows, columns, channels)
    pixels, vectors, chunk = sums.numbers
    tiles = _ceil(vectors, _NORM_VECTORS)
    least = 4 * (_NORM_THREADS // min(vectors, _NORM_VECTORS))  # places: four for each thread
    length = max(least, _ceil(pixels, _ceil(_NORM_BLOCKS, tiles * batch)))
    return Launch(
        [*sums.reads, sums.writes],
        sums.reads[0],
        (_ceil(pixels, length), tiles, batch),
        _NORM_THREADS,
        (pixels, channels, chunk, length, slope),
    )


def _instance_norm_add(batch: int, rows: int, columns: int, channels: int, slope: int) -> Launch:
    """The same, with a picture added in front of the ReLU."""
    norm = _instance_norm(batch, rows, columns, channels, slope)
    return norm._replace(reads=[*norm.reads, norm.writes])


def _halves(*shape: int) -> TensorSpec:
    return TensorSpec(shape, np.dtype(np.float16))


def _ceil(length: int, step: int) -> int:
    return -(-length // step)


class Kernel(NamedTuple):
    """What a call of one name is."""

    launch: Callable[..., Launch]
    """For a size."""
    constant_bytes: tuple[int, ...] = ()
    """Of each constant: weights in the kernel's own order."""
    least: tuple[int, ...] = (1, 1, 1)
    """Of each number of a size. The first three are batch, rows and columns."""


KERNELS = {
    "cost_volume": Kernel(_cost_volume),
    "four_times_finer": Kernel(_four_times_finer),
    "look_up_convc1": Kernel(_look_up_convc1, (2 * _SAMPLES * _EVIDENCE, 4 * _EVIDENCE)),
    "channel_sums": Kernel(_channel_sums, least=(1, 1, 1, 1)),
    "instance_norm": Kernel(_instance_norm, least=(1, 1, 1, 1, 0)),
    "instance_norm_add": Kernel(_instance_norm_add, least=(1, 1, 1, 1, 0)),
}


def launch_of(call: Call) -> Launch:
    return KERNELS[call.kernel].launch(*call.size)


class Ready:
    """A call whose code and constants are on a GPU."""

    def __init__(self, gpu: Gpu, call: Call, content: bytes) -> None:
        """``content``: its constants, then its PTX. Raises EngineError when the driver refuses that, or MemoryError."""
        self.call = call
        self._launch = launch_of(call)
        begin, self._constants = 0, []
        for nbytes in KERNELS[call.kernel].constant_bytes:
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
    if type(call.nbytes) is not int or call.nbytes <= sum(KERNELS[call.kernel].constant_bytes):
        return f"calls {call.kernel} of {call.nbytes} bytes"
    return None


class Prepared(NamedTuple):
    """A call that is to become part of an engine."""

    call: Call
    content: bytes


def prepared(kernel: str, reads: list[str], writes: str, size: list[int], constants: Sequence[bytes]) -> Prepared:
    """A call as ``Call`` has it, with its constants and the PTX that ships."""
    lengths = tuple(map(len, constants))
    if lengths != KERNELS[kernel].constant_bytes:
        raise ValueError(f"the constants of {kernel} have {lengths} bytes, expected {KERNELS[kernel].constant_bytes}")
    content = b"".join(constants) + ptx_path(kernel).read_bytes()
    return Prepared(Call(kernel, reads, writes, size, len(content)), content)


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
                gpu.kernel(ptx_path(name).read_bytes(), name)
    except (EngineError, MemoryError, OSError) as error:
        return str(error) or "GPU memory is short"
    return None


def ptx_path(name: str) -> Path:
    return _FOLDER / f"{name}.ptx"


def source_text(name: str) -> bytes:
    """A kernel's CUDA C++, with the files that it includes in the place of their names."""

    def included(line: re.Match[str]) -> str:
        return (_FOLDER / line[1]).read_text(encoding="utf-8").replace("#pragma once\n", "")

    return _INCLUDED.sub(included, (_FOLDER / f"{name}.cu").read_text(encoding="utf-8")).encode()


def source_sha256(name: str) -> str:
    """The mark in a PTX file by which it belongs to its source."""
    return hashlib.sha256(source_text(name)).hexdigest()
