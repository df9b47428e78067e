"""An engine that fails on one pair costs that pair, and one that only compares costs nothing that is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, PERIOD_NS, START_NS, messages_of, stereo_stream, write_bag

from ffs_ros import live_engine
from ffs_ros.engine import EngineInfo, TensorSpec

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]
FAULTS = {"first": 251, "second": 252}
"""Red of the left image's first pixel at which the engine of this name answers no numbers."""


class FaultyEngine:
    """Takes images of any size and answers 8 px everywhere else."""

    def __init__(self, name: str) -> None:
        self.info = EngineInfo(name, "a test", 64.0, 1, device="GPU of a test", dense=True)
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs: Mapping[str, TensorSpec] = {"left": image, "right": image}
        self.outputs: Mapping[str, TensorSpec] = {"disparity": TensorSpec((1, 1, None, None), np.dtype(np.float32))}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        left_HW3 = feeds["left"][0]
        faulty = left_HW3[0, 0, 0] == FAULTS[self.info.name]
        return {"disparity": np.full((1, 1, *left_HW3.shape[:2]), np.nan if faulty else 8.0, np.float32)}

    def close(self) -> None:
        """Nothing is held."""


def test_engines_that_fail_on_one_pair(
    tmp_path: Path, pairs: Pairs, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first on the second pair and on the fourth one's second pass, the other engine on the last pair."""
    pairs = [(left.copy(), right.copy()) for left, right in pairs]
    pairs[1][0][0, 0, 0] = FAULTS["first"]
    pairs[3][1][0, -1, 0] = FAULTS["first"]  # mirrored, the right image is the left one
    pairs[5][0][0, 0, 0] = FAULTS["second"]
    monkeypatch.setattr(live_engine, "open_engine", lambda name, **_: FaultyEngine(str(name)))
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs, CAMERA))
    record, out = replay(bag, parameters={"engine": "first", "confidence_rate": 1000.0}, against="second")
    stamps_ns = [START_NS + index * PERIOD_NS for index in range(6)]
    found = record["pairs"]
    assert (found["paired"], found["matched"], found["rejected"]) == (6, 5, [])
    assert [(entry["pairs"], entry["first_stamp_ns"]) for entry in found["failed"]] == [(1, stamps_ns[1])]
    assert [(entry["pairs"], entry["first_stamp_ns"]) for entry in found["incomplete"]] == [
        (1, stamps_ns[3]), (1, stamps_ns[5]),
    ]  # fmt: skip
    assert "of the pixels that second answered are no numbers" in found["incomplete"][1]["reason"]
    assert record["left_right"] == {"pairs": 4, "consistent": pytest.approx(1 - 8 / CAMERA.width)}
    assert record["against"]["pairs"] == 4
    assert len(messages_of(out, "/disparity")) == 5
    assert "1 not compared: 100.0% of the pixels" in (out / "report.html").read_text()
