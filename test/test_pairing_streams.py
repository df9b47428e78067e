"""Two cameras with jitter, drift, loss and duplicates: what pairs is what a plain look at all stamps says.

The streams are seeded. Where no image has two candidates, the pairs are known without any queue; where it has several,
a reference of a few lines plays the arrivals one by one.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from ffs_ros import sync
from ffs_ros.pairing import Pairing

MS = 1_000_000
PERIOD_MS = 33.3
START_MS = 1_700_000_000_000
FRAMES = 600
QUEUE_SIZE = 10
FILTERS: Any = sync
SEEDS = range(3)


class Arrival(NamedTuple):
    """One message."""

    time_ms: float
    side: str
    stamp_ns: int


class Streams(NamedTuple):
    """How two cameras deliver; each image is on its way for ``delay_ms``, so that later ones overtake it."""

    jitter_ms: float = 0.0
    """Largest error of a stamp, either way; 0 is one trigger and one stamp for both."""
    drift: float = 0.0
    """How much faster the right camera's clock and trigger run, as a share."""
    offset_ms: float = 0.0
    loss: float = 0.0
    duplicates: float = 0.0
    delay_ms: tuple[float, float] = (2.0, 9.0)

    def arrivals(self, seed: int) -> list[Arrival]:
        """The messages of both sides in the order in which they arrive."""
        chance = random.Random(seed)
        arrivals = []
        for frame in range(FRAMES):
            for side in ("left", "right"):
                due_ms = frame * PERIOD_MS
                if side == "right":
                    due_ms = due_ms / (1.0 + self.drift) + self.offset_ms
                stamp_ns = round((START_MS + due_ms + chance.uniform(-1, 1) * self.jitter_ms) * 1000) * 1000
                copies = (chance.random() >= self.loss) * (1 + (chance.random() < self.duplicates))
                arrivals += [Arrival(due_ms + chance.uniform(*self.delay_ms), side, stamp_ns) for _ in range(copies)]
        return sorted(arrivals)


@pytest.fixture(
    params=["ffs_ros.sync", *(["message_filters"] if importlib.util.find_spec("message_filters") else [])], autouse=True
)
def _filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs on the stand-in, and on message_filters where it is installed."""
    monkeypatch.setitem(globals(), "FILTERS", importlib.import_module(request.param))


def image(stamp_ns: int) -> Any:
    """What has a stamp, of ROS's own type where it exists, as message_filters asks for."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    if importlib.util.find_spec("builtin_interfaces") is None:
        return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)))
    from builtin_interfaces.msg import Time

    return SimpleNamespace(header=SimpleNamespace(stamp=Time(sec=sec, nanosec=nanosec)))


def paired(arrivals: Iterable[Arrival], tolerance_ms: float | None) -> list[tuple[int, int]]:
    """The stamps that ``Pairing`` makes pairs of, in order; its books are checked at every arrival."""
    pairs: list[tuple[int, int]] = []
    pairing = Pairing(
        lambda left, right, _: pairs.append((sync.stamp_ns(left), sync.stamp_ns(right))),
        approximate=tolerance_ms is not None,
        tolerance_s=(tolerance_ms or 1.0) / 1e3,
        queue_size=QUEUE_SIZE,
        filters=FILTERS,
    )
    delivered: Counter[str] = Counter()
    for arrival in arrivals:
        add = pairing.add_left if arrival.side == "left" else pairing.add_right
        add(image(arrival.stamp_ns))
        delivered[arrival.side] += 1
        for name, side in (("left", pairing.left), ("right", pairing.right)):
            assert side.received == delivered[name] == pairing.paired + side.unmatched + len(side.waiting_ns)
    assert pairing.paired == len(pairs)
    assert pairing.jumps_back == 0
    return pairs


def stamps(arrivals: Iterable[Arrival], side: str) -> Counter[int]:
    """How many copies of each stamp arrived on one side."""
    return Counter(arrival.stamp_ns for arrival in arrivals if arrival.side == side)


def candidates(left: Iterable[int], right: Iterable[int], tolerance_ms: float | None) -> set[tuple[int, int]]:
    """Every left and right stamp that may pair."""
    if tolerance_ms is None:
        return {(stamp, stamp) for stamp in set(left) & set(right)}
    return {(a, b) for a in left for b in right if abs(a - b) < tolerance_ms * MS}


