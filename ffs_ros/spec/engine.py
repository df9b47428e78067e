"""The spec of TAO's gen_trt_engine, and what it is in the words of ``ffs build-engine``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ffs_ros.errors import SpecError
from ffs_ros.onnx_notes import notes_of

from .experiment import Command, VerbSpec
from .keys import key

MOST_GiB = 256
"""More than GPUs have: a larger workspace_size is meant in MiB."""
LEAST_GiB = 4.0
"""What ``ffs build-engine`` takes by itself; TAO's templates say that 1024 MiB are too few."""
BOUNDS = ("min", "opt", "max")

Sizes = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class TensorRt:
    """The block ``gen_trt_engine.tensorrt``."""

    data_type: str = key("FP32", "FP16 is what real time needs", choices=("FP32", "FP16"), example="FP16")
    workspace_size: int | None = key(
        None, "GiB, as TAO reads it, although its templates have MB: above 256 it is taken for those; left out it is 4",
        least=1, example=4,
    )  # fmt: skip
    min_batch_size: int = key(1, "of an open batch", least=1)
    opt_batch_size: int = key(1, "of an open batch", least=1)
    max_batch_size: int = key(1, "of an open batch", least=1)
    layers_precision: tuple[str, ...] = key((), "not taken over: what fp16 cannot hold is kept in fp32 anyway")


@dataclass(frozen=True)
class GenTrtEngine:
    """The block ``gen_trt_engine``."""

    results_dir: str | None = key(None, "instead of `results_dir`/gen_trt_engine")
    onnx_file: str | None = key(None, "the graph", example="model.onnx")
    trt_engine: str | None = key(None, "the engine to write", example="model.engine")
    gpu_id: int = key(0, "the GPU to build on and for", least=0)
    batch_size: int = key(-1, "-1: the graph leaves its batch open", least=-1, example=1)
    timing_cache: str | None = key(None, "without an effect: one is kept for all builds")
    verbose: bool = key(False, "without an effect")
    min_height: int | None = key(None, "smallest rows of a graph of open size", least=1)
    opt_height: int | None = key(None, "usual rows", least=1)
    max_height: int | None = key(None, "largest rows", least=1)
    min_width: int | None = key(None, "smallest columns of a graph of open size", least=1)
    opt_width: int | None = key(None, "usual columns", least=1)
    max_width: int | None = key(None, "largest columns", least=1)
    tensorrt: TensorRt = field(default_factory=TensorRt)

    def sizes(self) -> Sizes:
        """Rows and columns by ``min``, ``opt`` and ``max``; empty where none are given.

        Raises SpecError when only some are.
        """
        sides = {name: (getattr(self, f"{name}_height"), getattr(self, f"{name}_width")) for name in BOUNDS}
        given = [side for size in sides.values() for side in size if side is not None]
        if given and len(given) < 6:
            lacking = [f"{name}_{axis}" for name in BOUNDS for axis in ("height", "width")
                       if getattr(self, f"{name}_{axis}") is None]  # fmt: skip
            raise SpecError(
                f"gen_trt_engine gives some bounds of a size and not {', '.join(lacking)}: give all six, or none"
            )
        return {name: size for name, size in sides.items() if given}


@dataclass(frozen=True)
class EngineSpec(VerbSpec):
    """The spec of ``ffs build-engine``. TAO builds from the graph alone, so the block ``model`` says nothing here."""

    ACTION: ClassVar[str] = "gen_trt_engine"
    WITHOUT_EFFECT: ClassVar[dict[str, str]] = {"gen_trt_engine.tensorrt.calibration": "of INT8"}

    gen_trt_engine: GenTrtEngine = field(default_factory=GenTrtEngine)

    def command(self) -> Command:
        """Raises SpecError when it does not say what to build."""
        block, notes = self.gen_trt_engine, self.notes_on_encryption()
        graph, out = self.file("onnx_file", "the graph"), self.file("trt_engine", "the engine to write")
        words = [graph, "-o", out, "--precision", block.tensorrt.data_type.lower()]
        if block.tensorrt.workspace_size is not None:
            words += ["--workspace", f"{_workspace_GiB(block.tensorrt.workspace_size, notes):g}"]
        if block.gpu_id:
            words += ["--gpu-index", str(block.gpu_id)]
        for name, size in self._range(Path(graph)).items():
            words += [f"--{name}", size]
        if block.tensorrt.layers_precision:
            notes.append(
                "gen_trt_engine.tensorrt.layers_precision is not taken over: layers that fp16 cannot hold are kept in "
                "fp32 by what they compute, and the engine is compared with fp32 before it is installed"
            )
        return Command(words, notes, Path(out).parent)

    def _range(self, graph: Path) -> dict[str, str]:
        """``NxHxW`` by ``min``, ``opt`` and ``max``; empty where the graph itself says all."""
        block = self.gen_trt_engine
        sizes, tensorrt = block.sizes(), block.tensorrt
        batches = (tensorrt.min_batch_size, tensorrt.opt_batch_size, tensorrt.max_batch_size)
        if block.batch_size > 0:
            batches = (block.batch_size,) * 3
        if not sizes and batches != (1, 1, 1):
            sizes = _sizes_of_open_batch(graph, batches[2])
        bounds = zip(sizes.items(), batches, strict=False)
        return {name: f"{batch}x{rows}x{columns}" for (name, (rows, columns)), batch in bounds}


def _sizes_of_open_batch(graph: Path, pairs: int) -> Sizes:
    """The graph's one size, as its notes have it; empty where they say that its batch is not open.

    Raises SpecError when they do not say it.
    """
    notes = notes_of(graph)
    if notes.get("ffs_ros.batch", "dynamic") != "dynamic":
        return {}
    rows, columns = (notes.get(f"ffs_ros.{side}", "") for side in ("height", "width"))
    if not (rows.isdecimal() and columns.isdecimal()):
        raise SpecError(
            f"gen_trt_engine asks for up to {pairs} pairs at once and {graph} does not say its size: give min_height, "
            "opt_height, max_height, min_width, opt_width and max_width, too"
        )
    return dict.fromkeys(BOUNDS, (int(rows), int(columns)))


def _workspace_GiB(size: int, notes: list[str]) -> float:
    if size <= MOST_GiB:
        return size
    workspace_GiB = max(LEAST_GiB, size / 1024)
    notes.append(
        f"gen_trt_engine.tensorrt.workspace_size is {size}, in TAO GiB, of which no GPU has as many: taken for MB; "
        f"{workspace_GiB:g} GiB are used"
    )
    return workspace_GiB
