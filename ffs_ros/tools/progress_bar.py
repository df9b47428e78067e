"""A long step in the background, and its progress: elapsed and remaining time, as a bar on a terminal, elsewhere in a
line now and then.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

Report = Callable[[float], bool]
"""Takes the share that is done, 0 to 1; says whether to go on."""

INTERRUPTED = 130
_WIDTH = 30
_REDRAW_s = 0.25
LINE_EVERY_s = 10.0
_LEAST_SHARE = 0.02
"""Below it the time that is left cannot be told."""
_LONGEST_STOP_s = 5.0


class Progress:
    """What the step reports, and whether it is to go on."""

    def __init__(self, expected_s: float | None = None) -> None:
        """``expected_s``: how long it took the time before, for a step that cannot tell its share."""
        self.begin_s = time.monotonic()
        self.share = 0.0
        self.told = False
        """Something was reported, so what is told to stop will hear it."""
        self.stopped = False
        self._expected_s = expected_s

    def report(self, share: float) -> bool:
        """``share`` of the step is done, 0 to 1. Returns False when the step is to end."""
        self.share, self.told = share, True
        return not self.stopped

    def line(self) -> str:
        """``[####....]  25%  0:30, about 1:30 left``"""
        elapsed_s = time.monotonic() - self.begin_s
        share, left_s = self.share, None
        if share >= _LEAST_SHARE:
            left_s = elapsed_s * (1 - share) / share
        elif self._expected_s:
            share, left_s = min(elapsed_s / self._expected_s, 0.99), self._expected_s - elapsed_s
        bar = "#" * round(share * _WIDTH)
        left = "" if left_s is None else f", about {_clock(max(left_s, 0.0))} left"
        return f"[{bar:.<{_WIDTH}}] {share:4.0%}  {_clock(elapsed_s)}{left}"


def watched(
    step: Callable[[Callable[[float], bool]], Any], expected_s: float | None = None, stream: TextIO | None = None
) -> Any:
    """The result of ``step``, or what it raises. Runs in another thread, because a runtime that is in the middle of a
    build lets no signal through: Ctrl-C here stops a step that reports, and leaves one that does not to the end of the
    process.
    """
    stream = stream or sys.stderr
    progress = Progress(expected_s)
    results: list[Any] = []
    errors: list[BaseException] = []

    ended = threading.Event()

    def run() -> None:
        try:
            results.append(step(progress.report))
        except BaseException as error:  # raised again in the caller's thread
            errors.append(error)
        finally:
            ended.set()

    try:
        threading.Thread(target=run, daemon=True).start()
        told_s = time.monotonic()
        while not ended.wait(_REDRAW_s):
            if stream.isatty():
                _redraw(stream, progress.line())
            elif time.monotonic() - told_s >= LINE_EVERY_s:
                told_s = time.monotonic()
                print(progress.line(), file=stream, flush=True)
    except KeyboardInterrupt:
        progress.stopped = True
        if not ended.wait(_LONGEST_STOP_s if progress.told else 0.0):
            atexit.register(_leave)
        raise
    finally:
        if stream.isatty():
            _redraw(stream, "")
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def counted(total: int, stream: TextIO | None = None) -> Iterator[Callable[..., None]]:
    """For the block a function that tells that one more of ``total`` is done, or (with False) was done before."""
    stream = stream or sys.stderr
    progress, done, kept = Progress(), 0, 0
    told_s = progress.begin_s

    def one_more(worked: bool = True) -> None:
        nonlocal done, kept, told_s
        done, kept = done + worked, kept + (not worked)
        progress.share = done / max(total - kept, 1)
        now_s = time.monotonic()
        if now_s - told_s < (_REDRAW_s if stream.isatty() else LINE_EVERY_s):
            return
        told_s = now_s
        line = f"{progress.line()}, {done} of {total - kept}{f', {kept} kept' if kept else ''}"
        if stream.isatty():
            _redraw(stream, line)
        else:
            print(line, file=stream, flush=True)

    try:
        yield one_more
    finally:
        if stream.isatty():
            _redraw(stream, "")


def _redraw(stream: TextIO, line: str) -> None:
    stream.write(f"\r\033[K{line}")
    stream.flush()


def _leave() -> None:
    """Ending the interpreter while a thread is inside a runtime's build would abort the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
