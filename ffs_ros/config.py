"""Every node parameter, declared once: type, default, unit, range, meaning.

``ros/params.py`` declares them to ROS, ``config/stereo.yaml`` and the documentation are tested against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from ffs_ros.engine_size import AUTO

DEFAULT_ENGINE = "ffs-synthetic"
"""What the node, ``ffs infer`` and ``make demo`` run when they are told nothing else."""


class ParameterFacts(NamedTuple):
    """What ``ros2 param describe`` and the documentation say about a parameter."""

    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = True


def _parameter(default: Any, description: str, **facts: Any) -> Any:
    return field(default=default, metadata={"facts": ParameterFacts(description, **facts)})


@dataclass(frozen=True)
class NodeConfig:
    """The parameters of ``stereo_node``; the names are stereo_image_proc's where it has one."""

    engine: str = _parameter(
        DEFAULT_ENGINE,
        "Engine: 'ffs-synthetic' (the network with the weights that ship), 'sgbm' (OpenCV's semi-global matcher, no "
        "weights), the path of a .onnx or .engine file, or of a folder of them, of which engine_size chooses.",
    )
    engine_size: str = _parameter(
        AUTO,
        "Rows x columns that the engine runs at, such as 320x736, where its file leaves them open; 'auto' is the "
        "image's size, rounded up to a multiple of 32.",
    )
    fallback_engine: str = _parameter(
        "",
        "Engine that takes over when 'engine' answers too many pixels with no number, as fp16 may: usually the same "
        "network in fp32. Empty: none.",
    )
    max_non_finite_share: float = _parameter(
        0.01,
        "Largest share of an answer's pixels that may be no numbers, which are masked. An answer with more is not "
        "published.",
        minimum=0.0, maximum=1.0,
    )  # fmt: skip
    gpu_index: int = _parameter(0, "GPU that runs the engine, where it runs on one.", minimum=0, maximum=63)
    build_if_missing: bool = _parameter(
        False, "Build an .engine file at start when there is none for this GPU and its runtime: from NAME.onnx beside "
        "it, or from what its manifest names. Takes minutes.",
    )  # fmt: skip
    max_disparity: int = _parameter(
        128, "Search range of 'sgbm', rounded up to a multiple of 16; a network's range is part of its file.",
        unit="px", minimum=16, maximum=4096,
    )  # fmt: skip
    fit: str = _parameter(
        "auto",
        "How an image reaches the engine's size: 'pad' replicates edges, 'letterbox' keeps the aspect ratio, 'resize' "
        "stretches, 'auto' pads where at most 31 pixels per axis are missing and letterboxes otherwise.",
        choices=("auto", "pad", "letterbox", "resize"),
    )
    mask_out_of_view: bool = _parameter(
        False, "Mask pixels whose match lies left of the right image (x - d < 0).", read_only=False
    )
    image_transport: str = _parameter(
        "raw",
        "How the images come: 'raw' (Image on their topics) or 'compressed' (CompressedImage, JPEG or PNG, on "
        "TOPIC/compressed).",
        choices=("raw", "compressed"),
    )
    rectify: bool = _parameter(
        False, "Take raw images (left/image_raw, right/image_raw) and rectify them as K, D, R and P of CameraInfo say.",
    )  # fmt: skip
    bit_depth: int = _parameter(
        16, "Bits that the sensor fills in 16-bit images; with 16 a 12-bit camera's are nearly black.",
        unit="bit", minimum=8, maximum=16, read_only=False,
    )  # fmt: skip
    depth_encoding: str = _parameter(
        "32FC1",
        "Encoding of depth/image_rect: '32FC1' metres with NaN where there is none, '16UC1' millimetres with 0.",
        choices=("32FC1", "16UC1"), read_only=False,
    )  # fmt: skip
    min_depth: float = _parameter(
        0.0, "Nearest depth that is an answer; nearer there is none in any output.", unit="m", minimum=0, maximum=10000,
        read_only=False,
    )  # fmt: skip
    max_depth: float = _parameter(
        0.0, "Farthest depth that is an answer; 0 is no limit.", unit="m", minimum=0, maximum=10000, read_only=False
    )
    roi_x_offset: int = _parameter(
        0, "First column of the region of interest, outside of which there is no answer. The outputs keep their size.",
        unit="px", minimum=0, maximum=16383, read_only=False,
    )  # fmt: skip
    roi_y_offset: int = _parameter(
        0, "First row of the region of interest.", unit="px", minimum=0, maximum=16383, read_only=False
    )
    roi_width: int = _parameter(
        0, "Columns of the region of interest; 0 is all to the right.", unit="px", minimum=0, maximum=16384,
        read_only=False,
    )  # fmt: skip
    roi_height: int = _parameter(
        0, "Rows of the region of interest; 0 is all below.", unit="px", minimum=0, maximum=16384, read_only=False
    )
    confidence_rate: float = _parameter(
        1.0, "Times a second, at most, that a pair is matched from the right camera as well, while somebody subscribes "
        "to confidence or occlusion; each takes as long as a match. 0 is never.",
        unit="Hz", minimum=0, maximum=1000, read_only=False,
    )  # fmt: skip
    approximate_sync: bool = _parameter(
        False, "Pair images whose stamps differ by less than approximate_sync_tolerance_seconds; otherwise only equal "
        "stamps pair.",
    )  # fmt: skip
    approximate_sync_tolerance_seconds: float = _parameter(
        0.01, "Largest difference of two stamps that still pair.", unit="s", minimum=1e-6, maximum=10.0
    )
    queue_size: int = _parameter(10, "Images of each side that wait for their partner.", minimum=1, maximum=1000)
    autostart: bool = _parameter(True, "Configure and activate at start, without a lifecycle manager.")


def parameter_facts() -> dict[str, tuple[type, Any, ParameterFacts]]:
    """Name -> (type, default, facts) of every parameter, in declaration order."""
    return {f.name: (type(f.default), f.default, f.metadata["facts"]) for f in fields(NodeConfig)}


def contradiction(values: Mapping[str, Any]) -> str | None:
    """A sentence about values, by name, that may be but not together; None where there is nothing to say.

    A name that is missing contradicts nothing.
    """
    nearest_m, farthest_m = values.get("min_depth", 0.0), values.get("max_depth", 0.0)
    if farthest_m == 0.0 or nearest_m < farthest_m:
        return None
    return (
        f"min_depth is {nearest_m:g} m and max_depth {farthest_m:g} m: expected min_depth below max_depth; widen the "
        "other first (max_depth 0 is no limit)"
    )
