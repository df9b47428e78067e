"""TensorRT and TensorRT-RTX as an engine: ``*.engine``, built on this machine by ``ffs build-engine``.

Images go up as bytes and the disparity comes down, between pinned memory and buffers that are made once. Copies and
network, which may be several plans, are recorded as one CUDA graph and replayed for each pair.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ffs_ros.advice import WITHOUT_A_NETWORK, or_without_a_network
from ffs_ros.engine import STAGES, EngineInfo, TensorSpec
from ffs_ros.engine.contract import check_feeds, described
from ffs_ros.engine.cuda import Gpu, Laps, Replay, opened_gpu
from ffs_ros.engine.kernel_calls import Ready
from ffs_ros.engine.lifetimes import sharing
from ffs_ros.engine.manifest import (
    OWED,
    PASSED,
    REPORTED,
    UNPROVEN,
    Manifest,
    note_proof,
    owed_proof_path,
    read_engine,
)  # fmt: skip
from ffs_ros.engine.parts import Part, contents, parts_from
from ffs_ros.engine.trt_plan import Plan
from ffs_ros.engine.trt_turns import Step, misfit, results, run, tensor_bytes
from ffs_ros.engine.trt_versions import TensorRt, imported
from ffs_ros.errors import EngineError, FileError, GpuError, UnfitImages
from ffs_ros.weights import SYNTHETIC, SYNTHETIC_NOTE

if TYPE_CHECKING:
    from ffs_ros.proof import Proof

_log = logging.getLogger(__name__)
_SIZE_MULTIPLE = 32
"""The network halves its input five times."""
_MB = 1e6
_AGAIN = f"build it again with ffs build-engine, or {WITHOUT_A_NETWORK}"

Shapes = dict[str, tuple[int, ...]]


class TrtEngine:
    """Runs one engine on one GPU; the inputs' open axes reach as far as the engine was built for."""

    def __init__(
        self, tensorrt: TensorRt, gpu: Gpu, plan: bytes, info: EngineInfo, parts: Sequence[Part] = ()
    ) -> None:  # fmt: skip
        """Load ``plan``, one of the runtime's or several ``parts``. ``gpu`` is the engine's own, also when this fails.

        Raises EngineError when the runtime refuses it, or GPU memory is short: then with how much is needed and free.
        """
        self.info = info
        self._tensorrt = tensorrt
        self._gpu = gpu
        self._parts = parts or [Part("network", len(plan), 1, {})]
        self._steps: list[Step] = []
        self._shapes: Shapes | None = None
        self._replay: Replay | None = None
        self._timed_replay: Replay | None = None
        self._laps: Laps | None = None
        self._runtime: Any = None
        self._closed = False
        try:
            with self._gpu.current():
                self._load(plan)
        except BaseException:
            self.close()
            raise

    def _load(self, plan: bytes) -> None:
        self._tensorrt.logger.clear()
        free, _ = self._gpu.memory_bytes()
        needed = len(plan)
        with self._out_of_memory(lambda: needed, free):
            self._runtime = self._tensorrt.trt.Runtime(self._tensorrt.logger)
            content = contents(plan, self._parts)
            for part in self._parts:
                loaded = Plan(self._tensorrt, self._runtime, next(content), self._refusal_to_load)
                self._steps.append(step := Step(part, loaded, [], []))
                step.before.extend(Ready(self._gpu, call, next(content)) for call in part.before)
                step.after.extend(Ready(self._gpu, call, next(content)) for call in part.after)
            if fault := misfit(self._steps):
                raise EngineError(f"the plans of engine '{self.info.name}' do not fit together: {fault}; {_AGAIN}")
            specs = {name: spec for one in self._plans for name, spec in one.specs.items()}
            made = {name for one in self._steps for name in one.outputs}
            read = dict.fromkeys(name for one in self._plans for name in one.inputs)
            self.inputs: Mapping[str, TensorSpec] = {name: specs[name] for name in read if name not in made}
            self.outputs: Mapping[str, TensorSpec] = results(self._steps)

            sizes = tensor_bytes(self._steps)
            groups = sharing(self._steps, sizes, {*self.inputs, *self.outputs})
            carried = {name for part in self._parts if part.repeat > 1 for name in part.carried.values()}
            scratch = max(one.scratch_bytes for one in self._plans)
            needed += scratch + sum(sizes[largest] for largest, *_ in groups) + sum(sizes[name] for name in carried)

            shared = self._gpu.buffer(max(scratch, 1))
            for one in self._plans:
                one.use_scratch(shared, scratch)
            buffers = [self._gpu.buffer(sizes[largest]) for largest, *_ in groups]
            self._addresses = {name: at for group, at in zip(groups, buffers, strict=True) for name in group}
            # What one run reads the next must not write: they take turns with a second buffer.
            self._spare = {name: self._gpu.buffer(sizes[name]) for name in sorted(carried)}
            self._limits = {name: one.limits[name] for one in self._plans for name in one.inputs if name in self.inputs}
            self._pinned = {name: self._gpu.pinned(sizes[name]) for name in (*self.inputs, *self.outputs)}
            if all(None not in spec.shape for spec in self.inputs.values()):
                self._prepare({name: largest for name, (_, largest) in self._limits.items()})

    @property
    def _plans(self) -> list[Plan]:
        return [step.plan for step in self._steps]

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; see ``Engine``."""
        with self._fed(feeds):
            assert self._replay is not None
            self._replay.launch()
            self._gpu.synchronize()
        return {name: self._host[name].copy() for name in self.outputs}

    def stages_ms(self, feeds: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Run once, with the GPU noting the time between the stages; see ``Staged``."""
        with self._fed(feeds):
            if self._laps is None:
                self._laps = self._gpu.laps(len(STAGES) + 1)
            if self._timed_replay is None:
                self._timed_replay = self._recorded(partial(self._enqueue, self._laps.mark))
            self._timed_replay.launch()
            self._gpu.synchronize()
            return dict(zip(STAGES, self._laps.ms(), strict=True))

    @contextmanager
    def _fed(self, feeds: Mapping[str, np.ndarray]) -> Iterator[None]:
        """The context is current, everything has the size of ``feeds``, and they wait in pinned memory."""
        if self._closed:
            raise EngineError(f"engine '{self.info.name}' is closed; open it again")
        check_feeds(self.inputs, feeds)
        shapes = {name: feed.shape for name, feed in feeds.items()}
        with self._gpu.current():
            if shapes != self._shapes:
                self._check_sizes(shapes)
                self._prepare(shapes)
            for name, feed in feeds.items():
                np.copyto(self._host[name], feed)
            yield

    def _check_sizes(self, shapes: Shapes) -> None:
        """Sizes that are no multiple of 32 pass through TensorRT and fail within, or worse."""
        for name, shape in shapes.items():
            smallest, largest = self._limits[name]
            within = all(low <= n <= high for low, n, high in zip(smallest, shape, largest, strict=True))
            opened = [n for n, fixed in zip(shape[1:], self.inputs[name].shape[1:], strict=True) if fixed is None]
            if not within or any(length % _SIZE_MULTIPLE for length in opened):
                given, *bounds = (
                    described({name: TensorSpec(one, self.inputs[name].dtype)}) for one in (shape, smallest, largest)
                )
                raise UnfitImages(
                    f"engine '{self.info.name}' was given {given}; it was built for {bounds[0]} to {bounds[1]}, rows "
                    f"and columns multiples of {_SIZE_MULTIPLE}; scale the images, or build it with --min and --max"
                )
        if len(set(shapes.values())) > 1:
            given = described({name: TensorSpec(shape, self.inputs[name].dtype) for name, shape in shapes.items()})
            raise UnfitImages(f"engine '{self.info.name}' was given {given}; expected images of one size")

    def _prepare(self, shapes: Shapes) -> None:
        """Set the shapes, run once, as kernels are loaded then, and record the run."""
        self._forget_recordings()
        self._host = {}
        for plan in self._plans:
            for name in plan.inputs:
                if name in shapes:
                    plan.resize(name, shapes[name])
            for name, spec in plan.specs.items():
                if name in self._pinned:
                    self._host[name] = self._view(name, plan.shape(name), spec.dtype)
        for name, spec in self.outputs.items():
            if name not in self._host:  # a kernel's, of one size
                self._host[name] = self._view(name, spec.shape, spec.dtype)  # type: ignore[arg-type]
        self._enqueue()
        self._gpu.synchronize()
        self._replay = self._recorded(self._enqueue)
        self._shapes = dict(shapes)

    def _recorded(self, enqueue: Callable[[], None]) -> Replay:
        """What runs ``enqueue`` again."""
        replay = self._gpu.recorded(enqueue)
        if replay is None:
            _log.info("'%s' cannot be recorded as a CUDA graph: enqueued anew for each pair", self.info.name)
            replay = Replay(launch=enqueue, free=lambda: None)
        return replay

    def _view(self, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:
        return self._pinned[name][: prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def _enqueue(self, mark: Callable[[int], None] = lambda instant: None) -> None:
        """Images up, network, disparity down, one after the other on the stream; ``mark`` is told between them."""
        mark(0)
        for name in self.inputs:
            self._gpu.upload(self._addresses[name], self._host[name])
        mark(1)
        run(self._steps, self._addresses, self._spare, self._gpu.stream, partial(self._refusal, "failed"))
        mark(2)
        for name in self.outputs:
            self._gpu.download(self._host[name], self._addresses[name])
        mark(3)

    def _forget_recordings(self) -> None:
        self._shapes = None
        replays, self._replay, self._timed_replay = (self._replay, self._timed_replay), None, None
        for replay in replays:
            if replay is not None:
                replay.free()

    def _refusal_to_load(self, what: str) -> Exception:
        refusal = self._refusal(what)
        return MemoryError() if re.search("out ?of ?memory", str(refusal), re.IGNORECASE) else refusal

    def _refusal(self, what: str) -> EngineError:
        """What the runtime said since it was asked last."""
        said = "; ".join(self._tensorrt.logger.errors) or "nothing"
        self._tensorrt.logger.clear()
        return EngineError(f"engine '{self.info.name}' {what}: {self._tensorrt.title} says: {said}; {_AGAIN}")

    @contextmanager
    def _out_of_memory(self, needed: Any, free: int) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            raise GpuError(
                f"engine '{self.info.name}' needs {needed() / _MB:,.0f} MB of GPU memory and {free / _MB:,.0f} MB were "
                f"free on {self._gpu.name}: end other programs on the GPU, or export and build a smaller size"
            ) from None

    def close(self) -> None:
        """Free the engine's memory on the GPU and beside it."""
        if self._closed:
            return
        self._closed = True
        with self._gpu.current():
            self._forget_recordings()
            for plan in self._plans:
                plan.close()
            self._runtime = None
        self._host, self._pinned = {}, {}
        self._gpu.close()

    def __enter__(self) -> TrtEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_trt(path: Path, gpu_index: int | None) -> TrtEngine:
    """Open a built engine after its manifest has been checked; a proof that it owes is made now.

    Raises EngineError, with the command that builds it again, when it may not run here.
    """
    manifest, plan = read_engine(path)
    if gpu_index is None:
        raise EngineError(f"{path} runs on a GPU only; set gpu_index to its number, or {WITHOUT_A_NETWORK}")
    with or_without_a_network():
        tensorrt = imported(manifest.runtime)
    manifest.check_runtime(path, tensorrt.version)
    with or_without_a_network():
        gpu = opened_gpu(gpu_index)
    try:
        manifest.check_gpu(path, gpu.name, gpu.compute_capability)
    except EngineError:
        gpu.close()
        raise
    info = engine_info(path.name, manifest, tensorrt, gpu.name, gpu_index)
    parts = parts_from(manifest.parts, manifest.engine_bytes, manifest.iterations)
    engine = TrtEngine(tensorrt, gpu, plan, info, parts)
    try:
        if manifest.proof["state"] == OWED:
            _make_owed_proof(path, manifest, engine)
    except BaseException:
        engine.close()
        raise
    return engine


def engine_info(
    name: str, manifest: Manifest, tensorrt: TensorRt, gpu: str, gpu_index: int | None = None
) -> EngineInfo:
    """What the manifest says, for logs and messages."""
    notes = []
    if SYNTHETIC in manifest.weights.values():
        notes.append(SYNTHETIC_NOTE)
    if manifest.proof["state"] == UNPROVEN:
        notes.append("built with --unproven: nothing says that it answers as the network does")
    return EngineInfo(
        name=name,
        runtime=f"{tensorrt.title} {manifest.precision} ({gpu}{'' if gpu_index is None else f', GPU {gpu_index}'})",
        max_disparity=manifest.max_disparity,
        size_multiple=_SIZE_MULTIPLE,
        note="; ".join(notes),
        on_gpu=True,
        device=gpu,
        dense=manifest.iterations is not None,  # a graph of ffs export
    )


def proof_notes(proof: Proof) -> dict[str, Any]:
    """A proof as the manifest has it."""
    return {"state": PASSED if proof.gated else REPORTED, "figures": proof.figures, "failures": proof.failures}


def _make_owed_proof(path: Path, manifest: Manifest, engine: TrtEngine) -> None:
    """The first GPU that an engine meets after it was built without one proves it."""
    from ffs_ros.proof import REMEDY, ProofSet, prove, read_proof

    proof_set = read_proof(owed_proof_path(path), manifest.proof["file_sha256"], path.name)
    cases = [case for case in proof_set.cases if manifest.takes(case.size)]
    proof = prove(engine, ProofSet(cases), manifest.sizes["min"][0])
    if not proof.passed:
        raise EngineError(
            f"{path} was built without a GPU and now fails its proof: {'; '.join(proof.failures)}; {REMEDY}: "
            f"{manifest.rebuild_command(path)}"
        )
    try:
        note_proof(path, manifest, proof_notes(proof))
    except (FileError, OSError) as error:
        _log.warning("%s passed its proof, which its manifest could not take (%s): made again each time", path, error)
