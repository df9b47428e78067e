"""How well the node works, in the words and levels that a robot's monitor acts on.

OK: as it should be. WARN: depth comes, but not as it should. ERROR: no depth comes, or what came was wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from ffs_ros.engine import EngineInfo
from ffs_ros.finding import Finding, Level
from ffs_ros.ros.frame_log import FrameCounts, FrameTimes

WINDOW_S = 5.0
"""Rates and percentiles are over so long: a slow engine answers less than once a second."""
LONGEST_AGE_S = 10.0
"""Stamps that are older, or of the future, are of another clock."""
LONGEST_INFERENCE_S = 10.0
"""An engine that is at one pair for longer than this, and for longer than ``TIMES_AS_LONG`` its usual time, hangs."""
TIMES_AS_LONG = 5.0
STAGES = ("decode", "inference", "depth", "publish")
"""Of ``FrameTimes``, in their order."""


class SideCounts(NamedTuple):
    """Images of one camera."""

    received: int = 0
    unmatched: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Look:
    """What there was to see of the node at one moment."""

    at_ns: int
    """Of the monotonic clock."""
    active: bool
    left: SideCounts
    right: SideCounts
    frames: FrameCounts
    reason: str
    """Why the last pair that was dropped was."""
    engine: EngineInfo
    lost_messages: int = 0
    jumps_back: int = 0
    busy_s: float = 0.0
    """For how long the pair in work has been."""
    times: Sequence[FrameTimes] = ()
    """The last pairs that were published."""
    valid_share: float | None = None
    """0 to 1, pixels of the newest answer that have a number; None without one."""
    non_finite_px: int = 0
    opened_again: int = 0
    """How often the engine was, after failures."""
    fault: Finding | None = None
    """What is wrong with the engine."""
    findings: Sequence[Finding] = ()
    """What is wrong with the input."""


@dataclass(frozen=True)
class Status:
    """One entry of ``/diagnostics``."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str] = field(default_factory=dict)


