"""``ffs inspect``: what a checkpoint, an ONNX file or an engine is."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffs_ros.checkpoint import Checkpoint, open_checkpoint
from ffs_ros.checkpoint.recognise import RELEASED_NAME, is_onnx
from ffs_ros.checkpoint.records import shown
from ffs_ros.checkpoint.source import Source, read_source
from ffs_ros.engine.manifest import read_engine
from ffs_ros.engine.parts import Part, parts_from
from ffs_ros.errors import FileError, NoCheckpoint
from ffs_ros.full_nodes import FULL_NODES, full_nodes
from ffs_ros.storage import opened_once

if TYPE_CHECKING:
    import onnx

HELP = (
    "Say what a checkpoint, ONNX file or engine is; nothing in it is run.\n\n  ffs inspect model_best_bp2_serialize.pth"
)

_MOST_ONNX_BYTES = 2**31
_FIRST_BYTES = 16
_OUR_METADATA = "ffs_ros."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs inspect``."""
    parser.add_argument(
        "file", metavar="FILE", help="a checkpoint (.pth, .safetensors, ...), an .onnx or an .engine file"
    )


def main(args: argparse.Namespace) -> None:
    """Print what the file is as aligned text. Raises FileError when it is none of them, EngineError for an
    engine that its manifest does not fit."""
    path = Path(os.path.expanduser(args.file))
    if path.suffix == ".engine":
        facts = _engine_facts(path)
    elif _looks_like_onnx(path):
        facts = _onnx_facts(path)
    else:
        try:
            facts = _checkpoint_facts(open_checkpoint(path))
        except NoCheckpoint as error:
            raise FileError(f"{error}, an .onnx or an .engine file") from None
    print(_aligned(facts))


def _looks_like_onnx(path: Path) -> bool:
    if path.suffix == ".onnx":
        return True
    try:
        with opened_once(path) as file:
            return is_onnx(file.read(_FIRST_BYTES), path)
    except (OSError, FileError):
        return False  # whoever opens it next says why


