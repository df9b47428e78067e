"""Images pair, and those that do not are counted and explained."""

from __future__ import annotations

import importlib
import importlib.util
import random
from types import SimpleNamespace
from typing import Any

import pytest

from ffs_ros import pairing as module
from ffs_ros import sync
from ffs_ros.arrivals import LEAST_S
from ffs_ros.finding import Finding, Level
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor import unpaired
from ffs_ros.ros.doctor.unpaired import Unpaired

MS = 1_000_000
PERIOD_MS = 33
TOPICS = ("/left/image_rect", "/right/image_rect")


@pytest.fixture(
    params=["stand-in", *(["message_filters"] if importlib.util.find_spec("message_filters") else [])], autouse=True
)
def filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs on the stand-in, and on message_filters where it is installed."""
    if request.param == "message_filters":
        monkeypatch.setattr(Cameras, "filters", importlib.import_module("message_filters"))
    return request.param


def image(stamp_ms: float) -> Any:
    """What has a stamp, of ROS's own type where it exists, as message_filters asks for."""
    sec, nanosec = divmod(round(stamp_ms * MS), 1_000_000_000)
    if importlib.util.find_spec("builtin_interfaces") is None:
        return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)))
    from builtin_interfaces.msg import Time

    return SimpleNamespace(header=SimpleNamespace(stamp=Time(sec=sec, nanosec=nanosec)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The monotonic clock of pairing and report; set ``now_ns``."""
    clock = SimpleNamespace(now_ns=0, monotonic_ns=lambda: clock.now_ns)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(unpaired, "time", clock)
    return clock


class Cameras:
    """A pairing, what came out of it, and its report."""

    filters: Any = sync

    def __init__(self, tolerance_s: float | None = None, queue_size: int = 10) -> None:
        self.pairs: list[tuple[float, float]] = []
        self.arrivals_ns: list[int] = []
        self.pairing = Pairing(
            self._on_pair,
            approximate=tolerance_s is not None,
            tolerance_s=tolerance_s or 0.01,
            queue_size=queue_size,
            filters=self.filters,
        )
        self.publishers = dict.fromkeys(TOPICS, 1)
        self.remedy: str | None = None
        self.report = Unpaired(self.pairing, TOPICS, lambda topic: self.publishers.get(topic, 0), lambda: self.remedy)

    def _on_pair(self, left: Any, right: Any, arrival_ns: int) -> None:
        self.pairs.append((sync.stamp_ns(left) / MS, sync.stamp_ns(right) / MS))
        self.arrivals_ns.append(arrival_ns)

    def left(self, *stamps_ms: float) -> None:
        for stamp_ms in stamps_ms:
            self.pairing.add_left(image(stamp_ms))

    def right(self, *stamps_ms: float) -> None:
        for stamp_ms in stamps_ms:
            self.pairing.add_right(image(stamp_ms))

    def check_books(self) -> None:
        """Every image is paired, unmatched or waiting."""
        for side in (self.pairing.left, self.pairing.right):
            assert side.received == self.pairing.paired + side.unmatched + len(side.waiting_ns)
            assert len(side.waiting_ns) <= self.pairing.queue_size


def test_every_image_is_accounted_for() -> None:
    """Over a thousand frames with jitter, loss, repeats and reordering, received = paired + unmatched + waiting."""
    chance = random.Random(0)
    cameras = Cameras(tolerance_s=0.008)
    arrivals = []
    for frame in range(1000):
        for add in (cameras.left, cameras.right):
            stamp_ms = 1e6 + PERIOD_MS * frame + chance.uniform(-5, 5)
            copies = chance.choices((0, 1, 2), (5, 94, 1))[0]
            arrivals += [(PERIOD_MS * frame + chance.uniform(0, 60), stamp_ms, add)] * copies
    for _, stamp_ms, add in sorted(arrivals, key=lambda arrival: arrival[0]):
        add(stamp_ms)
        cameras.check_books()
    assert cameras.pairing.paired == len(cameras.pairs) > 800
    assert cameras.pairing.jumps_back == 0
    assert all(abs(left - right) < 8 for left, right in cameras.pairs)


def test_a_pair_comes_with_the_arrival_of_its_second_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever side is second, its time is the pair's."""
    ticks = iter(range(100))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic_ns=lambda: next(ticks)))
    cameras = Cameras()
    cameras.left(0)
    cameras.right(0, 33)
    cameras.left(33)
    assert cameras.arrivals_ns == [1, 3]


