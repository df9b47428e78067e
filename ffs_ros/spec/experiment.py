"""What the specs of all actions share: where results go, and which keys may stand there without an effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from ffs_ros.errors import SpecError

from . import dataset, model
from .keys import key, read

WITHOUT_EFFECT = {
    **dict.fromkeys(
        ("train", "evaluate", "inference", "export", "gen_trt_engine", "quantize", "model", "dataset"),
        "another action's",
    ),
    **dict.fromkeys(("model_name", "task", "wandb", "tensorboard"), "TAO's launcher's"),
    **model.WITHOUT_EFFECT,
    **dataset.WITHOUT_EFFECT,
}
"""Keys that TAO's specs may have and that change nothing here, unless the action has a field for them."""


Kind = TypeVar("Kind", bound="Experiment")


class Command(NamedTuple):
    """What one of our verbs is to be told."""

    words: list[str]
    notes: list[str]
    """What is other than TAO would have it, in sentences."""
    folder: Path | None = None
    """To be made where it is missing, as TAO does."""


@dataclass(frozen=True)
class Experiment:
    """The spec of one action; each action adds the blocks that it reads."""

    ACTION: ClassVar[str]
    """TAO's name, which is also that of its block and of its folder in results_dir."""
    WITHOUT_EFFECT: ClassVar[dict[str, str]] = {}
    """Further keys, of this action alone."""

    results_dir: str | None = key(None, "each action writes into a folder of its name in it", example="results")
    encryption_key: str | None = key(None, "files are neither encrypted nor decrypted here")

    @property
    def folder(self) -> Path:
        """TAO's rule: the block's own results_dir as it is, else the action's name in results_dir.

        Raises SpecError where neither is given.
        """
        own = getattr(self, self.ACTION).results_dir
        if own:
            return Path(own)
        if self.results_dir:
            return Path(self.results_dir) / self.ACTION
        raise SpecError(
            f"neither results_dir nor {self.ACTION}.results_dir is given: name the folder for what the run writes"
        )

    def check(self) -> None:
        """Raises SpecError for values that do not fit each other."""

    def notes_on_encryption(self) -> list[str]:
        """A sentence where there is a key."""
        if self.encryption_key is None:
            return []
        return ["encryption_key has no effect: files are read and written as they are, and encrypted ones are refused"]

    @classmethod
    def read(cls: type[Kind], path: str | Path, overrides: Sequence[str] = ()) -> Kind:
        """The spec in a YAML file, with ``KEY=VALUE`` words put in.

        Raises FileError when there is no such file, SpecError when it is wrong or PyYAML is not installed.
        """
        try:
            from .yaml_file import loaded
        except ModuleNotFoundError as error:
            raise SpecError(f"reading a spec needs the Python package '{error.name}': pip install pyyaml") from None
        path = Path(path)
        return cls.of(loaded(path, overrides), f"{path}: ")

    @classmethod
    def of(cls: type[Kind], values: Any, before: str = "") -> Kind:
        """The spec in nested mappings; ``before`` begins each SpecError's sentence."""
        try:
            spec = read(cls, values, without_effect={**WITHOUT_EFFECT, **cls.WITHOUT_EFFECT})
            spec.check()
        except SpecError as error:
            raise SpecError(f"{before}{error}") from None
        return spec


@dataclass(frozen=True)
class VerbSpec(Experiment):
    """The spec of an action whose verb takes words."""

    def command(self) -> Command:
        """Those words. Raises SpecError when the spec does not say enough."""
        raise NotImplementedError
