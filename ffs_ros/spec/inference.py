"""The spec of TAO's inference, of the PyTorch and of the TensorRT container, and what it is for ``ffs infer``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .dataset import EVALUATION_AUGMENTATION, Dataset, EvaluationSplit
from .experiment import Command, VerbSpec
from .keys import key
from .model import Model
from .what_runs import as_for_engines, engine_words, source_words, which_engine


@dataclass(frozen=True)
class Inference:
    """The block ``inference``."""

    results_dir: str | None = key(None, "instead of `results_dir`/inference")
    checkpoint: str | None = key(None, "weights, which PyTorch runs", example="model_best_bp2_serialize.pth")
    trt_engine: str | None = key(None, "an engine (or graph), which counts before weights")
    save_raw_pfm: bool = key(False, "disparity as .pfm, too")
    save_raw_npy: bool = key(False, "disparity as .npy, too")
    gpu_ids: tuple[int, ...] = key((0,), "the first one is used", least=0)
    num_gpus: int = key(1, "without an effect: one is used", least=1)
    num_nodes: int = key(1, "without an effect", least=1)
    batch_size: int = key(-1, "without an effect, as in TAO")
    input_width: int | None = key(None, "without an effect, as in TAO")
    input_height: int | None = key(None, "without an effect, as in TAO")
    conf_threshold: float = key(0.5, "without an effect, as in TAO")


@dataclass(frozen=True)
class InferenceDataset(Dataset):
    """``dataset``, as far as inference reads it."""

    infer_dataset: EvaluationSplit = field(default_factory=EvaluationSplit)


@dataclass(frozen=True)
class InferenceSpec(VerbSpec):
    """The spec of ``ffs infer``."""

    ACTION: ClassVar[str] = "inference"
    INTO_OUT: ClassVar[bool] = True
    WITHOUT_EFFECT: ClassVar[dict[str, str]] = EVALUATION_AUGMENTATION

    model: Model = field(default_factory=Model)
    dataset: InferenceDataset = field(default_factory=InferenceDataset)
    inference: Inference = field(default_factory=Inference)

    @classmethod
    def of(cls, values: Any, before: str = "") -> InferenceSpec:
        return super().of(as_for_engines(values, cls.ACTION), before)

    def command(self) -> Command:
        """Raises SpecError when it does not say what to run on what."""
        block, split, notes = self.inference, self.dataset.infer_dataset, self.notes_on_encryption()
        engine = which_engine(block, "inference", notes)
        stretched = engine == block.trt_engine
        words = [engine, *source_words(split, "infer_dataset"), "-o", self.out]
        saved = {"pfm": block.save_raw_pfm, "npy": block.save_raw_npy}
        words += ["--outputs", ",".join(["png", *(suffix for suffix, wanted in saved.items() if wanted)])]
        words += ["--names", "tao-deploy", "--fit", "resize"] if stretched else ["--names", "tao"]
        return Command([*words, *engine_words(engine, block, self.model, split, stretched)], notes)
