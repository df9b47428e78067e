"""One job over many items on a Ray cluster: what one process gives, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from ffs_ros.cluster import RayWorkers, Room, connected
from ffs_ros.errors import EngineError, FfsError, NotBuiltHere
from ffs_ros.parallel import Job, results

ROOM = Room(workers=2, cpus=1, gpus=0)


@pytest.fixture(scope="module")
def cluster(ray_address: str) -> Iterator[None]:
    """Connected to a cluster."""
    with connected(ray_address):
        import ray
        import ray.cloudpickle

        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
        yield
        assert ray.is_initialized()
    assert not ray.is_initialized()


@contextmanager
def opened() -> Iterator[str]:
    yield "open"


@contextmanager
def refused() -> Iterator[str]:
    raise NotBuiltHere(Path("a.engine"), "a.engine was built for another GPU")
    yield


def loaded(item: int) -> int:
    if item == 13:
        raise EngineError("13 cannot be loaded")
    if item == 99:
        return 1 // 0
    time.sleep(0.002 * (item % 3))  # so that later ones are ready before earlier ones
    return 10 * item


def matched(what: str, number: int) -> str:
    return f"{what} {number}"


def finished(item: int, number: int, answer: str) -> tuple[Any, ...]:
    return item, number, answer, os.getpid()


JOB = Job(opened, loaded, matched, finished)


def about(what: str) -> str:
    return what.upper()


@pytest.fixture(scope="module")
def workers(cluster: None) -> RayWorkers:
    return RayWorkers(opened, ROOM, about)


def test_results_are_those_of_one_process(workers: RayWorkers) -> None:
    """In the items' order, computed elsewhere."""
    items = [number for number in range(101) if number not in (13, 99)]
    found = list(workers.results(JOB, items))
    assert [one[:3] for one in found] == [one[:3] for one in results(JOB, items)]
    assert os.getpid() not in {one[3] for one in found}
    assert workers.about == "OPEN"
    assert list(workers.results(JOB, [])) == []


def test_items_are_taken_as_they_are_needed(workers: RayWorkers) -> None:
    """Of an endless list some are in work beyond those whose results were taken."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield 1

    found = workers.results(JOB, endless())
    for _ in range(100):
        next(found)
    assert taken <= 100 + 2 * 4 * 8
    found.close()


def test_what_a_step_raises_is_raised(workers: RayWorkers) -> None:
    """A user's error as itself; a bug with the traceback that it had there."""
    found = workers.results(JOB, range(20))
    with pytest.raises(EngineError, match=r"^13 cannot be loaded$"):
        list(found)
    with pytest.raises(ZeroDivisionError, match="in loaded"):
        list(workers.results(JOB, [99]))


def test_an_engine_that_does_not_open_is_refused_here(cluster: None) -> None:
    """With the sentence of the machine that tried."""
    with pytest.raises(NotBuiltHere, match=r"a.engine was built for another GPU") as said:
        RayWorkers(refused, ROOM, about)
    assert said.value.engine == Path("a.engine")


def test_a_worker_that_is_killed_is_started_again(cluster: None, tmp_path: Path) -> None:
    """With what it had not finished: the results are all there. One that always dies is given up with a sentence."""

    def deadly(item: int) -> int:
        if item == 30 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if item == 77:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    job = Job(opened, deadly, matched, finished)
    workers = RayWorkers(opened, ROOM, about)
    assert [one[0] for one in workers.results(job, range(60))] == list(range(60))
    assert (tmp_path / "died").exists()
    with pytest.raises(FfsError, match=r"lost a worker 3 times.*--workers and start again: what is finished is kept"):
        list(workers.results(job, [77]))


def test_machines_that_would_differ_are_refused(cluster: None) -> None:
    """One result is of one runtime."""

    def differently(_: str) -> int:
        return os.getpid()

    with pytest.raises(FfsError, match=r"would not compute the same as .*: there \d+, here \d+; install the same"):
        deque(RayWorkers(opened, ROOM, differently).results(JOB, repeat(1)), maxlen=0)  # until the second one joins


def nodes(*resources: dict[str, float]) -> list[dict[str, Any]]:
    dead = {"Alive": False, "Resources": {"CPU": 64.0}}
    return [dead, *({"Alive": True, "Resources": each} for each in resources)]


@pytest.mark.parametrize(
    ("machines", "one_core", "workers", "expected"),
    [
        (nodes({"CPU": 8.0}, {"CPU": 4.0}), True, None, Room(12, 1, 0)),
        (nodes({"CPU": 8.0}, {"CPU": 4.0}), True, 3, Room(3, 1, 0)),
        (nodes({"CPU": 8.0}, {"CPU": 4.0}), False, None, Room(2, 4, 0)),
        (nodes({"CPU": 8.0}, {"CPU": 8.0}), False, 4, Room(4, 4, 0)),
        (nodes({"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0}), False, None, Room(2, 1, 1)),
        (nodes({"CPU": 8.0, "GPU": 2.0}), False, 7, Room(2, 1, 1)),
        (nodes({"CPU": 8.0, "GPU": 2.0}), True, None, Room(8, 1, 0)),
    ],
)
def test_the_room_that_workers_take(
    machines: Any, one_core: bool, workers: int | None, expected: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A core each for what keeps to one, else a GPU each where there are some, else a machine each."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    monkeypatch.setattr(ray, "nodes", lambda: machines)
    assert Room.in_cluster(one_core, workers) == expected


def test_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head without cores of its own, and nobody else."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    monkeypatch.setattr(ray, "nodes", lambda: nodes({"CPU": 0.0}))
    with pytest.raises(FfsError, match="no machine with a CPU"):
        Room.in_cluster(True, None)


def test_what_to_install_and_what_is_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence each."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FfsError, match="--ray needs the Python package ray: pip install"), connected("local"):
        pass
    monkeypatch.setitem(sys.modules, "ray", Mock())  # which looks for minutes
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        for scheme in ("", "ray://"):
            address = f"{scheme}127.0.0.1:{deaf.getsockname()[1]}"
            with pytest.raises(FfsError, match=f"Ray cluster at '{address}': .*refused; expected"), connected(address):
                pass
