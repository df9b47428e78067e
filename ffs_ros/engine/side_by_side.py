"""Builds the parts of an engine at the same time, each in a process of its own.

Most of such a build is one thread that compiles kernels, so several take as long as the longest of them. Threads would
wait for each other's locks in the builder and the compiler; a forked process would find CUDA in a state that it cannot
use.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, NamedTuple

from ffs_ros.engine.cuda import Gpu, opened_gpu
from ffs_ros.engine.timing_cache import keeping
from ffs_ros.engine.trt_build import STOPPED, Planned, Refused, Settings, Source, in_turn
from ffs_ros.engine.trt_versions import TensorRt, imported
from ffs_ros.errors import EngineError
from ffs_ros.parallel import cores

_LEAST_CORES = 4
_GiB = 2**30
_HOST_BYTES = 3 * _GiB
"""Memory that a builder with its compiler takes."""
_LOOK_EVERY_s = 0.2
_LONGEST_END_s = 2.0
_PROGRAM = (
    "import sys; connection, sys.path[:] = sys.argv[1], sys.argv[2:]; "
    "from ffs_ros.engine.side_by_side import work; work(int(connection))"
)
"""Of a worker. What multiprocessing starts reads the main program again, which a prompt or a pipe does not have."""


def usual_jobs(tensorrt: TensorRt, gpu: Gpu | None, workspace_GiB: float) -> int:
    """How many parts this machine builds at the same time without the one being short of what the other takes."""
    if gpu is None or not tensorrt.compiles_while_timing or cores() < _LEAST_CORES:
        return 1
    with gpu.current():
        free, _ = gpu.memory_bytes()
    return max(1, min(cores() // 2, _host_bytes() // _HOST_BYTES, int(free / (workspace_GiB * _GiB))))


def _host_bytes() -> int:
    """Memory of this machine that programs may still take; 0 where that is not known."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return 1024 * int(amount.split()[0])
    return 0


class _Order(NamedTuple):
    """What a worker is to do."""

    runtime: str
    gpu_index: int
    onnx: Path
    sources: list[Source]
    settings: Settings
    takes_images: bool
    """The first of them."""


class _Worker(NamedTuple):
    places: list[int]
    """Of its sources among all."""
    process: subprocess.Popen[bytes]
    connection: Connection
    """Gives shares of its work, 0 to 1, at last what it made or what was raised; its end ends the worker."""


def side_by_side(
    jobs: int,
    gpu_index: int,
    tensorrt: TensorRt,
    gpu: Gpu | None,
    onnx: Path,
    sources: Sequence[Source],
    settings: Settings,
    report: Callable[[float], bool],
) -> list[Planned]:
    """A plan of each source, in their order; up to ``jobs`` parts are built at the same time. The rest is ``build``'s.

    The plans of one part (``decoder.1``, ``decoder.2``) are small, and a builder takes seconds to start, so one worker
    builds them. The largest parts are begun first. Whatever ends this early ends all workers. Raises EngineError, also
    when one of them dies.
    """
    parts: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        parts.setdefault(source.name.partition(".")[0], []).append(place)
    nodes = {name: sum(sources[place].nodes for place in places) for name, places in parts.items()}
    shares, plans = dict.fromkeys(parts, 0.0), dict[int, Planned]()
    waiting = sorted(parts, key=nodes.__getitem__)
    running: dict[Connection, tuple[str, _Worker]] = {}
    try:
        while report(sum(share * nodes[name] for name, share in shares.items()) / sum(nodes.values())):
            if len(plans) == len(sources):
                return [plans[place] for place in range(len(sources))]
            new = [waiting.pop() for _ in range(min(len(waiting), jobs - len(running)))]
            begun = [(name, _begun(parts[name])) for name in new]
            running.update({worker.connection: (name, worker) for name, worker in begun})
            for _, (places, _, connection) in begun:
                own = [sources[place] for place in places]
                order = _Order(tensorrt.runtime, gpu_index, onnx, own, settings, takes_images=0 in places)
                with suppress(OSError):  # one that is dead already is found below
                    connection.send(order)
            ready = wait([*running], _LOOK_EVERY_s)
            for name, worker in [one for connection, one in running.items() if connection in ready]:
                said = _said(worker, name)
                if isinstance(said, float):
                    shares[name] = said
                else:
                    plans.update(zip(worker.places, said, strict=True))
                    shares[name] = 1.0
                    del running[worker.connection]
                    _end([worker])
        raise Refused(STOPPED)
    finally:
        _end(worker for _, worker in running.values())


def _begun(places: list[int]) -> _Worker:
    """A new process that waits for its order."""
    ours, theirs = Pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *sys.path],
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,  # a terminal's Ctrl-C is for us, who end our workers
    )
    theirs.close()
    return _Worker(places, process, ours)


def _said(worker: _Worker, name: str) -> Any:
    """What a worker has said. Raises that where it is an error, and EngineError where the worker is dead."""
    try:
        said = worker.connection.recv()
    except (EOFError, OSError):
        raise EngineError(
            f"the process that built the part {name} ended with {_cause(worker.process)}, so nothing was written; "
            "build one part after the other (--jobs 1), with more --workspace or at another --optimization-level"
        ) from None
    if isinstance(said, Exception):
        raise said
    return said


def _cause(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LONGEST_END_s)
    code = process.returncode
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, for lack of memory as a rule" if name == "SIGKILL" else name


def _end(workers: Iterable[_Worker]) -> None:
    """At once, but for one that is just writing the timing cache."""
    workers = [*workers]
    for worker in workers:
        worker.connection.close()
    end_s = time.monotonic() + _LONGEST_END_s
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(0.0, end_s - time.monotonic()))
        worker.process.kill()
        worker.process.wait()


def work(descriptor: int) -> None:
    """A worker's life: an order from the connection, its shares and its answer into it."""
    connection = Connection(descriptor)
    try:
        order: _Order = connection.recv()
    except (EOFError, OSError):
        return
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    answer: list[Planned] | ExceptionWithTraceback
    try:
        answer = _built(order, partial(_tell, connection))
    except Exception as error:  # raised again in the parent
        answer = ExceptionWithTraceback(error, error.__traceback__)
    with suppress(OSError):  # nobody there any more
        connection.send(answer)


def _end_with(connection: Connection) -> None:
    """End when the parent closes its end, or has been killed: the builder would go on for minutes."""
    with suppress(EOFError, OSError):
        connection.recv()
    keeping.acquire(timeout=_LONGEST_END_s / 2)
    os._exit(1)


def _tell(connection: Connection, share: float) -> bool:
    with suppress(OSError):
        connection.send(share)
    return True


def _built(order: _Order, report: Callable[[float], bool]) -> list[Planned]:
    tensorrt, gpu = imported(order.runtime), opened_gpu(order.gpu_index)
    return in_turn(tensorrt, gpu, order.onnx, order.sources, order.settings, report, order.takes_images)
