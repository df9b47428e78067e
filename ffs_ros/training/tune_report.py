"""What a search of the learning rate found, in a table and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

DEFAULT = "trial_000"
"""The trial with the spec's own values."""


class Validation(NamedTuple):
    """What one validation of a training found."""

    step: int
    end_point_error_px: float


class Row(NamedTuple):
    """One trial."""

    name: str
    learning_rate: float
    decay: float
    last: Validation | None
    """The last validation; None where none was reached."""
    outcome: str
    """``complete``, ``stopped`` (worse than others at the same step) or ``diverged`` (its loss was no number)."""


def table(rows: Sequence[Row]) -> str:
    """One line for each trial."""
    lines = [f"{'trial':<11}{'lr':>10}{'lr_decay':>10}{'step':>8}{'epe (px)':>10}  outcome"]
    for row in rows:
        step, error_px = ("-", "-") if row.last is None else (str(row.last.step), f"{row.last.end_point_error_px:.4f}")
        values = f"{row.learning_rate:>10.3g}{row.decay:>10.3g}{step:>8}{error_px:>10}"
        lines.append(f"{row.name:<11}{values}  {row.outcome}" + (", the spec's own values" * (row.name == DEFAULT)))
    return "\n".join(lines)


def verdict(rows: Sequence[Row], folder: Path) -> str:
    """Which values are best, and by how much."""
    complete = {row: row.last.end_point_error_px for row in rows if row.last is not None and row.outcome == "complete"}
    if not complete:
        return "No trial came to its end with a finite error: lower train.optim.lr and search again."
    best = min(complete, key=lambda row: (complete[row], row.name))
    default_px = next((error_px for row, error_px in complete.items() if row.name == DEFAULT), None)
    found = f"train.optim.lr {best.learning_rate:.4g} and lr_decay {best.decay:.4g}"
    if best.name == DEFAULT:
        return f"The spec's own values, {found}, are the best of {len(rows)} trials: {complete[best]:.4f} px."
    gain = "with the spec's own values the training diverged"
    if default_px is not None:
        gain = f"{1 - complete[best] / default_px:.1%} less than with the spec's own values ({default_px:.4f} px)"
    return (
        f"Best of {len(rows)} trials: {found} give {complete[best]:.4f} px, {gain}. Its weights: {folder / best.name}"
    )
