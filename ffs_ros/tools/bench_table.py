"""The figures of ``ffs bench`` on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ffs_ros.engine import STAGES
from ffs_ros.tools.bench_runs import TOTAL

_HEADINGS = {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms", "pairs_per_s": "pairs/s", "runs": "runs"}
_WIDTH = 10


def table(record: Mapping[str, Any]) -> str:
    """What ``--out`` writes, for reading."""
    engines = record["engines"]
    lines = [_what_is_timed(record)]
    for engine in engines:
        lines += ["", *_engine(engine)]
    if len(engines) > 1:
        lines += ["", "ratios of medians"]
    for other, ratios in zip(engines[1:], record["ratios_of_medians"], strict=True):
        found = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
        lines.append(f"  {engines[0]['engine']} / {other['engine']}: {found}")
    return "\n".join([*lines, "", f"clocks and power: {_sensors(record['sensors'])}"])


def _what_is_timed(record: Mapping[str, Any]) -> str:
    rows, columns = record["image_size"]
    if record["matcher_included"]:
        left, right = record["pair"]
        return f"{left} and {right}, {columns}x{rows}: total includes the matcher, which fits images and disparity"
    return f"a generated pair of {rows}x{columns} (rows x columns): the engine's own time, without the matcher"


def _engine(engine: Mapping[str, Any]) -> list[str]:
    iterations = f", {engine['iterations']} iterations" if engine["iterations"] else ""
    precision = f", {engine['precision']}" if engine["precision"] else ""
    lines = [
        f"{engine['engine']}: {engine['runtime']}",
        f"  {'x'.join(map(str, engine['size']))}{iterations}{precision}, io {engine['io']}",
        _row("", _HEADINGS.values()),
    ]
    for name in (*STAGES, TOTAL):
        latency = engine["latency"][name] or {}
        lines.append(_row(name, [_number(latency.get(key)) for key in _HEADINGS]))
    return [*lines, f"  memory: {_memory(engine)}", f"  floor: {_floor(engine['floor'])}"]


def _row(name: str, cells: Any) -> str:
    return f"  {name:<{_WIDTH}}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells)


def _number(value: float | None) -> str:
    """Four digits; '-' for what was not measured."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.{3 if value < 10 else 2 if value < 100 else 1}f}"


def _memory(engine: Mapping[str, Any]) -> str:
    host = f"host {engine['host_MB']:,.0f} MB"
    if engine["gpu_MB"] is None:
        return host
    return f"GPU {engine['gpu_MB']:,.0f} MB beside the context, {engine['gpu_peak_MB']:,.0f} MB at the most; {host}"


def _floor(floor: Mapping[str, Any]) -> str:
    if "unknown" in floor:
        return f"unknown: {floor['unknown']}"
    written_ms, moved_ms = floor["memory_ms"]
    ratios = ", ".join(f"{name} is {ratio:.2f} times that" for name, ratio in floor["ratios"].items())
    return (
        f"{_number(floor['ms'])} ms (compute {_number(floor['compute_ms'])}, memory {_number(written_ms)} to "
        f"{_number(moved_ms)}); {ratios}"
    )


def _sensors(sensors: Mapping[str, Any]) -> str:
    if "unknown" in sensors:
        return f"unknown: {sensors['unknown']}"
    return f"{'; '.join(_sensor_texts(sensors))} (medians of {sensors['readings']} readings, all engines together)"


def _sensor_texts(sensors: Mapping[str, Any]) -> Sequence[str]:
    median = {name: figures["median"] for name, figures in sensors.items() if name != "readings"}
    texts = []
    for what, name, most, unit in (
        ("SM", "sm_clock_MHz", "most_sm_clock_MHz", "MHz"),
        ("memory", "memory_clock_MHz", "", "MHz"),
        ("power", "power_W", "power_limit_W", "W"),
        ("temperature", "temperature_C", "", "°C"),
    ):
        of = f" of {median[most]:g}" if most in median else ""
        texts.append(f"{what} {median[name]:g}{of} {unit}" if name in median else f"{what} not told")
    return texts
