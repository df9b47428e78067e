"""What ``ffs bag`` prints of its report."""

from __future__ import annotations

from typing import Any


def summary(record: dict[str, Any]) -> str:
    """Some lines for the terminal."""
    images, pairs = record["images"], record["pairs"]
    lines = [
        f"{record['topics']['left']}, {record['topics']['right']}: {images['left']['received']} left and "
        f"{images['right']['received']} right images, {pairs['paired']} pairs, {pairs['matched']} matched"
    ]
    for side in ("left", "right"):
        lines += [f"  {count} {side}: {why}" for why, count in images[side]["unmatched"].items()]
    if record["why_unpaired"]:
        lines.append(f"  {record['why_unpaired']}")
    if images["undecodable"]:
        lines.append(f"  {images['undecodable']} messages are damaged")
    for fate, word in (("rejected", "rejected"), ("failed", "failed"), ("incomplete", "not compared")):
        lines += [f"  {entry['pairs']} {word}: {entry['reason']}" for entry in pairs[fate]]
    if pairs["repeated"]:
        lines.append(f"  {pairs['repeated']} were there before, with the same stamps")
    if pairs["time_jumped_back"]:
        lines.append(f"  time jumped back {pairs['time_jumped_back']} times")
    density, flicker, left_right = record["density"], record["flicker"], record["left_right"]
    lines.append(f"density        {_share(density['mean'])}, at least {_share(density['least'])}")
    if flicker["pairs"]:
        lines.append(
            f"flicker        {flicker['median_px']:.3f} px median, {flicker['p95_px']:.2f} px 95th percentile of "
            f"{_share(flicker['static_share'])} static pixels; {_share(flicker['blinking'])} blink"
        )
    if left_right["pairs"]:
        lines.append(
            f"left and right {_share(left_right['consistent'])} of the answers agree to 1 px ({left_right['pairs']})"
        )
    if "against" in record:
        lines.append(f"against        {record['against']['name']}: {_drift(record['against']['mean'])}")
    if "depth_topic" in record:
        found = record["depth_topic"]
        lines.append(f"depth topic    {found['topic']}: {_errors(found)}")
        lines += [f"  {count} not compared: {why}" for why, count in found["unusable"].items()]
    latency = record["latency_ms"]
    if latency["total"]["pairs"]:
        stages = ", ".join(f"{stage} {times['p50']:.1f}" for stage, times in latency.items())
        lines.append(f"ms a pair      {stages} (medians)")
    lines += record["output"]["not_copied"]
    lines.append(f"{record['output']['folder']}: {sum(record['output']['messages'].values())} messages")
    return "\n".join(lines)


def _drift(mean: dict[str, float | None]) -> str:
    if mean["mean_px"] is None:
        return "no pixel with both answers"
    return f"{mean['mean_px']:.3f} px mean difference, bad-2 {_share(mean['bad2'])}, mean of the pairs"


def _errors(found: dict[str, Any]) -> str:
    if not found["pairs"]:
        return "no pair compared"
    return (
        f"EPE {found['epe']:.3f} px, bp2 {_share(found['bp2'])} of the pixels that both answer, {found['pairs']} pairs"
        f"; {_share(found['answered_there'])} of its pixels answered"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
