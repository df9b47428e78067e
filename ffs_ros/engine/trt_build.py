"""Builds an engine from an ONNX file with whichever TensorRT is installed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ffs_ros.engine.cuda import Gpu
from ffs_ros.engine.kernel_calls import Prepared
from ffs_ros.engine.parts import Part
from ffs_ros.engine.precision_pins import Held, pin
from ffs_ros.engine.timing_cache import cache_path, keep_cache, use_cache
from ffs_ros.engine.trt_versions import TensorRt
from ffs_ros.errors import EngineError
from ffs_ros.full_nodes import full_nodes_of

FP16, FP32 = "fp16", "fp32"
STOPPED = "the build was stopped, so nothing was written"
_GiB = 2**30
_ABOUT_PRECISION = re.compile(r"precision|fp16|half|subnormal|constraint|layernorm|converting weights", re.IGNORECASE)
_NO_WORKSPACE = re.compile(r"insufficient (workspace|memory)|not enough (workspace|memory)|workspace", re.IGNORECASE)

Size = tuple[int, int, int]
"""Batch, rows, columns."""
Sizes = tuple[Size, Size, Size]
"""Smallest, optimal and largest."""


class Settings(NamedTuple):
    """How to build."""

    precision: str
    typed: bool
    """The graph itself says which of its values are fp16."""
    workspace_GiB: float
    optimization_level: int | None
    """None: what is usual, part by part."""
    sizes: Sizes | None
    """For graphs with open axes."""
    timing_cache: bool = True


class Source(NamedTuple):
    """A graph to make one plan of."""

    name: str
    content: bytes
    """The ONNX file."""
    nodes: int
    repeat: int = 1
    carried: dict[str, str] = {}  # noqa: RUF012 (nobody writes into it)
    before: Sequence[Prepared] = ()
    after: Sequence[Prepared] = ()
    """All four as ``parts.Part`` has them."""
    channels_last: Collection[str] = ()
    """Of what passes its borders, what lies so in memory."""

    def part(self, nbytes: int) -> Part:
        """Its entry in the manifest, of a plan of this length."""
        before, after = ([one.call for one in several] for several in (self.before, self.after))
        return Part(self.name, nbytes, self.repeat, self.carried, before, after)


class Built(NamedTuple):
    """A new engine."""

    plan: bytes
    parts: list[Part]
    """Of several plans; empty where it is one."""
    sizes: dict[str, list[int]]
    """``min``, ``opt``, ``max``: [batch, rows, columns]"""
    io: str
    strongly_typed: bool
    held_to_fp32: int | None
    """Layers whose type the builder was not free to choose; None where it never is."""
    held_to_fp16: int | None
    warnings: list[str]
    """What the builder said about precision, each sentence once."""
    build_s: float


class Refused(EngineError):
    """The builder made nothing."""


class Planned(NamedTuple):
    """What became of one source."""

    plan: bytes
    images: tuple[dict[str, list[int]], str] | None
    """The engine's sizes and io, of the source that takes the images."""
    strong: bool
    held_to_fp32: int
    held_to_fp16: int
    warnings: list[str]


Report = Callable[[float], bool]
Plans = Callable[[TensorRt, Gpu | None, Path, Sequence[Source], Settings, Report], list[Planned]]
"""Makes a plan of each source, in their order; arguments and errors are those of ``build``."""


def in_turn(
    tensorrt: TensorRt,
    gpu: Gpu | None,
    onnx: Path,
    sources: Sequence[Source],
    settings: Settings,
    report: Report,
    takes_images: bool = True,
) -> list[Planned]:
    """One plan after the other, in this process; the first takes the images."""
    nodes, done = sum(source.nodes for source in sources), 0
    plans: list[Planned] = []
    with nullcontext() if gpu is None else gpu.current():
        builder = tensorrt.trt.Builder(tensorrt.logger)  # takes seconds, so one for all
        for source in sources:
            share = partial(_overall, report, done / nodes, source.nodes / nodes)
            plans.append(planned(tensorrt, builder, gpu, onnx, source, settings, share, takes_images and not plans))
            done += source.nodes
            if not report(done / nodes):
                raise Refused(STOPPED)
    return plans


