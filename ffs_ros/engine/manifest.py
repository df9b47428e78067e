"""What an engine file is and where it may run: the JSON beside it, checked before a runtime sees the engine.

Runtimes answer a wrong GPU, version or file with a number or a crash; the manifest answers with a command.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ffs_ros import __version__
from ffs_ros.engine.manifest_entries import fault_in
from ffs_ros.errors import EngineError, NotBuiltHere
from ffs_ros.whole_file import whole_file

FORMAT = 1
PASSED, REPORTED, OWED, UNPROVEN = "passed", "reported only", "owed", "unproven"
"""States of a proof: the gate was passed; untrained weights, which no gate holds for; to be made on a GPU; none."""


@dataclass(frozen=True)
class Manifest:
    """One built engine. Lengths in pixels, rows x columns."""

    engine_bytes: int
    engine_sha256: str
    source: str
    """The name of the ONNX file or checkpoint that it was built from."""
    source_sha256: str
    command: list[str]
    """What builds it again; the output is its last word."""
    runtime: str
    runtime_version: str
    gpu: str | None
    """None: built ahead of time, for any GPU that the runtime knows."""
    compute_capability: str | None
    precision: str
    why_precision: str
    strongly_typed: bool
    io: str
    sizes: dict[str, list[int]]
    """``min``, ``opt`` and ``max``: [batch, rows, columns]; all alike where nothing is open."""
    max_disparity: float
    iterations: int | None
    """None where the graph does not say."""
    weights: dict[str, str]
    """What the graph says about its weights: SHA-256 of the checkpoint, name of those that ship."""
    workspace_GiB: float
    optimization_level: int
    built_at: str
    build_s: float
    proof: dict[str, Any]
    """``state`` and, where it was made, ``figures``; ``file_sha256`` of the proof set beside an engine that owes it."""
    warnings: list[str] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    """``parts.Part`` of each plan in the file; empty where the file is one plan."""
    ffs_ros_version: str = __version__
    format: int = FORMAT

    def rebuild_command(self, path: Path) -> str:
        """What to type so that this engine appears at ``path``."""
        return shlex.join([*self.command[:-1], str(path)])

    def takes(self, size: tuple[int, int]) -> bool:
        """Whether the engine runs images of ``size`` (rows, columns)."""
        least, most = self.sizes["min"][1:], self.sizes["max"][1:]
        return all(low <= length <= high for low, length, high in zip(least, size, most, strict=True))

    def check_runtime(self, path: Path, version: str) -> None:
        """Raises NotBuiltHere unless the runtime is the one that built the engine."""
        if version != self.runtime_version:
            raise NotBuiltHere(
                path,
                f"{path} was built by {self.runtime} {self.runtime_version} and {version} is installed here; build it "
                f"again: {self.rebuild_command(path)}",
            )

    def check_gpu(self, path: Path, name: str, compute_capability: str) -> None:
        """Raises NotBuiltHere unless the engine may run on this GPU."""
        if self.gpu is not None and (name, compute_capability) != (self.gpu, self.compute_capability):
            raise NotBuiltHere(
                path,
                f"{path} was built for {self.gpu} (compute capability {self.compute_capability}) and this GPU is "
                f"{name} ({compute_capability}); build it here: {self.rebuild_command(path)}",
            )


def manifest_path(engine: Path) -> Path:
    """Where the manifest of an engine lies: ``NAME.engine.json`` beside ``NAME.engine``."""
    return engine.with_name(f"{engine.name}.json")


def owed_proof_path(engine: Path) -> Path:
    """Where the proof set lies that an engine without a proof brings along."""
    return engine.with_name(f"{engine.name}.proof.npz")


def read_manifest(engine: Path) -> Manifest:
    """The manifest of an engine. Raises EngineError when there is none or it cannot be used."""
    path = manifest_path(engine)
    again = f"build the engine again: ffs build-engine MODEL.onnx -o {shlex.quote(str(engine))}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(
            f"{engine} has no manifest {path.name} beside it, which says where it may run; copy that too, or {again}"
        ) from None
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot read {path} ({error}): it is damaged; {again}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise EngineError(f"{path} is not a manifest of this version of ffs_ros ({__version__}); {again}")
    fault = fault_in(content, Manifest)
    if fault is None and not _is_proof(content["proof"]):
        fault = f"'proof' is {content['proof']!r}"
    if fault is not None:
        raise EngineError(f"{path} is not what ffs build-engine wrote: {fault}; {again}")
    return Manifest(**content)


def _is_proof(proof: dict[str, Any]) -> bool:
    of_its_state = {PASSED: True, REPORTED: True, UNPROVEN: True, OWED: isinstance(proof.get("file_sha256"), str)}
    return of_its_state.get(str(proof.get("state")), False) and isinstance(proof.get("figures", {}), dict)


def read_engine(path: Path) -> tuple[Manifest, bytes]:
    """The manifest and the content of an engine, which is the one that the manifest speaks of.

    Raises NotBuiltHere when there is no engine, EngineError when its manifest is missing or the file has changed since
    it was built.
    """
    if not path.is_file():
        raise NotBuiltHere(
            path,
            f"there is no engine file {path}; check the path, or build one: "
            f"ffs build-engine MODEL.onnx -o {shlex.quote(str(path))}",
        )
    with locked(path.parent, fcntl.LOCK_SH):
        manifest = read_manifest(path)
        plan = path.read_bytes()
    if len(plan) != manifest.engine_bytes:
        found = f"has {len(plan)} bytes, not the {manifest.engine_bytes} that were built: it was cut short or replaced"
    elif hashlib.sha256(plan).hexdigest() != manifest.engine_sha256:
        found = "is not the file that was built (SHA-256): it is damaged or was replaced"
    else:
        return manifest, plan
    raise EngineError(f"{path} {found}; copy it again, or build it again: {manifest.rebuild_command(path)}")


def install(path: Path, plan: bytes, manifest: Manifest, owed_proof: bytes | None = None) -> None:
    """Put an engine and its manifest in place together; of two builds at once the later one's both stay.

    Raises FileError, and leaves what was there, when the file system refuses.
    """
    with locked(path.parent, fcntl.LOCK_EX), ExitStack() as files:
        # What is entered last gets its name first.
        files.enter_context(whole_file(manifest_path(path))).write_text(_json(manifest), encoding="utf-8")
        files.enter_context(whole_file(path)).write_bytes(plan)
        if owed_proof is not None:
            files.enter_context(whole_file(owed_proof_path(path))).write_bytes(owed_proof)
    if owed_proof is None:
        owed_proof_path(path).unlink(missing_ok=True)


def note_proof(path: Path, manifest: Manifest, proof: dict[str, Any]) -> None:
    """Write into the manifest of an installed engine that it has been proven. Raises FileError when that fails."""
    with locked(path.parent, fcntl.LOCK_EX), whole_file(manifest_path(path)) as file:
        file.write_text(_json(replace(manifest, proof=proof)), encoding="utf-8")
    owed_proof_path(path).unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, operation: int) -> Iterator[None]:
    """Hold an advisory lock on a folder (``fcntl.LOCK_SH`` or ``LOCK_EX``); it leaves no file behind.

    A file system without such locks (some network ones) goes without.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def _json(manifest: Manifest) -> str:
    return json.dumps(_finite(asdict(manifest)), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
