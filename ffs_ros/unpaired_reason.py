"""Why images of two cameras do not pair, told from their stamps, in one sentence with the remedy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ffs_ros.pairing import Pairing

_PERIODS_APART = 5
"""Images that arrive together are not this many apart, even when some are lost."""


def unpaired_reason(pairing: Pairing, paired: int, unstamped: Sequence[str], remedy: str = "") -> tuple[str, str]:
    """A short name and the sentence: clocks that disagree, stamps a little apart, or images that are missing.

    Both sides have had images of late, of which ``paired`` found their partner; ``unstamped`` are the topics with
    images that carry no time. ``remedy`` is for images that get lost.
    """
    if unstamped:
        which = " and ".join(unstamped)
        return "stamps zero", f"{which} carry a stamp of 0 or less, no time; let the driver set header.stamp"
    left, right = pairing.left.recent_stamps_ns, pairing.right.recent_stamps_ns
    newest = f"newest stamps {left[-1] / 1e9:.6f} and {right[-1] / 1e9:.6f} s"
    period_ns = _period_ns(left, right)
    apart_ns = abs(left[-1] - right[-1])
    if not paired and apart_ns > _PERIODS_APART * period_ns:
        return "clocks disagree", (
            f"their stamps are {apart_ns / 1e9:.3f} s apart ({newest}), so the two cameras' clocks disagree; "
            "synchronise them (PTP, chrony) or let one driver stamp both"
        )
    approximate, tolerance_s = pairing.approximate, pairing.tolerance_s
    beyond_ns = [n for n in nearest_ns(left, right) if n >= (tolerance_s * 1e9 if approximate else 1)]
    shifted_ns = [n for n in beyond_ns if n <= period_ns / 2]
    if 2 * len(shifted_ns) <= len(beyond_ns) or (paired and not approximate):
        return "partners missing", f"the partners of the others never came{f'; {remedy}' if remedy else ''}"
    rule = (
        f"approximate_sync_tolerance_seconds is {tolerance_s:g}"
        if approximate
        else "only equal stamps pair (approximate_sync is off)"
    )
    low_ms, high_ms = min(shifted_ns) / 1e6, max(shifted_ns) / 1e6
    return "stamps apart", (
        f"their stamps are {low_ms:.3f} to {high_ms:.3f} ms apart ({newest}) and {rule}; trigger both cameras "
        "together, or set approximate_sync: true and approximate_sync_tolerance_seconds: "
        f"{_rounded_up(1.1e-3 * high_ms + 1e-6):g}, which is right only while nothing moves in between"
    )


def nearest_ns(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """For each stamp of the side with the larger gaps, how far the other side's nearest is."""
    sparse, dense = sorted((left, right), key=lambda stamps: (max(stamps) - min(stamps)) / len(stamps), reverse=True)
    # The newest of one side may only be waiting for its partner.
    settled = [stamp for stamp in sparse if min(dense) <= stamp <= max(dense)] or sparse
    return [min(abs(stamp - partner) for partner in dense) for stamp in settled]


def _period_ns(left: Sequence[int], right: Sequence[int]) -> float:
    """The time between two images of a camera, which lost images do not stretch; a second where there is only one."""
    gaps_ns = sorted(b - a for stamps in (left, right) for a, b in itertools.pairwise(sorted(stamps)) if b > a)
    return gaps_ns[len(gaps_ns) // 10] if gaps_ns else 1e9


def _rounded_up(value: float) -> float:
    """To two digits, never below ``value``."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit
