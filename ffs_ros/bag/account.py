"""What became of every image and every pair, with the reasons."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from ffs_ros.pairing import Pairing, Side
from ffs_ros.sync import stamp_ns

_MOST_REASONS = 20
"""Different sentences that are kept; what comes later is counted with them."""
_REMEMBERED_PAIRS = 1000
"""A recorder that writes everything twice does so within that many pairs."""


class Reason(NamedTuple):
    """Why pairs were not matched."""

    pairs: int
    first_stamp_ns: int


class Account:
    """Of pairs; those of images are kept by ``Pairing``."""

    def __init__(self) -> None:
        self.matched = self.repeated = self.undecodable = 0
        self.rejected: dict[str, Reason] = {}
        """Pairs that cannot be used, by sentence."""
        self.failed: dict[str, Reason] = {}
        """Pairs on which the engine failed."""
        self.incomplete: dict[str, Reason] = {}
        """Matched pairs of which the second pass or the second engine failed."""
        self._stamps: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_PAIRS)

    def is_repeated(self, left: Any, right: Any) -> bool:
        """Whether a pair of these stamps was there since time last jumped, as of a bag that holds everything twice."""
        stamps = stamp_ns(left), stamp_ns(right)
        if stamps in self._stamps:
            self.repeated += 1
            return True
        self._stamps.append(stamps)
        return False

    def start_over(self) -> None:
        """Time jumped back: a bag that loops has the same stamps again."""
        self._stamps.clear()

    @staticmethod
    def note(reasons: dict[str, Reason], sentence: str, left: Any) -> None:
        """One pair more in ``rejected``, ``failed`` or ``incomplete``."""
        if sentence not in reasons and len(reasons) >= _MOST_REASONS:
            sentence = "other reasons"
        before = reasons.get(sentence, Reason(0, stamp_ns(left)))
        reasons[sentence] = before._replace(pairs=before.pairs + 1)

    def record(self, pairing: Pairing) -> dict[str, Any]:
        """For report.json."""
        return {
            "images": {"left": _images(pairing.left), "right": _images(pairing.right), "undecodable": self.undecodable},
            "pairs": {
                "paired": pairing.paired,
                "matched": self.matched,
                "repeated": self.repeated,
                "rejected": _reasons(self.rejected),
                "failed": _reasons(self.failed),
                "incomplete": _reasons(self.incomplete),
                "time_jumped_back": pairing.jumps_back,
            },
        }


def _images(side: Side) -> dict[str, Any]:
    return {
        "received": side.received,
        "unmatched": {why.value: count for why, count in side.unmatched_by.items() if count},
    }


def _reasons(reasons: dict[str, Reason]) -> list[dict[str, Any]]:
    return [{"reason": sentence, **reason._asdict()} for sentence, reason in reasons.items()]
