"""What pictures give away is found when samples agree, and left alone while nothing changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.finding import Level
from ffs_ros.ros.doctor.images import CALM, Images, Sample, findings_on

TOPICS = ("/left/image_rect", "/right/image_rect")
RNG = np.random.default_rng(0)


def shifted(image_HW3: np.ndarray, down_px: int) -> np.ndarray:
    """The picture further down, or up."""
    return np.roll(image_HW3, down_px, axis=0)


def noisy(image_HW3: np.ndarray) -> np.ndarray:
    """As the sensor sees it the next time."""
    return np.clip(image_HW3.astype(np.int16) + RNG.integers(-2, 3, image_HW3.shape), 0, 255).astype(np.uint8)


def grey(level: int) -> np.ndarray:
    return np.full((240, 320, 3), level, np.uint8)


BAD: dict[str, tuple[Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], Level, str]] = {
    "left and right swapped": (
        lambda left, right: (right, left),
        Level.ERROR,
        "left/image_rect is the right camera's",
    ),
    "identical images": (lambda left, right: (left, left), Level.ERROR, "carry the same picture"),
    "not rectified": (lambda left, right: (left, shifted(right, 2)), Level.WARN, "differ by 2.0 px over the image"),
    "black image": (lambda left, right: (left, grey(3)), Level.ERROR, "/right/image_rect is next to black"),
    "overexposed image": (lambda left, right: (grey(255), right), Level.WARN, "/left/image_rect is saturated"),
    "blank image": (lambda left, right: (grey(90), right), Level.ERROR, "/left/image_rect is one even grey"),
}


def test_a_good_pair_gives_nothing_away(scene: Any) -> None:
    """With its own principal points; the real pairs are in test_pair_check.py."""
    sample = Sample(scene.left_HW3, scene.right_HW3, scene.camera.principal_point_difference_px)
    assert list(findings_on(sample, TOPICS)) == []


@pytest.mark.parametrize("name", BAD)
def test_each_fault_has_its_name_level_and_sentence(scene: Any, name: str) -> None:
    """And no other fault is found beside it."""
    make, level, sentence = BAD[name]
    difference_px = scene.camera.principal_point_difference_px
    images = make(scene.left_HW3, scene.right_HW3)
    (finding,) = findings_on(Sample(*images, difference_px), TOPICS)
    assert (finding.name, finding.level) == (name, level)
    assert sentence in finding.sentence


def test_what_is_far_off_is_an_error(scene: Any) -> None:
    """Rows that differ by eight pixels leave nothing to match; a turn is told apart from a shift."""
    (finding,) = findings_on(Sample(scene.left_HW3, shifted(scene.right_HW3, -8), -2.0), TOPICS)
    assert (finding.name, finding.level) == ("not rectified", Level.ERROR)
    assert "turned" not in finding.sentence
    change = cv2.getRotationMatrix2D((160, 120), -1.0, 1.0)
    (finding,) = findings_on(Sample(scene.left_HW3, cv2.warpAffine(scene.right_HW3, change, (320, 240)), -2.0), TOPICS)
    assert "turned by 1.0 degrees" in finding.sentence


def test_sizes_that_differ_are_somebody_elses_matter(scene: Any) -> None:
    """The pair is refused elsewhere; here it must not raise."""
    assert list(findings_on(Sample(scene.left_HW3, scene.right_HW3[:-2], 0.0), TOPICS)) == []


@pytest.fixture
def images() -> Any:
    """Looks when it is told to, on this thread."""
    bugs: list[BaseException] = []
    images = Images(TOPICS, bugs.append)
    yield images
    images.close()
    assert bugs == []


def test_a_single_sample_counts_for_nothing(scene: Any, images: Images) -> None:
    """A finding needs two in a row, and is over with the first good one."""
    good = Sample(scene.left_HW3, scene.right_HW3, -2.0)
    bad = [Sample(noisy(scene.left_HW3), noisy(shifted(scene.right_HW3, 4)), -2.0) for _ in range(3)]
    names = []
    for sample in (bad[0], good, bad[1], bad[2], good):
        images.look_at(sample)
        names.append([finding.name for finding in images.findings()])
    assert names == [[], [], [], ["not rectified"], []]


def test_frozen_images_are_named(scene: Any, images: Images) -> None:
    """The same content three times; one side alone is an error, for its depth is of two different moments."""
    for _ in range(3):
        images.look_at(Sample(scene.left_HW3, scene.right_HW3, -2.0))
    (finding,) = images.findings()
    assert (finding.name, finding.level) == ("frozen image", Level.WARN)
    assert "/left/image_rect and /right/image_rect carry the same content" in finding.sentence
    for _ in range(2):
        images.look_at(Sample(scene.left_HW3, noisy(scene.right_HW3), -2.0))
    (finding,) = images.findings()
    assert (finding.name, finding.level) == ("frozen image", Level.ERROR)
    assert "/left/image_rect carries the same content" in finding.sentence


def test_only_some_samples_are_looked_at_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one until two agree, then one of ``CALM``; all on another thread."""
    looked = threading.Event()
    threads = set()

    def look(images: Images, sample: Sample) -> None:
        images._recent.append([])
        threads.add(threading.current_thread().name)
        looked.set()

    monkeypatch.setattr(Images, "look_at", look)
    images = Images(TOPICS, lambda bug: looked.set())
    due = []
    for _ in range(2 * CALM):
        due.append(images.offer(Sample(grey(1), grey(2), 0.0)))
        if due[-1]:
            assert looked.wait(60.0)
            looked.clear()
    images.close()
    assert [index for index, is_due in enumerate(due, 1) if is_due] == [1, 2, CALM, 2 * CALM]
    assert threads == {"doctor"}


def test_bugs_are_reported_and_the_next_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception on the other thread is not lost and ends nothing."""
    bugs: list[BaseException] = []
    reported = threading.Event()
    monkeypatch.setattr("ffs_ros.ros.doctor.images.findings_on", lambda sample, topics: 1 // 0)
    images = Images(TOPICS, lambda bug: (bugs.append(bug), reported.set()))
    for count in (1, 2):
        images.offer(Sample(grey(1), grey(2), 0.0))
        assert reported.wait(60.0)
        reported.clear()
        assert len(bugs) == count
    images.close()
    assert isinstance(bugs[0], ZeroDivisionError)
