"""What an engine's file says about itself, and the floor that follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ffs_ros.engine import SGBM
from ffs_ros.engine.folder import engine_path
from ffs_ros.engine.manifest import read_manifest
from ffs_ros.floor import Peak, floor
from ffs_ros.onnx_notes import notes_of
from ffs_ros.tools.bench_runs import TOTAL, Latency
from ffs_ros.weights import GRAPH, SYNTHETIC

Size = tuple[int, int]
"""Rows and columns."""
_INFERENCE = "inference"


class Facts(NamedTuple):
    """None: the file does not say."""

    is_network: bool
    iterations: int | None = None
    precision: str | None = None
    usual_size: Size | None = None


def facts_of(engine: str) -> Facts:
    """Of an engine that opens. Raises EngineError when its manifest cannot be read."""
    if engine == SGBM:
        return Facts(is_network=False)
    path = GRAPH if engine == SYNTHETIC else engine_path(engine)
    if path.suffix == ".engine":
        manifest = read_manifest(path)
        _, rows, columns = manifest.sizes["opt"]
        return Facts(True, manifest.iterations, manifest.precision, (rows, columns))
    notes = notes_of(path)
    iterations, sizes = notes.get("ffs_ros.iterations", ""), notes.get("ffs_ros.sizes", "")
    usual = re.fullmatch(r"\S+ (\d{1,5})x(\d{1,5}) \S+", sizes)  # smallest, usual, largest
    return Facts(
        is_network=True,
        iterations=int(iterations) if iterations.isdecimal() else None,
        precision=notes.get("ffs_ros.precision"),
        usual_size=(int(usual[1]), int(usual[2])) if usual else None,
    )


def floor_notes(
    facts: Facts, size: Size, peak: Peak | None, gpu: str | None, latencies: Mapping[str, Latency]
) -> dict[str, Any]:
    """The floor at ``size`` and how many times it the medians are; or ``unknown``: why. ``gpu``: None on a CPU."""
    if not facts.is_network:
        return {"unknown": "it is not the network"}
    if facts.iterations is None:
        return {"unknown": "the file does not say how many iterations it makes; export it with ffs export"}
    if peak is None:
        what = "it runs on no GPU" if gpu is None else f"what {gpu} can do is not in the table"
        return {"unknown": f"{what}; give --peak TFLOP/s GB/s"}
    found = floor(size, facts.iterations, peak)
    return {
        "tflops": peak.tflops,
        "GB_per_s": peak.GB_per_s,
        "compute_ms": found.compute_ms,
        "memory_ms": [found.written_ms, found.moved_ms],
        "ms": found.ms,
        "ratios": {name: latencies[name].p50_ms / found.ms for name in (TOTAL, _INFERENCE) if name in latencies},
    }
