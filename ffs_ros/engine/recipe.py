"""What an engine that is not there is built from, and how: the command of ``build_if_missing``."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ffs_ros.engine.folder import engine_folder
from ffs_ros.engine.manifest import read_manifest
from ffs_ros.errors import BuildError, EngineError
from ffs_ros.weights import SYNTHETIC, WEIGHTS


class Recipe(NamedTuple):
    """One engine to be."""

    engine: Path
    """Where it is to lie."""
    source: Path
    """The ONNX file, or a checkpoint."""
    words: list[str]
    """Those of ``ffs build-engine``."""
    took_s: float | None
    """How long it took the time before, maybe on another GPU."""
    warning: str = ""
    """What is to be known before it replaces the engine that was there."""


def recipe_for(engine: Path, gpu_index: int) -> Recipe:
    """How to build ``engine`` for a GPU; a bare name stands for a file in ``engine_folder``.

    Where a manifest has stayed, from its source, by its path or beside the engine, and with its options. Where that is
    not here, from NAME.onnx, beside the engine or else in ``engine_folder``. Raises BuildError when there is neither.
    """
    if engine.parent == Path() and not engine.exists():
        engine = engine_folder() / engine
    engine = engine.absolute()
    named: list[Path] = []
    options: list[str] = []
    took_s: float | None = None
    before = ""
    with suppress(EngineError, ValueError):  # a manifest that is missing or damaged says nothing
        manifest = read_manifest(engine)
        _, _, source, *options, _, _ = manifest.command
        took_s, before = manifest.build_s, manifest.source_sha256
        named = [WEIGHTS] if source == SYNTHETIC else [Path(source), engine.with_name(manifest.source)]
    beside = engine.with_suffix(".onnx")
    candidates = list(dict.fromkeys([*named, beside, engine_folder().absolute() / beside.name]))
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise BuildError(
            f"there is nothing to build {engine} from: expected {' or '.join(map(str, candidates))}; export it on any "
            f"machine and copy it there together with its .proof.npz: ffs export CHECKPOINT -o {beside.name} "
            "--precision fp16"
        )
    if found not in named:  # options for a checkpoint, say, fit no graph
        options = []
    changed = found in named and _sha256(found) != before
    warning = (
        f"{found} is not the file that {engine.name} was built from before (SHA-256): the new engine will be of other "
        "weights, or of another export"
    )
    # Of an option that is given twice the last one counts.
    words = [str(found), *options, "--gpu-index", str(gpu_index), "-o", str(engine)]
    return Recipe(engine, found, words, took_s, warning if changed else "")


def _sha256(path: Path) -> str:
    """Empty where it cannot be read; whoever builds from it says why."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