@pytest.mark.parametrize("tolerance_s", [None, 0.01])
def test_time_that_jumps_back_starts_over(tolerance_s: float | None) -> None:
    """A looping bag pairs again at once, even with queues full of later stamps."""
    cameras = Cameras(tolerance_s, queue_size=5)
    cameras.left(*(90000 + PERIOD_MS * i for i in range(8)))
    cameras.right(50000)
    for frame in range(4):
        cameras.left(1000 + PERIOD_MS * frame)
        cameras.right(1000 + PERIOD_MS * frame)
    cameras.check_books()
    assert cameras.pairs == [(1000 + PERIOD_MS * i,) * 2 for i in range(4)]
    assert cameras.pairing.jumps_back == 1


def test_what_waits_when_the_input_ends_is_unmatched() -> None:
    """After ``clear`` nothing waits, the counts go on, and a partner that comes later pairs with nothing."""
    cameras = Cameras()
    cameras.left(0, 33, 66)
    cameras.right(0)
    cameras.pairing.clear()
    cameras.check_books()
    assert cameras.pairing.left.unmatched == 2
    cameras.right(33)
    cameras.left(99)
    cameras.right(99)
    cameras.check_books()
    assert cameras.pairs == [(0, 0), (99, 99)]
    assert (cameras.pairing.paired, cameras.pairing.left.received, cameras.pairing.right.received) == (2, 4, 3)


def test_messages_out_of_order_are_no_jump() -> None:
    """A stamp a frame or two older than the one before pairs as any other."""
    cameras = Cameras()
    cameras.left(0, 66, 33)
    cameras.right(0, 33, 66)
    assert sorted(cameras.pairs) == [(0, 0), (33, 33), (66, 66)]
    assert cameras.pairing.jumps_back == 0


def test_a_callback_that_raises_stops_nothing(filters: str) -> None:
    """What ``on_pair`` raises comes out, and the next pair still forms: message_filters' lock is not held meanwhile."""
    calls = []

    def on_pair(left: Any, right: Any, arrival_ns: int) -> None:
        calls.append(sync.stamp_ns(left))
        raise RuntimeError("a bug")

    pairing = Pairing(on_pair, approximate=False, tolerance_s=0.01, queue_size=5, filters=Cameras.filters)
    for stamp_ms in (0, 33):
        pairing.add_left(image(stamp_ms))
        with pytest.raises(RuntimeError):
            pairing.add_right(image(stamp_ms))
    assert calls == [0, 33 * MS]


def test_the_choice_is_described(filters: str) -> None:
    """The log says exact or approximate, and whose matching is used."""
    exact, approximate = Cameras().pairing.describe(), Cameras(0.02).pairing.describe()
    assert "equal stamps only" in exact
    assert "less than 20 ms apart" in approximate
    assert ("by message_filters" in exact) == (filters == "message_filters")


# The reason, in a sentence


def sentence_of(findings: list[Finding], name: str, level: Level) -> str:
    """What the only finding says, which has this name and level."""
    (finding,) = findings
    assert (finding.name, finding.level) == (name, level)
    return finding.sentence


def test_nothing_is_said_while_everything_pairs() -> None:
    """No sentence for a healthy stream, nor for images that still wait."""
    cameras = Cameras()
    for frame in range(100):
        cameras.left(PERIOD_MS * frame)
        cameras.right(PERIOD_MS * frame)
    cameras.left(100000 / 30)
    assert cameras.report.look(5.0) == []


def test_a_constant_offset_names_the_tolerance_that_pairs() -> None:
    """Exact pairing of stamps 4 ms apart says so, and its proposal indeed pairs them."""
    cameras = Cameras()
    for frame in range(150):
        cameras.left(PERIOD_MS * frame)
        cameras.right(PERIOD_MS * frame + 4)
    sentence = sentence_of(cameras.report.look(5.0), "stamps apart", Level.ERROR)
    assert "of 150 left and 150 right images in 5.0 s none paired" in sentence
    assert "4.000 to" in sentence
    assert "only equal stamps pair (approximate_sync is off)" in sentence
    tolerance_s = float(sentence.split("approximate_sync_tolerance_seconds: ")[1].split(",")[0])
    assert 0.004 < tolerance_s < 0.5 * PERIOD_MS / 1000
    again = Cameras(tolerance_s)
    for frame in range(10):
        again.left(PERIOD_MS * frame)
        again.right(PERIOD_MS * frame + 4)
    assert len(again.pairs) == 10