def most_partners(pairs: Iterable[tuple[int, int]]) -> int:
    """How many partners the image has that has most."""
    return max(Counter((side, stamp) for pair in pairs for side, stamp in enumerate(pair)).values(), default=0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("streams", "tolerance_ms", "least_share"),
    [
        pytest.param(Streams(), None, 1.0, id="exact"),
        pytest.param(Streams(loss=0.3), None, 0.4, id="exact, loss"),
        pytest.param(Streams(duplicates=0.2), None, 1.0, id="exact, duplicates"),
        pytest.param(Streams(delay_ms=(0, 120)), None, 1.0, id="exact, overtaking"),
        pytest.param(Streams(loss=0.2, duplicates=0.2, delay_ms=(0, 120)), None, 0.5, id="exact, all"),
        pytest.param(Streams(jitter_ms=2), None, 0.0, id="exact, jitter never pairs"),
        pytest.param(Streams(jitter_ms=4), 8.0001, 1.0, id="jitter"),
        pytest.param(Streams(jitter_ms=4), 3.0, 0.3, id="jitter beyond the tolerance"),
        pytest.param(Streams(jitter_ms=2, offset_ms=3), 8.0, 1.0, id="offset"),
        pytest.param(Streams(jitter_ms=1, offset_ms=12), 8.0, 0.0, id="offset beyond the tolerance"),
        pytest.param(Streams(jitter_ms=1, drift=1e-3), 8.0, 0.3, id="drift"),
        pytest.param(Streams(jitter_ms=1, drift=-0.4), 8.0, 0.2, id="30 and 18 Hz"),
        pytest.param(Streams(jitter_ms=3, loss=0.4), 8.0, 0.3, id="loss"),
        pytest.param(Streams(jitter_ms=3, duplicates=0.3), 8.0, 1.0, id="duplicates"),
        pytest.param(Streams(jitter_ms=3, delay_ms=(0, 120)), 8.0, 1.0, id="overtaking"),
        pytest.param(Streams(3, 5e-4, 0, 0.2, 0.2, (0, 120)), 8.0, 0.2, id="all"),
    ],
)
def test_whatever_has_one_partner_finds_it(
    streams: Streams, tolerance_ms: float | None, least_share: float, seed: int
) -> None:
    """Where the tolerance leaves each image one candidate at most, all candidates pair and nothing else does."""
    arrivals = streams.arrivals(seed)
    left, right = stamps(arrivals, "left"), stamps(arrivals, "right")
    expected = candidates(left, right, tolerance_ms)
    assert most_partners(expected) <= 1
    assert len(expected) >= least_share * FRAMES
    pairs = Counter(paired(arrivals, tolerance_ms))
    assert set(pairs) == expected
    for (a, b), times in pairs.items():  # a message that came twice may pair twice, with the other's second copy
        assert times <= min(left[a], right[b])


def greedy(arrivals: Iterable[Arrival], tolerance_ms: float) -> list[tuple[int, int]]:
    """Each arrival takes the nearest that waits on the other side, if that is near enough."""
    waiting: dict[str, list[int]] = {"left": [], "right": []}
    pairs = []
    for arrival in arrivals:
        own, others = waiting[arrival.side], waiting["right" if arrival.side == "left" else "left"]
        near = sorted((abs(arrival.stamp_ns - other), other) for other in others)
        if near and near[0][0] < tolerance_ms * MS:
            others.remove(near[0][1])
            pair = (arrival.stamp_ns, near[0][1])
            pairs.append(pair if arrival.side == "left" else pair[::-1])
            if arrival.stamp_ns in own:
                own.remove(arrival.stamp_ns)  # an earlier copy, whose place this one took
        elif arrival.stamp_ns not in own:
            own.append(arrival.stamp_ns)
            if len(own) > QUEUE_SIZE:
                own.remove(min(own))
    return pairs


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("streams", "tolerance_ms"),
    [
        pytest.param(Streams(jitter_ms=12, delay_ms=(0, 60)), 30.0, id="jitter of a third of a period"),
        pytest.param(Streams(jitter_ms=3, drift=2e-3, delay_ms=(0, 60)), 60.0, id="tolerance of two periods"),
        pytest.param(Streams(12, 1e-3, 5, 0.2, 0.1, (0, 200)), 25.0, id="all"),
        pytest.param(Streams(jitter_ms=3, drift=-0.5, delay_ms=(0, 60)), 45.0, id="30 and 15 Hz"),
    ],
)
def test_whatever_has_several_partners_takes_the_nearest_that_waits(
    streams: Streams, tolerance_ms: float, seed: int
) -> None:
    """Where the tolerance leaves a choice, pairs are those of arrivals played one by one, in the same order."""
    arrivals = streams.arrivals(seed)
    assert most_partners(candidates(stamps(arrivals, "left"), stamps(arrivals, "right"), tolerance_ms)) > 1
    assert paired(arrivals, tolerance_ms) == greedy(arrivals, tolerance_ms)
