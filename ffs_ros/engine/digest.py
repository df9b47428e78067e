"""Which engine it is, by the content of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ffs_ros.engine.folder import engine_path
from ffs_ros.errors import EngineError
from ffs_ros.weights import GRAPH, SYNTHETIC, WEIGHTS

_BESIDE = (".onnx.data", ".onnx_data", ".data", ".safetensors")
"""Endings of files in which a graph's weights lie beside it."""
_AT_ONCE_bytes = 1 << 20


def sha256_of_engine(engine: str | Path) -> str:
    """Of all files that the answers depend on, in hexadecimal; of a folder, those of the engines in it.

    Raises EngineError when there are none, or they cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for path in _files(engine):
            digest.update(f"{path.name}\n".encode())
            with path.open("rb") as file:
                while part := file.read(_AT_ONCE_bytes):
                    digest.update(part)
    except OSError as error:
        raise EngineError(
            f"cannot read {error.filename}: {error.strerror or error}; check the engine's name"
        ) from error
    return digest.hexdigest()


def _files(engine: str | Path) -> Iterator[Path]:
    if str(engine) == SYNTHETIC:
        yield from (GRAPH, WEIGHTS)
        return
    path = engine_path(engine)
    if path.is_dir():
        yield from sorted(file for file in path.iterdir() if file.suffix in (".engine", ".onnx"))
        return
    yield path
    if path.suffix == ".onnx":
        yield from (beside for ending in _BESIDE if (beside := path.parent / (path.stem + ending)).is_file())