def test_a_tolerance_that_is_too_small_is_named() -> None:
    """Approximate pairing says its own tolerance beside the offset."""
    cameras = Cameras(tolerance_s=0.002)
    for frame in range(30):
        cameras.left(PERIOD_MS * frame)
        cameras.right(PERIOD_MS * frame + 4)
    sentence = sentence_of(cameras.report.look(1.0), "stamps apart", Level.ERROR)
    assert "approximate_sync_tolerance_seconds is 0.002" in sentence


def test_clocks_that_disagree_get_no_tolerance() -> None:
    """Stamps seconds apart are a matter of clocks; a tolerance would pair wrong images."""
    cameras = Cameras()
    for frame in range(30):
        cameras.left(PERIOD_MS * frame)
        cameras.right(PERIOD_MS * frame + 3_600_000)
    sentence = sentence_of(cameras.report.look(1.0), "clocks disagree", Level.ERROR)
    assert "clocks disagree" in sentence
    assert "tolerance" not in sentence


def test_an_image_that_is_given_up_late_is_no_fault_of_now() -> None:
    """What waited in vain before the look leaves its queue in a time in which everything that comes pairs."""
    cameras = Cameras(queue_size=1)
    cameras.left(0, 33)
    cameras.right(33)
    cameras.left(66)
    cameras.report.look(5.0)
    cameras.left(99)
    cameras.right(99)
    assert cameras.pairing.left.unmatched == 2
    assert cameras.report.look(5.0) == []


def test_a_slower_side_is_named() -> None:
    """When every second partner is missing, the sentence counts and points at the transport, not at the stamps."""
    cameras = Cameras()
    cameras.remedy = "use the profile"
    for frame in range(150):
        cameras.left(PERIOD_MS * frame)
        if frame % 2 == 0:
            cameras.right(PERIOD_MS * frame)
    sentence = sentence_of(cameras.report.look(5.0), "partners missing", Level.WARN)
    assert sentence.startswith("of 150 left and 75 right images in 5.0 s only 75 paired:")
    assert sentence.endswith("the partners of the others never came; use the profile")


@pytest.mark.parametrize("tolerance_s", [None, 0.005])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.9])
def test_images_lost_at_random_are_no_matter_of_stamps(kept: float, tolerance_s: float | None) -> None:
    """However many are lost on both sides, the remedy is not a tolerance that would pair neighbouring frames."""
    chance = random.Random(1)
    cameras = Cameras(tolerance_s)
    for frame in range(300):
        for add in (cameras.left, cameras.right):
            if chance.random() < kept:
                add(1e6 + PERIOD_MS * frame)
    sentence = sentence_of(cameras.report.look(10.0), "partners missing", Level.WARN)
    assert sentence.endswith("the partners of the others never came")


def test_cameras_that_run_freely_are_named() -> None:
    """Two cameras with slightly different rates pair only while they happen to be close; the sentence says how far."""
    cameras = Cameras(tolerance_s=0.004)
    for frame in range(600):
        cameras.left(PERIOD_MS * frame)
        cameras.right(PERIOD_MS * 1.001 * frame)
        if frame == 400:
            cameras.report.look(10.0)
    sentence = sentence_of(cameras.report.look(5.0), "stamps apart", Level.ERROR)
    assert "approximate_sync_tolerance_seconds is 0.004; trigger both cameras together" in sentence


@pytest.mark.parametrize(
    ("offered", "name", "remedy"),
    [
        (0, "no publisher", "nobody publishes /right/image_rect"),
        (1, "no images", "check that the driver sends"),
    ],
)
def test_a_silent_side_is_named(clock: Any, offered: int, name: str, remedy: str) -> None:
    """The sentence names the topic that delivers nothing, and whether anybody publishes there."""
    cameras = Cameras()
    cameras.publishers[TOPICS[1]] = offered
    for frame in range(150):
        clock.now_ns = PERIOD_MS * frame * MS
        cameras.left(PERIOD_MS * frame)
    sentence = sentence_of(cameras.report.look(5.0), name, Level.ERROR)
    assert sentence.startswith(
        "no image has come on /right/image_rect for 5.0 s, while the other side delivers 30.3 Hz"
    )
    assert remedy in sentence


