"""``ffs build-engine``: ONNX file or checkpoint -> engine for this GPU that has been proven before it appears."""

from __future__ import annotations

import argparse
import hashlib
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ffs_ros.engine.cuda import Gpu, opened_gpu
from ffs_ros.engine.kernel_calls import unfit
from ffs_ros.engine.manifest import OWED, UNPROVEN, Manifest, install, manifest_path, read_manifest
from ffs_ros.engine.parts import as_notes
from ffs_ros.engine.side_by_side import side_by_side, usual_jobs
from ffs_ros.engine.trt import TrtEngine, engine_info, proof_notes
from ffs_ros.engine.trt_build import Built, Refused, Settings, Sizes, Source, build, in_turn
from ffs_ros.engine.trt_versions import RTX, TensorRt, imported
from ffs_ros.errors import BuildError, EngineError, ExportError
from ffs_ros.graph.form import MAX_DISPARITY_px
from ffs_ros.proof import REMEDY, Proof, ProofSet, prove
from ffs_ros.tools.build_arguments import add_arguments as add_arguments
from ffs_ros.tools.build_arguments import command, outputs_of, sizes_of
from ffs_ros.tools.build_graph import Attempt, Graph, standard
from ffs_ros.tools.progress_bar import watched

ACTION = "gen_trt_engine"
"""TAO's, whose specs -e takes."""
HELP = """\
ffs build-engine model.onnx -o engines/model.engine
ffs build-engine -e spec.yaml

An engine for this GPU and this version of TensorRT or TensorRT-RTX. It appears under its name only after it has
answered the graph's proof set as the network does in fp32. A checkpoint is exported first.
"""


class Order(NamedTuple):
    """What stays the same for every engine that one command builds."""

    args: argparse.Namespace
    graph: Graph
    tensorrt: TensorRt
    gpu: Gpu | None
    """None: built ahead of time."""


def main(args: argparse.Namespace) -> None:
    """Build, prove and install; or raise FfsError and leave what was there."""
    outputs, sizes = outputs_of(args), sizes_of(args)
    graph, tensorrt = Graph(args.source), imported(args.runtime)
    graph.check_options(args, list(outputs))
    attempts = graph.attempts(args.precision, tensorrt)
    gpu = _gpu(tensorrt, args.gpu_index)
    print(f"{tensorrt.title}, {gpu.name if gpu else 'ahead of time: no GPU here'}", flush=True)
    # Whoever stops a robot's services sends this one; like Ctrl-C it is to leave no file behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for iterations, out in outputs.items():
            _first_that_passes(Order(args, graph, tensorrt, gpu), attempts, iterations, sizes, out)
    finally:
        signal.signal(signal.SIGTERM, before)
        if gpu is not None:
            gpu.close()


def _first_that_passes(order: Order, attempts: list[Attempt], iterations: int, sizes: Sizes | None, out: Path) -> None:
    """Install the first of ``attempts`` that builds and passes its proof."""
    args, failed = order.args, ""
    for precision, why in attempts:
        with tempfile.TemporaryDirectory(prefix="ffs-build-") as folder:
            try:
                source = Graph(order.graph.onnx(precision, iterations, args, Path(folder)))
            except ExportError as error:  # weights for which halves are too coarse, which fp32 is not
                if precision == attempts[-1].precision:
                    raise
                failed = f"in {precision} {error}"
                print(f"  {failed}", flush=True)
                continue
            expected = standard(source.path, args.unproven)
            settings = Settings(
                precision, source.typed, args.workspace, args.optimization_level, sizes or source.sizes,
                not args.no_timing_cache,
            )  # fmt: skip
            for sources in _ways(order, source):
                rebuild = command(args, iterations, out)
                fault = _installed(order, source, sources, settings, expected, rebuild, why or failed, out)
                if fault is None:
                    return
                failed = f"in {precision} {fault}"
                print(f"  {failed}", flush=True)
    raise BuildError(f"{out} was not installed: {failed}; {_remedy(order.graph, attempts)}")


def _ways(order: Order, source: Graph) -> Iterator[list[Source]]:
    """What the engine may be made of, the best first: with kernels of our own where the GPU runs them, then without."""
    in_one = order.args.one_plan or order.tensorrt.builds_without_gpu  # which takes seconds for the whole
    with_kernels = [] if in_one or order.args.no_kernels else source.sources_with_kernels()
    if with_kernels:
        if (fault := unfit(order.gpu)) is None:
            yield with_kernels
        else:
            print(f"  without kernels of our own: {fault}", flush=True)
    yield source.sources(in_one)


