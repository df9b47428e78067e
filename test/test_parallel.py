"""One job over many items: in order, in bounded memory, by processes or threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from ffs_ros.errors import EngineError, FfsError
from ffs_ros.parallel import Job, results


@contextmanager
def nothing_open() -> Iterator[str]:
    yield "open"


def loaded(item: int) -> int:
    if item == 13:
        raise EngineError("13 cannot be loaded")
    time.sleep(0.002 * (item % 3))  # so that later ones are ready before earlier ones
    return 10 * item


def matched(opened: str, number: int) -> str:
    return f"{opened} {number}"


def finished(item: int, number: int, answer: str) -> tuple[int, int, str, int]:
    return item, number, answer, os.getpid()


JOB = Job(nothing_open, loaded, matched, finished)
WAYS = [{"processes": 1}, {"threads": 3}, {"processes": 2}]


@pytest.mark.parametrize("way", WAYS)
def test_results_come_in_the_items_order(way: dict[str, int]) -> None:
    """All steps of each item, whoever takes them."""
    found = list(results(JOB, iter(range(12)), **way))
    assert [one[:3] for one in found] == [(item, 10 * item, f"open {10 * item}") for item in range(12)]
    assert (os.getpid() in {one[3] for one in found}) == (way.get("processes", 1) == 1)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_to_do(way: dict[str, int]) -> None:
    """An empty list has no result."""
    assert list(results(JOB, [], **way)) == []


@pytest.mark.parametrize("way", WAYS)
def test_what_a_step_raises_is_raised(way: dict[str, int]) -> None:
    """After the results before it."""
    found = results(JOB, range(20), **way)
    assert [next(found)[0] for _ in range(13)] == list(range(13))
    with pytest.raises(EngineError, match="13 cannot be loaded"):
        next(found)


@pytest.mark.parametrize("way", WAYS)
def test_items_are_taken_as_they_are_needed(way: dict[str, int]) -> None:
    """Of an endless list a few are in work beyond those whose results were taken."""
    taken = []

    def endless() -> Iterator[int]:
        for item in range(20, 10**9):
            taken.append(item)
            yield item

    found = results(JOB, endless(), **way)
    for _ in range(5):
        next(found)
    found.close()
    assert len(taken) <= 5 + 4 * 4


def test_one_thread_matches_while_others_load_and_finish() -> None:
    """An engine belongs to the thread that opened it."""
    threads: dict[str, set[int]] = {"load": set(), "match": set(), "finish": set()}

    def noted(step: str) -> None:
        threads[step].add(threading.get_ident())
        time.sleep(0.001)

    job = Job(nullcontext, lambda _: noted("load"), lambda *_: noted("match"), lambda *_: noted("finish"))
    list(results(job, range(30), threads=2))
    assert threads["match"] == {threading.get_ident()}
    assert not threads["match"] & (threads["load"] | threads["finish"])


def killed(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_process_that_the_system_ends_is_one_sentence() -> None:
    """As for lack of memory."""
    with pytest.raises(FfsError, match="a worker process ended before its work was done"):
        list(results(Job(nothing_open, killed, matched, finished), range(3), processes=2))


def slept(item: int) -> int:
    Path(os.environ["PIDS"], str(os.getpid())).touch()
    time.sleep(60)
    return item


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """They would wait for work for ever."""
    program = (
        "from ffs_ros.parallel import results, Job; import test_parallel as t\n"
        "if __name__ == '__main__': list(results(Job(t.nothing_open, t.slept, t.matched, t.finished), range(4), 2))"
    )
    (tmp_path / "main.py").write_text(program)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"], env={**os.environ, "PYTHONPATH": path, "PIDS": str(tmp_path)}
    )
    wait_for(lambda: len(list(tmp_path.glob("[0-9]*"))) == 2)
    pids = [int(path.name) for path in tmp_path.glob("[0-9]*")]
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(runs(pid) for pid in pids))


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_waits_for_what_is_in_work_and_pressed_twice_does_not(tmp_path: Path, presses: int) -> None:
    """Nobody says anything either time."""
    program = (
        "import test_parallel as t; from ffs_ros.parallel import Job, results\n"
        "def main():\n"
        "    try: list(results(Job(t.nothing_open, t.slept_and_told, t.matched, t.finished), range(4), 2))\n"
        "    except KeyboardInterrupt: raise SystemExit(130)\n"
        "if __name__ == '__main__': main()\n"
    )
    (tmp_path / "main.py").write_text(program)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"], stderr=subprocess.PIPE, text=True, preexec_fn=hearing,
        env={**os.environ, "PYTHONPATH": path, "PIDS": str(tmp_path), "SLEEPS_S": "4" if presses == 1 else "600"},
    )  # fmt: skip
    wait_for(lambda: len(list(tmp_path.glob("[0-9]*"))) == 2)
    pids = [int(path.name) for path in tmp_path.glob("[0-9]*")]
    for _ in range(presses):
        os.kill(parent.pid, signal.SIGINT)
        time.sleep(0.5)
    _, said = parent.communicate(timeout=60)
    assert (parent.returncode, said) == (130, "")
    assert not any(runs(pid) for pid in pids)
    assert len(list(tmp_path.glob("done*"))) in ((2, 3) if presses == 1 else (0,))


def hearing() -> None:
    """A shell that starts what is in its background makes it deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def slept_and_told(item: int) -> int:
    folder = Path(os.environ["PIDS"])
    (folder / str(os.getpid())).touch()
    time.sleep(float(os.environ["SLEEPS_S"]))
    (folder / f"done {item}").touch()
    return item


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: object) -> None:
    assert callable(condition)
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def hears_ctrl_c(item: int) -> bool:
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def kept(item: int, heard: bool, answer: str) -> bool:
    return heard


def answered(opened: str, heard: bool) -> str:
    return ""


def test_workers_do_not_hear_ctrl_c() -> None:
    """Held before they start, else those that were still importing printed a traceback each; the parent does."""
    heard = list(results(Job(nothing_open, hears_ctrl_c, answered, kept), range(4), processes=2))
    assert heard == [False] * 4
    assert hears_ctrl_c(0)