class Health:
    """Remembers the looks of the last ``WINDOW_S``."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque()

    def statuses(self, look: Look) -> list[Status]:
        """Input, output and engine, as they are now and were since the oldest look that is remembered."""
        self._looks.append(look)
        while len(self._looks) > 2 and self._looks[0].at_ns < look.at_ns - WINDOW_S * 1e9:
            self._looks.popleft()
        since = self._looks[0]
        times = [one for one in look.times if one.published_ns >= since.at_ns]
        return [_input(look, since), _output(look, since, times), _engine(look, since, times)]


def _input(look: Look, since: Look) -> Status:
    elapsed_s = max((look.at_ns - since.at_ns) / 1e9, 1e-9)
    rates_Hz = {
        "left": (look.left.received - since.left.received) / elapsed_s,
        "right": (look.right.received - since.right.received) / elapsed_s,
        "matched": (look.frames.paired - since.frames.paired) / elapsed_s,
    }
    values = {"state": "active" if look.active else "inactive"}
    values |= {f"{name} (Hz)": f"{rate_Hz:.2f}" for name, rate_Hz in rates_Hz.items()}
    for name, side in (("left", look.left), ("right", look.right)):
        values |= {f"{name} {what}": str(count) for what, count in side._asdict().items()}
    values |= {
        "matched": str(look.frames.paired),
        "messages lost on the way": str(look.lost_messages),
        "time jumped back": str(look.jumps_back),
    }
    values |= {finding.name: finding.sentence for finding in look.findings}
    if not look.active:
        return Status("input", Level.OK, "inactive: nothing is subscribed to until the node is activated", values)
    worst = max(look.findings, key=lambda finding: finding.level, default=None)
    if worst is not None and worst.level > Level.OK:
        return Status("input", worst.level, worst.sentence, values)
    return Status("input", Level.OK, ", ".join(f"{name} {rate:.1f} Hz" for name, rate in rates_Hz.items()), values)


def _output(look: Look, since: Look, times: Sequence[FrameTimes]) -> Status:
    new = FrameCounts(*(now - then for now, then in zip(look.frames, since.frames, strict=True)))
    rate_Hz = new.published / max((look.at_ns - since.at_ns) / 1e9, 1e-9)
    values = {"published (Hz)": f"{rate_Hz:.2f}"}
    names = {"published": "published", "replaced": "replaced by a newer one", "rejected": "rejected",
             "failed": "failed", "unwanted": "not wanted"}  # fmt: skip
    values |= {words: str(getattr(look.frames, name)) for name, words in names.items()}
    values |= {"in flight": str(look.frames.in_flight), "last dropped because": look.reason or "none was"}
    values |= _percentiles("latency", [one.published_ns - one.arrival_ns for one in times])
    for stage in STAGES:
        values |= _percentiles(stage, [getattr(one, f"{stage}_ns") for one in times])
    values |= _ages(times)
    if look.valid_share is not None:
        values["valid share"] = f"{look.valid_share:.3f}"
    dropped = new.rejected + new.failed
    if dropped:
        level = Level.WARN if new.published else Level.ERROR
        message = f"{dropped} of {dropped + new.published} pairs were dropped, the last because: {look.reason}"
    elif new.published:
        latency = values.get("latency p50 (ms)")  # none yet of a pair that is counted just now
        level, message = Level.OK, f"{rate_Hz:.1f} Hz" + (f", {latency} ms after the second image" if latency else "")
    elif new.unwanted:
        level, message = Level.OK, "nobody subscribes"
    elif look.frames.in_flight:
        level, message = Level.OK, f"the engine has been at one pair for {look.busy_s:.1f} s"
    else:
        level, message = Level.OK, "no pair has come" if look.active else "inactive"
    return Status("output", level, message, values)


def _engine(look: Look, since: Look, times: Sequence[FrameTimes]) -> Status:
    new_px = look.non_finite_px - since.non_finite_px
    values = {
        "engine": look.engine.name,
        "runtime": look.engine.runtime,
        "device": look.engine.device,
        "pixels that were no numbers": str(look.non_finite_px),
        "opened again": str(look.opened_again),
    }
    # Also the newest before the window: a slow engine is at one pair for longer.
    usual_s = max((one.inference_ns for one in (*times, *look.times[-1:])), default=0) / 1e9
    if look.fault is not None and look.fault.level >= Level.ERROR:
        return Status("engine", look.fault.level, look.fault.sentence, values)
    if look.busy_s > max(LONGEST_INFERENCE_S, TIMES_AS_LONG * usual_s):
        message = f"the engine has been at one pair for {look.busy_s:.0f} s; check the GPU (nvidia-smi, dmesg)"
        return Status("engine", Level.ERROR, message, values)
    if look.fault is not None:
        return Status("engine", look.fault.level, look.fault.sentence, values)
    if new_px > 0:
        return Status("engine", Level.WARN, f"{new_px} pixels were no numbers, and are masked", values)
    return Status("engine", Level.OK, f"{look.engine.name} on {look.engine.runtime}", values)


def _percentiles(name: str, spans_ns: Sequence[int]) -> dict[str, str]:
    if not spans_ns:
        return {}
    ordered = sorted(spans_ns)  # ten times as fast as NumPy for so few, on the thread that pairs
    p50, p95 = (ordered[round(share * (len(ordered) - 1))] / 1e6 for share in (0.5, 0.95))
    return {f"{name} p50 (ms)": f"{p50:.2f}", f"{name} p95 (ms)": f"{p95:.2f}"}


def _ages(times: Sequence[FrameTimes]) -> dict[str, str]:
    if not times:
        return {}
    ages_ns = [one.age_ns for one in times]
    usual_s = median(ages_ns) / 1e9
    if not 0.0 <= usual_s <= LONGEST_AGE_S:
        return {"age": f"unknown: the stamps differ from this clock by {usual_s:.3g} s"}
    return _percentiles("age", ages_ns)
