"""What the specs of all actions share: where results go, and which keys may stand there without an effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from ffs_ros.errors import SpecError
from ffs_ros.storage import Location, joined, located
from ffs_ros.whole_file import whole_file

from . import dataset, model
from .keys import key, plain, read

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
    def location(self) -> Location | None:
        """TAO's rule: the block's own results_dir as it is, else the action's name in results_dir; None without both.

        A folder, or a URL.
        """
        own = getattr(self, self.ACTION).results_dir
        if own:
            return located(own)
        return joined(located(self.results_dir), self.ACTION) if self.results_dir else None

    @property
    def folder(self) -> Path:
        """The location. Raises SpecError where none is given, or one that is no folder on this machine."""
        if not isinstance(self.location, Path):
            raise SpecError(f"the results would go to {self.out}: expected a folder on this machine")
        return self.location

    @property
    def out(self) -> str:
        """The location as a word. Raises SpecError where none is given."""
        if self.location is None:
            raise SpecError(
                f"neither results_dir nor {self.ACTION}.results_dir is given: name the folder for what the run writes"
            )
        return str(self.location)

    def check(self) -> None:
        """Raises SpecError for values that do not fit each other."""

    def notes_on_encryption(self) -> list[str]:
        """A sentence where there is a key."""
        if self.encryption_key is None:
            return []
        return ["encryption_key has no effect: files are read and written as they are, and encrypted ones are refused"]

    def write(self, folder: Path) -> None:
        """``experiment.yaml``, with every key, as TAO leaves it in an action's folder. Raises FileError."""
        from .yaml_file import text_of

        with whole_file(folder / "experiment.yaml") as temporary:
            temporary.write_text(text_of(plain(asdict(self))), encoding="utf-8")

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

    INTO_OUT: ClassVar[bool] = False
    """Whether the verb writes the action's folder itself, status.json too: its option --out."""

    def command(self) -> Command:
        """Those words. Raises SpecError when the spec does not say enough."""
        raise NotImplementedError

    def file(self, name: str, what: str) -> str:
        """That of a key of the action's block. Raises SpecError, which says ``what`` it is, where none is given."""
        file: str | None = getattr(getattr(self, self.ACTION), name)
        if file is None:
            dotted = f"{self.ACTION}.{name}"
            raise SpecError(f"{dotted} is not given: name {what}, in the spec or as {dotted}=FILE")
        return file
