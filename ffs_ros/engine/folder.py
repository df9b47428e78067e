"""Where engines are kept: a name alone is enough for what lies there."""

from __future__ import annotations

import os
from pathlib import Path


def engine_folder() -> Path:
    """``$FFS_ENGINES``, otherwise ``engines/`` of the source tree, otherwise ``ffs_ros/engines`` in the XDG cache.

    The folder need not exist.
    """
    chosen = os.environ.get("FFS_ENGINES")
    if chosen:
        return Path(os.path.expanduser(chosen))
    tree = Path(__file__).resolve().parents[2]
    if (tree / "engines" / "README.md").is_file():
        return tree / "engines"
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # An XDG path that is not absolute is to be ignored (XDG Base Directory Specification).
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "ffs_ros" / "engines"


def engine_path(engine: str | Path) -> Path:
    """The file that ``engine`` names; where there is none, a bare name is looked up in ``engine_folder``."""
    path = Path(os.path.expanduser(engine))
    if path.parent != Path() or path.exists():
        return path
    kept = engine_folder() / path
    return kept if kept.exists() else path
