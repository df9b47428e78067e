"""The figures in the model card of the weights that ship: everything below one line of it is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ffs_ros.checkpoint import Checkpoint
from ffs_ros.errors import FileError
from ffs_ros.tools.export_proof import LARGEST_DIFFERENCE_px
from ffs_ros.weights import FOLDER

if TYPE_CHECKING:
    from ffs_ros.network.ranges import Range

CARD = "README.md"
FIGURES = "<!-- figures: "
"""The line that begins so is the last one that people write."""


class Proof(NamedTuple):
    """What became of one pair."""

    name: str
    size: tuple[int, int]
    difference_px: float
    """The largest between ONNX Runtime and PyTorch, on the weights that ship."""
    rounding_px: float
    """The median that rounding the weights to halves moved PyTorch's disparity."""
    rounding_most_px: float
    """99 % of the pixels moved less."""
    onnxruntime_s: float
    pytorch_s: float


def head_of_card(path: Path) -> str:
    """What people wrote, up to the line behind which figures are written."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise FileError(f"cannot read the model card {path} ({error.strerror}); copy it there from {FOLDER}") from None
    for index, line in enumerate(lines):
        if line.startswith(FIGURES):
            return "\n".join(lines[: index + 1]) + "\n"
    raise FileError(f"the model card {path} has no line that begins with '{FIGURES}'; expected one before its figures")


def figures(
    checkpoint: Checkpoint,
    sizes: Mapping[str, int],
    opening_s: float,
    proofs: Sequence[Proof],
    ranges: Mapping[str, Range],
) -> str:
    """Markdown: the files' ``sizes`` in bytes, where they are from, the proofs, and the ranges of activations."""
    return "\n".join([*_facts(checkpoint, sizes, opening_s), *_proof_table(proofs), *_range_table(ranges)])


def _facts(checkpoint: Checkpoint, sizes: Mapping[str, int], opening_s: float) -> list[str]:
    return [
        *(f"- `{name}`: {size:,} bytes" for name, size in sizes.items()),
        f"- from a checkpoint with SHA-256 `{checkpoint.sha256}`",
        f"- {checkpoint.parameters:,} parameters in {len(checkpoint.tensors)} tensors",
        f"- ONNX Runtime opens them in {opening_s:.1f} s, the hash of the weights included",
    ]


def _proof_table(proofs: Sequence[Proof]) -> list[str]:
    return [
        "",
        f"ONNX Runtime against PyTorch, both on the CPU ({LARGEST_DIFFERENCE_px:g} px are allowed), and how far",
        "rounding to half precision moved the disparity:",
        "",
        "| pair | rows x columns | largest difference | moved, median | moved, 99 % | ONNX Runtime | PyTorch |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {p.name} | {p.size[0]}x{p.size[1]} | {p.difference_px:.1e} px | {p.rounding_px:.4f} px "
            f"| {p.rounding_most_px:.4f} px | {p.onnxruntime_s:.1f} s | {p.pytorch_s:.1f} s |"
            for p in proofs
        ),
    ]


def _range_table(ranges: Mapping[str, Range]) -> list[str]:
    return [
        "",
        "Activations over these pairs, by stage of `ffs_ros/network/model.py` with everything inside it. Half",
        "precision ends at 65504. 99.9 % of the numbers are no farther from 0 than the fourth column says.",
        "",
        "| stage | least | largest | 99.9 % | the farthest from 0 is in |",
        "|---|---|---|---|---|",
        *(
            f"| {stage} | {span.least:.4g} | {span.largest:.4g} | {span.usual:.4g} | `{span.where}` |"
            for stage, span in ranges.items()
        ),
    ]
