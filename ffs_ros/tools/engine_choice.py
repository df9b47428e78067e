"""Which engine a tool runs, and how, as its arguments say: plain data, so that other processes open the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ffs_ros.config import NodeConfig, parameter_facts
from ffs_ros.engine import CHECKPOINT_ENDINGS, SGBM, Engine, open_engine
from ffs_ros.engine.digest import sha256_of_engine
from ffs_ros.engine_size import AUTO, size_in
from ffs_ros.errors import EngineError
from ffs_ros.fit import MODES
from ffs_ros.matcher import StereoMatcher
from ffs_ros.weights import SYNTHETIC

_FACTS = parameter_facts()["max_disparity"][2]
_LEAST_RANGE_PX, _LARGEST_RANGE_PX = int(_FACTS.minimum or 0), int(_FACTS.maximum or 0)
_MOST_THREADS = 1024
_MOST_ITERATIONS = 64

ENGINE_HELP = f"an .onnx or .engine file, a checkpoint (which PyTorch runs), '{SYNTHETIC}' or '{SGBM}'"


@dataclass(frozen=True)
class EngineChoice:
    """One engine and how its images reach it."""

    name: str
    max_disparity: int = NodeConfig().max_disparity
    fit: str = NodeConfig().fit
    engine_size: str = AUTO
    gpu_index: int | None = 0
    threads: int = 0
    iterations: int = 8
    """Of a checkpoint; other files have theirs built in."""
    mask_out_of_view: bool = False

    @property
    def is_checkpoint(self) -> bool:
        return Path(self.name).suffix in CHECKPOINT_ENDINGS

    @property
    def keeps_to_one_core(self) -> bool:
        return self.name == SGBM

    def digest(self) -> str:
        """SHA-256 of the files; another one means other answers. Raises EngineError when there are none."""
        return "" if self.name == SGBM else sha256_of_engine(self.name)

    def about(self) -> dict[str, Any]:
        """What the answers to the same images depend on, as far as it was chosen."""
        about: dict[str, Any] = {"engine": self.name, "sha256": self.digest(), "fit": self.fit}
        about |= {"engine_size": self.engine_size, "mask_out_of_view": self.mask_out_of_view}
        if self.name == SGBM:
            about["max_disparity"] = self.max_disparity
        if self.is_checkpoint:
            about["iterations"] = self.iterations
        return about

    @contextmanager
    def open(self) -> Iterator[StereoMatcher]:
        """The engine behind a matcher, until the block ends. Raises FfsError when it does not open."""
        with self._engine() as engine:
            yield StereoMatcher(engine, self.fit, self.mask_out_of_view, size_in(self.engine_size))

    def _engine(self) -> Engine:
        if self.is_checkpoint:
            from ffs_ros.tools.torch_engine import TorchEngine

            return TorchEngine(self.name, self.iterations, self.gpu_index)
        return open_engine(
            self.name,
            max_disparity=self.max_disparity,
            gpu_index=self.gpu_index,
            threads=self.threads,
            size=size_in(self.engine_size),
        )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Everything of ``EngineChoice`` but the name."""
    defaults = EngineChoice("")
    parser.add_argument(
        "--max-disparity", metavar="N", type=int, default=defaults.max_disparity,
        help=f"search range of sgbm, {_LEAST_RANGE_PX} to {_LARGEST_RANGE_PX} pixels (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--fit", choices=MODES, default=defaults.fit, help="how images reach the engine's size (default: %(default)s)"
    )
    parser.add_argument(
        "--engine-size", metavar="HxW", default=defaults.engine_size,
        help="rows x columns that an engine of open size runs at (default: %(default)s, the images' size rounded up)",
    )  # fmt: skip
    parser.add_argument("--gpu-index", metavar="N", type=_number(0, 63), default=0, help="the GPU (default: 0)")
    parser.add_argument(
        "--threads", metavar="N", type=_number(1, _MOST_THREADS), default=0, help="CPU threads (default: the runtime's)"
    )
    parser.add_argument(
        "--iterations", metavar="N", type=_number(1, _MOST_ITERATIONS), default=defaults.iterations,
        help="of a checkpoint; other files have theirs built in (default: %(default)s)",
    )  # fmt: skip


def chosen(args: argparse.Namespace, name: str) -> EngineChoice:
    """The engine ``name`` with the options that were parsed. Raises EngineError for impossible ones."""
    if not _LEAST_RANGE_PX <= args.max_disparity <= _LARGEST_RANGE_PX:
        raise EngineError(
            f"--max-disparity is {args.max_disparity}: expected {_LEAST_RANGE_PX} to {_LARGEST_RANGE_PX} pixels"
        )
    size_in(args.engine_size)
    options = ("max_disparity", "fit", "engine_size", "gpu_index", "threads", "iterations")
    return replace(EngineChoice(name), **{option: getattr(args, option) for option in options})


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"'{text}': expected {least} to {most}")
        return int(text)

    return read
