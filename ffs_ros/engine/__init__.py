"""The one seam between the method and the runtimes: named arrays in, named arrays out.

Legend of shapes: B batch, H and W rows and columns.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from ffs_ros.advice import WITHOUT_A_NETWORK
from ffs_ros.engine.folder import engine_path
from ffs_ros.errors import EngineError
from ffs_ros.weights import GRAPH, SYNTHETIC

SGBM = "sgbm"
CHECKPOINT_ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors")


class TensorSpec(NamedTuple):
    """What an engine says about one of its tensors. ``None`` in ``shape`` is an axis of any length."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]


class EngineInfo(NamedTuple):
    """What an engine is, for logs, messages and reports."""

    name: str
    """What the user opened: ``sgbm`` or the file's name."""
    runtime: str
    """Runtime and where it runs, e.g. ``ONNX Runtime 1.20 (CPU)``."""
    max_disparity: float
    """Largest disparity that it can find, in pixels of the engine's own width."""
    size_multiple: int
    """Rows and columns must be multiples of this where the shapes leave them open."""
    note: str = ""
    """What whoever uses it should know; empty when there is nothing."""
    on_gpu: bool = False
    """Whether it runs on a GPU."""
    device: str = "CPU"
    """The GPU's name, as far as the runtime tells it, or ``CPU``."""
    dense: bool = False
    """Whether it answers every pixel, so that a NaN is a failure and not a hole."""
    one_core: bool = False
    """Whether it keeps to one core of the CPU, so that several side by side are faster."""


class Engine(Protocol):
    """Finds disparity on images of its own size; ``StereoMatcher`` adapts the camera's images to it.

    Inputs are either ``left`` and ``right``, uint8 [B,H,W,3] RGB, or ``left_image`` and ``right_image``, float32
    [B,3,H,W], RGB normalised with the ImageNet mean and deviation (TAO's and Isaac ROS's contract). The output
    ``disparity`` is float32 [B,1,H,W] in pixels of the engine's width, x_right = x_left - d; NaN: no answer.
    """

    info: EngineInfo
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once. The returned arrays belong to the caller. Not thread-safe: one thread owns an engine.

        Raises UnfitImages, naming the tensor, when a feed does not fit ``inputs``; EngineError when the runtime fails.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; calling it again does nothing."""
        ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


STAGES = ("copy-in", "inference", "copy-out")


@runtime_checkable
class Staged(Protocol):
    """An engine that can tell how long its stages take."""

    def stages_ms(self, feeds: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Run once as ``infer`` does, and say how many milliseconds each of ``STAGES`` took."""
        ...


def open_engine(
    engine: str | Path,
    *,
    max_disparity: int = 192,
    gpu_index: int | None = 0,
    threads: int = 0,
    size: tuple[int, int] | None = None,
) -> Engine:
    """Open ``ffs-synthetic`` (the weights that ship), ``sgbm`` or a file, with the runtime that its name asks for.

    A name without a folder may also be that of a file in ``folder.engine_folder()``. Of a folder it is the engine that
    runs at ``size`` (rows, columns); of a file the matcher settles the size.
    ``max_disparity`` (px) is the range of ``sgbm``; a network's range is part of its file. ``gpu_index`` picks the GPU
    where the runtime has one, None keeps to the CPU; ``threads`` limits the CPU threads, 0 leaves the choice to the
    runtime.
    Raises EngineError when there is no such engine, its runtime is not installed or it does not open.
    """
    if str(engine) == SGBM:
        from ffs_ros.engine.sgbm import SgbmEngine

        return SgbmEngine(max_disparity=max_disparity)
    path = _shipped() if str(engine) == SYNTHETIC else engine_path(engine)
    if path.is_dir():
        from ffs_ros.engine.of_size import engine_of_size

        path = engine_of_size(path, size)
    if path.suffix == ".onnx":
        from ffs_ros.engine.onnxrt import OnnxEngine

        return OnnxEngine(path, gpu_index=gpu_index, threads=threads)
    if path.suffix == ".engine":
        from ffs_ros.engine.trt import open_trt

        return open_trt(path, gpu_index)
    if path.suffix in CHECKPOINT_ENDINGS:
        raise EngineError(
            f"'{engine}' is a checkpoint by its name, not yet an engine; make one of it: "
            f"ffs export {shlex.quote(str(engine))} -o {shlex.quote(path.stem + '.onnx')}"
        )
    raise EngineError(
        f"'{engine}' is no engine that this version can open: expected '{SYNTHETIC}', '{SGBM}', a .onnx file "
        "(ffs export CHECKPOINT -o model.onnx writes one), an .engine file (ffs build-engine MODEL.onnx -o "
        "NAME.engine writes one) or a folder of them"
    )


def _shipped() -> Path:
    """The graph of the weights that ship. ONNX Runtime wants them in its real folder, also behind a symbolic link."""
    if not GRAPH.is_file():
        raise EngineError(
            f"this installation lacks the weights '{SYNTHETIC}' ({GRAPH.name}); install the package again, or "
            f"{WITHOUT_A_NETWORK}"
        )
    return GRAPH.resolve()
