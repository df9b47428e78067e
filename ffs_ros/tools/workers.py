"""Who goes through a list: this machine's cores, or a Ray cluster; the results are the same."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from ffs_ros.cluster import RayWorkers, Room, connected
from ffs_ros.engine import EngineInfo
from ffs_ros.errors import FfsError, FileError
from ffs_ros.evaluation.samples import Sample
from ffs_ros.matcher import StereoMatcher
from ffs_ros.parallel import Job, cores, results
from ffs_ros.storage import exists
from ffs_ros.tools.engine_choice import EngineChoice


class Workers(Protocol):
    """They have the engine open."""

    @property
    def info(self) -> EngineInfo: ...

    def results(self, job: Job, items: Iterable[Any], count: int) -> Generator[Any, None, None]:
        """The result of ``job`` for each of ``count`` items, in their order; ``job.match`` gets the matcher."""
        ...


@dataclass(frozen=True)
class _Here:
    """Processes for an engine that keeps to one core; otherwise one matches while threads load and finish."""

    engine: EngineChoice
    matcher: StereoMatcher
    workers: int

    @property
    def info(self) -> EngineInfo:
        return self.matcher.engine.info

    def results(self, job: Job, items: Iterable[Any], count: int) -> Generator[Any, None, None]:
        processes, threads = (min(self.workers, count), 0) if self.info.one_core else (1, self.workers)
        open_ = self.engine.open if processes > 1 else partial(nullcontext, self.matcher)
        return results(replace(job, open=open_), items, processes, threads)


class _OnRay:
    def __init__(self, workers: RayWorkers) -> None:
        self._workers = workers
        self.info: EngineInfo = workers.about

    def results(self, job: Job, items: Iterable[Any], count: int) -> Generator[Any, None, None]:
        return self._workers.results(job, items)


@contextmanager
def workers(engine: EngineChoice, count: int | None, ray: str | None, samples: Iterable[Sample]) -> Iterator[Workers]:
    """``count`` workers, as many as fit when None, on this machine or on the Ray cluster at the address ``ray``.

    Raises FfsError when the engine does not open there, when there is no such cluster, or when a machine of it does not
    see the files of ``samples``, of which the first is looked for.
    """
    if ray is None:
        with engine.open() as matcher:
            yield _Here(engine, matcher, count or cores())
        return
    digest = engine.digest()
    with connected(ray):
        room = Room.in_cluster(engine.keeps_to_one_core, count)
        # Each worker sees its own GPU alone, as the first, and is to keep to its cores.
        there = replace(engine, gpu_index=engine.gpu_index and 0, threads=engine.threads or room.cpus)
        first = next(iter(samples)).files.left
        yield _OnRay(RayWorkers(partial(_opened, there, digest, first), room, _info))


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """``--workers``."""
    parser.add_argument(
        "--workers", metavar="N", type=_count,
        help="processes for an engine that keeps to one core, else threads beside it (default: all cores)",
    )  # fmt: skip


def add_ray_option(parser: argparse.ArgumentParser) -> None:
    """``--ray``."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="work on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT, or local to start one",
    )


@contextmanager
def _opened(engine: EngineChoice, digest: str, image: str) -> Iterator[StereoMatcher]:
    """On a machine of the cluster, which may lack files that are here."""
    if not exists(image):
        raise FileError(
            f"{socket.gethostname()}, a machine of the cluster, does not see {image}: list files that all machines "
            "share, or URLs such as s3://bucket/left.png"
        )
    if engine.digest() != digest:
        raise FfsError(f"{engine.name} is another file on a machine of the cluster than here: copy it to all of them")
    with engine.open() as matcher:
        yield matcher


def _info(matcher: StereoMatcher) -> EngineInfo:
    """Without the device, which may differ."""
    return matcher.engine.info._replace(device="")


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"'{text}': expected 1 to 1024")
    return int(text)