def build(
    tensorrt: TensorRt,
    gpu: Gpu | None,
    onnx: Path,
    sources: Sequence[Source],
    settings: Settings,
    report: Report,
    plans: Plans = in_turn,
) -> Built:
    """Parse and build one plan of each of ``sources``, which are the file ``onnx`` or its parts, in this order.

    ``gpu`` is None only where the runtime builds ahead of time; ``report`` gets the share that is done and returns
    whether to go on. Raises EngineError with what the builder said.
    """
    begin_s = time.perf_counter()
    made = plans(tensorrt, gpu, onnx, sources, settings, report)
    images, strong = made[0].images, made[0].strong
    assert images is not None
    parts = [source.part(len(one.plan)) for source, one in zip(sources, made, strict=True)]
    contents = [
        content
        for source, one in zip(sources, made, strict=True)
        for content in (one.plan, *(kernel.content for kernel in (*source.before, *source.after)))
    ]
    free = not strong and settings.precision != FP32
    return Built(
        plan=b"".join(contents),
        parts=parts if len(parts) > 1 else [],
        sizes=images[0],
        io=images[1],
        strongly_typed=strong,
        held_to_fp32=sum(one.held_to_fp32 for one in made) if free else None,
        held_to_fp16=sum(one.held_to_fp16 for one in made) if free else None,
        warnings=list(dict.fromkeys(warning for one in made for warning in one.warnings)),
        build_s=time.perf_counter() - begin_s,
    )


def planned(
    tensorrt: TensorRt, builder: Any, gpu: Gpu | None, onnx: Path, source: Source, settings: Settings, report: Report,
    takes_images: bool,
) -> Planned:  # fmt: skip
    """Parse and build one source; the GPU's context is this thread's. ``report`` gets the share of this one."""
    tensorrt.logger.clear()
    network = Network(tensorrt, builder, onnx, source, settings)
    images = network.shapes() if takes_images else None
    tensorrt.watch(network.config, report)
    plan = network.plan(gpu)
    warnings = [one for one in dict.fromkeys(tensorrt.logger.warnings) if _ABOUT_PRECISION.search(one)]
    return Planned(plan, images, network.strong, len(network.pins.fp32), len(network.pins.fp16), warnings)


def _overall(report: Report, before: float, share: float, done: float) -> bool:
    return report(before + share * done)


class Network:
    """One graph on its way to a plan: parsed, with its types and limits set. Raises EngineError when it cannot be."""

    def __init__(self, tensorrt: TensorRt, builder: Any, onnx: Path, source: Source, settings: Settings) -> None:
        trt = tensorrt.trt
        self.tensorrt, self.builder, self.onnx, self.settings = tensorrt, builder, onnx, settings
        # What the graph's types are is not asked of a weakly typed network: there the builder chooses.
        self.strong = tensorrt.can_be_strong and (
            settings.typed or settings.precision == FP32 or not tensorrt.can_be_weak
        )
        self.network = tensorrt.network(builder, self.strong)
        parser = trt.OnnxParser(self.network, tensorrt.logger)
        if not parser.parse(source.content, str(onnx)):
            said = "; ".join(str(parser.get_error(index).desc()) for index in range(parser.num_errors))
            raise EngineError(f"{tensorrt.title} cannot read {onnx} ({said}); export it again with ffs export")
        self.config = config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(settings.workspace_GiB * _GiB))
        config.builder_optimization_level = (
            tensorrt.optimization_level(source.nodes, source.repeat)
            if settings.optimization_level is None
            else settings.optimization_level
        )
        config.clear_flag(trt.BuilderFlag.TF32)  # fp32 is to be fp32; TensorFloat-32 rounds as fp16 does
        tensorrt.avoid_libraries(config)
        tensorrt.lay_out(self.network, source.channels_last)
        self.pins = Held([], [], [])
        if settings.precision == FP16 and not self.strong:
            config.set_flag(trt.BuilderFlag.FP16)
            config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
            self.pins = pin(trt, self.network, full_nodes_of(onnx))

    def shapes(self) -> tuple[dict[str, list[int]], str]:
        """Give open axes their range; the engine's sizes and io, of the graph that takes the images."""
        return _shapes(self.builder, self.config, self.network, self.settings.sizes, self.onnx)

    def plan(self, gpu: Gpu | None) -> bytes:
        """Build it. Raises EngineError with what the builder said."""
        cache = None
        if self.settings.timing_cache and gpu is not None and not self.tensorrt.builds_without_gpu:
            cache = cache_path(self.tensorrt, gpu.name)
            held = use_cache(self.config, cache)
        plan = self.builder.build_serialized_network(self.network, self.config)
        while plan is None and self.pins.loosen(self.tensorrt.logger):
            plan = self.builder.build_serialized_network(self.network, self.config)
        if plan is None:
            raise _refusal(self.tensorrt, self.settings)
        if cache is not None:
            keep_cache(self.config, cache)
            del held
        return bytes(plan)


