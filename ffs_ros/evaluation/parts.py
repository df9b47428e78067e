"""What an evaluation has finished so far, in files of some results each: one that was killed goes on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from ffs_ros.errors import FileError
from ffs_ros.evaluation.result import Result
from ffs_ros.evaluation.samples import Sample, Samples
from ffs_ros.storage import Location, exists, is_url, joined, make_folder, read_bytes, remove
from ffs_ros.whole_file import remove_unfinished, whole_file

Compute = Callable[[Iterable[Sample]], Generator[Result, None, None]]

FOLDER = "parts"
PART = 32
"""Results in a file: what a killed evaluation computes again at most, for each worker."""


class Parts:
    """The results of an evaluation in ``FOLDER``, until it has come to its end.

    A part of another evaluation is none, and neither is one with a pair that could not be evaluated: that is tried
    again.
    """

    def __init__(self, folder: Location, samples: Samples, about: Any) -> None:
        """``about`` is plain data that says what the results depend on beside the samples."""
        self._folder = joined(folder, FOLDER)
        self._samples = samples
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for sample in samples:
            digest.update(repr(sample).encode())
        self._digest = digest.hexdigest()
        self._kept: dict[int, bool] = {}
        if not is_url(self._folder):
            remove_unfinished(Path(self._folder))

    def results(self, compute: Compute) -> Generator[Result, None, None]:
        """The result of each sample, in their order: read where it is finished, otherwise computed and kept."""
        with closing(compute(self._missing())) as computed:
            for number in range(len(self)):
                kept = self._read(number) if self._is_kept(number) else None
                if kept is not None:
                    yield from kept
                    continue
                fresh = []
                for result in islice(computed, self._size(number)):
                    fresh.append(result)
                    yield result
                if not any(result.fault for result in fresh):
                    self._write(number, fresh)

    def __len__(self) -> int:
        """How many files all results fill."""
        return -(-len(self._samples) // PART)

    def remove(self) -> None:
        """At the end; what may not be removed, as in some stores, stays and is of no harm."""
        for number in range(len(self)):
            with suppress(FileError):
                remove(self._path(number))
        if not is_url(self._folder):
            with suppress(OSError):  # there is none, or something else is in it
                Path(self._folder).rmdir()

    def _missing(self) -> Iterator[Sample]:
        remaining = iter(self._samples)
        for number in range(len(self)):
            some = list(islice(remaining, PART))
            if not self._is_kept(number):
                yield from some

    def _is_kept(self, number: int) -> bool:
        if number not in self._kept:
            self._kept[number] = self._read(number) is not None
        return self._kept[number]

    def _size(self, number: int) -> int:
        return min(PART, len(self._samples) - number * PART)

    def _path(self, number: int) -> Location:
        return joined(self._folder, f"{number:06d}.json")

    def _read(self, number: int) -> list[Result] | None:
        if not exists(self._path(number)):
            return None
        try:
            content = json.loads(read_bytes(self._path(number)))
            if content["of"] != self._digest:
                return None
            return [Result.from_json(entry) for entry in content["results"]]
        except (ValueError, KeyError, TypeError):  # not written by this
            return None

    def _write(self, number: int, results: list[Result]) -> None:
        make_folder(self._folder)
        with whole_file(self._path(number)) as temporary:
            content = {"of": self._digest, "results": [result.to_json() for result in results]}
            temporary.write_text(json.dumps(content), encoding="utf-8")
