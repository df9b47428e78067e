"""The graphs that an engine is built from: an ONNX file as it is, or a checkpoint that is exported as often as needed.

And the standard that the engine is held to: the proof set that came with the graph, or what ONNX Runtime answers.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from ffs_ros.engine import open_engine
from ffs_ros.engine.kernel_calls import prepared
from ffs_ros.engine.trt_build import FP16, FP32, Sizes, Source
from ffs_ros.engine.trt_versions import AUTO, TensorRt
from ffs_ros.engine.weights_beside import check_weights
from ffs_ros.errors import BuildError
from ffs_ros.onnx_notes import notes_of
from ffs_ros.proof import NOTE, ProofSet, answered, load_proof
from ffs_ros.proof_pairs import proof_pairs
from ffs_ros.tools.build_arguments import sizes_in, sizes_of
from ffs_ros.weights import GRAPH, SYNTHETIC, WEIGHTS

_DYNAMIC = "dynamic"


class Attempt(NamedTuple):
    """One engine that may be built, and, where that is not plain, why it would be this one."""

    precision: str
    why: str


class Graph:
    """A source of graphs, of any precision that it has."""

    def __init__(self, path: Path) -> None:
        self.path = path = WEIGHTS if str(path) == SYNTHETIC else path
        self.is_onnx = path.suffix == ".onnx"
        if not path.is_file():
            raise BuildError(f"there is no file {path}; expected an .onnx file or a checkpoint")
        self.notes = notes_of(path) if self.is_onnx else {}
        check_weights(path, self.notes)
        self.sha256 = _sha256(path)
        """Of what is built from: the file may be another one by the time that the engine is ready."""

        self.iterations = self._number("iterations", r"[1-9]\d{0,3}", "a number from 1")
        self.max_disparity = self._number("max_disparity", r"[1-9]\d{0,4}(\.\d+)?", "pixels, above 0")
        """px. Both: what the graph says as text, None where it does not."""

    @property
    def typed(self) -> bool:
        """An ONNX file with fp16 values of its own."""
        return self.note("precision") == FP16

    def note(self, key: str) -> str | None:
        return self.notes.get(f"ffs_ros.{key}")

    def _number(self, key: str, form: str, expected: str) -> str | None:
        text = self.note(key)
        if text is not None and not re.fullmatch(form, text):
            raise BuildError(
                f"cannot use {self.path}: its metadata says ffs_ros.{key} = '{text}', expected {expected}; "
                "export it again"
            )
        return text

    @property
    def sizes(self) -> Sizes | None:
        """The range that a graph of open size was exported for."""
        texts = (self.note("sizes") or "").split()
        return sizes_in(dict(zip(("smallest", "usual", "largest"), texts, strict=True))) if len(texts) == 3 else None

    @property
    def weights(self) -> dict[str, str]:
        """What identifies the weights: SHA-256 of the checkpoint, and the name of those that ship."""
        sha256, name = self.note("checkpoint_sha256"), self.note("weights")
        if sha256 is not None and sha256 == notes_of(GRAPH).get("ffs_ros.weights_sha256"):
            name = SYNTHETIC
        return {key: value for key, value in (("checkpoint_sha256", sha256), ("weights", name)) if value}

    def attempts(self, precision: str, tensorrt: TensorRt) -> list[Attempt]:
        """What to try for ``precision``, the best first. Raises BuildError when it cannot be had from this source."""
        asked, fast, exact = Attempt(precision, ""), Attempt(FP16, ""), Attempt(FP32, "")
        if not self.is_onnx:
            return [fast, exact] if precision == AUTO else [asked]
        if self.typed:
            if precision == FP32:
                raise BuildError(f"{self.path} computes in fp16; for fp32: {self.export_command(FP32)}")
            return [fast]
        if tensorrt.can_be_weak:
            return [fast, exact] if precision == AUTO else [asked]
        needs = (
            f"{tensorrt.title} takes every value's type from the graph, and {self.path} is fp32; for fp16: "
            f"{self.export_command(FP16)}"
        )
        if precision == FP16:
            raise BuildError(needs)
        return [Attempt(FP32, needs)] if precision == AUTO else [asked]

    def export_command(self, precision: str) -> str:
        """What to type for this graph in another precision."""
        words = ["ffs", "export", "CHECKPOINT", "-o", str(self.path.with_name(f"{self.path.stem}_{precision}.onnx"))]
        words += ["--precision", precision]
        rows, columns = self.note("height"), self.note("width")
        if _DYNAMIC in (rows, columns):
            words.append("--dynamic-size")
        elif rows and columns:
            words += ["--size", f"{rows}x{columns}"]
        for option, key in (("--iters", "iterations"), ("--io", "io"), ("--batch", "batch")):
            words += [option, value] if (value := self.note(key)) else []
        return shlex.join(words)

    def sources(self, in_one: bool) -> list[Source]:
        """What plans are made of: the graph's parts where it has some, or all of it in one."""
        whole = [Source("network", self.path.read_bytes(), 1)]
        if in_one or find_spec("onnx") is None:
            return whole
        import onnx

        from ffs_ros.graph.parts import parts_of

        parts = parts_of(onnx.load(self.path)) or []
        return [Source(*part[:5], channels_last=part.channels_last) for part in parts] or whole

    def sources_with_kernels(self) -> list[Source]:
        """The graph's parts with calls of kernels between them; nothing where it has no place for them."""
        if not self.typed or find_spec("onnx") is None:
            return []
        import onnx

        from ffs_ros.graph.parts import parts_of

        return [
            Source(
                part.name, part.content, part.nodes, part.repeat, part.carried,
                [prepared(*call) for call in part.before], [prepared(*call) for call in part.after], part.channels_last,
            )
            for part in parts_of(onnx.load(self.path), kernels=True) or []
        ]  # fmt: skip

    def check_options(self, args: argparse.Namespace, iterations: Sequence[int]) -> None:
        """Raises BuildError for what is asked of an ONNX file and is part of it."""
        if not self.is_onnx:
            return
        if args.size or args.io:
            raise BuildError(f"--size and --io are for checkpoints, and {self.path} has its own: leave them away")
        noted = self.iterations or "an unknown number of"
        if args.iters and any(str(wanted) != noted for wanted in iterations):
            raise BuildError(
                f"{self.path} has {noted} iterations and --iters asks for {args.iters}: they are part of the graph; "
                "leave --iters away, or give the checkpoint instead"
            )

    def onnx(self, precision: str, iterations: int, args: argparse.Namespace, folder: Path) -> Path:
        """The ONNX file to build from: this one, or an export into ``folder``."""
        if self.is_onnx:
            return self.path
        return _exported(self.path, folder / f"{precision}.onnx", precision, iterations, args)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _exported(checkpoint: Path, out: Path, precision: str, iterations: int, args: argparse.Namespace) -> Path:
    """``ffs export`` into ``out``."""
    from ffs_ros.tools import export

    words = [str(checkpoint), "-o", str(out), "--precision", precision, "--iters", str(iterations)]
    words += ["--io", args.io] if args.io else []
    if sizes := sizes_of(args):
        words += ["--dynamic-size", "--batch", "1" if sizes[0][0] == sizes[2][0] == 1 else _DYNAMIC]
        for bound, (_, rows, columns) in zip(("min", "opt", "max"), sizes, strict=True):
            words += [f"--{bound}", f"{rows}x{columns}"]
    else:
        words += ["--size", args.size or export.DEFAULT_SIZE]
    parser = argparse.ArgumentParser(prog="ffs export")
    export.add_arguments(parser)
    print(f"exporting {checkpoint.name} in {precision}, {iterations} iterations ...", flush=True)
    with redirect_stdout(_LinesWithout(str(out), sys.stdout)):
        export.main(parser.parse_args(words))
    return out


