"""The time of each stage is that stage's, by a clock that only what is measured moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, stereo_stream, write_bag

from ffs_ros.bag import pair_work
from ffs_ros.bag import replay as replay_module
from ffs_ros.bag.output_bag import OutputBag
from ffs_ros.live_engine import LiveEngine

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]
MS = 1_000_000


def test_stages_of_a_pair(tmp_path: Path, pairs: Pairs, replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four messages to read, one pair to decode and match, all outputs at once to make, three to write."""
    now_ns = 0

    def takes(owner: Any, name: str, time_ms: int) -> None:
        """Let the clock go on with each call of ``owner.name``."""
        original = getattr(owner, name)

        def slow(*arguments: Any) -> Any:
            nonlocal now_ns
            now_ns += time_ms * MS
            return original(*arguments)

        monkeypatch.setattr(owner, name, slow)

    clock = SimpleNamespace(monotonic_ns=lambda: now_ns)
    for module in (replay_module, pair_work):
        monkeypatch.setattr(module, "time", clock)
    takes(replay_module, "decoded", 1)
    takes(pair_work, "rectified_images", 3)
    takes(pair_work, "matched_pair", 50)
    monkeypatch.setattr(LiveEngine, "inference_ns", 40 * MS)
    takes(pair_work, "messages_of", 7)
    takes(OutputBag, "write", 20)
    takes(pair_work, "right_disparity", 1000)  # belongs to none
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs, CAMERA))
    record, _ = replay(bag, parameters={"confidence_rate": 1000.0})
    found = record["latency_ms"]
    expected = {"read": 4, "decode": 3, "inference": 40, "outputs": 7, "write": 60, "total": 4 + 3 + 50 + 7 + 60}
    assert {stage: times["mean"] for stage, times in found.items()} == expected
    assert {times["pairs"] for times in found.values()} == {len(pairs) - 1}  # not of the first