def test_a_side_that_stops_is_named_before_the_next_look(clock: Any) -> None:
    """And no longer once it comes again. A side that has never come waits for the look."""
    cameras = Cameras()
    for frame in range(71):
        clock.now_ns = PERIOD_MS * frame * MS
        cameras.left(PERIOD_MS * frame)
        if frame <= 40:
            cameras.right(PERIOD_MS * frame)
        died = cameras.report.silence() != []
        assert died == (frame - 40 > LEAST_S * 1e3 / PERIOD_MS), frame
    sentence = sentence_of(cameras.report.silence(), "no images", Level.ERROR)
    assert sentence.startswith(
        "no image has come on /right/image_rect for 1.0 s, while the other side delivers 30.3 Hz"
    )
    assert cameras.report.silence({TOPICS[1]}) == []
    assert sentence_of(cameras.report.look(5.0), "no images", Level.ERROR) == sentence
    cameras.right(PERIOD_MS * 70)
    assert cameras.report.silence() == []


def test_a_slow_camera_is_not_accused(clock: Any) -> None:
    """At 0.1 Hz nothing comes between some looks, and nothing is wrong."""
    cameras = Cameras()
    for second in range(0, 60, 5):
        clock.now_ns = second * 1000 * MS
        if second % 10 == 0:
            cameras.left(1000 * second)
            cameras.right(1000 * second)
        assert cameras.report.silence() == []
        found = cameras.report.look(5.0)
        assert found == [] or second == 5, "one image tells no rate"


def test_two_silent_sides_are_named() -> None:
    """Before the cameras start, both topics are named once."""
    cameras = Cameras()
    cameras.publishers.update(dict.fromkeys(TOPICS, 0))
    sentence = sentence_of(cameras.report.look(5.0), "no publisher", Level.ERROR)
    assert "nobody publishes /left/image_rect and /right/image_rect" in sentence


def test_images_without_stamps_are_not_paired_by_guess() -> None:
    """All stamps 0: after the first pair nothing tells which belong together, and the report says so."""
    cameras = Cameras()
    for _ in range(5):
        cameras.left(0)
        cameras.right(0)
    assert cameras.pairs == [(0, 0)]
    cameras.check_books()
    said = sentence_of(cameras.report.look(5.0), "stamps zero", Level.WARN)
    assert "/left/image_rect and /right/image_rect carry a stamp of 0 or less" in said


def test_stamps_that_were_zero_once_are_no_longer_the_reason() -> None:
    """A driver that learned to stamp leaves no trace."""
    cameras = Cameras()
    for _ in range(3):
        cameras.left(0)
        cameras.right(0)
    cameras.report.look(5.0)
    for frame in range(1, 30):
        cameras.left(PERIOD_MS * frame)
        if frame % 2:
            cameras.right(PERIOD_MS * frame)
    sentence_of(cameras.report.look(5.0), "partners missing", Level.WARN)


@pytest.mark.parametrize("loops", [1, 3])
def test_a_looping_bag_is_named(clock: Any, loops: int) -> None:
    """Once or several times; a warning, because pairs come again."""
    cameras = Cameras()
    for _ in range(loops + 1):
        for frame in range(60):
            clock.now_ns += PERIOD_MS * MS
            cameras.left(1e6 + PERIOD_MS * frame)
            cameras.right(1e6 + PERIOD_MS * frame)
    sentence = sentence_of(cameras.report.look(5.0), "time jumped back", Level.WARN)
    assert ("jumped back once" if loops == 1 else "jumped back 3 times") in sentence
    clock.now_ns += 5000 * MS
    assert cameras.report.look(5.0)[0].name == "no images"


def test_what_the_graph_explains_is_not_said_twice() -> None:
    """A side from which nothing can come is left out; the other one is not."""
    cameras = Cameras()
    assert cameras.report.look(5.0, {*TOPICS}) == []
    assert "/right" not in sentence_of(cameras.report.look(5.0, {TOPICS[1]}), "no images", Level.ERROR)


def test_a_negative_stamp_is_no_stamp() -> None:
    """It pairs with nothing, is counted, and leaves message_filters as it was: the next pair forms."""
    cameras = Cameras()
    for stamp_ms in (-1, 33, -(2.0**31) * 1000, 66):
        cameras.left(stamp_ms)
        cameras.right(stamp_ms)
    assert cameras.pairs == [(33, 33), (66, 66)]
    assert (cameras.pairing.left.unmatched, cameras.pairing.left.unstamped) == (2, 2)
    cameras.check_books()


def test_a_stamp_that_comes_twice_is_counted_once_as_unmatched() -> None:
    """The second takes the place of the first in the queue."""
    cameras = Cameras(queue_size=2)
    cameras.left(1, 2, 2)
    cameras.right(1)
    assert cameras.pairs == [(1, 1)]
    assert cameras.pairing.left.unmatched == 1
    cameras.check_books()
