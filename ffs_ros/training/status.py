"""``status.json`` as TAO writes it: JSON lines, one for each thing that happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ffs_ros.errors import FileError

STARTED, RUNNING, SUCCESS, FAILURE = "STARTED", "RUNNING", "SUCCESS", "FAILURE"


class StatusFile:
    """Appends lines; the figures (``kpi``), once there are some, are on every later line, too."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "status.json"
        self.kpi: dict[str, float] = {}

    def write(self, status: str, message: str, kpi: Mapping[str, float] | None = None) -> None:
        """Raises FileError when the disk is full."""
        self.kpi.update(kpi or {})
        now = datetime.now()
        entry = {
            "date": f"{now.month}/{now.day}/{now.year}",
            "time": f"{now.hour}:{now.minute}:{now.second}",
            "status": status,
            "verbosity": "INFO" if status != FAILURE else "ERROR",
            "message": message,
            **({"kpi": self.kpi} if self.kpi else {}),
        }
        append(self.path, json.dumps(entry) + "\n")


def append(path: Path, text: str) -> None:
    """Raises FileError when the file cannot be written."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; the checkpoints are intact") from error
