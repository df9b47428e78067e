"""A Ray cluster on this machine, for tests; where Ray is missing they are skipped by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_HEAD = """
import sys, ray
ray.init(address="local", num_cpus=16, include_dashboard=False, object_store_memory=100_000_000, logging_level="ERROR")
print("address", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()  # until whoever started this closes it, or dies
"""


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Its address, until the block ends. Its processes do not know where this checkout is."""
    pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "disabled")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        [sys.executable, "-c", _HEAD], env=environment, cwd="/",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as head:  # fmt: skip
        try:
            assert head.stdout is not None
            yield next(line.split()[1] for line in head.stdout if line.startswith("address"))
        finally:
            head.communicate()
            patch.undo()
