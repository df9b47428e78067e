"""Which reader a path needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ffs_ros.advice import cannot_read
from ffs_ros.bag.intact import IntactBag
from ffs_ros.bag.recorded import Bag, BagDamaged
from ffs_ros.bag.salvage import SalvagedBag
from ffs_ros.bag.sqlite3_log import log_of
from ffs_ros.errors import FileError

_ROS2_FILES = (".mcap", ".db3")
_EXPECTED = "expected the folder of a ROS 2 bag, its .mcap or .db3 file, or a .bag of ROS 1"


def open_bag(path: Path) -> Bag:
    """Open a bag, or what is left of it: ``damage`` says what is missing.

    Raises FileError for what is no bag, and where nothing is left.
    """
    path = path.parent if path.name == "metadata.yaml" else path
    try:
        ros1 = _is_ros1(path)
        for log in _logs(path):
            return salvaged(path, f"{log} holds messages that are not in the bag's own file yet")
        return IntactBag(path, ros1)
    except FileNotFoundError:
        return salvaged(path, "it has no metadata.yaml, which is written when a recording ends")
    except OSError as error:
        raise FileError(cannot_read(path, error)) from error
    except BagDamaged as damage:
        return salvaged(path, str(damage))


def salvaged(path: Path, why: str) -> SalvagedBag:
    """What is left of a bag, with which something is wrong. Raises FileError."""
    path = path.parent if path.name == "metadata.yaml" else path
    try:
        return SalvagedBag(path, _is_ros1(path), why)
    except OSError as error:
        raise FileError(cannot_read(path, error)) from error


def _is_ros1(path: Path) -> bool:
    """Raises FileError for what is no bag by its name."""
    if not path.exists():
        raise FileError(f"there is no bag {path}: {_EXPECTED}")
    if not path.is_file() and not path.is_dir():
        raise FileError(f"{path} is neither a file nor a folder: {_EXPECTED}")
    if path.is_dir():
        if not (path / "metadata.yaml").is_file() and not any(file.suffix in _ROS2_FILES for file in path.iterdir()):
            bags = ", ".join(sorted(file.name for file in path.iterdir() if file.suffix == ".bag"))
            raise FileError(f"the folder {path} is no bag: " + (f"name one of {bags}" if bags else _EXPECTED))
        return False
    if path.suffix not in (*_ROS2_FILES, ".bag", ".active"):
        raise FileError(f"{path} is no bag by its name: {_EXPECTED}")
    return path.suffix in (".bag", ".active")


def _logs(path: Path) -> Iterator[Path]:
    """What SQLite has not yet put into the bag's files, and rosbags does not look at."""
    files = [path] if path.is_file() else sorted(path.glob("*.db3"))
    return (log for file in files if file.suffix == ".db3" and (log := log_of(file)))
