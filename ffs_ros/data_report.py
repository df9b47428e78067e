"""What a check of training data found, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

_SHOWN_PER_KIND = 5


class Kind(Enum):
    """What can be wrong with a pair, in the order in which it is reported."""

    UNREADABLE = "pairs that cannot be read"
    SIZE = "sizes that do not fit each other"
    NO_TRUTH = "no ground truth that counts"
    SIGN = "ground truth of the other sign"
    OUTSIDE = "disparities that leave the image"
    EXCHANGED = "left and right exchanged"
    SCALE = "ground truth of another scale"
    UNRELATED = "left, right and ground truth that do not belong together"
    DOUBTFUL = "left, right and ground truth that hardly resemble each other"
    DARK = "images that are almost black"
    NEGATIVE = "some negative disparities"
    FAR_RANGE = "many disparities beyond max_disparity"

    @property
    def is_error(self) -> bool:
        """Such a pair would teach something wrong or stop the run; otherwise it is for a person to look at."""
        return self not in (Kind.DOUBTFUL, Kind.DARK, Kind.NEGATIVE, Kind.FAR_RANGE)


class Finding(NamedTuple):
    """One thing that is wrong with one pair."""

    kind: Kind
    sentence: str
    """With the file's name."""


class CheckedPair(NamedTuple):
    """What was seen of one pair."""

    findings: list[Finding]
    counted: float | None = None
    """Share of the pixels whose truth counts, 0..1; None when it could not be read."""
    resemblance: float | None = None
    """See ``photometric``; None when nobody can tell."""


@dataclass(frozen=True)
class DataReport:
    """What was found in all pairs of one data set, in their order."""

    dataset_name: str
    pairs: list[CheckedPair]

    @property
    def errors(self) -> list[Finding]:
        """What forbids a training on these pairs."""
        return [finding for pair in self.pairs for finding in pair.findings if finding.kind.is_error]

    @property
    def warnings(self) -> list[Finding]:
        """What a person should look at."""
        return [finding for pair in self.pairs for finding in pair.findings if not finding.kind.is_error]

    def summary(self) -> dict[str, Any]:
        """The report as JSON takes it: figures, and of each kind the number and the first few sentences."""
        sentences: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for pair in self.pairs:
            for finding in pair.findings:
                sentences[finding.kind].append(finding.sentence)
        return {
            "dataset_name": self.dataset_name,
            "pairs": len(self.pairs),
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "mean_counted": _reduced(np.mean, [pair.counted for pair in self.pairs]),
            "not_judged": sum(pair.counted is not None and pair.resemblance is None for pair in self.pairs),
            "median_resemblance": _reduced(np.median, [pair.resemblance for pair in self.pairs]),
            "findings": [
                {"kind": kind.value, "is_error": kind.is_error, "count": len(found), "first": found[:_SHOWN_PER_KIND]}
                for kind, found in sentences.items()
                if found
            ],
        }

    def text(self) -> str:
        """The report for people, as short as ``summary``."""
        summary = self.summary()
        head = (
            f"{self.dataset_name}: pairs {summary['pairs']}, errors {summary['errors']}, warnings {summary['warnings']}"
        )
        if summary["mean_counted"] is not None:
            head += f"; truth counts at {summary['mean_counted']:.1%} of the pixels"
        if summary["median_resemblance"] is not None:
            head += f"; through it left and right resemble each other by {summary['median_resemblance']:.2f} of 1"
        if summary["not_judged"]:
            head += f"; too little texture or truth to judge: {summary['not_judged']}"
        lines = [head]
        for entry in summary["findings"]:
            lines.append(f"  {'error' if entry['is_error'] else 'warning'}: {entry['kind']} ({entry['count']})")
            lines += [f"    {sentence}" for sentence in entry["first"]]
            if entry["count"] > len(entry["first"]):
                lines.append(f"    and {entry['count'] - len(entry['first'])} more")
        return "\n".join(lines)


def _reduced(reduce: Any, values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(reduce(known)) if known else None
