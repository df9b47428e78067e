"""The spec of TAO's evaluate, of the PyTorch and of the TensorRT container, and what it is for ``ffs eval``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .dataset import EVALUATION_AUGMENTATION, Dataset, EvaluationSplit
from .experiment import Command, VerbSpec
from .keys import key
from .model import Model
from .what_runs import as_for_engines, engine_words, source_words, which_engine


@dataclass(frozen=True)
class Evaluate:
    """The block ``evaluate``."""

    results_dir: str | None = key(None, "instead of `results_dir`/evaluate")
    checkpoint: str | None = key(None, "weights, which PyTorch runs", example="model_best_bp2_serialize.pth")
    trt_engine: str | None = key(None, "an engine (or graph), which counts before weights")
    native_padded: bool = key(False, "an engine of open size runs at each image's own size")
    gpu_ids: tuple[int, ...] = key((0,), "the first one is used", least=0)
    num_gpus: int = key(1, "without an effect: one is used", least=1)
    num_nodes: int = key(1, "without an effect", least=1)
    batch_size: int = key(-1, "without an effect, as in TAO")
    input_width: int | None = key(None, "without an effect, as in TAO")
    input_height: int | None = key(None, "without an effect, as in TAO")


@dataclass(frozen=True)
class EvaluationDataset(Dataset):
    """``dataset``, as far as evaluation reads it."""

    test_dataset: EvaluationSplit = field(default_factory=EvaluationSplit)


@dataclass(frozen=True)
class EvaluateSpec(VerbSpec):
    """The spec of ``ffs eval``."""

    ACTION: ClassVar[str] = "evaluate"
    INTO_OUT: ClassVar[bool] = True
    WITHOUT_EFFECT: ClassVar[dict[str, str]] = EVALUATION_AUGMENTATION

    model: Model = field(default_factory=Model)
    dataset: EvaluationDataset = field(default_factory=EvaluationDataset)
    evaluate: Evaluate = field(default_factory=Evaluate)

    @classmethod
    def of(cls, values: Any, before: str = "") -> EvaluateSpec:
        return super().of(as_for_engines(values, cls.ACTION), before)

    def command(self) -> Command:
        """Raises SpecError when it does not say what to evaluate on what."""
        block, split, notes = self.evaluate, self.dataset.test_dataset, self.notes_on_encryption()
        engine = which_engine(block, "evaluate", notes)
        words = [engine, *source_words(split, "test_dataset"), "-o", self.out]
        stretched = engine == block.trt_engine and not block.native_padded
        words += ["--protocol", "tao-deploy" if stretched else "tao", "--count-below", str(self.dataset.max_disparity)]
        words += engine_words(engine, block, self.model, split, stretched)
        return Command(words, notes)