def _checkpoint_facts(checkpoint: Checkpoint) -> dict[str, str]:
    converted = "" if checkpoint.stored_dtypes == ("float32",) else ", converted to float32"
    return {
        "file": shown(str(checkpoint.path)),
        "kind": "checkpoint of the bp2 network",
        "SHA-256": checkpoint.sha256,
        "released file": f"yes, {RELEASED_NAME}" if checkpoint.is_released_file else "no: finetuned, or written again",
        "container": checkpoint.container,
        "layout": checkpoint.layout,
        "naming": checkpoint.naming,
        "weights": f"{len(checkpoint.tensors)} tensors, {', '.join(checkpoint.stored_dtypes)}{converted}, all finite",
        "parameters": f"{checkpoint.parameters:,} that the network reads, {checkpoint.stored_parameters:,} in the file",
        **{f"settings: {name}": value for name, value in _flat(checkpoint.settings)},
    }


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    """(dotted name, value in words) of every leaf of nested settings."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def _engine_facts(path: Path) -> dict[str, str]:
    """The manifest, in words where numbers alone would be riddles."""
    manifest, _ = read_engine(path)
    parts, proof = parts_from(manifest.parts, manifest.engine_bytes, manifest.iterations), manifest.proof
    gpu = f"{manifest.gpu} (compute capability {manifest.compute_capability})" if manifest.gpu else "any: built without"
    figures = proof.get("figures", {})
    return {
        "file": shown(str(path)),
        "kind": f"{'typed' if manifest.strongly_typed else 'weakly typed'} engine, ready as ENGINE where it fits",
        "SHA-256": manifest.engine_sha256,
        "runtime": f"{manifest.runtime} {manifest.runtime_version}",
        "GPU": gpu,
        "precision": f"{manifest.precision}{f': {manifest.why_precision}' if manifest.why_precision else ''}",
        "plans": ", ".join(map(_plan, parts)) or "one",
        "io": manifest.io,
        **{f"size: {bound}": "x".join(map(str, size)) for bound, size in manifest.sizes.items()},
        "iterations": str(manifest.iterations or "not said"),
        "max disparity": f"{manifest.max_disparity:g} px",
        "source": manifest.source,
        "source SHA-256": manifest.source_sha256,
        **{f"weights: {key}": value for key, value in manifest.weights.items()},
        "built": f"{manifest.built_at}, in {manifest.build_s:g} s, ffs_ros {manifest.ffs_ros_version}",
        "workspace": f"{manifest.workspace_GiB:g} GiB",
        "optimization level": str(manifest.optimization_level),
        "proof": proof["state"],
        **{f"proof figures: {key}": str(value) for key, value in figures.items() if key != "cases"},
        "warnings": f"{len(manifest.warnings)} about precision",
        "build it again": manifest.rebuild_command(path),
    }


def _plan(part: Part) -> str:
    """``look_up_convc1 + iteration 8 times (5.2 MB)``: a part, and the kernels that run with it, in their order."""
    before, after = ([call.kernel for call in calls] for calls in (part.before, part.after))
    times = f" {part.repeat} times" if part.repeat > 1 else ""
    together = " + ".join([*before, part.name, *after])
    return f"{together}{times} ({part.nbytes / 1e6:.1f} MB)"


def _onnx_facts(path: Path) -> dict[str, str]:
    source = read_source(path, _MOST_ONNX_BYTES, "an ONNX file of this network has at most 0.1")
    model = _onnx_model(source)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: _tensor(value) for value in graph.input if value.name not in weights}
    outputs = {value.name: _tensor(value) for value in graph.output}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    fp32_nodes = metadata.pop(FULL_NODES, None)
    return {
        "file": shown(str(path)),
        "kind": _kind(inputs, outputs, metadata),
        "SHA-256": source.sha256,
        **{f"input: {shown(name)}": value for name, value in inputs.items()},
        **{f"output: {shown(name)}": value for name, value in outputs.items()},
        "opset": ", ".join(f"{shown(opset.domain) or 'ai.onnx'} {opset.version}" for opset in model.opset_import),
        "nodes": f"{len(graph.node):,}" + (f", {len(full_nodes(fp32_nodes))} of them fp32" if fp32_nodes else ""),
        "written by": shown(f"{model.producer_name} {model.producer_version}".strip()) or "not said",
        **{f"metadata: {shown(key)}": shown(value) for key, value in sorted(metadata.items())},
    }


def _onnx_model(source: Source) -> onnx.ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise FileError(
            f"{source.path}: is an ONNX file, and the package onnx that reads it is not installed; "
            "type: pip install onnx"
        ) from None
    try:
        model = onnx.load_model_from_string(source.data)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.graph.node:
        raise FileError(f"{source.path}: is no ONNX graph, or a damaged one; export or download it again")
    return model


def _tensor(value: onnx.ValueInfoProto) -> str:
    """Type and shape in words: ``uint8 [1, 480, 736, 3]``; a free axis has its name."""
    import onnx

    tensor = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:
        dtype = f"type {tensor.elem_type}"
    axes = (
        shown(axis.dim_param) or "?" if axis.WhichOneof("value") != "dim_value" else str(axis.dim_value)
        for axis in tensor.shape.dim
    )
    return f"{dtype} [{', '.join(axes)}]"


def _kind(inputs: Mapping[str, str], outputs: Mapping[str, str], metadata: Mapping[str, str]) -> str:
    """Whose graph it is, by its metadata and by the names of its inputs and outputs."""
    if any(key.startswith(_OUR_METADATA) for key in metadata):
        return "ONNX graph exported by ffs_ros, ready as ENGINE"
    if "gwc_volume" in inputs:
        return (
            "the second of upstream's two ONNX parts (features and volume -> disparity); export a single graph instead"
        )
    if any(name.startswith("features_left_") for name in outputs):
        return "the first of upstream's two ONNX parts (images -> features); export a single graph instead"
    if {"left_image", "right_image"} <= inputs.keys() and "disparity" in outputs:
        return "ONNX graph with NVIDIA TAO's names, not ours: images already normalised in, disparity out"
    if {"left", "right"} <= inputs.keys():
        return "ONNX graph of a stereo network, not ours: whether it wants normalised images, the file does not say"
    return "ONNX graph of something else than a stereo network of this family"


def _aligned(facts: Mapping[str, str]) -> str:
    """One fact per line, values in one column; a group ("settings: name") becomes a heading and indented names."""
    rows: list[tuple[str, str]] = []
    group = ""
    for label, value in facts.items():
        heading, separator, name = label.partition(": ")
        if separator and heading != group:
            rows.append((heading, ""))
        group = heading if separator else ""
        rows.append((f"  {name}" if separator else label, value))
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}".rstrip() for label, value in rows)
