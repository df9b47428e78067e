"""The report page and the terminal say what report.json says, each number in its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from recordings import CAMERA, Sent, image, stereo_stream, write_bag

from ffs_ros.tools.bag_summary import summary

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]


def test_numbers_of_a_bag_with_faults(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Two right images and a left one are missing, one pair is rejected, half of the last one does not match, an old
    image comes at the end, and a part of the recording is missing."""
    random = np.random.default_rng(9)
    pairs = [
        tuple(picture + random.integers(0, 30, picture.shape, np.uint8) for picture in pairs[0]) for _ in range(10)
    ]
    pairs[-1][1][:24] = random.integers(0, 255, (24, CAMERA.width, 3))
    sent = stereo_stream(pairs, CAMERA)
    for place, side in ((1, "right"), (2, "right"), (4, "left")):
        sent.remove([message for message in sent if message.topic == f"/{side}/image_rect"][place])
    [broken] = [message for message in sent if message.topic == "/left/image_rect"][5:6]
    broken.message.encoding = "rgba9"
    sent.append(Sent("/left/image_rect", sent[-1].log_ns + 1, image(10**18, pairs[0][0])))
    bag = write_bag(tmp_path / "rec", "mcap", sent)
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("  - rec.mcap", "  - rec.mcap\n  - rec_1.mcap"))
    record, out = replay(bag, parameters={"confidence_rate": 1000.0}, against="sgbm")
    html = (out / "report.html").read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("<body>")[2]))

    density, flicker = record["density"], record["flicker"]
    assert density["mean"] > density["least"] + 0.01
    assert flicker["median_px"] < flicker["p95_px"] - 0.01
    for words in (
        f"pairs matched 6 of 7 density {100 * density['mean']:.1f} % flicker {flicker['median_px']:.3f} px "
        f"static pixels {100 * flicker['static_share']:.1f} %",
        f"left and right agree {100 * record['left_right']['consistent']:.1f} %",
        f"time for a pair {record['latency_ms']['total']['p50']:.1f} ms",
        f"{bag / 'rec_1.mcap'}, which {metadata} names, is not there",
        "left right images 10 8 time jumped back 2 1 no partner when the images ended 1 0 7 pairs, 6 of them matched.",
        "1 rejected: left camera: encoding &#x27;rgba9&#x27; is none",
        "Time jumped back 1 times.",
        "mean of pairs 0 0 1 0 0 worst pair 0 0 1 0 0",
    ):
        assert words in text, (words, text[:1500])
    stages = record["latency_ms"]
    for stage in ("read", "decode", "inference", "outputs", "write", "total"):
        times = " ".join(f"{stages[stage][name]:.1f}" for name in ("mean", "p50", "p95", "p99", "max"))
        assert f"{stage} {times} " in text
    assert not re.search(r"(?:src|href)=.(?!data:)|url\(|@import|https?:", html)

    said = summary(record).splitlines()
    assert (
        f"flicker        {flicker['median_px']:.3f} px median, {flicker['p95_px']:.2f} px 95th percentile"
        in "\n".join(said)
    )
    assert said[0].endswith(": 10 left and 8 right images, 7 pairs, 6 matched")
    assert said[1:4] == [
        "  2 left: time jumped back", "  1 left: no partner when the images ended", "  1 right: time jumped back",
    ]  # fmt: skip
