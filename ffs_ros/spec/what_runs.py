"""What evaluate and inference share: weights or an engine, on the pairs of some lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ffs_ros.errors import EngineError, SpecError

from .dataset import EvaluationSplit
from .model import Model


class Block(Protocol):
    """``evaluate`` or ``inference``."""

    @property
    def checkpoint(self) -> str | None: ...

    @property
    def trt_engine(self) -> str | None: ...

    @property
    def gpu_ids(self) -> tuple[int, ...]: ...


def which_engine(block: Block, name: str, notes: list[str]) -> str:
    """What to run. Raises SpecError where neither is named."""
    if block.trt_engine and block.checkpoint:
        notes.append(
            f"{name} names a trt_engine and a checkpoint: the engine is taken; add {name}.trt_engine=null for the other"
        )
    engine = block.trt_engine or block.checkpoint
    if engine is None:
        raise SpecError(
            f"neither {name}.checkpoint nor {name}.trt_engine is given: name what to run, in the spec or as "
            f"{name}.checkpoint=FILE"
        )
    return engine


def as_for_engines(values: Any, name: str) -> Any:
    """A spec's values without ``model`` where the block ``name`` names an engine, which is what it is whatever stands
    there: often another network's defaults. As in TAO's TensorRT container its max_disparity counts before dataset's.
    """
    blocks = values if isinstance(values, Mapping) else {}
    block, model, dataset = (blocks.get(key) or {} for key in (name, "model", "dataset"))
    if not all(isinstance(each, Mapping) for each in (block, model, dataset)) or not block.get("trt_engine"):
        return values
    limit = {key: model[key] for key in ("max_disparity",) if key in model}
    return {**{key: value for key, value in blocks.items() if key != "model"}, "dataset": {**dataset, **limit}}


def source_words(split: EvaluationSplit, name: str) -> list[str]:
    """The lists, each with the encoding of its truth. Raises SpecError where there are none."""
    if not split.data_sources:
        raise SpecError(f"dataset.{name}.data_sources is empty: name a dataset_name and a data_file")
    words = []
    for source in split.data_sources:
        words += ["--list", source.data_file, "--dataset", source.dataset_name]
    return words


def engine_words(engine: str, block: Block, model: Model, split: EvaluationSplit, stretched: bool) -> list[str]:
    """How the images reach the engine, and where it runs."""
    words = []
    if engine != block.trt_engine:
        words += ["--iterations", str(model.valid_iters)]
    crop_size = split.augmentation.crop_size
    if stretched and crop_size and _is_open(Path(engine)):
        words += ["--engine-size", f"{crop_size[0]}x{crop_size[1]}"]
    if block.gpu_ids[:1] not in ((), (0,)):
        words += ["--gpu-index", str(block.gpu_ids[0])]
    return words


def _is_open(engine: Path) -> bool:
    """Whether it takes several sizes: only then TAO reads crop_size."""
    if engine.suffix != ".engine":
        return False
    from ffs_ros.engine.manifest import read_manifest

    try:
        sizes = read_manifest(engine).sizes
    except EngineError:  # which whoever opens it says better
        return False
    return sizes["min"][1:] != sizes["max"][1:]
