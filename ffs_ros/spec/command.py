"""A verb's words from a TAO spec: ``ffs export -e spec.yaml export.valid_iters=4 --precision fp16``.

What the spec says becomes the words that one could have typed instead, so that every check is the verb's own.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from ffs_ros.storage import make_folder

from .engine import EngineSpec
from .evaluate import EvaluateSpec
from .experiment import VerbSpec
from .export import ExportSpec
from .inference import InferenceSpec
from .overrides import is_override
from .record import recorded

Record = Callable[[argparse.Namespace], AbstractContextManager[None]]
"""For the verb's arguments: within it the verb is to run."""

SPECS: dict[str, type[VerbSpec]] = {kind.ACTION: kind for kind in (ExportSpec, EngineSpec, EvaluateSpec, InferenceSpec)}
"""By TAO's names of the actions."""


def add_spec_option(parser: argparse.ArgumentParser) -> None:
    """``-e``, under TAO's name too."""
    parser.add_argument(
        "-e", "--spec", "--experiment_spec_file", metavar="SPEC.yaml", type=Path,
        help="take what is not given here from a TAO spec; KEY=VALUE words change it (docs/tao.md)",
    )  # fmt: skip


def words_of(verb: str, action: str, words: Sequence[str]) -> tuple[list[str], Record]:
    """What was typed after ``ffs VERB``, with ``-e SPEC.yaml`` and its overrides turned into words of the verb's own.

    What else was typed comes last, where an option counts before the spec's. Says the whole command, and what is other
    than TAO would have it. Raises FfsError.
    """
    parser = argparse.ArgumentParser(prog=f"ffs {verb}", add_help=False, allow_abbrev=False)
    add_spec_option(parser)
    known, rest = parser.parse_known_args(words)
    if known.spec is None:
        return list(words), lambda args: nullcontext()
    spec = SPECS[action].read(known.spec, [word for word in rest if is_override(word)])
    command = spec.command()
    whole = [*command.words, *(word for word in rest if not is_override(word))]
    print(f"{known.spec}: ffs {verb} {shlex.join(whole)}", flush=True)
    for note in command.notes:
        print(f"note: {note}", file=sys.stderr)
    if command.folder is not None:
        make_folder(command.folder)
    return whole, partial(recorded, spec)