def _installed(
    order: Order, source: Graph, sources: list[Source], settings: Settings, expected: ProofSet | None,
    rebuild: list[str], why: str, out: Path,
) -> str | None:  # fmt: skip
    """Build an engine of ``sources``, prove and install it; in words, what was in the way of that."""
    has_kernels = any(one.before or one.after for one in sources)
    kernels = " with kernels of our own" if has_kernels else ""
    args = order.args
    jobs = min(len(sources), args.jobs or usual_jobs(order.tensorrt, order.gpu, args.workspace))
    beside = f", {jobs} parts side by side" if jobs > 1 else ""
    print(f"building {out.name} in {settings.precision}{kernels}{beside} ...", flush=True)
    try:
        plans = partial(side_by_side, jobs, args.gpu_index) if jobs > 1 else in_turn
        step = partial(build, order.tensorrt, order.gpu, source.path, sources, settings, plans=plans)
        built: Built = watched(step, _seconds_before(out))
    except Refused as error:
        return f"{kernels.strip()} {error}".strip()
    if built.held_to_fp32 is not None:
        print(f"  layers held to fp32: {built.held_to_fp32}, to fp16: {built.held_to_fp16}", flush=True)
    for warning in built.warnings:
        print(f"  warning: {warning}", file=sys.stderr)
    manifest = _manifest(order, source, settings, built, rebuild, why)
    proof_set = _cases(expected, manifest)
    try:
        proof = _proof(order, manifest, built, proof_set)
    except EngineError as error:
        if not has_kernels:
            raise
        return f"{kernels.strip()} {error}; --no-kernels builds without them"
    if isinstance(proof, Proof) and not proof.passed:
        return f"{kernels.strip()} the engine fails its proof: {'; '.join(proof.failures)}".strip()
    _install(out, built.plan, manifest, proof, proof_set)
    return None


def _proof(order: Order, manifest: Manifest, built: Built, proof_set: ProofSet | None) -> Proof | str:
    """What the comparison found; OWED without a GPU, UNPROVEN without a standard."""
    if proof_set is None:
        return UNPROVEN
    if order.gpu is None:
        return OWED
    info = engine_info("the new engine", manifest, order.tensorrt, order.gpu.name)
    with TrtEngine(order.tensorrt, opened_gpu(order.args.gpu_index), built.plan, info, built.parts) as engine:
        return prove(engine, proof_set, built.sizes["min"][0])


def _install(out: Path, plan: bytes, manifest: Manifest, proof: Proof | str, proof_set: ProofSet | None) -> None:
    """Put the engine in place, with what was found about it, and say so."""
    owed = None
    if isinstance(proof, Proof):
        manifest.proof.update(proof_notes(proof))
        said = proof.sentence
    else:
        manifest.proof["state"] = proof
        said = "not proven, as --unproven asks"
    if proof == OWED and proof_set is not None:
        owed = proof_set.content()
        manifest.proof["file_sha256"] = hashlib.sha256(owed).hexdigest()
        said = "the proof is owed: it is made when the engine is first opened on a GPU"
    install(out, plan, manifest, owed)
    why = f" ({manifest.why_precision})" if manifest.why_precision else ""
    print(f"  {said}\n{out}: {manifest.precision}{why}, {len(plan) / 1e6:.1f} MB, built in {manifest.build_s:.0f} s")
    print(f"next: ffs infer {shlex.quote(str(out))} LEFT RIGHT -o OUT")


def _cases(expected: ProofSet | None, manifest: Manifest) -> ProofSet | None:
    """Those of the proof set's pairs that the engine's range takes."""
    if expected is None:
        return None
    cases = [case for case in expected.cases if manifest.takes(case.size)]
    if not cases:
        known = ", ".join(sorted({"x".join(map(str, case.size)) for case in expected.cases}))
        raise BuildError(
            f"none of the proof set's sizes ({known}) lies between --min and --max: widen the range, or export "
            "the size that you need"
        )
    return ProofSet(cases)


def _remedy(graph: Graph, attempts: list[Attempt]) -> str:
    if graph.is_onnx and graph.typed:
        return f"try fp32 ({graph.export_command('fp32')}), or another version of the runtime"
    return REMEDY if attempts[-1].precision != "fp32" else "try another version of the runtime"


def _manifest(order: Order, source: Graph, settings: Settings, built: Built, rebuild: list[str], why: str) -> Manifest:
    graph, tensorrt, gpu = order.graph, order.tensorrt, order.gpu
    return Manifest(
        engine_bytes=len(built.plan),
        engine_sha256=hashlib.sha256(built.plan).hexdigest(),
        source=graph.path.name,
        source_sha256=graph.sha256,
        command=rebuild,
        runtime=tensorrt.runtime,
        runtime_version=tensorrt.version,
        gpu=gpu.name if gpu else None,
        compute_capability=gpu.compute_capability if gpu else None,
        precision=settings.precision,
        why_precision=why,
        strongly_typed=built.strongly_typed,
        io=built.io,
        sizes=built.sizes,
        max_disparity=float(source.max_disparity or MAX_DISPARITY_px),
        iterations=int(source.iterations) if source.iterations else None,
        weights=source.weights,
        workspace_GiB=settings.workspace_GiB,
        optimization_level=(
            tensorrt.usual_optimization_level if settings.optimization_level is None else settings.optimization_level
        ),
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_s=round(built.build_s, 1),
        proof={"state": OWED},
        warnings=built.warnings,
        parts=as_notes(built.parts),
    )


def _gpu(tensorrt: TensorRt, index: int) -> Gpu | None:
    try:
        return opened_gpu(index)
    except EngineError as error:
        if tensorrt.builds_without_gpu and index == 0:  # another one has been asked for by name
            return None
        other = "" if tensorrt.builds_without_gpu else f"; --runtime {RTX} builds without one"
        raise BuildError(f"{tensorrt.title} builds on the GPU that is to run the engine: {error}{other}") from error


def _seconds_before(out: Path) -> float | None:
    """How long the engine that is there took."""
    try:
        return read_manifest(out).build_s if manifest_path(out).is_file() else None
    except EngineError:
        return None
