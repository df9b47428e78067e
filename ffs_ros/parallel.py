"""One job over many items, on all cores, with results in the items' order and bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import cv2

from ffs_ros.errors import FfsError

_WAITING_PER_WORKER = 4
"""Items in work or finished out of order, for each worker."""
_LOOK_EVERY_s = 0.1


@dataclass(frozen=True)
class Job:
    """What is done with each item, in three steps that may run beside each other for different items.

    For processes all must be importable: functions of modules, or ``functools.partial`` of them.
    """

    open: Callable[[], AbstractContextManager[Any]]
    """Opens what matches: once in each process, used by one thread of it."""
    load: Callable[[Any], Any]
    """Item -> what ``match`` takes; in any thread."""
    match: Callable[[Any, Any], Any]
    """(what is open, what is loaded) -> answer; in the thread that opened."""
    finish: Callable[[Any, Any, Any], Any]
    """(item, what was loaded, answer) -> result; in any thread."""

    def done(self, opened: Any, item: Any) -> Any:
        """All steps for one item."""
        loaded = self.load(item)
        return self.finish(item, loaded, self.match(opened, loaded))


def results(job: Job, items: Iterable[Any], processes: int = 1, threads: int = 0) -> Generator[Any, None, None]:
    """The result of ``job`` for each item, in their order.

    Several ``processes`` are for what keeps to one core; each opens for itself. In a single one ``threads`` load and
    finish other items meanwhile, for what computes on a GPU or on all cores anyway; with none all steps are taken in
    turn. What a step raises is raised here. Raises FfsError when the system ends a process.
    """
    if processes > 1:
        return _of_processes(job, items, processes)
    return _of_threads(job, items, threads) if threads else _in_turn(job, items)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_turn(job: Job, items: Iterable[Any]) -> Generator[Any, None, None]:
    with job.open() as opened:
        for item in items:
            yield job.done(opened, item)


def _of_threads(job: Job, items: Iterable[Any], threads: int) -> Generator[Any, None, None]:
    most = threads * _WAITING_PER_WORKER
    remaining = iter(items)
    loading: deque[tuple[Any, Future[Any]]] = deque()
    finishing: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads) as pool, job.open() as opened:
        try:
            while True:
                for item in remaining:
                    loading.append((item, pool.submit(job.load, item)))
                    if len(loading) >= threads + 1:
                        break
                if not loading:
                    break
                item, future = loading.popleft()
                try:
                    loaded = future.result()
                    answer = job.match(opened, loaded)
                except Exception:
                    while finishing:  # the results before it come first
                        yield finishing.popleft().result()
                    raise
                finishing.append(pool.submit(job.finish, item, loaded, answer))
                del loaded, answer, future
                while finishing and (len(finishing) >= most or finishing[0].done()):
                    yield finishing.popleft().result()
            while finishing:
                yield finishing.popleft().result()
        finally:
            for _, future in loading:
                future.cancel()


def _of_processes(job: Job, items: Iterable[Any], processes: int) -> Generator[Any, None, None]:
    # A forked process would share the threads' locks of the runtimes in this one.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(job,))
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            with _sigint_held():
                waiting.append(pool.submit(_done, item))
            if len(waiting) >= processes * _WAITING_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise FfsError(
            "a worker process ended before its work was done, for lack of memory as a rule; take fewer: --workers 1"
        ) from None
    finally:
        _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    """Wait for what is in work. Whoever presses Ctrl-C meanwhile does not want that: the workers end at once."""
    workers = [*pool._processes.values()]
    pool.shutdown(wait=False, cancel_futures=True)
    with _ctrl_c_noted() as presses:
        while alive := [worker for worker in workers if worker.is_alive()]:
            if presses:
                for worker in alive:
                    worker.kill()
            wait([worker.sentinel for worker in alive], _LOOK_EVERY_s)
        pool.shutdown()
    if presses:
        raise KeyboardInterrupt


@contextmanager
def _ctrl_c_noted() -> Iterator[list[int]]:
    """What is pressed meanwhile. Masking would not do: another thread's signals are raised in the main one, too."""
    presses: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield presses
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: presses.append(number))
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _sigint_held() -> Iterator[None]:
    """Ctrl-C is for this process: those that start meanwhile never hear it, not even while they import."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_job: Job
_opened: Any


def _start(job: Job) -> None:
    """In a new process."""
    global _job, _opened
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    cv2.setNumThreads(1)  # as many threads in each process as there are cores would wait for each other
    _job, _opened = job, job.open().__enter__()  # open until the process ends


def _end_with_the_parent() -> None:
    """A parent that was killed does not end its workers, which would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _done(item: Any) -> Any:
    return _job.done(_opened, item)
