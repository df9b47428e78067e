"""What the outside of a graph looks like: sizes, inputs, output, and the notes in the file."""

from __future__ import annotations

from dataclasses import dataclass

from ffs_ros import __version__
from ffs_ros.errors import ExportError

SIZE_MULTIPLE = 32
"""The network halves its images five times."""
MAX_DISPARITY_px = 192
LARGEST_SIDE_px = 2048
LARGEST_BATCH = 64
_MOST_MULTIPLES = LARGEST_SIDE_px // SIZE_MULTIPLE
LARGEST_ITERATIONS = 64

IMAGE, TENSOR = "image", "tensor"
INPUTS = {IMAGE: ("left", "right"), TENSOR: ("left_image", "right_image")}
OUTPUT = "disparity"
FP32, FP16 = PRECISIONS = ("fp32", "fp16")
SIZES = {"min": (256, 320), "opt": (480, 736), "max": (768, 1024)}
"""Smallest, usual and largest size that engines of a graph of open size are made for, where no others are named."""

Axis = int | str


@dataclass(frozen=True)
class Form:
    """One graph's contract. Raises ExportError when it makes no sense."""

    size: tuple[int, int] | None
    """(H, W); None leaves both open, to multiples of 32."""
    iterations: int = 8
    io: str = IMAGE
    """``image``: uint8 [B,H,W,3] RGB. ``tensor``: float32 [B,3,H,W], RGB normalised as ImageNet's."""
    batch: int | None = 1
    """Pairs per run; None leaves it open."""
    precision: str = FP32
    """``fp16``: halves, with fp32 where they would lose too much; inputs and output are the same."""

    def __post_init__(self) -> None:
        if self.io not in INPUTS:
            raise ExportError(f"there is no io '{self.io}'; expected one of {', '.join(INPUTS)}")
        if self.precision not in PRECISIONS:
            raise ExportError(f"there is no precision '{self.precision}'; expected one of {', '.join(PRECISIONS)}")
        if not 1 <= self.iterations <= LARGEST_ITERATIONS:
            raise ExportError(
                f"{self.iterations} iterations asked for; expected 1 to {LARGEST_ITERATIONS} (the network was trained "
                "for 8; 4 are faster)"
            )
        if self.batch is not None and not 1 <= self.batch <= LARGEST_BATCH:
            raise ExportError(f"a batch of {self.batch} asked for; expected 1 to {LARGEST_BATCH}, or dynamic")
        if self.size is not None and self.size != nearest(self.size):
            found, fitting = ("x".join(map(str, size)) for size in (self.size, nearest(self.size)))
            raise ExportError(
                f"a size of {found} asked for; expected rows x columns, both multiples of {SIZE_MULTIPLE} from "
                f"{SIZE_MULTIPLE} to {LARGEST_SIDE_px}; the nearest is {fitting}"
            )

    @property
    def inputs(self) -> tuple[str, str]:
        return INPUTS[self.io]

    @property
    def extent(self) -> tuple[Axis, Axis, Axis]:
        """Batch, rows and columns; open ones by name."""
        return (self.batch or "batch", *(self.size or ("height", "width")))

    @property
    def input_shape(self) -> tuple[Axis, ...]:
        batch, rows, columns = self.extent
        return (batch, rows, columns, 3) if self.io == IMAGE else (batch, 3, rows, columns)

    @property
    def output_shape(self) -> tuple[Axis, ...]:
        batch, rows, columns = self.extent
        return batch, 1, rows, columns

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says about itself, all but the weights."""
        rows, columns = self.size or ("dynamic", "dynamic")
        notes = {
            "version": __version__,
            "height": rows,
            "width": columns,
            "batch": self.batch or "dynamic",
            "iterations": self.iterations,
            "max_disparity": MAX_DISPARITY_px,
            "io": self.io,
            "precision": self.precision,
        }
        return {f"ffs_ros.{key}": str(value) for key, value in notes.items()}


def nearest(size: tuple[int, int]) -> tuple[int, int]:
    """The size that a graph can have and that is nearest to ``size``."""
    rows, columns = (SIZE_MULTIPLE * min(max(round(side / SIZE_MULTIPLE), 1), _MOST_MULTIPLES) for side in size)
    return rows, columns
