"""What evaluate and inference share: weights or an engine, on the pairs of some lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ffs_ros.errors import EngineError, SpecError

from .dataset import EVALUATION_AUGMENTATION, EvaluationSplit
from .experiment import VerbSpec
from .keys import key
from .model import Model


@dataclass(frozen=True)
class Run:
    """The block ``evaluate`` or ``inference``, as far as they are alike."""

    results_dir: str | None = key(None, "instead of the action's folder in `results_dir`")
    checkpoint: str | None = key(None, "weights, which PyTorch runs", example="model_best_bp2_serialize.pth")
    trt_engine: str | None = key(None, "an engine (or graph), which counts before weights")
    gpu_ids: tuple[int, ...] = key((0,), "the first one is used", least=0)
    num_gpus: int = key(1, "without an effect: one is used", least=1)
    num_nodes: int = key(1, "without an effect", least=1)
    batch_size: int = key(-1, "without an effect, as in TAO")
    input_width: int | None = key(None, "without an effect, as in TAO")
    input_height: int | None = key(None, "without an effect, as in TAO")


Kind = TypeVar("Kind", bound="RunSpec")


@dataclass(frozen=True)
class RunSpec(VerbSpec):
    """The spec of either."""

    INTO_OUT: ClassVar[bool] = True
    WITHOUT_EFFECT: ClassVar[dict[str, str]] = EVALUATION_AUGMENTATION

    model: Model = field(default_factory=Model)

    @property
    def block(self) -> Run:
        """The action's."""
        block: Run = getattr(self, self.ACTION)
        return block

    @classmethod
    def of(cls: type[Kind], values: Any, before: str = "") -> Kind:
        return super().of(_as_for_engines(values, cls.ACTION), before)

    def engine(self, notes: list[str]) -> str:
        """What to run. Raises SpecError where neither is named."""
        block, name = self.block, self.ACTION
        if block.trt_engine and block.checkpoint:
            notes.append(
                f"{name} names a trt_engine and a checkpoint: the engine is taken; add {name}.trt_engine=null for the "
                "other"
            )
        engine = block.trt_engine or block.checkpoint
        if engine is None:
            raise SpecError(
                f"neither {name}.checkpoint nor {name}.trt_engine is given: name what to run, in the spec or as "
                f"{name}.checkpoint=FILE"
            )
        return engine

    def engine_words(self, engine: str, split: EvaluationSplit, stretched: bool) -> list[str]:
        """How the images reach the engine, and where it runs."""
        words = []
        if engine != self.block.trt_engine:
            words += ["--iterations", str(self.model.valid_iters)]
        crop_size = split.augmentation.crop_size
        if stretched and crop_size and _is_open(Path(engine)):
            words += ["--engine-size", f"{crop_size[0]}x{crop_size[1]}"]
        if self.block.gpu_ids[:1] not in ((), (0,)):
            words += ["--gpu-index", str(self.block.gpu_ids[0])]
        return words


def source_words(split: EvaluationSplit, name: str) -> list[str]:
    """The lists, each with the encoding of its truth. Raises SpecError where there are none."""
    if not split.data_sources:
        raise SpecError(f"dataset.{name}.data_sources is empty: name a dataset_name and a data_file")
    words = []
    for source in split.data_sources:
        words += ["--list", source.data_file, "--dataset", source.dataset_name]
    return words


def _as_for_engines(values: Any, name: str) -> Any:
    """A spec's values without ``model`` where the block ``name`` names an engine, which is what it is whatever stands
    there: often another network's defaults. As in TAO's TensorRT container its max_disparity counts before dataset's.
    """
    blocks = values if isinstance(values, Mapping) else {}
    block, model, dataset = (blocks.get(key) or {} for key in (name, "model", "dataset"))
    if not all(isinstance(each, Mapping) for each in (block, model, dataset)) or not block.get("trt_engine"):
        return values
    limit = {key: model[key] for key in ("max_disparity",) if key in model}
    return {**{key: value for key, value in blocks.items() if key != "model"}, "dataset": {**dataset, **limit}}


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