def _shapes(
    builder: Any, config: Any, network: Any, wanted: Sizes | None, onnx: Path
) -> tuple[dict[str, list[int]], str]:
    """Give the open axes their range; the sizes of the images that the engine will take, and its io."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    names = {tensor.name for tensor in inputs}
    if names not in ({"left", "right"}, {"left_image", "right_image"}):
        raise EngineError(
            f"{onnx} takes {', '.join(sorted(names)) or 'nothing'}; expected left and right, or left_image and "
            "right_image; export it with ffs export"
        )
    io = "image" if "left" in names else "tensor"
    fixed = tuple(inputs[0].shape)
    if len(fixed) != len(("batch", "rows", "columns", "channels")):
        raise EngineError(f"{onnx} takes images of {len(fixed)} axes, expected 4; export it with ffs export")
    # [B,H,W,3] or [B,3,H,W]
    batch, rows, columns = (fixed[axis] for axis in ((0, 1, 2) if io == "image" else (0, 2, 3)))
    if -1 not in (batch, rows, columns):
        if wanted is not None:
            raise EngineError(
                f"{onnx} has one size, {rows}x{columns}: leave --min, --opt and --max away, or "
                "export it with --dynamic-size"
            )
        return {bound: [batch, rows, columns] for bound in ("min", "opt", "max")}, io
    if wanted is None and -1 in (rows, columns):
        raise EngineError(f"{onnx} leaves axes open: give their range, such as --min 320x320 --max 480x736")
    wanted = wanted or ((1, rows, columns),) * 3  # TAO's graphs leave the batch open, and nobody means to fill it
    for size in wanted:
        given = [
            length for length, fixed in zip(size, (batch, rows, columns), strict=True) if fixed not in (-1, length)
        ]
        if given and given != [1]:  # one pair is what is meant where no number is given
            raise EngineError(
                f"{onnx} takes {batch}x{rows}x{columns} (pairs, rows, columns; -1 is open), and the range asks for "
                f"{'x'.join(map(str, size))}; export it with the axes open that are to vary"
            )
    sizes = [
        [given if length == -1 else length for length, given in zip((batch, rows, columns), size, strict=True)]
        for size in wanted
    ]
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        profile.set_shape(tensor.name, *(_shape(size, io) for size in sizes))
    config.add_optimization_profile(profile)
    return dict(zip(("min", "opt", "max"), sizes, strict=True)), io


def _shape(size: Sequence[int], io: str) -> tuple[int, ...]:
    batch, rows, columns = size
    return (batch, rows, columns, 3) if io == "image" else (batch, 3, rows, columns)


def _refusal(tensorrt: TensorRt, settings: Settings) -> EngineError:
    said = "; ".join(tensorrt.logger.errors) or "nothing"
    if re.search("out ?of ?memory", said, re.IGNORECASE):
        remedy = "the GPU's memory is full: end other programs on it, or give less --workspace"
    elif _NO_WORKSPACE.search(said):
        remedy = f"{settings.workspace_GiB:g} GiB of workspace may be too little: give more with --workspace"
    else:
        remedy = "try --one-plan, another --optimization-level, --precision fp32 or another version of the runtime"
    return Refused(f"{tensorrt.title} could not build the engine, so nothing was written; {remedy}; it says: {said}")
