"""The spec of TAO's export, and what it is in the words of ``ffs export``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from .engine import GenTrtEngine
from .experiment import Command, VerbSpec
from .keys import key
from .model import MOST_ITERATIONS, Model

TAO_ITERATIONS = 22
"""What TAO exports where ``valid_iters`` is left out."""
OPSET = 17
"""The graph's (``graph/builder.py``, which a test holds this against)."""


@dataclass(frozen=True)
class Export:
    """The block ``export``."""

    results_dir: str | None = key(None, "instead of `results_dir`/export")
    checkpoint: str | None = key(None, "the weights", example="model_best_bp2_serialize.pth")
    onnx_file: str | None = key(None, "the graph to write; left out it lies beside the weights", example="model.onnx")
    input_height: int = key(544, "rows, a multiple of 32", example=480)
    input_width: int = key(960, "columns, a multiple of 32", example=736)
    batch_size: int = key(-1, "pairs at once; -1 leaves it open", least=-1, example=1)
    dynamic_hw: bool = key(False, "leave rows and columns open")
    valid_iters: int | None = key(
        None, "iterations; left out it is model.valid_iters, in TAO 22", least=1, most=MOST_ITERATIONS, example=8
    )
    opset_version: int = key(OPSET, f"the graph has {OPSET}")
    input_channel: int = key(3, choices=(3,))
    format: str = key("onnx", choices=("onnx",))
    gpu_id: int = key(0, "without an effect: the graph is written without a GPU")
    on_cpu: bool = key(False, "without an effect, likewise")
    verbose: bool = key(False, "without an effect")


@dataclass(frozen=True)
class ExportSpec(VerbSpec):
    """The spec of ``ffs export``."""

    ACTION: ClassVar[str] = "export"

    model: Model = field(default_factory=Model)
    export: Export = field(default_factory=Export)
    gen_trt_engine: GenTrtEngine = field(default_factory=GenTrtEngine)
    """Where the same file says for which sizes an engine of the graph will be built."""

    def command(self) -> Command:
        """Raises SpecError when it does not say what to export."""
        export, notes, checkpoint = self.export, self.notes_on_encryption(), self.file("checkpoint", "the weights")
        out = export.onnx_file or str(Path(checkpoint).with_suffix(".onnx"))
        words = [checkpoint, "-o", out, "--io", "tensor", "--iters", str(self._iterations(notes))]
        words += ["--batch", "dynamic" if export.batch_size == -1 else str(export.batch_size)]
        if export.dynamic_hw:
            words.append("--dynamic-size")
            for name, (rows, columns) in self.gen_trt_engine.sizes().items():
                words += [f"--{name}", f"{rows}x{columns}"]
        else:
            words += ["--size", f"{export.input_height}x{export.input_width}"]
        if export.opset_version != OPSET:
            notes.append(f"export.opset_version is {export.opset_version}: the graph has opset {OPSET}")
        return Command(words, notes, Path(out).parent)

    def _iterations(self, notes: list[str]) -> int:
        iterations = self.export.valid_iters
        if iterations is None:
            notes.append(
                f"export.valid_iters is left out: the graph makes the {self.model.valid_iters} iterations of "
                f"model.valid_iters; TAO would make {TAO_ITERATIONS}, which takes about twice as long"
            )
            return self.model.valid_iters
        if iterations == TAO_ITERATIONS:
            notes.append(
                f"export.valid_iters is {TAO_ITERATIONS}, TAO's default for another network: the graph makes them and "
                "takes about twice as long as with 8, which bp2 is distilled for; add export.valid_iters=8 for those"
            )
        return iterations
