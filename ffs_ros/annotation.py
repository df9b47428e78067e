"""Annotation files: one stereo pair per line, as TAO writes them.

    left right
    left right disparity
    left right disparity mask

Columns are separated by white space; a path with spaces stands in single or double quotes. Blank lines and what follows
a ``#`` at the start of a column are skipped.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ffs_ros.advice import cannot_read
from ffs_ros.errors import FileError

_COLUMN = re.compile(r"""\s*(?:"(?P<double>[^"]+)"(?=\s|$)|'(?P<single>[^']+)'(?=\s|$)|(?P<bare>[^\s"'#]\S*))""")
_REST_IS_COMMENT = re.compile(r"\s*(?:#.*)?$")


class StereoSample(NamedTuple):
    """The files of one rectified pair and, where there is one, of its ground truth for the left image."""

    left: Path
    right: Path
    disparity: Path | None = None
    mask: Path | None = None
    """Where the ground truth counts: see ``ground_truth.read_mask``."""


def read_annotations(path: str | Path) -> list[StereoSample]:
    """The pairs that the annotation file ``path`` lists, in its order, at least one.

    A relative path is meant from the list's folder when the file exists there, else from the working folder; whether
    the files exist at all is for ``data_check``. Raises FileError, with the line's number, for what is not 2 to 4
    columns.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark in front
    except OSError as error:
        raise FileError(cannot_read(path, error)) from error
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise FileError(f"{path} is not text: expected 'left right disparity' paths on each line")
    samples = []
    for number, line in enumerate(text.split("\n"), start=1):
        columns = _columns(f"{path}, line {number}", line)
        if columns:
            left, right, *truth = (_resolved(column, path.parent) for column in columns)
            samples.append(StereoSample(left, right, *truth))
    if not samples:
        raise FileError(f"{path} lists no pair: expected 'left right disparity' paths on each line")
    return samples


def _columns(place: str, line: str) -> list[str]:
    columns, position = [], 0
    while not _REST_IS_COMMENT.match(line, position):
        column = _COLUMN.match(line, position)
        if column is None:
            raise FileError(f"{place}: a quote is not closed, holds nothing or ends inside a path; quote whole paths")
        columns.append(column[column.lastgroup or 0])
        position = column.end()
    if columns and not 2 <= len(columns) <= 4:
        raise FileError(
            f"{place} has {len(columns)} of 2 to 4 columns: expected 'left right', 'left right disparity' or 'left "
            "right disparity mask'; put a path with spaces in quotes"
        )
    return columns


def _resolved(text: str, folder: Path) -> Path:
    beside_the_list = folder / text
    # Path.exists raises for names that are too long.
    return beside_the_list if os.path.exists(beside_the_list) else Path(text)  # noqa: PTH110
