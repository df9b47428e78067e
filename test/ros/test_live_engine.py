"""An engine that fails is opened once more; one that answers no numbers gives way to the fallback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faulty_engine
import numpy as np
import pytest
from faulty_engine import FAULTY, SOUND, DISPARITY_px, Fault, FaultyEngine

from ffs_ros import live_engine
from ffs_ros.config import NodeConfig
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.errors import EngineError, EngineFailed, EngineLost, MessageError, UnfitImages
from ffs_ros.finding import Level
from ffs_ros.live_engine import LiveEngine
from ffs_ros.watched_engine import WatchedEngine

HEIGHT, WIDTH = 40, 50


class Log:
    """A logger."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    warning = error = info


class Rig:
    """A live engine on ``FaultyEngine``, a clock, and what became of the engines."""

    def __init__(self, **parameters: Any) -> None:
        self.now_s = 1000.0
        self.log = Log()
        self.engine = LiveEngine(NodeConfig(engine=FAULTY, **parameters), self.log, lambda: self.now_s)

    def match(self, fault: Fault = Fault.NONE, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
        left_HW3 = np.zeros((height, width, 3), np.uint8)
        left_HW3[0, 0, 0] = fault
        return self.engine.match(left_HW3, left_HW3)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every engine that is opened, in order; each says when it is closed."""
    engines: list[Any] = []

    def open_engine(engine: str | Path, **arguments: Any) -> Any:
        engines.append(faulty_engine.open_engine(engine, **arguments))
        engines[-1].closed = False
        engines[-1].close = lambda made=engines[-1]: setattr(made, "closed", True)
        return engines[-1]

    monkeypatch.setattr(live_engine, "open_engine", open_engine)
    monkeypatch.setattr(FaultyEngine, "broken", False)
    return engines


@pytest.mark.parametrize("fault", [Fault.GPU, Fault.BUG])
def test_an_engine_that_fails_is_closed_and_opened_once_more(opened: list[Any], fault: Fault) -> None:
    """The pair is lost, the next one is answered; after a while without a failure it may happen again."""
    rig = Rig()
    rig.match()
    for time_ in (1, 2):
        with pytest.raises(EngineFailed, match="opened again"):
            rig.match(fault)
        assert [one.closed for one in opened] == [True] * time_ + [False]
        assert rig.engine.fault is not None
        assert rig.engine.fault.level == Level.WARN
        assert "illegal memory access" in rig.engine.fault.sentence or fault == Fault.BUG
        assert rig.match()[0, 0] == DISPARITY_px
        rig.now_s += live_engine.TRIAL_S + 1
        assert rig.engine.fault is None
    assert rig.engine.opened_again == 2
    assert any("the engine failed, and is opened again: " in line for line in rig.log.lines)
    assert any("Traceback" in line for line in rig.log.lines) == (fault == Fault.BUG)


def test_an_engine_that_fails_again_soon_is_lost(opened: list[Any]) -> None:
    """It is closed, and every later pair hears why."""
    rig = Rig()
    rig.match()
    with pytest.raises(EngineFailed):
        rig.match(Fault.GPU)
    rig.now_s += live_engine.TRIAL_S - 1
    with pytest.raises(EngineLost, match=r"failed again, less than 60 s after .* illegal memory access"):
        rig.match(Fault.GPU)
    assert rig.engine.lost
    assert rig.engine.fault is not None
    assert rig.engine.fault.level == Level.ERROR
    assert all(one.closed for one in opened)
    with pytest.raises(EngineLost, match="illegal memory access"):
        rig.match()
    assert len(opened) == 2


def test_an_engine_that_does_not_open_again_is_lost(opened: list[Any]) -> None:
    """The sentence has both reasons."""
    rig = Rig()
    rig.match()
    with pytest.raises(EngineLost, match=r"illegal memory access.*does not open again: .*context is destroyed"):
        rig.match(Fault.STAYS_BROKEN)
    assert rig.engine.lost


def test_a_broken_engine_that_does_not_close_is_left_behind(opened: list[Any]) -> None:
    """What closing raises is said, and a new one is opened all the same."""
    rig = Rig()
    rig.match()

    def close() -> None:
        raise RuntimeError("cuMemFree failed")

    opened[0].close = close
    with pytest.raises(EngineFailed):
        rig.match(Fault.GPU)
    assert any("does not close: cuMemFree failed" in line for line in rig.log.lines)
    assert rig.match()[0, 0] == DISPARITY_px


def test_images_to_which_the_engine_is_not_equal_cost_no_engine(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails on one size and still answers the size before is no engine failure; what fails on both is."""
    sound = FaultyEngine.infer

    def infer(self: Any, feeds: Any) -> Any:
        if feeds["left"].shape[1] < 10:
            raise EngineError("a kernel larger than the image")
        return sound(self, feeds)

    monkeypatch.setattr(FaultyEngine, "infer", infer)
    rig = Rig()
    with pytest.raises(UnfitImages, match="fails on images of 7x5, not on others: a kernel larger"):
        rig.match(height=5, width=7)
    rig.match()
    for _ in range(3):
        with pytest.raises(UnfitImages):
            rig.match(height=5, width=7)
    assert len(opened) == 1
    monkeypatch.setattr(FaultyEngine, "infer", lambda self, feeds: 1 / 0)
    with pytest.raises(EngineLost):
        rig.match(height=100, width=100)
    assert len(opened) == 2, "opened again, and it does not answer what it answered before"


def test_an_engine_that_never_answers_is_not_blamed_on_the_images(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of open size it first runs on the first pair. It fails on another size, too: said so, with what to do."""

    def infer(self: Any, feeds: Any) -> Any:
        raise EngineError("no kernel image for this GPU")

    monkeypatch.setattr(FaultyEngine, "infer", infer)
    rig = Rig()
    with pytest.raises(EngineFailed):
        rig.match()
    (said,) = (line for line in rig.log.lines if "the engine failed" in line)
    assert "opened again: no kernel image for this GPU; it has not answered any pair yet" in said
    assert said.endswith("where ffs bench faulty --size 40x50 fails too, export or build it again")
    with pytest.raises(EngineLost, match=r"failed again.*no kernel image.*it has not answered any pair yet"):
        rig.match()
    assert len(opened) == 2


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), live_engine.USUAL_SIZE])
def test_a_failure_that_passes_is_not_blamed_on_the_images(opened: list[Any], size: tuple[int, int]) -> None:
    """On the very first pair, too: the engine answers others of this size."""
    rig = Rig()
    with pytest.raises(EngineFailed, match="opened again"):
        rig.match(Fault.GPU, *size)
    assert rig.match(Fault.NONE, *size)[0, 0] == DISPARITY_px


def test_bad_images_are_no_failure(opened: list[Any]) -> None:
    """Images that do not fit each other never reach the engine."""
    rig = Rig()
    with pytest.raises(MessageError):
        rig.engine.match(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))
    assert (rig.engine.opened_again, len(opened)) == (0, 1)


@pytest.mark.parametrize("fault", [Fault.SOME_NAN, Fault.INFINITE])
def test_few_pixels_that_are_no_numbers_are_masked_and_counted(opened: list[Any], fault: Fault) -> None:
    """NaN where there is no number, the rest as it was."""
    rig = Rig()
    disparity_HW = rig.match(fault)
    assert np.isnan(disparity_HW.flat[::1000]).all()
    assert np.count_nonzero(disparity_HW == DISPARITY_px) == HEIGHT * WIDTH - 2
    rig.match()
    rig.match(fault)
    assert rig.engine.non_finite_px == 4


def test_too_many_are_never_published_and_three_in_a_row_wake_the_fallback(opened: list[Any]) -> None:
    """One bad answer between good ones does not; the fallback was proved at the start and stays."""
    rig = Rig(fallback_engine=SOUND)
    assert [(one.info.name, one.closed) for one in opened] == [(SOUND, True), (FAULTY, False)]
    for _ in range(2):
        for _ in range(live_engine.PATIENCE_FRAMES - 1):
            with pytest.raises(EngineFailed, match=r"50.0% of the pixels that faulty answered are no numbers"):
                rig.match(Fault.MANY_NAN)
        rig.match()
    for _ in range(live_engine.PATIENCE_FRAMES):
        assert not rig.engine.fell_back
        with pytest.raises(EngineFailed):
            rig.match(Fault.MANY_NAN)
    assert rig.engine.fell_back
    assert rig.engine.info.name == SOUND
    assert [one.closed for one in opened] == [True, True, False]
    assert rig.match(Fault.MANY_NAN)[0, 0] == DISPARITY_px
    assert any("sound takes over" in line for line in rig.log.lines)
    assert rig.engine.fault is not None
    assert (rig.engine.fault.name, rig.engine.fault.level) == ("fallback", Level.WARN)


def test_without_a_fallback_bad_answers_go_on_being_refused(opened: list[Any]) -> None:
    """And a good one is taken when it comes."""
    rig = Rig()
    for _ in range(10):
        with pytest.raises(EngineFailed, match="name such an engine in fallback_engine"):
            rig.match(Fault.MANY_NAN)
        assert rig.engine.fault is not None
        assert rig.engine.fault.level == Level.ERROR
    assert rig.match()[0, 0] == DISPARITY_px
    assert rig.engine.fault is None
    assert len(opened) == 1


@pytest.mark.parametrize(("share", "answered"), [(0.0, False), (0.001, True), (1.0, True)])
def test_the_share_is_a_parameter(opened: list[Any], share: float, answered: bool) -> None:
    """Two of two thousand pixels: allowed from 0.001 on."""
    rig = Rig(max_non_finite_share=share)
    if answered:
        rig.match(Fault.SOME_NAN)
        return
    with pytest.raises(EngineFailed):
        rig.match(Fault.SOME_NAN)


def test_a_fallback_that_does_not_open_is_a_wrong_set_up(opened: list[Any]) -> None:
    """At the start, not when it is needed."""
    with pytest.raises(EngineError, match="fallback_engine: there is no engine file nowhere"):
        Rig(fallback_engine="nowhere.onnx")
    assert opened == []


class FixedEngine:
    """Of one size; answers ``value``."""

    def __init__(self, name: str, value: float) -> None:
        self.info = EngineInfo(name, "a test", 64.0, 1, dense=True)
        image = TensorSpec((1, HEIGHT, WIDTH, 3), np.dtype(np.uint8))
        self.inputs = {"left": image, "right": image}
        self.outputs = {"disparity": TensorSpec((1, 1, HEIGHT, WIDTH), np.dtype(np.float32))}
        self.value = value
        self.closed = False

    def infer(self, feeds: Any) -> dict[str, np.ndarray]:
        return {"disparity": np.full((1, 1, HEIGHT, WIDTH), self.value, np.float32)}

    def close(self) -> None:
        self.closed = True


def test_an_engine_that_never_answers_numbers_is_found_out_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its warm-up says so: a wrong set-up, or the fallback's turn at once."""
    engines: list[FixedEngine] = []

    def open_engine(engine: str, **_: Any) -> FixedEngine:
        engines.append(FixedEngine(engine, 4.0 if engine == SOUND else np.nan))
        return engines[-1]

    monkeypatch.setattr(live_engine, "open_engine", open_engine)
    with pytest.raises(EngineError, match=r"100.0% of the pixels that faulty answered are no numbers"):
        Rig()
    assert [engine.closed for engine in engines] == [True]
    with pytest.raises(EngineError, match=r"fallback_engine: 100.0% of the pixels that broken answered"):
        Rig(fallback_engine="broken")
    assert all(engine.closed for engine in engines)
    rig = Rig(fallback_engine=SOUND)
    assert rig.engine.fell_back
    assert rig.match()[0, 0] == 4.0


@pytest.mark.parametrize(("dense", "nan_px"), [(True, 3), (False, 0)])
def test_holes_are_no_failure_of_an_engine_that_has_some(dense: bool, nan_px: int) -> None:
    """NaN counts only where every pixel was promised an answer; infinity always counts."""
    engine = FixedEngine("fixed", 4.0)
    engine.info = engine.info._replace(dense=dense)
    disparity = np.full((1, 1, HEIGHT, WIDTH), 4.0, np.float32)
    monkey = {"disparity": disparity}
    engine.infer = lambda feeds: monkey  # type: ignore[method-assign]
    watched = WatchedEngine(engine)
    watched.infer({})
    assert watched.non_finite_px == 0
    disparity[0, 0, 0, :3] = np.nan
    watched.infer({})
    assert watched.non_finite_px == nan_px
    disparity[0, 0, 1, :4] = [np.inf, -np.inf, 3e38, -3e38]
    watched.infer({})
    assert watched.non_finite_px == nan_px + 2
    assert watched.non_finite_share == watched.non_finite_px / (HEIGHT * WIDTH)
