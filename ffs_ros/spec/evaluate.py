"""The spec of TAO's evaluate, of the PyTorch and of the TensorRT container, and what it is for ``ffs eval``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .dataset import Dataset, EvaluationSplit
from .experiment import Command
from .keys import key
from .what_runs import Run, RunSpec, source_words


@dataclass(frozen=True)
class Evaluate(Run):
    """The block ``evaluate``."""

    native_padded: bool = key(False, "an engine of open size runs at each image's own size")


@dataclass(frozen=True)
class EvaluationDataset(Dataset):
    """``dataset``, as far as evaluation reads it."""

    test_dataset: EvaluationSplit = field(default_factory=EvaluationSplit)


@dataclass(frozen=True)
class EvaluateSpec(RunSpec):
    """The spec of ``ffs eval``."""

    ACTION: ClassVar[str] = "evaluate"

    dataset: EvaluationDataset = field(default_factory=EvaluationDataset)
    evaluate: Evaluate = field(default_factory=Evaluate)

    def command(self) -> Command:
        """Raises SpecError when it does not say what to evaluate on what."""
        block, split, notes = self.evaluate, self.dataset.test_dataset, self.notes_on_encryption()
        engine = self.engine(notes)
        words = [engine, *source_words(split, "test_dataset"), "-o", self.out]
        stretched = engine == block.trt_engine and not block.native_padded
        words += ["--protocol", "tao-deploy" if stretched else "tao", "--count-below", str(self.dataset.max_disparity)]
        return Command(words + self.engine_words(engine, split, stretched), notes)
