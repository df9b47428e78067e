"""What a monitor is told: rates and times from counters, and levels that it can act on."""

from __future__ import annotations

from typing import Any

import pytest

from ffs_ros.engine import EngineInfo
from ffs_ros.finding import Finding, Level
from ffs_ros.ros.frame_log import FrameCounts, FrameTimes
from ffs_ros.ros.health import Health, Look, SideCounts, Status

MS = 1_000_000
ENGINE = EngineInfo("net.engine", "TensorRT 10 fp16 (a GPU, GPU 0)", 192.0, 32, device="a GPU")
START = Look(
    at_ns=50_000_000_000,
    active=True,
    left=SideCounts(1000, 10, 1),
    right=SideCounts(1000, 10, 0),
    frames=FrameCounts(900, 800, 50, 20, 10, 20),
    reason="the image is empty",
    engine=ENGINE,
)


def after(look: Look, seconds: float, **changes: Any) -> Look:
    """Some time later, with some fields changed."""
    return Look(**{**vars(look), "at_ns": look.at_ns + int(seconds * 1e9), **changes})


def more(**counts: int) -> FrameCounts:
    """START's counts and so many more; what ended was paired."""
    counts.setdefault("paired", sum(counts.values()))
    return FrameCounts(**{name: was + counts.get(name, 0) for name, was in START.frames._asdict().items()})


def statuses(seconds: float = 1.0, **changes: Any) -> dict[str, Status]:
    """What is said of a look so long after START, by name."""
    health = Health()
    health.statuses(START)
    return {status.name: status for status in health.statuses(after(START, seconds, **changes))}


def times(published_ns: int, inference_ms: float = 10.0, age_ns: int = 30 * MS) -> FrameTimes:
    """One published pair that came 20 ms before."""
    return FrameTimes(
        stamp_ns=0, arrival_ns=published_ns - 20 * MS, started_ns=published_ns - 19 * MS, decode_ns=MS,
        inference_ns=int(inference_ms * MS), depth_ns=3 * MS, publish_ns=2 * MS, published_ns=published_ns,
        age_ns=age_ns,
    )  # fmt: skip


def test_rates_are_what_came_since() -> None:
    """In two seconds 60 left and 58 right images, 56 pairs, 30 published."""
    said = statuses(
        2.0, left=SideCounts(1060, 12, 1), right=SideCounts(1058, 12, 0), frames=more(published=30, replaced=26)
    )
    assert said["input"].values["left (Hz)"] == "30.00"
    assert said["input"].values["right (Hz)"] == "29.00"
    assert said["input"].values["matched (Hz)"] == "28.00"
    assert said["output"].values["published (Hz)"] == "15.00"
    assert said["input"].level == said["output"].level == Level.OK
    assert said["input"].message == "left 30.0 Hz, right 29.0 Hz, matched 28.0 Hz"


def test_the_window_moves_along() -> None:
    """After a minute at 10 Hz and five seconds at 2 Hz the rate is 2 Hz."""
    health, look = Health(), START
    for second in range(66):
        look = after(look, 1.0, left=SideCounts(look.left.received + (10 if second < 60 else 2), 0, 0))
        said = health.statuses(look)
    assert said[0].values["left (Hz)"] == "2.00"


