"""What a user can put right. Each message says what was found, what was expected and what to type next.

Anything else that is raised is a bug and keeps its traceback; ``cli.main`` and the node's ``main`` are the
only places that turn an ``FfsError`` into one line and an exit code.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class FfsError(Exception):
    """The user can put this right; the message says how."""


class EngineError(FfsError):
    """An engine cannot be opened, or cannot take what it was given."""


class UnfitImages(EngineError):
    """An engine cannot take these images; it can take others."""


class GpuError(EngineError):
    """The GPU cannot be used now, or has too little memory left; a new process may find that otherwise."""


class EngineFailed(EngineError):
    """An engine that had answered did not answer one pair, or with no numbers."""


class EngineLost(EngineFailed):
    """There is no engine any more, and opening it once more does not help."""


class NotBuiltHere(EngineError):
    """There is no such engine, or it was built for another GPU or runtime: building it puts that right."""

    def __init__(self, engine: Path, message: str) -> None:
        super().__init__(message)
        self.engine = engine

    def __reduce__(self) -> tuple[type[NotBuiltHere], tuple[Path, str]]:
        return type(self), (self.engine, str(self))  # from one process to another


class CalibrationError(FfsError):
    """The calibration cannot give a depth."""


class MessageError(FfsError):
    """One ROS message cannot be used; the next one may be fine."""


class FileError(FfsError):
    """A file is missing, unreadable or not what it should be."""


class ListError(FileError):
    """Several things are wrong with files; ``args`` has one sentence for each."""

    MOST_SENTENCES = 20

    def __str__(self) -> str:
        return "\n".join(self.args)

    @classmethod
    def of(cls, sentences: Iterable[str]) -> ListError | None:
        """An error with the first ``MOST_SENTENCES`` and the number of the others; None when there are none."""
        first: list[str] = []
        others = 0
        for sentence in sentences:
            if sentence in first:  # about what several pairs share
                continue
            if len(first) < cls.MOST_SENTENCES:
                first.append(sentence)
            else:
                others += 1
        if others:
            first.append(f"and {others} more like these; correct these first")
        return cls(*first) if first else None


class CheckpointError(FileError):
    """A checkpoint is damaged, hostile or of another network."""


class NoCheckpoint(CheckpointError):
    """The file is something else."""


class ExportError(FfsError):
    """A graph was not written, because it cannot be built or did not pass its proof."""


class SpecError(FfsError):
    """A spec that cannot be run."""


class TrainingError(FfsError):
    """A training cannot start or cannot go on."""


class DivergenceError(TrainingError):
    """A training whose numbers are no longer finite."""


class BuildError(FfsError):
    """An engine was not built, or not installed because it did not pass its proof."""
