"""``ffs`` as users run it, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ffs_ros import cli


def ffs(*arguments: object) -> int:
    """The exit code of ``ffs ARGUMENTS``."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code


def killed_when(there: str, out: Path, *arguments: object) -> None:
    """Runs ``ffs ARGUMENTS -o OUT`` and kills it once a file ``there`` is somewhere in ``out``."""
    command = [sys.executable, "-m", "ffs_ros", *map(str, arguments), "-o", str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as program:
        while not list(out.rglob(there)):
            assert program.poll() is None
            time.sleep(0.01)
        os.kill(program.pid, signal.SIGKILL)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """For the block another run writes into ``folder``."""
    code = "import sys; from ffs_ros.only_run import only_run\nwith only_run(sys.argv[1], '', ''): print(); input()"
    command = [sys.executable, "-u", "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.communicate(b"\n")


@contextmanager
def piped(path: Path, command: str) -> Iterator[None]:
    """For the block a named pipe, into which a shell's ``command`` writes; afterwards nobody does."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that nothing is lost if the writer is done before
    writer = os.open(path, os.O_WRONLY)
    with subprocess.Popen(["sh", "-c", command], stdout=writer):
        os.close(writer)
        yield
    os.close(reader)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` but the log, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "status.json"
    }