def test_the_books_are_all_there() -> None:
    """Every count, exactly; in flight is what has no end yet."""
    said = statuses(frames=more(published=1, paired=3))
    values = {**said["input"].values, **said["output"].values}
    expected = {
        "left received": 1000, "left unmatched": 10, "left waiting": 1, "matched": 903, "published": 801,
        "replaced by a newer one": 50, "rejected": 20, "failed": 10, "not wanted": 20, "in flight": 2,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == {name: str(count) for name, count in expected.items()}


def test_stages_and_ages_are_percentiles_of_the_window() -> None:
    """Pairs from before the window do not count; stamps of another clock have no age."""
    old = times(START.at_ns - 1, inference_ms=500)
    new = [times(START.at_ns + n * MS, inference_ms=n, age_ns=(20 + n) * MS) for n in range(1, 102)]
    values = statuses(frames=more(published=101), times=[old, *new])["output"].values
    assert (values["inference p50 (ms)"], values["inference p95 (ms)"]) == ("51.00", "96.00")
    assert (values["age p50 (ms)"], values["age p95 (ms)"]) == ("71.00", "116.00")
    assert (values["decode p50 (ms)"], values["depth p50 (ms)"]) == ("1.00", "3.00")
    assert (values["publish p50 (ms)"], values["latency p50 (ms)"]) == ("2.00", "20.00")
    for age_ns in (-MS, 11_000 * MS):
        values = statuses(frames=more(published=1), times=[times(START.at_ns, age_ns=age_ns)])["output"].values
        assert "age p50 (ms)" not in values
        assert values["age"].startswith("unknown: the stamps differ from this clock by ")


@pytest.mark.parametrize(
    ("changes", "level", "message"),
    [
        ({}, Level.OK, "no pair has come"),
        ({"active": False}, Level.OK, "inactive"),
        (
            {"frames": more(paired=9, replaced=8), "busy_s": 6.5},
            Level.OK,
            "the engine has been at one pair for 6.5 s",
        ),
        ({"frames": more(unwanted=3)}, Level.OK, "nobody subscribes"),
        (
            {"frames": more(published=30), "times": [times(START.at_ns)]},
            Level.OK,
            "30.0 Hz, 20.00 ms after the second image",
        ),
        (
            {"frames": more(published=28, rejected=2), "times": [times(START.at_ns)]},
            Level.WARN,
            "2 of 30 pairs were dropped, the last because: the image is empty",
        ),
        (
            {"frames": more(rejected=1, failed=2)},
            Level.ERROR,
            "3 of 3 pairs were dropped, the last because: the image is empty",
        ),
    ],
)
def test_output_is_an_error_when_all_pairs_are_dropped(changes: dict[str, Any], level: Level, message: str) -> None:
    """A warning when some are; being overtaken, having no subscriber and being inactive are meant to be."""
    said = statuses(**changes)["output"]
    assert (said.level, said.message) == (level, message)


@pytest.mark.parametrize(
    ("changes", "level", "message"),
    [
        ({}, Level.OK, "net.engine on TensorRT 10 fp16 (a GPU, GPU 0)"),
        ({"non_finite_px": 7}, Level.WARN, "7 pixels were no numbers, and are masked"),
        ({"fault": Finding("fallback", Level.WARN, "fp32 runs")}, Level.WARN, "fp32 runs"),
        ({"fault": Finding("engine lost", Level.ERROR, "the GPU failed")}, Level.ERROR, "the GPU failed"),
        ({"busy_s": 9.0}, Level.OK, "net.engine on TensorRT 10 fp16 (a GPU, GPU 0)"),
        (
            {"busy_s": 11.0},
            Level.ERROR,
            "the engine has been at one pair for 11 s; check the GPU (nvidia-smi, dmesg)",
        ),
        (
            {"busy_s": 11.0, "times": [times(START.at_ns, inference_ms=3000)], "frames": more(published=1)},
            Level.OK,
            "net.engine on TensorRT 10 fp16 (a GPU, GPU 0)",
        ),
        (
            {"busy_s": 11.0, "times": [times(START.at_ns - 9_000 * MS, inference_ms=12_000)]},
            Level.OK,
            "net.engine on TensorRT 10 fp16 (a GPU, GPU 0)",
        ),
    ],
)
def test_the_engine_says_what_is_wrong_with_it(changes: dict[str, Any], level: Level, message: str) -> None:
    """A fault, a hang, and numbers that are none; an engine that is slow as usual does not hang."""
    said = statuses(**changes)["engine"]
    assert (said.level, said.message) == (level, message)


def test_the_worst_finding_is_the_inputs_level() -> None:
    """All are listed by name; those that are fine do not raise it, and an inactive node has none."""
    findings = [
        Finding("rates", Level.OK, "30 Hz"),
        Finding("right is silent", Level.ERROR, "no image on the right"),
        Finding("stamps apart", Level.WARN, "2 ms"),
    ]
    said = statuses(findings=findings)["input"]
    assert (said.level, said.message) == (Level.ERROR, "no image on the right")
    assert {finding.name: finding.sentence for finding in findings}.items() <= said.values.items()
    assert statuses(findings=findings[:1])["input"].level == Level.OK
    inactive = statuses(active=False)["input"]
    assert (inactive.level, inactive.values["state"]) == (Level.OK, "inactive")
    assert inactive.message.startswith("inactive")
