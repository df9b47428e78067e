"""What is left of a bag that rosbags does not read: its files from their beginnings, without an index."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ffs_ros.bag.recorded import Recorded, Topic, unpacked
from ffs_ros.bag.salvage_mcap import read_mcap
from ffs_ros.bag.salvage_ros1 import read_ros1
from ffs_ros.bag.salvage_sqlite3 import read_sqlite3
from ffs_ros.errors import FileError

Read = Callable[[Path, list[str]], Iterator[Recorded]]
_READERS: dict[str, Read] = {".mcap": read_mcap, ".db3": read_sqlite3}


class SalvagedBag:
    """Every message that is whole."""

    def __init__(self, path: Path, ros1: bool, why: str) -> None:
        """Looks through all of it. ``why`` says what rosbags has found. Raises FileError where nothing is left."""
        self.ros1 = ros1
        self.counts: Counter[Topic] = Counter()
        self.damage: list[str] = []
        metadata = _metadata(path)
        self._files = [path] if path.is_file() else self._files_of(path, metadata)
        for file in self._files:
            notes: list[str] = []
            before = self.counts.total()
            self.counts.update(message.topic for message in self._read(file, notes))
            found = self.counts.total() - before
            if notes:
                self.damage.append(f"{file} is damaged, {' and '.join(notes)}: {_messages(found)} in it can be read")
        if not self.counts.total():
            raise FileError(f"no message in {path} can be read: {'; '.join(self.damage) or why}")
        claimed = metadata.get("message_count")
        if isinstance(claimed, int) and claimed > self.counts.total():
            self.damage.append(
                f"of the {claimed} messages that {path / 'metadata.yaml'} counts {self.counts.total()} can be read"
            )
        whole = claimed == self.counts.total() or all(
            file.suffix == ".mcap" for file in self._files
        )  # MCAP says its end
        if not self.damage and not whole:
            self.damage.append(f"{path} is damaged ({why}): {_messages(self.counts.total())} in it can be read")

    def messages(self, names: Collection[str]) -> Iterator[Recorded]:
        """See ``Bag.messages``."""
        for file in self._files:
            for message in self._read(file, []):
                if message.topic.name in names:
                    yield message

    def close(self) -> None:
        """See ``Bag.close``."""

    def _read(self, file: Path, notes: list[str]) -> Iterator[Recorded]:
        if self.ros1:
            yield from read_ros1(file, notes)
            return
        packed = 0
        for message in _READERS[file.suffix](file, notes):
            try:
                data = unpacked(message.data)
            except Exception:  # zstd's own errors
                packed += 1
                continue
            yield message._replace(data=data)
        if packed:
            notes.append(f"{_messages(packed)} in it cannot be unpacked")

    def _files_of(self, folder: Path, metadata: dict[str, Any]) -> list[Path]:
        """Those that are there, in the order of their recording."""
        named = [folder / Path(str(name)).name for name in metadata.get("relative_file_paths", [])]
        for file in named:
            if not file.exists():
                self.damage.append(f"{file}, which {folder / 'metadata.yaml'} names, is not there")
        there = [file for file in named if file.exists()] or sorted(
            (file for file in folder.iterdir() if file.suffix in _READERS and file.is_file()), key=_in_order
        )
        for file in there:
            if file.suffix not in _READERS:
                raise FileError(
                    f"{file} is damaged and packed as a whole: unpack it as far as it goes (zstd -d --force {file}) "
                    "and name the unpacked file"
                )
        return there


def _metadata(path: Path) -> dict[str, Any]:
    """What metadata.yaml says; nothing where it is missing or is itself damaged."""
    try:
        content = YAML(typ="safe").load(path / "metadata.yaml")["rosbag2_bagfile_information"]
        return dict(content)
    except Exception:  # of a damaged file the parser says all sorts of things
        return {}


def _in_order(file: Path) -> list[tuple[bool, int, str]]:
    """name_10 after name_9."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", file.name)]


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
