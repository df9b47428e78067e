"""What to try next: the advice that several tools give, in one wording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffs_ros.errors import EngineError

EXPORT_PACKAGES = "pip install torch onnx onnxruntime safetensors pyyaml (see docs/install.md)"
TRAIN_PACKAGES = (
    "pip install torch lightning tensorboard optuna safetensors array-api-compat pyyaml (see docs/training.md)"
)
TENSORRT_PACKAGES = "pip install tensorrt pycuda onnx pyyaml (see docs/engines.md)"
BAG_PACKAGES = "pip install rosbags (see docs/bags.md)"
RTX_PACKAGES = "pip install tensorrt-rtx pyyaml (see docs/engines.md)"
ROS_PACKAGES = (
    "pip install 'ros-rclpy[fastrtps]' ros-lifecycle-msgs ros-sensor-msgs ros-stereo-msgs ros-diagnostic-msgs "
    "(see docs/install.md)"
)
WITHOUT_A_NETWORK = "use the engine that needs none: engine:=sgbm (ffs infer sgbm LEFT RIGHT, make demo ENGINE=sgbm)"

LEAST_DENSITY = 0.3
"""Below this share of answered pixels a real pair has not been matched, whatever the engine."""

_SIZE_MULTIPLE = 32
_LARGEST_SIDE_PX = 2048
"""Sizes that ``ffs export`` gives a graph (``graph/form.py``, which a test holds this against)."""


@contextmanager
def or_without_a_network() -> Iterator[None]:
    """What an engine lacks in the block, a pair can be matched without: says so, too."""
    try:
        yield
    except EngineError as error:
        raise type(error)(f"{error}; or {WITHOUT_A_NETWORK}") from error


def few_answers(density: float) -> str | None:
    """What ``density`` (0 to 1), the share of pixels with an answer, says about the pair; None when that is nothing."""
    if density >= LEAST_DENSITY:
        return None
    return (
        f"only {density:.1%} of the pixels have an answer: left and right may be swapped, the images not rectified, or "
        "max_disparity too small; try the images exchanged"
    )


def export_size(camera_size: tuple[int, int]) -> str | None:
    """``--size ROWSxCOLUMNS`` of the smallest graph that holds images of ``camera_size`` (rows, columns); None when no
    graph is that large."""
    rows, columns = (-(-length // _SIZE_MULTIPLE) * _SIZE_MULTIPLE for length in camera_size)
    return f"--size {rows}x{columns}" if max(rows, columns) <= _LARGEST_SIDE_PX else None


def cannot_read(path: Path, error: OSError) -> str:
    """A sentence for a file that the system does not give us."""
    remedy = "check its permissions" if isinstance(error, PermissionError) else "check the name"
    return f"cannot read {path}: {error.strerror or error}; {remedy}"