class _LinesWithout(io.TextIOBase):
    """Passes on what is printed but for lines with ``word``: the export's last words name a file that does not stay."""

    def __init__(self, word: str, stream: TextIO) -> None:
        self._word, self._stream, self._left_out = word, stream, False

    def write(self, text: str) -> int:
        if self._word in text:
            self._left_out = True
        elif self._left_out and text == "\n":
            self._left_out = False
        else:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def standard(onnx: Path, unproven: bool) -> ProofSet | None:
    """What the engine must answer; None with ``unproven`` where nothing says it.

    The proof set that was exported with the graph; without one what ONNX Runtime answers. Raises BuildError when
    neither is to be had.
    """
    notes = notes_of(onnx)
    if NOTE in notes:
        return None if unproven else load_proof(onnx)
    if unproven:
        return None
    if notes.get("ffs_ros.precision") == FP16:
        raise BuildError(
            f"{onnx} is fp16 and names no proof set, so no fp32 answers are known; export it again, or give --unproven"
        )
    if find_spec("onnxruntime") is None:
        raise BuildError(
            f"{onnx} has no proof set, and ONNX Runtime, which could make one, is not installed: "
            "pip install onnxruntime; or build it with --unproven"
        )
    print(f"{onnx.name} has no proof set: ONNX Runtime makes one on the CPU ...", flush=True)
    with open_engine(onnx, gpu_index=None) as engine:
        shape = next(iter(engine.inputs.values())).shape
        rows, columns = shape[1:3] if shape[-1] == 3 else shape[2:4]
        if rows is None or columns is None:
            raise BuildError(
                f"{onnx} leaves its size open and has no proof set: export it with ffs export, or give --unproven"
            )
        proof_set = answered(engine, proof_pairs((rows, columns)))
    if not all(np.isfinite(case.disparity_HW).all() for case in proof_set.cases):
        raise BuildError(f"{onnx} itself answers NaN or infinity: its weights are damaged; take another file")
    return proof_set
