"""Annotation files: one stereo pair per line, as TAO writes them.

    left right
    left right disparity
    left right disparity mask

Columns are separated by white space; a path with spaces stands in single or double quotes. Blank lines and what follows
a ``#`` at the start of a column are skipped. Lines end as on Unix, Windows or old Macs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ffs_ros.advice import cannot_read
from ffs_ros.errors import FileError, ListError
from ffs_ros.storage import Location, check_ordinary, copied_pipe, downloaded, folder_of, is_url, joined

_COLUMN = re.compile(r"""\s*(?:"(?P<double>[^"]+)"(?=\s|$)|'(?P<single>[^']+)'(?=\s|$)|(?P<bare>[^\s"'#]\S*))""")
_REST_IS_COMMENT = re.compile(r"\s*(?:#.*)?$")
_FOLDERS_KEPT = 1024


class StereoSample(NamedTuple):
    """The files of one rectified pair and, where there is one, of its ground truth for the left image."""

    left: str
    right: str
    disparity: str | None = None
    mask: str | None = None
    """Where the ground truth counts: see ``ground_truth.read_mask``."""


class AnnotationList:
    """The pairs that an annotation file lists, in its order, at least one; read from the file whenever they are asked
    for, so that a list of any length takes no memory.

    A relative path is meant from the list's folder when the file exists there, else from the working folder; whether
    the files exist at all is for who reads them. List and files may be URLs: then relative paths are the list's.
    """

    def __init__(self, path: Location) -> None:
        """Raises FileError for a file that is no list, ListError with every line that is not 2 to 4 columns."""
        self.path = path
        self._copy = downloaded(path) if is_url(path) else copied_pipe(Path(path))
        self._pairs = 0
        wrong = ListError.of(self._counted())
        if wrong:
            raise wrong
        if not self._pairs:
            raise FileError(f"{self.path} lists no pair: expected 'left right disparity' paths on each line")

    def __len__(self) -> int:
        return self._pairs

    def __iter__(self) -> Iterator[StereoSample]:
        """Raises FileError when the file is not what it was."""
        resolved, given = _resolver("" if folder_of(self.path) == Path() else str(folder_of(self.path))), 0
        try:
            for _, line in self._lines():
                columns = _columns(line)
                if columns:
                    given += 1
                    yield resolved(columns)
        except ValueError:
            given = -1
        if given != self._pairs:
            raise FileError(f"{self.path} was changed while it was read; start again")

    def _counted(self) -> Iterator[str]:
        """Counts the pairs; yields a sentence for each wrong line."""
        for number, line in self._lines():
            try:
                columns = _columns(line)
            except ValueError as error:
                yield f"{self.path}, line {number}{error}"
                continue
            self._pairs += bool(columns)

    def _lines(self) -> Iterator[tuple[int, str]]:
        not_text = f"{self.path} is not text: expected 'left right disparity' paths on each line"
        try:
            if self._copy is None:
                check_ordinary(self.path)
            # Editors on Windows put a mark in front.
            with Path(self._copy.name if self._copy else self.path).open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if "\0" in line:
                        raise FileError(not_text)
                    yield number, line
        except OSError as error:
            raise FileError(cannot_read(Path(self.path), error)) from error
        except UnicodeDecodeError:
            raise FileError(not_text) from None


def read_annotations(path: Location) -> list[StereoSample]:
    """The pairs of an ``AnnotationList``, all at once. Raises FileError."""
    return list(AnnotationList(path))


def _columns(line: str) -> list[str]:
    """None or 2 to 4 paths. Raises ValueError with what follows the line's number in a sentence."""
    # Splitting is several times faster, and most lists have neither quotes nor comments.
    columns = _quoted_columns(line) if '"' in line or "'" in line or "#" in line else line.split()
    if columns and not 2 <= len(columns) <= 4:
        raise ValueError(
            f" has {len(columns)} of 2 to 4 columns: expected 'left right', 'left right disparity' or 'left "
            "right disparity mask'; put a path with spaces in quotes"
        )
    return columns


def _quoted_columns(line: str) -> list[str]:
    columns, position = [], 0
    while not _REST_IS_COMMENT.match(line, position):
        column = _COLUMN.match(line, position)
        if column is None:
            raise ValueError(": a quote is not closed, holds nothing or ends inside a path; quote whole paths")
        columns.append(column[column.lastgroup or 0])
        position = column.end()
    return columns


def _resolver(folder: str) -> Callable[[list[str]], StereoSample]:
    """What the columns of a list in ``folder`` are. Paths in folders that are beside the list alone, or not at all, are
    known without a look for each file.
    """
    if is_url(folder):
        return lambda columns: StereoSample(
            *[path if path[0] == "/" or is_url(path) else str(joined(folder, path)) for path in columns]
        )
    beside = os.path.join(folder, "")  # noqa: PTH118
    if not beside:
        return lambda columns: StereoSample(*columns)

    # Path.exists raises for names that are too long.
    def place_of(path: str) -> str:
        return beside if os.path.exists(beside + path) and not is_url(path) else ""  # noqa: PTH110

    @lru_cache(maxsize=_FOLDERS_KEPT)
    def place_of_all_in(top: str) -> str | None:
        if not os.path.exists(beside + top):  # noqa: PTH110
            return ""
        return None if os.path.exists(top) or top.endswith(":") else beside  # noqa: PTH110

    def resolved(columns: list[str]) -> StereoSample:
        paths = []
        for path in columns:  # a million lines have three million of them
            if path[0] != "/":
                top, slash, _ = path.partition("/")
                place = place_of_all_in(top) if slash else None
                path = (place_of(path) if place is None else place) + path
            paths.append(path)
        return StereoSample(*paths)

    return resolved
