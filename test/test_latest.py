"""The mailbox, deterministically: the worker is held by events, never by sleeping."""

from __future__ import annotations

import threading

import pytest

from ffs_ros.latest import LatestSlot

PATIENCE_S = 20.0


class Handler:
    """Announces each item and works on it until released."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.started = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.errors: list[Exception] = []
        self.failed = threading.Semaphore(0)

    def __call__(self, item: object) -> None:
        self.seen.append(item)
        self.started.release()
        assert self.release.acquire(timeout=PATIENCE_S)
        if isinstance(item, Exception):
            raise item

    def on_error(self, error: Exception) -> None:
        self.errors.append(error)
        self.failed.release()

    def wait_until_started(self) -> None:
        assert self.started.acquire(timeout=PATIENCE_S)


def test_newest_item_replaces_the_one_that_waits() -> None:
    """While one is in work, of three more only the last is handled; every one is accounted for."""
    handler = Handler()
    slot = LatestSlot(handler, handler.on_error)
    assert slot.put("first") is False
    handler.wait_until_started()
    assert [slot.put(item) for item in ("a", "b", "c")] == [False, True, True]
    assert slot.counts == (4, 2, 1)
    handler.release.release(2)
    handler.wait_until_started()
    assert slot.counts == (4, 2, 2)
    slot.close()
    assert handler.seen == ["first", "c"]


def test_an_exception_goes_to_on_error_and_the_worker_lives_on() -> None:
    """One bad pair does not stop the next."""
    handler = Handler()
    slot = LatestSlot(handler, handler.on_error)
    handler.release.release(2)
    bad = ValueError("bad pair")
    slot.put(bad)
    assert handler.failed.acquire(timeout=PATIENCE_S)
    slot.put("good")
    handler.wait_until_started()
    handler.wait_until_started()
    slot.close()
    assert handler.errors == [bad]
    assert handler.seen == [bad, "good"]


def test_a_failing_on_error_does_not_stop_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    """A logger that is gone after shutdown must not end the worker silently."""
    handler = Handler()
    handler.release.release(2)

    def on_error(error: Exception) -> None:
        raise RuntimeError("logger is gone")

    slot = LatestSlot(handler, on_error)
    slot.put(ValueError("bad pair"))
    handler.wait_until_started()
    slot.put("good")
    handler.wait_until_started()
    slot.close()
    assert handler.seen[-1] == "good"
    assert "bad pair" in caplog.text


def test_close_finishes_the_item_in_work_and_drops_the_waiting_one() -> None:
    """After close nothing runs, and late callbacks do no harm."""
    handler = Handler()
    slot = LatestSlot(handler, handler.on_error, name="matcher")
    slot.put("in work")
    handler.wait_until_started()
    slot.put("waiting")
    closer = threading.Thread(target=slot.close)
    closer.start()
    assert "matcher" in [thread.name for thread in threading.enumerate()]
    handler.release.release()
    closer.join(PATIENCE_S)
    assert not closer.is_alive()
    assert "matcher" not in [thread.name for thread in threading.enumerate()]
    assert slot.put("late") is False
    slot.close()
    assert handler.seen == ["in work"]
    assert slot.counts == (2, 0, 1)


def test_close_waits_no_longer_than_it_is_told() -> None:
    """The item in work goes on, and is the last."""
    handler = Handler()
    slot = LatestSlot(handler, handler.on_error)
    slot.put("in work")
    handler.wait_until_started()
    slot.close(0.01)
    assert slot.put("late") is False
    handler.release.release()
    slot.close()
    assert handler.seen == ["in work"]


def test_the_handler_may_close_its_own_slot() -> None:
    """A handler that meets a fatal error can end the worker without waiting for itself."""
    done = threading.Event()

    def handle(item: str) -> None:
        slot.close()
        done.set()

    slot = LatestSlot(handle, lambda error: None)
    slot.put("fatal")
    assert done.wait(PATIENCE_S)
    slot.close()


def test_none_is_an_item() -> None:
    """Nothing is special about any value."""
    handler = Handler()
    handler.release.release()
    slot = LatestSlot(handler, handler.on_error)
    slot.put(None)
    handler.wait_until_started()
    slot.close()
    assert handler.seen == [None]


def test_even_sys_exit_does_not_end_the_worker() -> None:
    """A library that exits in the only worker would leave everybody waiting for it."""
    errors: list[BaseException] = []
    done = threading.Event()

    def handle(item: str) -> None:
        if item == "exit":
            raise SystemExit(3)
        done.set()

    slot = LatestSlot(handle, errors.append)
    slot.put("exit")
    while not errors:
        pass
    slot.put("work")
    assert done.wait(PATIENCE_S)
    assert [type(error) for error in errors] == [SystemExit]
    slot.close()
