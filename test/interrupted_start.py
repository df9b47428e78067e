"""Starts a module of the package as a program, and presses Ctrl-C when it imports another one."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import runpy, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {at!r}:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def interrupted_start(module: str, *arguments: str, at: str) -> tuple[int, str]:
    """Exit code and stderr of ``python -m module arguments``, interrupted while it imports ``at``."""
    command = [sys.executable, "-c", _PROGRAM.format(module=module, at=at), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr
