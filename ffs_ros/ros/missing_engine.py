"""Builds an engine for the node that wants it, in a process of its own: ``ffs build-engine``, its words in the log.

TensorRT may be inside a build for minutes, hears no signal there and keeps its memory afterwards; another process can
be stopped, gives everything back, and takes no node along when it crashes.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ffs_ros.config import NodeConfig
from ffs_ros.engine.folder import engine_folder
from ffs_ros.engine.recipe import Recipe, recipe_for
from ffs_ros.errors import BuildError, EngineError, NotBuiltHere

_LOOK_EVERY_s = 0.2
_LONGEST_STOP_s = 10.0
_ERROR, _WARNING, _NEXT = "ffs: ", "warning: ", "next: "
"""How lines of ``ffs build-engine`` begin that are more than progress."""


def open_or_build(
    open_engine: Callable[[], object], config: NodeConfig, go_on: Callable[[], None], logger: Any
) -> None:
    """Call ``open_engine``, and build the engine first where ``build_if_missing`` allows it; ``go_on`` is ``build``'s.

    Raises FfsError when there is no engine in the end.
    """
    try:
        open_engine()
        return
    except NotBuiltHere as error:
        if not config.build_if_missing:
            raise EngineError(f"{error}; or let the node do that at start: build_if_missing:=true") from None
        recipe = recipe_for(error.engine, config.gpu_index)
    with turn_to_build(recipe, go_on, logger) as turn:
        try:
            open_engine()  # somebody else may have built it meanwhile
        except NotBuiltHere:
            build(recipe, turn, go_on, logger)
            open_engine()


@contextmanager
def turn_to_build(recipe: Recipe, go_on: Callable[[], None], logger: Any) -> Iterator[int]:
    """Wait until no other process builds from the same source; gives the lock, for ``build`` to hand on.

    The lock is one on the source itself (``flock``), so that no file of ours stays. ``go_on`` is called while it waits,
    to raise where it is to end. Raises BuildError when the source cannot be read.
    """
    try:
        lock = os.open(recipe.source, os.O_RDONLY)
    except OSError as error:
        raise BuildError(f"cannot build {recipe.engine} from {recipe.source}: {error.strerror}") from None
    try:
        waiting = False
        while not _locked(lock):
            if not waiting:
                logger.info(f"another process builds from {recipe.source}: waiting for it")
            waiting = True
            go_on()
            time.sleep(_LOOK_EVERY_s)
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks; engine and manifest still get their names together
        return True
    return True


def build(recipe: Recipe, lock: int, go_on: Callable[[], None], logger: Any) -> None:
    """Build, prove and install. Raises BuildError with the reason when there is no engine afterwards.

    ``go_on`` is called several times a second, to raise where it is to end; the build is stopped then.
    """
    how_long = f"{recipe.took_s:.0f} s the time before" if recipe.took_s else "minutes, on a small GPU many"
    command = shlex.join(["ffs", "build-engine", *recipe.words])
    logger.info(f"there is no {recipe.engine.name} for this GPU and its runtime: building it ({how_long}): {command}")
    if recipe.warning:
        logger.warning(recipe.warning)
    child = subprocess.Popen(
        [sys.executable, "-m", "ffs_ros", "build-engine", *recipe.words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=Path(__file__).parents[2],  # the package that this process runs, whatever else is installed
        env={**os.environ, "PYTHONUNBUFFERED": "1", "FFS_ENGINES": str(engine_folder().absolute())},
        start_new_session=True,  # a terminal's Ctrl-C comes to it through us, once
        pass_fds=[lock],  # a node that is killed leaves a build behind, which a new node then waits for
    )
    reason = ""
    try:
        for line in _lines(child, go_on):
            if line.startswith(_ERROR):
                reason = line.removeprefix(_ERROR)
            elif line.startswith(_WARNING):
                logger.warning(line.removeprefix(_WARNING))
            elif not line.startswith(_NEXT):
                logger.info(line)
        child.wait()
    finally:
        _end(child)
    if child.returncode != 0:
        reason = reason or f"the process ended with {child.returncode} and no reason"
        raise BuildError(f"{recipe.engine} could not be built: {reason}; to try by hand: {command}")


def _lines(child: subprocess.Popen[bytes], go_on: Callable[[], None]) -> Iterator[str]:
    """What it prints, until it ends; ``go_on`` is called in between."""
    assert child.stdout is not None
    output, unfinished = child.stdout.fileno(), b""
    poll = select.poll()
    poll.register(output)
    while True:
        go_on()
        if poll.poll(1000 * _LOOK_EVERY_s):
            piece = os.read(output, 2**16)
            *lines, unfinished = (unfinished + piece).split(b"\n")
            for line in lines if piece else [unfinished]:
                if line.strip():
                    yield line.decode("utf-8", "replace").strip()
            if not piece:
                return


def _end(child: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, which leaves no file; at once where that takes too long or we are interrupted again."""
    assert child.stdout is not None
    child.stdout.close()
    try:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LONGEST_STOP_s)
    finally:
        child.kill()
        child.wait()
