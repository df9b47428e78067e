"""The spec of TAO's inference, of the PyTorch and of the TensorRT container, and what it is for ``ffs infer``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .dataset import Dataset, EvaluationSplit
from .experiment import Command
from .keys import key
from .what_runs import Run, RunSpec, source_words


@dataclass(frozen=True)
class Inference(Run):
    """The block ``inference``."""

    save_raw_pfm: bool = key(False, "disparity as .pfm, too")
    save_raw_npy: bool = key(False, "disparity as .npy, too")
    conf_threshold: float = key(0.5, "without an effect, as in TAO")


@dataclass(frozen=True)
class InferenceDataset(Dataset):
    """``dataset``, as far as inference reads it."""

    infer_dataset: EvaluationSplit = field(default_factory=EvaluationSplit)


@dataclass(frozen=True)
class InferenceSpec(RunSpec):
    """The spec of ``ffs infer``."""

    ACTION: ClassVar[str] = "inference"

    dataset: InferenceDataset = field(default_factory=InferenceDataset)
    inference: Inference = field(default_factory=Inference)

    def command(self) -> Command:
        """Raises SpecError when it does not say what to run on what."""
        block, split, notes = self.inference, self.dataset.infer_dataset, self.notes_on_encryption()
        engine = self.engine(notes)
        stretched = engine == block.trt_engine
        words = [engine, *source_words(split, "infer_dataset"), "-o", self.out]
        saved = {"pfm": block.save_raw_pfm, "npy": block.save_raw_npy}
        words += ["--outputs", ",".join(["png", *(suffix for suffix, wanted in saved.items() if wanted)])]
        words += ["--names", "tao-deploy", "--fit", "resize"] if stretched else ["--names", "tao"]
        return Command(words + self.engine_words(engine, split, stretched), notes)
