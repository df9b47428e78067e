"""One job over many items on a Ray cluster: what ``parallel.results`` is on one machine."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2

from ffs_ros.errors import FfsError
from ffs_ros.parallel import Job, cores
from ffs_ros.parallel import results as results_here

LOCAL = "local"
Open = Callable[[], AbstractContextManager[Any]]
_OBJECT_STORE_bytes = 128 << 20
"""Of a cluster that is started here: only results go through it."""
_SHARD = 8
"""Items that are sent to a worker together."""
_SHARDS_AHEAD = 2
"""For each worker, in work or waiting there, so that none waits for the next."""
_WINDOW = 4
"""For each worker, shards in work or finished out of order."""
_RESTARTS = 2
_THREADS = 2
"""In a worker, beside the one that matches."""
_PATIENCE_s = 20.0
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_RUNTIME_ENV_IGNORE_GITIGNORE": "1",  # else weights that the user's git ignores would stay here
}


@dataclass(frozen=True)
class Room:
    """How many workers, and what of the cluster each of them takes."""

    workers: int
    cpus: int
    gpus: int

    @classmethod
    def in_cluster(cls, one_core: bool, workers: int | None) -> Room:
        """A core for each worker that keeps to one; otherwise a GPU for each where there are some, else a machine."""
        import ray

        machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        if not machines:
            raise FfsError("the Ray cluster has no machine with a CPU to work on: expected at least one")
        cpus = int(sum(machine["CPU"] for machine in machines))
        gpus = int(sum(machine.get("GPU", 0) for machine in machines))
        if one_core:
            return cls(min(workers or cpus, cpus), 1, 0)
        if gpus:
            return cls(min(workers or gpus, gpus), 1, 1)
        count = workers or len(machines)
        fewest = int(min(machine["CPU"] for machine in machines))
        return cls(min(count, cpus), max(1, fewest * len(machines) // count if count > len(machines) else fewest), 0)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Ray for the block: ``local`` starts it on this machine, ``auto``, HOST:PORT and ray://HOST:PORT find one.

    Machines of a cluster get this package from here; what it imports must be installed there. Raises FfsError.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise FfsError("--ray needs the Python package ray: pip install 'ray>=2.9'") from None
    options: dict[str, Any] = {"runtime_env": {"py_modules": [str(Path(__file__).parent)]}}
    if address == LOCAL:
        options = {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": _OBJECT_STORE_bytes}
    try:
        _look_for(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except Exception as error:  # of a dozen kinds, by what answers at the address
        why = " ".join(f"{error} {_last_line(error.__cause__)}".split())
        raise FfsError(
            f"cannot work with a Ray cluster at '{address}': {why}; expected local, auto, HOST:PORT or ray://HOST:PORT"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _look_for(address: str) -> None:
    """Raises OSError where nothing answers at HOST:PORT, which Ray would find out after minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme in ("", "ray") and parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), _PATIENCE_s).close()


def _last_line(error: BaseException | None) -> str:
    """Of a message that holds the traceback of another process."""
    return "" if error is None else f"({str(error).strip().splitlines()[-1]})"


@dataclass(frozen=True)
class _Refusal:
    """What a worker raised for a user; as a value, since Ray wraps what is raised."""

    error: FfsError


class _Worker:
    """In a process of the cluster."""

    def __init__(self, open_: Open, folder: str, cpus: int) -> None:
        with suppress(OSError):  # so that relative paths mean the same where all machines have the same folders
            os.chdir(folder)
        cv2.setNumThreads(cpus)  # it would take all of the machine, as every other worker there
        self._open = open_
        self._opened: Any = None
        self._job: Job | None = None
        self._job_name = ""

    def about(self, tell: Callable[[Any], Any]) -> Any:
        """What ``tell`` says of what is open, and the machine's name."""
        return self._or_refusal(lambda: (tell(self._opened), socket.gethostname()))

    def results(self, job: Job, name: str, items: list[Any]) -> Any:
        """Of a shard. A job that is known by its name goes on, with what it remembers of the shards before."""
        if self._job is None or name != self._job_name:
            self._job, self._job_name = replace(job, open=lambda: nullcontext(self._opened)), name
        known = self._job
        return self._or_refusal(lambda: list(results_here(known, items, threads=_THREADS)))

    def _or_refusal(self, work: Callable[[], Any]) -> Any:
        try:
            if self._opened is None:  # open until the process ends; a worker that was started again comes here, too
                self._opened = self._open().__enter__()
            return work()
        except FfsError as error:
            return _Refusal(error)


class RayWorkers:
    """Workers on the connected cluster that each have opened what ``open_`` opens.

    They begin as the cluster has room for them, and one that dies is started again with what it had not finished.
    """

    def __init__(self, open_: Open, room: Room, tell: Callable[[Any], Any]) -> None:
        """``tell`` says what must be alike on all machines: ``about``. Waits for the first worker. Raises FfsError."""
        import ray

        made = ray.remote(_Worker).options(
            num_cpus=room.cpus, num_gpus=room.gpus, max_restarts=_RESTARTS, max_task_retries=_RESTARTS
        )
        self._workers: list[Any] = [made.remote(open_, str(Path.cwd()), room.cpus) for _ in range(room.workers)]
        self._joining = {worker.about.remote(tell): worker for worker in self._workers}
        self._ready: list[Any] = []
        while not self._ready:
            found, _ = ray.wait(list(self._joining), timeout=_PATIENCE_s)
            if not found:
                print(f"waiting for the cluster: a worker takes {room.cpus} CPUs, {room.gpus} GPUs", file=sys.stderr)
            for reference in found:
                self._join(reference)

    def results(self, job: Job, items: Iterable[Any]) -> Generator[Any, None, None]:
        """The result of ``job`` for each item, in their order. What a step raises is raised here."""
        import ray

        remaining, name = iter(items), secrets.token_hex()
        working: dict[Any, tuple[Any, int]] = {}
        finished: dict[int, list[Any]] = {}
        sent = given = 0
        while True:
            load = dict.fromkeys(self._ready, 0)
            for worker, _ in working.values():
                load[worker] += 1
            while sent - given < _WINDOW * len(self._ready):
                worker = min(load, key=lambda ready: load[ready])
                if load[worker] >= _SHARDS_AHEAD:
                    break
                shard = list(islice(remaining, _SHARD))
                if not shard:
                    break
                working[worker.results.remote(job, name, shard)] = worker, sent
                load[worker] += 1
                sent += 1
            if not working:
                return
            found, _ = ray.wait([*working, *self._joining])
            for reference in found:
                if reference in self._joining:
                    self._join(reference)
                else:
                    _, number = working.pop(reference)
                    finished[number] = _answer(reference)
            while given in finished:
                yield from finished.pop(given)
                given += 1

    def _join(self, reference: Any) -> None:
        worker = self._joining.pop(reference)
        about, machine = _answer(reference)
        if not self._ready:
            self.about, self._first_machine = about, machine
        elif about != self.about:
            raise FfsError(
                f"{machine} would not compute the same as {self._first_machine}: there {about}, here {self.about}; "
                "install the same on all machines"
            )
        self._ready.append(worker)


def _answer(reference: Any) -> Any:
    import ray

    try:
        answer = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise  # a bug, with its traceback
    except ray.exceptions.RayError as error:
        why = " ".join(str(error).split())
        raise FfsError(
            f"the Ray cluster lost a worker {_RESTARTS + 1} times, as a rule for lack of memory; take fewer with "
            f"--workers and start again: what is finished is kept. Ray says: {why}"
        ) from error
    if isinstance(answer, _Refusal):
        raise answer.error
    return answer
