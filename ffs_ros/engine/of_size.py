"""Which of the engines in a folder runs at a size: told by their manifests and metadata, without opening any."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ffs_ros.engine.manifest import read_manifest
from ffs_ros.engine_size import Size, in_words
from ffs_ros.errors import EngineError
from ffs_ros.onnx_notes import notes_of

_ANY = (1, 1), (9999, 9999)
_OPEN = "dynamic"


class _Kept(NamedTuple):
    """One engine that lies in a folder."""

    path: Path
    least: Size
    most: Size
    iterations: str

    def __str__(self) -> str:
        size = in_words(self.least) if self.least == self.most else f"{in_words(self.least)} to {in_words(self.most)}"
        size = "any size" if (self.least, self.most) == _ANY else size
        return f"{self.path.name} ({size}, {self.iterations} iterations)"


def engine_of_size(folder: Path, size: Size | None) -> Path:
    """The engine in ``folder`` that runs at ``size``; built ones before graphs, those of this one size before others.

    Raises EngineError, with what there is, when there is none, when several do, and without a size where several lie.
    """
    kept = [one for path in sorted(folder.iterdir()) if (one := _read(path)) is not None]
    listed = ", ".join(map(str, kept))
    if not kept:
        raise EngineError(f"{folder} is a folder without engines whose size is known; name a .onnx or .engine file")
    if size is None:
        if len(kept) == 1:
            return kept[0].path
        raise EngineError(
            f"{folder} is a folder with {len(kept)} engines: {listed}; choose by engine_size:=ROWSxCOLUMNS, or name one"
        )
    fits = [one for one in kept if all(a <= n <= b for a, n, b in zip(one.least, size, one.most, strict=True))]
    if not fits:
        raise EngineError(f"{folder} has no engine that runs at {in_words(size)}; there are: {listed}")
    best = min(map(_rank, fits))
    first = [one for one in fits if _rank(one) == best]
    if len(first) > 1:
        raise EngineError(
            f"{folder} has {len(first)} engines that run at {in_words(size)}: {', '.join(map(str, first))}; name one"
        )
    return first[0].path


def _rank(one: _Kept) -> tuple[bool, bool]:
    return one.path.suffix != ".engine", one.least != one.most


def _read(path: Path) -> _Kept | None:
    """None for what is no engine, and for one that does not say its size."""
    if path.suffix == ".engine":
        with suppress(EngineError):
            manifest = read_manifest(path)
            (_, *least), (_, *most) = manifest.sizes["min"], manifest.sizes["max"]
            return _Kept(path, (least[0], least[1]), (most[0], most[1]), str(manifest.iterations or "unknown"))
    elif path.suffix == ".onnx":
        notes = notes_of(path)
        sides = notes.get("ffs_ros.height", ""), notes.get("ffs_ros.width", "")
        iterations = notes.get("ffs_ros.iterations", "unknown")
        if sides == (_OPEN, _OPEN):
            return _Kept(path, *_ANY, iterations)
        if sides[0].isdecimal() and sides[1].isdecimal():
            size = int(sides[0]), int(sides[1])
            return _Kept(path, size, size, iterations)
    return None
