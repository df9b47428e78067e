"""What TAO leaves beside an action's results: ``status.json`` and, here when it is done, ``experiment.yaml``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ffs_ros.status_file import FAILURE, STARTED, SUCCESS, StatusFile
from ffs_ros.storage import make_folder

from .experiment import VerbSpec


@contextmanager
def recorded(spec: VerbSpec, args: argparse.Namespace) -> Iterator[None]:
    """Writes both while the block does what the verb was told; nothing where there is no folder on this machine.

    Raises FileError when they cannot be written.
    """
    folder = args.out if spec.INTO_OUT else spec.location
    if not isinstance(folder, Path):
        yield
        return
    with nullcontext() if spec.INTO_OUT else _status(folder, spec.ACTION):
        yield
        spec.write(folder)


@contextmanager
def _status(folder: Path, action: str) -> Iterator[None]:
    make_folder(folder)
    status = StatusFile(folder)
    status.write(STARTED, f"Starting {action}.")
    try:
        yield
    except BaseException as error:
        status.write(FAILURE, str(error) or f"{action} was interrupted.")
        raise
    status.write(SUCCESS, f"{action.capitalize()} finished successfully.")
