"""``status.json`` as TAO writes it: JSON lines, one for each thing that happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ffs_ros.advice import cannot_read
from ffs_ros.errors import FileError
from ffs_ros.storage import Location, exists, is_url, joined, read_bytes
from ffs_ros.whole_file import whole_file

STARTED, RUNNING, SUCCESS, FAILURE = "STARTED", "RUNNING", "SUCCESS", "FAILURE"


class StatusFile:
    """Appends lines; the figures (``kpi``), once there are some, are on every later line, too."""

    def __init__(self, folder: Location) -> None:
        self.path = joined(folder, "status.json")
        self.kpi: dict[str, float] = {}

    def write(self, status: str, message: str, kpi: Mapping[str, float] | None = None) -> None:
        """Raises FileError when the file cannot be written."""
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


def read_kpi(path: Path) -> dict[str, float]:
    """The newest figures in a status file, without the ``val/`` that TAO's PyTorch container puts before their names.

    Where a name is there with and without it, the one without counts. Raises FileError when there are no figures.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.strip()]
    except OSError as error:
        raise FileError(cannot_read(path, error)) from error
    except ValueError:
        raise FileError(f"{path} is no status file: expected one JSON object on each line") from None
    for entry in reversed(entries):
        if isinstance(entry, dict) and entry.get("kpi"):
            kpi: dict[str, float] = entry["kpi"]
            return {**{name.removeprefix("val/"): kpi[name] for name in kpi if name.startswith("val/")},
                    **{name: kpi[name] for name in kpi if not name.startswith("val/")}}  # fmt: skip
    raise FileError(f"{path} has no figures (kpi): the run that wrote it has not come to them")


def append(path: Location, text: str) -> None:
    """Raises FileError when the file cannot be written."""
    if is_url(path):  # stores have no file that grows
        before = read_bytes(path) if exists(path) else b""
        with whole_file(path) as temporary:
            temporary.write_bytes(before + text.encode())
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; what was written before is whole") from error
