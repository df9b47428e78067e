"""A ROS domain that no other run on this machine uses."""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path

DOMAINS = 100
"""Up to 101 a domain's ports are free of those that the system gives away."""


@cache
def own_domain() -> int:
    """A domain from 1 to ``DOMAINS``, this process's own until it ends; two runs in one would answer each other."""
    for attempt in range(DOMAINS):
        domain = 1 + (os.getpid() + attempt) % DOMAINS
        lock = os.open(Path(tempfile.gettempdir()) / f"ffs_ros_domain_{domain}", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return domain  # and the lock stays
    raise RuntimeError(f"all of {DOMAINS} ROS domains are in use")
